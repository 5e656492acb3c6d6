"""Sessions that a visitor saved: their image, regions and answers in a folder of their own, found by an unguessable name."""

from __future__ import annotations

import re
import secrets
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from spatialreasoner.app.regions import DrawnShape
from spatialreasoner.app.sessions import DrawnRegion, GivenAnswer, Session
from spatialreasoner.core import records
from spatialreasoner.core.errors import InputError
from spatialreasoner.core.types import Record, Region, Scene
from spatialreasoner.scenes.files import resolve

MAX_SAVED = 500
"""Sessions that are kept; more are refused."""

_NAME = re.compile(r"[A-Za-z0-9_-]{16,64}")


@dataclass(frozen=True, kw_only=True)
class SavedRegion(Record):
    """A drawn region with the shape by which it can still be changed."""

    region: Region
    shape: DrawnShape | None = None


@dataclass(frozen=True, kw_only=True)
class SavedAnswer(Record):
    """An answer that was given, as HTML that the app made."""

    question: str
    html: str
    key: str


@dataclass(frozen=True, kw_only=True)
class SavedSession(Record):
    """What is kept of a session: paths are those of the files beside it, `key` is what answers about it have."""

    scene: Scene
    drawn: tuple[SavedRegion, ...]
    key: str
    answers: tuple[SavedAnswer, ...] = ()


class SavedSessions:
    """The saved sessions of one server.

    Args:
        folder: Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, session: Session) -> str:
        """Keep what a visitor has open; returns the name by which it is found.

        Raises:
            InputError: If nothing is open, or too many are kept.
        """
        state = session.state
        if state.scene is None:
            raise InputError("open an image first")
        self._folder.mkdir(parents=True, exist_ok=True)
        if sum(1 for _ in self._folder.iterdir()) >= MAX_SAVED:
            raise InputError(f"at most {MAX_SAVED} sessions can be saved here; export the scene instead")
        name = secrets.token_urlsafe(18)
        kept = self._folder / name
        kept.mkdir(mode=0o700)
        saved = SavedSession(
            scene=_copied(state.scene, kept),
            drawn=tuple(SavedRegion(region=each.region, shape=each.shape) for each in state.drawn),
            key=state.key,
            answers=tuple(SavedAnswer(question=each.question, html=each.html, key=each.key) for each in session.answers),
        )
        with records.atomic_write(kept / "session.json") as file:
            file.write(records.dumps(saved))
        return name

    def open(self, session: Session, name: str) -> None:
        """Show a visitor a copy of a saved session.

        Raises:
            InputError: If there is none of that name.
        """
        kept = self._folder / name
        if _NAME.fullmatch(name) is None or not (kept / "session.json").is_file():
            raise InputError("there is no saved session of this name; it may have been on another server, or until its end")
        saved = records.read_json(kept / "session.json", SavedSession)
        scene = resolve(saved.scene, kept, where=str(kept / "session.json"))
        drawn = [DrawnRegion(region=session.named(each.region), shape=each.shape) for each in saved.drawn]
        session.show(scene, drawn, said=f"open saved {scene.id}")
        key = session.state.key  # another one than it was, since the files are at another place
        session.answers.extend(
            GivenAnswer(question=each.question, html=each.html, key=key if each.key == saved.key else each.key)
            for each in saved.answers
        )


def _copied(scene: Scene, folder: Path) -> Scene:
    """The scene with its files beside it, where paths are their names alone."""
    image = f"image{Path(scene.image).suffix}"
    shutil.copyfile(scene.image, folder / image)
    if scene.depth is None:
        return replace(scene, image=image)
    shutil.copyfile(scene.depth.path, folder / "depth.png")
    return replace(scene, image=image, depth=replace(scene.depth, path="depth.png"))
