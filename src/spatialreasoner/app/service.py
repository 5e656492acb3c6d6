"""What the app does for a visitor, apart from how requests and pages look: all that handlers need, in plain values."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from spatialreasoner.app import views
from spatialreasoner.app.asking import QUESTION_KINDS, RegionQuestion, check_answer, kind_text, scene_with_regions
from spatialreasoner.app.asking import prompt_with_regions as prepare
from spatialreasoner.app.config import AppConfig
from spatialreasoner.app.edits import apply_wish, wish_of
from spatialreasoner.app.exports import export
from spatialreasoner.app.images import Examples, shown_jpeg, two_regions
from spatialreasoner.app.measuring import OpenImage, OpenImages, relations, ruler
from spatialreasoner.app.opening import CaptureOpener, Wanted
from spatialreasoner.app.policies import Policies, together
from spatialreasoner.app.saved import SavedSessions
from spatialreasoner.app.sessions import DrawnRegion, GivenAnswer, Session, Sessions
from spatialreasoner.app.space import space
from spatialreasoner.app.terminal import caution_about
from spatialreasoner.core.errors import InputError
from spatialreasoner.core.types import Region, Scene
from spatialreasoner.scenes.masks import decode

SHOWN_SIDE = 2048
"""Pixels of the longer side of what the page shows of an image; measured is the whole of it."""

BOARD_SIDE = 1024
"""Pixels of the longer side at which the page shows masks and depth."""


class App:
    """All that the handlers need; nothing in it belongs to one visitor but what `sessions` holds.

    Args:
        config: The app's settings.
        folder: Where visitors' files are kept while they are here.
    """

    def __init__(self, config: AppConfig, folder: Path) -> None:
        self.config = config
        self.folder = folder
        self.sessions = Sessions(folder, config.max_sessions)
        self.policies = Policies(config)
        self.opener = CaptureOpener(config)
        self.examples = Examples(folder, config.photos)
        self.images = OpenImages()
        self.saved = SavedSessions(Path(config.saved) if config.saved else folder / "saved")
        self.browser = _browser(config)

    def about(self) -> dict[str, Any]:
        """What the page must know before anything is opened."""
        from spatialreasoner.scenes.importers import KINDS

        return {
            "models": list(self.config.models),
            "kinds": {name: kind_text(name) for name in QUESTION_KINDS},
            "captures": ["auto", *KINDS],
            "examples": self.examples.names,
            "folders": bool(self.config.folders),
            "browse": [] if self.browser is None else self.browser.questions(),
            "megabytes": self.config.max_megabytes,
        }

    def begin(self, saved: str = "") -> Session:
        """A new visitor, who finds an example open, or a session that was saved."""
        session = self.sessions.begin()
        if saved:
            self.saved.open(session, saved)
        else:
            self.choose(session, self.examples.first())
        return session

    def choose(self, session: Session, number: int) -> None:
        """Open an example: photos with all of their regions, rooms with two."""
        scene = self.examples.scene(number)
        regions = two_regions(scene) if scene.objects else scene.regions
        drawn = [DrawnRegion(region=session.named(region)) for region in regions]
        session.show(scene, drawn, said=f"open {self.examples.names[number]}")

    def open_path(self, session: Session, text: str, wanted: Wanted) -> None:
        """Open what is at a path of this machine, inside of a folder that may be opened."""
        if "\0" in text:
            raise InputError("expected a path; got one with a NUL in it")
        roots = [Path(folder).resolve() for folder in self.config.folders]
        paths = [(root / text.strip()).resolve() for root in roots]
        allowed = [path for root, path in zip(roots, paths, strict=True) if path.is_relative_to(root) and path.exists()]
        if not allowed:
            raise InputError(f"expected a path inside {', '.join(self.config.folders) or 'a folder that `folders` names'}")
        self.opener.open(session, allowed[0], wanted)

    def load_regions(self, session: Session, path: Path) -> None:
        """Draw the regions that a file of a label tool has for the open image."""
        from spatialreasoner.scenes.annotations.finder import AnnotatedRegions
        from spatialreasoner.scenes.masks import encode

        opened = self.opened(session)
        image, regions = Path(opened.scene.image), AnnotatedRegions(path)
        called = (str(image), f"{opened.scene.id}{image.suffix}")  # a scene's image may have been called after the scene
        found = next((each for name in called if (each := regions.find(name, opened.size))), [])
        if not found:
            raise InputError(f"{path.name} has no regions for an image called {image.name}")
        state = session.state
        for one in found:
            bare = Region(id="", label=one.label, mask=encode(one.mask), region_source=one.source)
            state = state.add(DrawnRegion(region=session.named(bare)))
        session.go(state, f"load {len(found)} regions")

    def opened(self, session: Session) -> OpenImage:
        """The open image of a visitor, its pixels in memory.

        Raises:
            InputError: If there is none.
        """
        if session.state.scene is None:
            raise InputError("open an image first")
        return self.images.find(session.token, session.state.scene)

    def edit(self, session: Session, wish: object) -> None:
        """Do to the regions what the board asks for."""
        apply_wish(session, wish_of(wish), self.opened(session).sight())

    def state(self, session: Session) -> dict[str, Any]:
        """All that the page shows of a visitor's state."""
        state = session.state
        return {
            "key": state.key,
            "at": session.at,
            "history": [each.said for each in session.states],
            "image": None if state.scene is None else self._image(session),
            "regions": [_shown(each, number) for number, each in enumerate(state.drawn, start=1)],
            "draft": None if state.draft is None else _shown(state.draft, 0),
            "frames": None if state.roll is None else {"names": list(state.roll.names), "place": state.roll.place},
            "answers": [asdict(each) for each in session.answers],
        }

    def _image(self, session: Session) -> dict[str, Any]:
        opened = self.opened(session)
        scene, (height, width) = opened.scene, opened.size
        return {
            "name": scene.id, "stamp": sha256(scene.image.encode()).hexdigest()[:16],
            "width": width, "height": height, "source": scene.source,
            "depth": scene.depth is not None, "metric": opened.metric, "gravity": scene.gravity,
            "camera": None if scene.intrinsics is None else asdict(scene.intrinsics),
            "detected": len(scene.regions), "known": opened.known,
        }  # fmt: skip

    def shown(self, session: Session) -> bytes:
        """The open image as a JPEG."""
        return shown_jpeg(self.opened(session).scene.image, SHOWN_SIDE)

    def depth(self, session: Session) -> bytes:
        """Depth for what is under the cursor: height and width, uint32, then float32 metres row by row; NaN unmeasured."""
        depth = self.opened(session).depth
        if depth is None:
            raise InputError("no depth is known for this image")
        sampled = views.thinned_depth(depth, BOARD_SIDE).astype("<f4")
        return np.array([*sampled.shape], dtype="<u4").tobytes() + sampled.tobytes()

    def depth_shown(self, session: Session) -> tuple[bytes, float, float]:
        """Depth in colours as a PNG, and what is bright and what is dark, metres."""
        depth = self.opened(session).depth
        if depth is None:
            raise InputError("no depth is known for this image; start the app with `depth`, a model, to estimate it")
        return views.depth_png_shown(views.thinned_depth(depth, BOARD_SIDE))

    def space(self, session: Session) -> bytes:
        """The open image in three dimensions."""
        opened = self.opened(session)
        if not opened.metric:
            raise InputError(
                "no depth in metres, or no camera, is known for this image: open one with depth, or start the app with "
                "`depth`, a model, and `field_of_view`, degrees, to estimate them"
            )
        return space(opened, session.state.regions)

    def measures(self, session: Session) -> dict[str, Any]:
        """All sizes and all pairs of the drawn regions, with error bars."""
        from spatialreasoner.report.measurements import measurement_table

        opened, regions = self.opened(session), session.state.regions
        measured = opened.measured(regions)
        table = measurement_table(measured.scene, measured)
        numbers = {region.id: number for number, region in enumerate(regions, start=1)}
        cells = [
            {**asdict(row), "regions": [numbers[name] for name in row.regions], "told": row.told}
            for row in (*table.sizes, *table.pairs)
        ]
        pairs = combinations(regions, 2) if opened.metric else ()
        words = [{"regions": [numbers[a.id], numbers[b.id]], "words": relations(measured, a.id, b.id)} for a, b in pairs]
        return {"key": session.state.key, "notes": list(table.notes), "cells": cells, "relations": words}

    def ruler(self, session: Session, ends: list[tuple[float, float]]) -> dict[str, Any]:
        """The distance in space of two pixels."""
        reading = ruler(self.opened(session), ends)
        return {**asdict(reading), "told": reading.length.told()}

    def export(self, session: Session, what: str) -> tuple[bytes, str, str]:
        """A file of the open image: its bytes, name and media type."""
        return export(what, self.opened(session), session.state.regions)

    async def ask(self, session: Session, text: str, models: list[str]) -> AsyncGenerator[Markup]:
        """The answers of one or two models as HTML, again and again while they are written; the session keeps the last."""
        state = session.state
        if state.scene is None:
            raise InputError("open an image first")
        if not models:
            raise InputError("choose a model to ask")
        asked = prepare(text, state.regions, state.scene.image)
        policies = [self.policies.get(name, scene_with_regions(state.scene, state.regions)) for name in models]
        session.count_question(self.config.asks_per_minute)
        yield self._writing(models, [""] * len(models), asked)
        texts: list[str] = []
        async for texts in together(policies, asked.prompt):
            yield self._writing(models, texts, asked)
        cautions = [caution_about(policy, state.scene.image) for policy in policies]
        whole = [
            _whole(name, state.scene, asked, said, caution)
            for name, said, caution in zip(models, texts, cautions, strict=True)
        ]  # fmt: skip
        html = Markup("").join(whole)
        session.answers.append(GivenAnswer(question=text, html=str(html), key=state.key))
        yield html

    def _writing(self, models: list[str], texts: list[str], asked: RegionQuestion) -> Markup:
        from spatialreasoner.app import answer

        written = zip(models, texts, strict=True)
        return Markup("").join(answer.answer(name, said, asked.numbers, writing=True) for name, said in written)


