"""What a visitor opens: an image, a capture of any kind that the importers know, RGB-D folders, and zips of any of these."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from spatialreasoner.app.config import AppConfig
from spatialreasoner.app.images import ImageOpener
from spatialreasoner.app.sessions import DrawnRegion, Roll, Session
from spatialreasoner.core.errors import InputError, SceneError
from spatialreasoner.core.types import Scene
from spatialreasoner.scenes import rgbd
from spatialreasoner.scenes.files import check_scene, load_scenes
from spatialreasoner.scenes.importers import FrameOptions, find_kind, open_capture, read_frame
from spatialreasoner.scenes.importers.frames import Capture
from spatialreasoner.scenes.importers.store import Store, open_store
from spatialreasoner.scenes.importers.write import files_of, scene_id

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
"""Files that are opened as plain images where they hold no depth."""

MAX_UNPACKED_BYTES = 4 * 10**9
"""An archive of scenes that unpacks to more is refused."""

TRIED_FRAMES = 5
"""Frames of a capture that are tried until one can be used."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How something is to be opened.

    Attributes:
        kind: Of the importers' kinds, or "auto".
        options: What the visitor knows beside the files.
    """

    kind: str = "auto"
    options: FrameOptions = field(default_factory=FrameOptions)


class CaptureOpener:
    """Opens files and folders for visitors.

    Args:
        config: The app's settings.
    """

    def __init__(self, config: AppConfig) -> None:
        self._config = config
        self._images = ImageOpener(config)

    def open(self, session: Session, path: Path, wanted: Wanted) -> None:
        """Open what is at a path, and show the first image of it.

        Raises:
            InputError: If it cannot be used, or the visitor has opened too many.
        """
        if session.opened >= self._config.max_images:
            raise InputError(f"at most {self._config.max_images} images can be opened in one visit; reload the page")
        into = session.folder / f"opened{session.opened}"
        into.mkdir(exist_ok=True)
        self._show_first(session, self.roll(path, into, wanted))

    def turn(self, session: Session, place: int) -> None:
        """Open another image of the capture that is open.

        Raises:
            InputError: If there is none at that place, or it cannot be used.
        """
        roll = session.state.roll
        if roll is None or not 0 <= place < len(roll.names):
            raise InputError("there is no such image in what is open")
        scene = self._checked(roll.open(place))
        session.show(scene, drawn_of(scene), said=f"open {roll.names[place]}", roll=replace(roll, place=place))

    def _show_first(self, session: Session, roll: Roll) -> None:
        first: SceneError | None = None
        for place in range(min(TRIED_FRAMES, len(roll.names))):
            try:
                scene = self._checked(roll.open(place))
            except SceneError as error:
                first = first or error
                continue
            several = roll if len(roll.names) > 1 else None
            session.show(scene, drawn_of(scene), roll=several and replace(several, place=place))
            return
        raise first or InputError("there is no image in it")

    def _checked(self, scene: Scene) -> Scene:
        """A scene that can be shown; with another nothing could be done in a visit until it is undone.

        Raises:
            InputError: If it cannot be read, or its image has more pixels than an upload may.
        """
        self._images.check_size(Path(scene.image))
        check_scene(scene)
        return scene

    def roll(self, path: Path, into: Path, wanted: Wanted) -> Roll:
        """The images at a path.

        Args:
            path: A file, a folder, or a zip of one.
            into: Where the files of what is opened are written.
            wanted: How it is to be opened.

        Raises:
            InputError: If it cannot be used.
        """
        store = open_store(path)
        for name, load in (("scenes.jsonl", _scenes), ("scene.json", _rgbd_folders)):
            if wanted.kind == "auto" and store.find(rf"(|.*/){name}"):
                return load(path if path.is_dir() else _unpacked(path, into / "unpacked"))
        if self._is_image(store, wanted):
            image = path if path.is_file() else path / store.names[0]
            return Roll(names=(image.name,), open=lambda place: self._images.open(image, into))
        _, capture = open_capture(_known(_only_file(path, store), wanted), wanted.kind, wanted.options)
        return Roll(names=capture.names, open=partial(self._frame, capture, into))

    def _is_image(self, store: Store, wanted: Wanted) -> bool:
        """Whether it is one image without depth: one with depth is known by a kind of capture."""
        if len(store.names) != 1 or Path(store.names[0]).suffix.lower() not in IMAGE_SUFFIXES or wanted.kind != "auto":
            return False
        try:
            open_capture(_only_file(store.path, store))
        except SceneError:
            return True
        except InputError:
            return True
        return False

    def _frame(self, capture: Capture, into: Path, place: int) -> Scene:
        frame = read_frame(capture, place)
        if frame.size[0] * frame.size[1] > self._config.max_pixels:
            limit = self._config.max_pixels / 1e6
            raise InputError(f"the image has {frame.size[1]} x {frame.size[0]} pixels; at most {limit:g} million can be opened")
        scene, files = files_of(frame, scene_id(capture.title, capture.names[place]), capture.source)
        for name, data in files.items():
            target = into / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(data)
        assert scene.depth is not None
        depth = replace(scene.depth, path=str(into / scene.depth.path))
        return replace(scene, image=str(into / scene.image), depth=depth)


def drawn_of(scene: Scene, most: int | None = None) -> list[DrawnRegion]:
    """The regions that a scene comes with, as drawn ones."""
    return [DrawnRegion(region=region) for region in scene.regions[:most]]


def _only_file(path: Path, store: Store) -> Path:
    """The one file of a folder of one, so that it is looked into as a file."""
    return path / store.names[0] if path.is_dir() and len(store.names) == 1 else path


def _known(path: Path, wanted: Wanted) -> Path:
    """The path of a capture, whose kind is detected from its files if it was not given."""
    if wanted.kind == "auto":
        store = open_store(path)
        try:
            find_kind(store)
        except InputError:
            seen = ", ".join(store.names[:4]) + (", ..." if len(store.names) > 4 else "")
            raise InputError(
                f"{seen}: neither an image nor a capture of a known kind; select the kind to see what is missing, "
                "or open an image together with its depth"
            ) from None
    return path


def _scenes(folder: Path) -> Roll:
    root = min(folder.rglob("scenes.jsonl"), key=lambda path: len(path.parts)).parent
    scenes = list(load_scenes(root))
    return Roll(names=tuple(scene.id for scene in scenes), open=scenes.__getitem__)


def _rgbd_folders(folder: Path) -> Roll:
    folders = sorted(path.parent for path in folder.rglob("scene.json"))
    load: Callable[[int], Scene] = lambda place: rgbd.load(folders[place], need_regions=False)  # noqa: E731
    return Roll(names=tuple(each.name for each in folders), open=load)


def _unpacked(archive: Path, into: Path) -> Path:
    """An archive's files, in a folder called after it: an RGB-D scene is called after its folder."""
    target = into / archive.stem
    with zipfile.ZipFile(archive) as packed:
        entries = [entry for entry in packed.infolist() if not entry.is_dir()]
        total = sum(entry.file_size for entry in entries)
        if total > MAX_UNPACKED_BYTES:
            raise InputError(
                f"the archive unpacks to {total / 1e9:.1f} GB; at most {MAX_UNPACKED_BYTES / 1e9:g} GB can be opened"
            )
        for entry in entries:
            place = safe_place(target, entry.filename)
            place.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(entry) as source, place.open("wb") as file:
                shutil.copyfileobj(source, file)
    return target


def safe_place(folder: Path, name: str) -> Path:
    """Where a file of a name that a stranger chose goes: inside of the folder.

    Raises:
        InputError: If the name leads out of it.
    """
    parts: Sequence[str] = [part for part in name.replace("\\", "/").split("/") if part not in {"", "."}]
    if not parts or ".." in parts or any(len(part) > 200 or not part.isprintable() for part in parts) or len(parts) > 12:
        raise InputError(f"expected the name of a file in what is open; got {name[:80]!r}")
    return folder.joinpath(*parts)
