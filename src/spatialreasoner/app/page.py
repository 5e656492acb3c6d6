"""The page: what stands where, and what happens when."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import themes
from markupsafe import Markup

from spatialreasoner.app.asking import MAX_QUESTION, QUESTION_KINDS, kind_text
from spatialreasoner.app.browse import Browser
from spatialreasoner.app.canvas import board
from spatialreasoner.app.service import App, depth_html, solid_html
from spatialreasoner.app.sessions import Session
from spatialreasoner.core.errors import SpatialReasonerError
from spatialreasoner.core.types import Scene

log = logging.getLogger(__name__)

OWN_WORDS = "my own words"
NOBODY = "no other"
FIRST_KIND = "left/right"
ASSETS = Path(__file__).parent / "assets"

INTRODUCTION = """\
# SpatialReasoner
**1.** Choose a picture. **2.** Mark one or two things on it. **3.** Ask where they are or how large they are. \
Where depth is known, every spatial statement of the answer is checked against it."""

UNEXPECTED = "Something went wrong here; the app's log says what. Try again, or try another picture."

WAITING = '<p class="sr-soft">The answer appears here: description, reasoning and conclusion, each in its colour.</p>'

_FONT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Ubuntu", "sans-serif"]
"""Fonts that every system has: none is fetched."""

_SILENT: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def theme() -> themes.Base:
    """The page's looks, without anything from elsewhere."""
    plain = themes.Default(
        primary_hue=themes.colors.blue, neutral_hue=themes.colors.slate, font=_FONT, font_mono=["ui-monospace", "monospace"]
    )
    soft = {"": "#4b5563", "_dark": "#b6bec9"}  # the theme's own grey stands out too little, as white does on its blue
    names = ("body_text_color_subdued", "block_info_text_color")
    buttons = {"button_primary_background_fill": "*primary_600", "button_primary_background_fill_hover": "*primary_700"}
    plain.set(**{name + mode: colour for name in names for mode, colour in soft.items()})
    return plain.set(**{name + mode: colour for name, colour in buttons.items() for mode in soft})


def build_page(app: App) -> gr.Blocks:
    """The page of an app."""
    with gr.Blocks(title="SpatialReasoner", analytics_enabled=False, delete_cache=(3600, 3600)) as page:
        session = gr.State(None, delete_callback=_end)
        gr.Markdown(INTRODUCTION, elem_id="sr-introduction")
        if app.browser is None:
            pictures, questions = _ask(app)
        else:
            with gr.Tabs():
                with gr.Tab("Ask"):
                    pictures, questions = _ask(app)
                with gr.Tab("Trees and pairs"):
                    _browse(app.browser)
        pictures.wire(app, session, questions)
        questions.wire(app, session)
        page.load(app.begin, None, [session], **_SILENT).then(board, [session], [pictures.board], **_SILENT)
    return page


class Pictures:
    """The column of the image: examples, the drawing board, its depth and its solid view.

    Args:
        app: Whose examples are shown.
    """

    def __init__(self, app: App) -> None:
        self.gallery = gr.Gallery(
            [(scene.image, caption) for scene, caption in zip(app.examples, captions(app.examples), strict=True)],
            label="Examples",
            show_label=False, columns=len(app.examples), height="auto", object_fit="cover", allow_preview=False, buttons=[],
            interactive=False, elem_id="sr-gallery",
        )  # fmt: skip
        self.upload = gr.UploadButton("Open a picture of your own", file_types=["image"], elem_id="sr-open")
        with gr.Tabs(selected="picture") as self.tabs:
            with gr.Tab("Picture", id="picture"):
                script = (ASSETS / "board.js").read_text("utf-8")
                self.board = gr.HTML("", js_on_load=script, elem_id="sr-drawing")
                self.message = gr.HTML("", elem_classes="sr-message")
                with gr.Row(elem_id="sr-numbers", equal_height=False):
                    self.numbers = gr.Textbox(
                        label="Or write a region in pixels", placeholder="box: x0,y0,x1,y1   outline: x,y x,y x,y",
                        max_length=2000, scale=4, min_width=200,
                    )  # fmt: skip
                    self.add = gr.Button("Add region", size="md", scale=1, min_width=150)
                    self.clear = gr.Button("Clear regions", size="md", scale=1, min_width=150)
            with gr.Tab("Depth", id="depth") as self.depth_tab:
                self.depth = gr.HTML("")
            with gr.Tab("3D", id="solid") as self.solid_tab:
                script = (ASSETS / "solid.js").read_text("utf-8")
                self.solid = gr.HTML("", js_on_load=script)

    def wire(self, app: App, session: gr.State, questions: Questions) -> None:
        """Connect the column's events."""
        shown = [session, self.board, self.message]
        self.board.input(_drawn(app), [session], shown, **_SILENT)
        for event in (self.add.click, self.numbers.submit):
            event(_edited(app.write), [session, self.numbers], shown, **_SILENT).success(
                lambda: "", None, [self.numbers], **_SILENT
            )
        self.clear.click(_edited(Session.clear), [session], shown, **_SILENT)
        opened = self.upload.upload(_edited(app.open), [session, self.upload], shown, api_visibility="private")
        opened.then(lambda: gr.update(selected="picture"), None, [self.tabs], **_SILENT)
        chosen = self.gallery.select(_chosen(app), [session], shown, **_SILENT)
        chosen.then(lambda: gr.update(selected="picture"), None, [self.tabs], **_SILENT)
        chosen.then(lambda: (FIRST_KIND, kind_text(FIRST_KIND)), None, [questions.kind, questions.text], **_SILENT)
        self.depth_tab.select(_view(depth_html), [session], [self.depth], api_visibility="private")
        self.solid_tab.select(_view(solid_html), [session], [self.solid], api_visibility="private")