def _browser(config: AppConfig) -> Any:
    if not config.runs:
        return None
    from spatialreasoner.app.browse import Browser

    return Browser(config.runs)


def _whole(name: str, scene: Scene, asked: RegionQuestion, text: str, caution: str | None) -> Markup:
    """A finished answer, what was measured beside what it says, its rewards, and how far to trust the model here."""
    from spatialreasoner.app import answer

    if not text.strip():
        return Markup('<article class="sr-answer"><h2>{}</h2><p class="sr-soft">wrote nothing</p></article>').format(name)
    trust = Markup("") if caution is None else Markup('<p class="sr-caution" role="note">{}</p>').format(caution)
    graded = check_answer(scene, asked, text)
    if graded is None:
        why = "no region was asked about" if scene.depth is not None else "no depth is known for this image"
        below = Markup('<p class="sr-soft">Not checked: {}.</p>').format(why)
    else:
        below = answer.checked(graded, asked.numbers)
        below += Markup("") if asked.category is None else answer.rewards(graded)
    return Markup("<div>{}{}{}</div>").format(trust, answer.answer(name, text, asked.numbers, graded), below)


def _shown(drawn: DrawnRegion, number: int) -> Mapping[str, Any]:
    """A region for the board: its mask as runs of rows, scaled down where the image is large."""
    mask = decode(drawn.region.mask)
    step = -(-max(mask.shape) // BOARD_SIDE)
    small = mask[::step, ::step]
    edges = np.flatnonzero(np.diff(small.ravel().astype(np.int8), prepend=0, append=0))
    return {
        "number": number, "name": drawn.region.label, "source": drawn.region.region_source,
        "shape": None if drawn.shape is None else asdict(drawn.shape), "pixels": int(mask.sum()),
        "mask": {"width": small.shape[1], "height": small.shape[0], "step": step, "runs": edges.tolist()},
    }  # fmt: skip
