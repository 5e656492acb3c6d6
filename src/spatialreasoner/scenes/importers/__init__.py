"""Any RGB-D capture as scenes: one module per format, each with its rule and the source of that rule.

    import_scenes("kitchen.r3d", out="scenes")              the kind is detected from the files
    import_scenes("scene0000_00", kind="scannet", out="scenes", limit=20)

A reader yields frames (`frames.Frame`); `align.settle` puts depth on the image's grid and turns the image upright; `checks`
looks for nonsense; `write` makes RGB-D folders of them.
"""

from __future__ import annotations

import logging
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np

from spatialreasoner.core.digests import capture_digest
from spatialreasoner.core.errors import ConfigError, InputError, SceneError, SpatialReasonerError
from spatialreasoner.scenes import checks
from spatialreasoner.scenes.annotations.finder import AnnotatedRegions
from spatialreasoner.scenes.files import load_scenes
from spatialreasoner.scenes.folder import ScenesFolder, claim_folder
from spatialreasoner.scenes.importers.align import settle
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer
from spatialreasoner.scenes.importers.labels import Labels
from spatialreasoner.scenes.importers.store import Store, open_store
from spatialreasoner.scenes.importers.write import files_of, scene_id

__all__ = [
    "KINDS",
    "Frame",
    "FrameOptions",
    "Imported",
    "find_kind",
    "import_scenes",
    "importer",
    "importers",
    "open_capture",
    "read_frame",
    "read_frames",
]

logger = logging.getLogger(__name__)

_READERS = {
    "record3d": "record3d.IMPORTER",
    "polycam": "polycam.IMPORTER",
    "stray": "stray.IMPORTER",
    "arkitscenes": "arkitscenes.IMPORTER",
    "scannet": "scannet.IMPORTER",
    "scannet-sens": "scannet_sens.IMPORTER",
    "sunrgbd": "sunrgbd.IMPORTER",
    "nyu": "nyu.IMPORTER",
    "7scenes": "seven_scenes.IMPORTER",
    "bop": "bop.IMPORTER",
    "hypersim": "hypersim.IMPORTER",
    "matterport3d": "matterport3d.IMPORTER",
    "replica": "replica.IMPORTER",
    "vkitti": "vkitti.IMPORTER",
    "kitti": "kitti.IMPORTER",
    "diode": "diode.IMPORTER",
    "middlebury": "middlebury.IMPORTER",
    "tum": "tum.IMPORTER",
    "rosbag": "rosbag.IMPORTER",
    "iphone": "iphone.IMPORTER",
    "android": "android.IMPORTER",
    "realsense": "recorded.IMPORTER",
    "exr": "plain.EXR",
    "npy": "plain.NPY",
    "pfm": "plain.PFM",
    "png": "plain.PNG",
}

KINDS: tuple[str, ...] = tuple(_READERS)
"""The values of `kind` beside "auto", in the order in which "auto" tries them: the most specific layout first."""


_FEW = 5
"""Maximum number of further captures that a warning names."""