class Questions:
    """The column of the question and its answers.

    Args:
        app: Whose models may be asked.
    """

    def __init__(self, app: App) -> None:
        models = list(app.config.models)
        self.kind = gr.Dropdown([*QUESTION_KINDS, OWN_WORDS], value=FIRST_KIND, label="Kind of question", filterable=False)
        self.text = gr.Textbox(
            kind_text(FIRST_KIND), label="Question", lines=2, max_length=MAX_QUESTION, elem_id="sr-question",
            info="Call regions by their numbers: <region1>, <region2>.",
        )  # fmt: skip
        with gr.Row(visible=len(models) > 1):
            self.model = gr.Dropdown(models, value=models[0], label="Model", filterable=False, min_width=180)
            self.other = gr.Dropdown([NOBODY, *models], value=NOBODY, label="Compare with", filterable=False, min_width=180)
        with gr.Row():
            self.ask = gr.Button("Ask", variant="primary", scale=3, elem_id="sr-ask")
            self.stop = gr.Button("Stop", scale=1, min_width=80)
        self.answers = gr.HTML(WAITING, elem_id="sr-answers")

    def wire(self, app: App, session: gr.State) -> None:
        """Connect the column's events."""
        self.kind.input(_kind_text, [self.kind, self.text], [self.text], **_SILENT)
        self.text.input(lambda: OWN_WORDS, None, [self.kind], **_SILENT)
        inputs = [session, self.text, self.model, self.other]
        asking = gr.on(
            [self.ask.click, self.text.submit], _asked(app), inputs, [self.answers],
            show_progress="minimal", api_visibility="private", concurrency_limit=4, concurrency_id="ask",
        )  # fmt: skip
        self.stop.click(None, None, None, cancels=[asking], api_visibility="private")


def _ask(app: App) -> tuple[Pictures, Questions]:
    """The two columns in which one draws and asks."""
    with gr.Row(equal_height=False, elem_id="sr-columns"):
        with gr.Column(scale=6, min_width=320):
            pictures = Pictures(app)
        with gr.Column(scale=5, min_width=320):
            questions = Questions(app)
    return pictures, questions


def _browse(browser: Browser) -> None:
    """The tab of search trees and preference pairs."""
    questions = browser.questions()
    chosen = gr.Dropdown(questions, value=questions[0][1], label=f"One of {len(questions)} questions", elem_id="sr-browse")
    frame = gr.HTML(browser.frame(questions[0][1]))
    chosen.input(_view(browser.frame), [chosen], [frame], api_visibility="private")


def captions(scenes: Sequence[Scene]) -> list[str]:
    """What examples are called."""
    rooms = count(1)
    return [f"room {next(rooms)}" if scene.source == "synthetic" else scene.id.replace("_", " ") for scene in scenes]


def message(text: str) -> Markup:
    """What went wrong, for the page."""
    return Markup('<p class="sr-error" role="alert">{}</p>').format(text[:1].upper() + text[1:])


def _end(session: Session | None) -> None:
    if session is not None:
        session.end()


def _kind_text(kind: str, text: str) -> str:
    return text if kind == OWN_WORDS else kind_text(kind)


def _edited(change: Callable[..., Session]) -> Callable[..., tuple[Session, Any, Any]]:
    """A handler that changes a session and shows it; of what goes wrong, only what a visitor can mend is told."""

    def handle(session: Session, *inputs: Any) -> tuple[Session, Any, Any]:
        try:
            changed = change(session, *inputs)
            return changed, board(changed), ""
        except SpatialReasonerError as error:
            return session, gr.skip(), message(str(error))
        except Exception:
            log.exception("a visitor's wish failed")
            return session, gr.skip(), message(UNEXPECTED)

    return handle


def _drawn(app: App) -> Callable[..., tuple[Session, Any, Any]]:
    edited = _edited(app.change)

    def handle(session: Session, event: gr.EventData) -> tuple[Session, Any, Any]:
        return edited(session, event._data)  # pyright: ignore[reportPrivateUsage]  # all that the board sent, whatever it is

    return handle


def _chosen(app: App) -> Callable[..., tuple[Session, Any, Any]]:
    edited = _edited(app.choose)

    def handle(session: Session, event: gr.SelectData) -> tuple[Session, Any, Any]:
        return edited(session, event.index)

    return handle


def _view(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A handler that shows something, or says why it cannot."""

    def handle(wanted: Any) -> Any:
        try:
            return make(wanted)
        except SpatialReasonerError as error:
            raise gr.Error(str(error), print_exception=False) from None

    return handle


def _asked(app: App) -> Callable[..., AsyncGenerator[str]]:
    async def handle(session: Session, text: str, model: str, other: str) -> AsyncGenerator[str]:
        models = list(dict.fromkeys([model] if other == NOBODY else [model, other]))
        try:
            async for shown in app.ask(session, text, models):
                yield Markup('<div class="sr-answers">{}</div>').format(Markup("").join(shown))
        except SpatialReasonerError as error:
            yield message(str(error))
        except Exception:
            log.exception("a question failed")
            yield message(UNEXPECTED)

    return handle
