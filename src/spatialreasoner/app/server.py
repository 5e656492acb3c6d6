"""The app's address book: every request, the function that answers it, and how errors are reported.

A page holds the token of its session and sends it in a header of its own, which no other site's page can; without it nothing
of a visitor has an address. What changes or measures something runs in a thread, one request of a visitor at a time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from spatialreasoner.app.asked_scene import camera_of_text
from spatialreasoner.app.guard import Guard
from spatialreasoner.app.images import shown_jpeg
from spatialreasoner.app.opening import Wanted, safe_place
from spatialreasoner.app.service import App
from spatialreasoner.app.sessions import Session
from spatialreasoner.core.errors import InputError, SpatialReasonerError
from spatialreasoner.core.progress import wording
from spatialreasoner.scenes.importers import FrameOptions

logger = logging.getLogger(__name__)

ASSETS = Path(__file__).parent / "assets"
HEADER = "x-session"
"""The header that holds the token of a session."""

MAX_UPLOADED_FILES = 20_000
"""Files of one upload."""

EXAMPLE_THUMBNAIL = 240
"""Pixels of the longer side of an example's image in the list."""

UNEXPECTED = "Something went wrong here; the app's log says what. Try again, or try another image."

Handler = Callable[[Request], Awaitable[Response]]
Work = Callable[[Session, Any], Any]


