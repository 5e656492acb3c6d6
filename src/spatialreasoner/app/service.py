"""What the app does for a visitor, apart from how the page looks."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from spatialreasoner.app import answer, views
from spatialreasoner.app.asking import RegionQuestion, check_answer, scene_with_regions
from spatialreasoner.app.asking import prompt_with_regions as prepare
from spatialreasoner.app.browse import Browser
from spatialreasoner.app.canvas import data_uri
from spatialreasoner.app.config import AppConfig
from spatialreasoner.app.pictures import ImageOpener, examples, two_regions
from spatialreasoner.app.policies import Policies, together
from spatialreasoner.app.regions import from_numbers, from_shape, shape_of
from spatialreasoner.app.sessions import Session, begin
from spatialreasoner.app.terminal import caution_about
from spatialreasoner.core.errors import InputError
from spatialreasoner.core.types import Scene
from spatialreasoner.scenes.files import read_depth, read_image


class App:
    """All that the page's handlers need; nothing in it belongs to one visitor.

    Args:
        config: The app's settings.
        folder: Where visitors' files are kept while they are here.
    """

    def __init__(self, config: AppConfig, folder: Path) -> None:
        self.config = config
        self.folder = folder
        self.policies = Policies(config)
        self.opener = ImageOpener(config)
        self.examples = examples(folder, config.photos)
        self.browser = Browser(config.runs) if config.runs else None

    def begin(self) -> Session:
        """A new visitor, who finds the first example open."""
        session = begin(self.folder)
        return session.show(self.examples[0], two_regions(self.examples[0]))

    def open(self, session: Session, path: str) -> Session:
        """Open an uploaded image."""
        if session.opened >= self.config.max_pictures:
            raise InputError(f"at most {self.config.max_pictures} images can be opened in one visit; reload the page")
        return session.show(self.opener.open(Path(path), session.folder, session.opened))

    def choose(self, session: Session, number: int) -> Session:
        """Open an example."""
        if not 0 <= number < len(self.examples):
            raise InputError("there is no such example")
        return session.show(self.examples[number], two_regions(self.examples[number]))

    def change(self, session: Session, wish: Any) -> Session:
        """Add or remove a region, as the drawing board asks."""
        if not isinstance(wish, dict) or session.scene is None:
            raise InputError("open an image first")
        if wish.get("action") == "remove":
            return session.remove(int(wish["number"])) if isinstance(wish.get("number"), int) else session
        drawn = from_shape(shape_of(wish.get("shape")), size_of(session.scene), session.scene.regions)
        return session.add(drawn)

    def write(self, session: Session, text: str) -> Session:
        """Add a region that was written as numbers."""
        if session.scene is None:
            raise InputError("open an image first")
        return session.add(from_numbers(text, size_of(session.scene)))

    async def ask(self, session: Session, text: str, models: list[str]) -> AsyncGenerator[list[Markup]]:
        """The answers of one or two models as HTML, again and again while they are written."""
        if session.scene is None:
            raise InputError("open an image first")
        asked = prepare(text, session.drawn, session.scene.image)
        policies = [self.policies.get(name, scene_with_regions(session.scene, session.drawn)) for name in models]
        session.count_question(self.config.asks_per_minute)
        yield [answer.answer(name, "", asked.numbers, writing=True) for name in models]
        texts: list[str] = []
        async for texts in together(policies, asked.prompt):
            yield [answer.answer(name, said, asked.numbers, writing=True) for name, said in zip(models, texts, strict=True)]
        cautions = [caution_about(policy, session.scene.image) for policy in policies]
        whole = zip(models, texts, cautions, strict=True)
        yield [_whole(name, session.scene, asked, said, caution) for name, said, caution in whole]


def size_of(scene: Scene) -> tuple[int, int]:
    """Height and width of a scene's image."""
    picture = read_image(scene.image)
    return picture.height, picture.width


def _whole(name: str, scene: Scene, asked: RegionQuestion, text: str, caution: str | None) -> Markup:
    """A finished answer with its verdicts and rewards, and how far to trust the model here."""
    if not text.strip():
        return Markup('<article class="sr-answer"><h2>{}</h2><p class="sr-soft">wrote nothing</p></article>').format(name)
    graded = check_answer(scene, asked, text)
    below = Markup("") if asked.category is None or graded is None else answer.rewards(graded)
    if graded is None:
        below = Markup('<p class="sr-soft">Not checked: no depth is known for this image.</p>')
    trust = Markup("") if caution is None else Markup('<p class="sr-caution" role="note">{}</p>').format(caution)
    return Markup("<div>{}{}{}</div>").format(answer.answer(name, text, asked.numbers, graded), trust, below)


def depth_html(session: Session) -> str:
    """The coloured depth of the open image."""
    scene = session.scene
    if scene is None or scene.depth is None:
        return '<p class="sr-soft">No depth is known for this image. Start the app with --depth MODEL to estimate it.</p>'
    depth = read_depth(scene.depth)
    unit = "m" if scene.depth.metric else "(no unit)"
    low, high = np.nanquantile(depth, [0.02, 0.98])
    return Markup(
        '<figure class="sr-depth"><img src="{}" alt="depth in colours"><figcaption>bright is near, {:.1f} {}; dark is far, '
        "{:.1f} {}</figcaption></figure>"
    ).format(data_uri(views.depth_picture(depth), "JPEG"), low, unit, high, unit)


def solid_html(session: Session) -> str:
    """The open image in three dimensions: a GLB, and the canvas that `assets/solid.js` draws it on."""
    scene = session.scene
    if scene is None or scene.depth is None or not scene.depth.metric or scene.intrinsics is None:
        return (
            '<p class="sr-soft">No depth in metres, or no camera, is known for this image. Start the app with --depth MODEL '
            "and --fov DEGREES to estimate them.</p>"
        )
    picture = np.asarray(read_image(scene.image))
    glb = views.surfaces(picture, read_depth(scene.depth), scene.intrinsics, session.drawn, scene.gravity)
    return Markup(
        '<figure class="sr-solid"><canvas tabindex="0" role="application" aria-label="The scene in three dimensions, its '
        'regions in their colours. Arrow keys turn it, plus and minus come nearer and go away."></canvas><figcaption>Drag, or '
        "press the arrow keys, to turn; scroll, or press + and −, to come nearer. "
        '<a download="scene.glb" href="data:model/gltf-binary;base64,{}">Save as GLB</a></figcaption></figure>'
    ).format(base64.b64encode(glb).decode("ascii"))