_BROKEN = (
    ValueError, TypeError, LookupError, ArithmeticError, AttributeError, EOFError, OSError, RuntimeError, SyntaxError,
    struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What libraries and arithmetic raise of files whose bytes or numbers are not what their format says."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import did.

    Attributes:
        kind: The kind of the capture.
        scenes: How many scenes were written.
        frames: How many frames the capture has.
        labelled: How many of the scenes have regions.
        left_out: Why a frame was left out, by its name.
    """

    kind: str
    scenes: int
    frames: int
    labelled: int
    left_out: dict[str, str]


def importers() -> tuple[Importer, ...]:
    """Every kind, in the order in which `auto` tries them."""
    return tuple(importer(kind) for kind in KINDS)


def importer(kind: str) -> Importer:
    """The importer of a kind.

    Raises:
        ConfigError: If the kind is unknown.
    """
    if kind not in _READERS:
        raise ConfigError(f"expected `kind` to be auto or one of {', '.join(KINDS)}; got {kind!r}")
    module, _, name = _READERS[kind].partition(".")
    return getattr(import_module(f"{__name__}.{module}"), name)


def find_kind(store: Store) -> tuple[Importer, Store]:
    """The kind of a capture, and the part of the store that holds it.

    Raises:
        InputError: If it is of no known kind.
    """
    for each in importers():
        if (part := each.find(store)) is not None:
            return each, part
    seen = ", ".join(store.names[:6]) + (", ..." if len(store.names) > 6 else "")
    raise InputError(
        f"{store.path}: expected a capture of a known kind; its files ({seen or 'none'}) match none; set `kind` "
        f"({', '.join(KINDS)}) to see what is missing, or write an RGB-D folder by hand"
    )


def open_capture(path: str | Path, kind: str = "auto", options: FrameOptions | None = None) -> tuple[Importer, Capture]:
    """Look into a capture without reading its frames.

    Args:
        path: The folder, archive or file.
        kind: One of `KINDS`, or "auto" to detect it from the files.
        options: Further options, such as the camera.

    Raises:
        MissingFileError: If there is nothing at the path.
        ConfigError: If the kind is unknown.
        InputError: If the capture is not of that kind, or broken.
        MissingExtraError: If its reader needs a library that is not installed.
    """
    store = open_store(path)
    if kind == "auto":
        reader, part = find_kind(store)
    else:
        reader = importer(kind)
        part = reader.find(store)
        if part is None:
            raise InputError(f"{path}: expected {reader.title}: {reader.layout}; these files are not there")
    with _whole(part.where()):
        capture = reader.open(part, options or FrameOptions())
    if others := _others(reader, store, part):
        logger.warning(
            "%s holds several captures: %s is read; %s %s not: import each by its own folder",
            path, part.prefix.rstrip("/"), ", ".join(others), "is" if len(others) == 1 else "are",
        )  # fmt: skip
    if not capture.names:
        raise InputError(f"{path}: expected {reader.title} with image and depth of a frame: {reader.layout}; no frame has both")
    return reader, capture


def _others(reader: Importer, store: Store, part: Store) -> list[str]:
    """Folders of further captures of the same kind beside the one that was found, at most a few."""
    found: list[str] = []
    while part.prefix and len(found) < _FEW:
        store = replace(store, names=tuple(name for name in store.names if not name.startswith(part.prefix)))
        other = reader.find(store)
        if other is None or not other.prefix:
            break
        part = other
        found.append(part.prefix.rstrip("/"))
    return found


def read_frames(
    path: str | Path,
    kind: str = "auto",
    *,
    every: int = 1,
    limit: int | None = None,
    options: FrameOptions | None = None,
) -> Iterator[Frame]:
    """The frames of a capture in the product's own form: depth on the image's grid, upright, checked.

    Args:
        path: The folder, archive or file.
        kind: One of `KINDS`, or "auto".
        every: Take every Nth frame.
        limit: Take at most this many frames, evenly spread.
        options: Further options, such as the camera.

    Raises:
        InputError: If the capture or one of these frames cannot be used; see `open_capture`.
    """
    _, capture = open_capture(path, kind, options)
    for frame in _read(capture, chosen(len(capture.names), every, limit)):
        yield _ready(frame)


def read_frame(capture: Capture, place: int) -> Frame:
    """One frame of a capture, by its place in `names`, as `read_frames` gives it.

    Raises:
        InputError: If it cannot be used.
    """
    return _ready(next(_read(capture, [place])))


def import_scenes(
    path: str | Path,
    kind: str = "auto",
    *,
    out: str | Path,
    every: int = 1,
    limit: int | None = 100,
    options: FrameOptions | None = None,
    regions: AnnotatedRegions | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Imported:
    """Write a capture as a scenes folder, in which each scene's own folder is an RGB-D folder.

    Killed and started again, it continues with the frames that are missing. A frame that cannot be used (no depth, a broken
    file) is left out and told; if none can, the first reason is raised.

    Args:
        path: The folder, archive or file.
        kind: One of `KINDS`, or "auto" to detect it from the files.
        out: The scenes folder: new, empty, or begun by the same call.
        every: Take every Nth frame.
        limit: Take at most this many frames, evenly spread; None for all.
        options: Further options, such as the camera.
        regions: The regions that a label tool gives, beside those of the capture; boxes are cut out by depth and colour.
        progress: Called with the number of frames done.

    Returns:
        The kind, and how many scenes were written of how many frames.

    Raises:
        ConfigError: If an option is wrong, or `out` holds something else.
        InputError: If the capture is of no known kind, or none of its frames can be used, or `regions` names none of them.
        MissingExtraError: If its reader needs a library that is not installed.
        WorkError: If the output cannot be written.
    """
    reader, capture = open_capture(path, kind, options)
    places = chosen(len(capture.names), every, limit)
    ids = _ids(capture, places)
    config = {
        "capture": capture.title, "from": reader.kind, "every": every, "limit": limit, 
        "options": asdict(options or FrameOptions()),
    }  # fmt: skip
    _first_usable(capture, places)  # before anything is written
    labels = Labels.of(regions, {place: (capture.names[place], own_id) for place, own_id in ids.items()})
    inputs = {"the capture": capture_digest(path)}
    if regions is not None:
        config["regions"], inputs["the regions"] = regions.path.name, capture_digest(regions.path)
    folder = claim_folder(Path(out), "scenes import", config, inputs)
    left_out: dict[str, str] = {}
    with folder.working():
        if not folder.complete:
            left_out = _write_missing(folder, capture, places, ids, labels, progress)
            folder.finish(own_id for own_id in ids.values() if folder.has(own_id))
    labelled = [bool(scene.regions) for scene in load_scenes(out)]
    return Imported(
        kind=reader.kind, scenes=len(labelled), frames=len(capture.names), labelled=sum(labelled), left_out=left_out
    )  # fmt: skip


def chosen(count: int, every: int, limit: int | None) -> Sequence[int]:
    """Indices of the frames to take: every Nth (`every`), and of those at most `limit`, evenly spread from first to last.

    >>> chosen(10, 2, 3)
    [0, 4, 8]

    Raises:
        ConfigError: If `every` or `limit` is not positive.
    """
    if every < 1 or (limit is not None and limit < 1):
        raise ConfigError(f"expected every and limit of at least 1; got {every} and {limit}")
    places = range(0, count, every)
    if limit is None or len(places) <= limit:
        return list(places)
    return [places[int(k)] for k in np.linspace(0, len(places) - 1, limit).round()]


def _ids(capture: Capture, places: Sequence[int]) -> dict[int, str]:
    """An id for each frame; names that become the same get a number."""
    ids: dict[int, str] = {}
    for place in places:
        own_id = scene_id(capture.title, capture.names[place])
        ids[place] = own_id if own_id not in ids.values() else f"{own_id}-{place}"
    return ids


def _first_usable(capture: Capture, places: Sequence[int]) -> None:
    """Raise why no frame can be used, where none can."""
    first: SceneError | None = None
    for place in places:
        try:
            _ready(next(_read(capture, [place])))
        except SceneError as error:
            first = first or error
        else:
            return
    if first is not None:
        raise first


def _write_missing(
    folder: ScenesFolder,
    capture: Capture,
    places: Sequence[int],
    ids: dict[int, str],
    labels: Labels,
    progress: Callable[[int], None],
) -> dict[str, str]:
    """Write the frames that are not there yet; why frames were left out, by their names."""
    missing = [place for place in places if not folder.has(ids[place])]
    left_out: dict[str, str] = {}
    frames = _read(capture, missing)
    for done, place in enumerate(missing, start=len(places) - len(missing) + 1):
        try:
            frame = _ready(next(frames))
            found = labels.find(place, frame)
        except SceneError as error:
            left_out[capture.names[place]] = str(error)
            frames = _read(capture, missing[done - (len(places) - len(missing)) :])  # a generator that raised has ended
            continue
        folder.add(*files_of(frame, ids[place], capture.source, found))
        progress(done)
    for name, reason in left_out.items():
        logger.warning("frame %s was left out: %s", name, reason)
    return left_out


@contextmanager
def _whole(where: str) -> Generator[None]:
    """Turn what a reader stumbles over in a broken file into an error that says so."""
    try:
        yield
    except SpatialReasonerError:
        raise
    except _BROKEN as error:
        told = " ".join(str(error).split())[:300]
        raise SceneError(
            f"{where}: expected a capture as its writer leaves it; {told or type(error).__name__}; copy it again"
        ) from None


def _read(capture: Capture, places: Sequence[int]) -> Iterator[Frame]:
    """The frames of some places; one that is broken ends the reading with a SceneError."""
    frames = capture.read(places)
    for place in places:
        with _whole(f"{capture.title}: frame {capture.names[place]}"):
            frame = next(frames, None)
        if frame is None:
            raise SceneError(f"{capture.title}: expected frame {capture.names[place]}; the capture ends before it")
        yield frame


def _ready(frame: Frame) -> Frame:
    """The frame settled and checked."""
    frame = settle(frame)
    checks.refuse(
        checks.examine(
            size=frame.size,
            depth=frame.depth if frame.metric else None,
            intrinsics=frame.intrinsics,
            gravity=frame.gravity,
            units_per_metre=frame.units_per_metre,
        ),
        where=f"frame {frame.name!r}",
        accept=None,
    )
    return frame