class Server:
    """The handlers of an app.

    Args:
        app: What they ask for.
    """

    def __init__(self, app: App) -> None:
        self._app, self._word = app, wording.get()  # now: requests are answered in another context
        self._waiting = 0

    def asgi(self) -> Any:
        """The application for a server of ASGI."""
        do, app = self._doing, self._app
        routes = [
            Route("/", self._page),
            Route("/s/{name}", self._page),
            Mount("/assets", StaticFiles(directory=ASSETS)),
            Route("/example/{number:int}", self._thumbnail),
            Route("/browse", self._frame),
            Route("/api/about", self._about),
            Route("/api/begin", self._begin, methods=["POST"]),
            Route("/api/state", do(lambda session, _: None)),
            Route("/api/open", self._open, methods=["POST"]),
            Route("/api/path", do(self._path), methods=["POST"]),
            Route("/api/example", do(lambda session, sent: app.choose(session, _whole(sent, "number"))), methods=["POST"]),
            Route("/api/frame", do(lambda session, sent: app.opener.turn(session, _whole(sent, "place"))), methods=["POST"]),
            Route("/api/edit", do(app.edit), methods=["POST"]),
            Route("/api/step", do(lambda session, sent: session.step(_whole(sent, "by"))), methods=["POST"]),
            Route("/api/jump", do(lambda session, sent: session.jump(_whole(sent, "to"))), methods=["POST"]),
            Route("/api/image", self._giving(app.shown, "image/jpeg")),
            Route("/api/depth", self._giving(app.depth, "application/octet-stream")),
            Route("/api/depth.png", self._depth_shown),
            Route("/api/space", self._giving(app.space, "application/octet-stream")),
            Route("/api/measures", self._telling(lambda session, _: app.measures(session))),
            Route("/api/ruler", self._telling(lambda session, sent: app.ruler(session, _ends(sent))), methods=["POST"]),
            Route("/api/save", self._telling(lambda session, _: {"name": app.saved.save(session)}), methods=["POST"]),
            Route("/api/export/{what}", self._export),
            Route("/api/ask", self._ask, methods=["POST"]),
        ]
        handlers: Any = {SpatialReasonerError: self._told, HTTPException: self._told, Exception: _unexpected}
        return Guard(Starlette(routes=routes, exception_handlers=handlers), self._app.config)

    def _session(self, request: Request) -> Session:
        session = self._app.sessions.find(request.headers.get(HEADER, ""))
        if session is None:
            raise HTTPException(401, "this visit has ended; reload the page")
        return session

    async def _work(self, request: Request, work: Work) -> tuple[Session, Any]:
        """Do something for a visitor in a thread."""
        session, sent = self._session(request), await _sent(request)
        async with session.working:
            return session, await anyio.to_thread.run_sync(work, session, sent)

    def _doing(self, work: Work) -> Handler:
        """Answers with the state after some work."""

        async def handle(request: Request) -> Response:
            def change(session: Session, sent: Any) -> dict[str, Any]:
                work(session, sent)
                return self._app.state(session)

            _, state = await self._work(request, change)
            return JSONResponse(state)

        return handle

    def _telling(self, work: Work) -> Handler:
        """Answers with what some work gives, as JSON."""

        async def handle(request: Request) -> Response:
            _, found = await self._work(request, work)
            return JSONResponse(found)

        return handle

    def _giving(self, read: Callable[[Session], bytes], kind: str) -> Handler:
        """Answers with the bytes of what is open, without waiting for what is being measured of it."""

        async def handle(request: Request) -> Response:
            found = await anyio.to_thread.run_sync(read, self._session(request))
            return Response(found, media_type=kind, headers={"Cache-Control": "no-store"})

        return handle

    async def _told(self, request: Request, error: Exception) -> Response:
        """What went wrong, without the places where the app keeps visitors' files."""
        status = error.status_code if isinstance(error, HTTPException) else 422
        text = re.sub(
            rf"{re.escape(str(self._app.folder))}/[^/\s]+/(?:upload|opened)[^/\s:]*/?(?:unpacked/)?",
            "",
            self._word(sentence(error)),
        )
        return JSONResponse({"error": text}, status)

    async def _page(self, request: Request) -> Response:
        return HTMLResponse((ASSETS / "page.html").read_text("utf-8"))

    async def _thumbnail(self, request: Request) -> Response:
        def make() -> bytes:
            return shown_jpeg(self._app.examples.scene(request.path_params["number"]).image, EXAMPLE_THUMBNAIL)

        return Response(await anyio.to_thread.run_sync(make), media_type="image/jpeg")

    async def _frame(self, request: Request) -> Response:
        if self._app.browser is None:
            raise HTTPException(404, "this app was started without `runs`")
        make = self._app.browser.page
        page = await anyio.to_thread.run_sync(make, request.query_params.get("question", ""))
        return HTMLResponse(page, headers={"Content-Security-Policy": self._app.browser.policy})

    async def _about(self, request: Request) -> Response:
        return JSONResponse(await anyio.to_thread.run_sync(self._app.about))

    async def _begin(self, request: Request) -> Response:
        sent = await _sent(request)

        def begin() -> dict[str, Any]:
            session = self._app.begin(str(sent.get("saved", "")))
            return {"token": session.token, "state": self._app.state(session)}

        return JSONResponse(await anyio.to_thread.run_sync(begin))

    async def _open(self, request: Request) -> Response:
        """Open uploaded files, or draw the regions that an uploaded file of a label tool holds."""
        session = self._session(request)
        async with request.form(max_files=MAX_UPLOADED_FILES, max_fields=20) as form:
            into = Path(mkdtemp(prefix="upload", dir=session.folder))
            files = [each for each in form.getlist("file") if isinstance(each, UploadFile)]
            if not files:
                raise InputError("expected a file; none was sent")
            async with session.working:
                for file in files:
                    await _kept(file, safe_place(into, file.filename or "file"))
                path = _the_one(into, len(files))
                if form.get("as") == "regions":
                    await anyio.to_thread.run_sync(self._app.load_regions, session, path)
                else:
                    await anyio.to_thread.run_sync(self._app.opener.open, session, path, _wanted(dict(form)))
                return JSONResponse(await anyio.to_thread.run_sync(self._app.state, session))

    def _path(self, session: Session, sent: Any) -> None:
        self._app.open_path(session, str(sent.get("path", "")), _wanted(sent))

    async def _depth_shown(self, request: Request) -> Response:
        image, low, high = await anyio.to_thread.run_sync(self._app.depth_shown, self._session(request))
        headers = {"X-Low": f"{low:.2f}", "X-High": f"{high:.2f}", "Cache-Control": "no-store"}
        return Response(image, media_type="image/png", headers=headers)

    async def _export(self, request: Request) -> Response:
        what = request.path_params["what"]
        _, (data, name, kind) = await self._work(request, lambda session, _: self._app.export(session, what))
        headers = {"Content-Disposition": "attachment", "X-Name": json.dumps(name), "Cache-Control": "no-store"}
        return Response(data, media_type=kind, headers=headers)

    async def _ask(self, request: Request) -> Response:
        """The answer as lines of JSON, each with all that is written so far."""
        session, sent = self._session(request), await _sent(request)
        named = sent.get("models")
        models = [str(name) for name in named[:2]] if isinstance(named, list) else []
        if self._waiting >= self._app.config.queue:
            raise HTTPException(503, f"{self._waiting} questions are waiting already; try again in a minute")
        written = self._app.ask(session, str(sent.get("question", "")), list(dict.fromkeys(models)))
        first = await anext(written)  # what cannot be asked is reported with its own status

        async def lines() -> AsyncGenerator[str]:
            self._waiting += 1
            try:
                yield json.dumps({"html": first}) + "\n"
                async for html in written:
                    yield json.dumps({"html": html}) + "\n"
            except SpatialReasonerError as error:
                yield json.dumps({"error": sentence(error)}) + "\n"
            except Exception:
                logger.exception("a question failed")
                yield json.dumps({"error": UNEXPECTED}) + "\n"
            finally:
                self._waiting -= 1
                await written.aclose()

        return StreamingResponse(lines(), media_type="application/x-ndjson")


def sentence(error: BaseException) -> str:
    """What went wrong, beginning with a capital unless that is a file's name."""
    text = str(error.detail) if isinstance(error, HTTPException) else str(error)
    return text[:1].upper() + text[1:] if re.match(r"[a-z]+ ", text) else text


async def _unexpected(request: Request, error: Exception) -> Response:
    logger.error("a visitor's wish failed", exc_info=error)
    return JSONResponse({"error": UNEXPECTED}, 500)


async def _sent(request: Request) -> dict[str, Any]:
    """The JSON object that a request holds; empty if it holds none."""
    if request.method != "POST":
        return {}
    body = await request.body()
    try:
        found = json.loads(body or b"{}")
        json.dumps(found, ensure_ascii=False).encode()  # halves of surrogate pairs could be neither kept nor sent back
    except (ValueError, RecursionError):
        raise HTTPException(400, "expected JSON; got something else") from None
    if not isinstance(found, dict):
        raise HTTPException(400, "expected a JSON object; got something else")
    return found


async def _kept(file: UploadFile, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as target:
        while chunk := await file.read(1 << 20):
            await asyncio.to_thread(target.write, chunk)


def _the_one(folder: Path, files: int) -> Path:
    """The file, or the folder, that was uploaded: a page sends a folder's files under the folder's name."""
    inner = list(folder.iterdir())
    return inner[0] if len(inner) == 1 and (files > 1 or inner[0].is_file()) else folder


def _wanted(sent: dict[str, Any]) -> Wanted:
    """What a visitor says beside the files."""
    text = str(sent.get("intrinsics") or "").strip()
    kind = str(sent.get("kind") or "auto")
    if not text:
        return Wanted(kind=kind)
    return Wanted(kind=kind, options=FrameOptions(intrinsics=camera_of_text(text)))


def _whole(sent: dict[str, Any], name: str) -> int:
    value = sent.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 10**6:
        raise InputError(f"expected {name}, a whole number; got {str(value)[:40]!r}")
    return value


def _ends(sent: dict[str, Any]) -> list[tuple[float, float]]:
    try:
        (a, b), (c, d) = sent["ends"]
        return [(float(a), float(b)), (float(c), float(d))]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InputError("expected two points [x, y]") from None
