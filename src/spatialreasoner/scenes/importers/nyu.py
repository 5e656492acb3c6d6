"""NYU Depth V2: nyu_depth_v2_labeled.mat, 1,449 labelled frames in one MATLAB 7.3 (HDF5) file.

Rule, after the data set's page and its toolbox (`camera_params.m`):

- HDF5 shows MATLAB's arrays with their axes reversed: images [n, 3, w, h], depths [n, w, h], so each is transposed.
- Depth: `rawDepths` if it is there (what the Kinect measured, projected onto the image; 0 not measured), else `depths`
  (filled in by a program, which the note says). Metres along the optical axis, float32.
- Camera: the colour camera of the toolbox for 640 x 480: fx 518.85790, fy 519.46961, cx 325.58245, cy 253.73617; depth is
  registered to it.
- Regions: `labels` (class) and `instances` (number within the class) with `names`; 0 has no label.
- Gravity: `accelData` is in axes that the data set does not define, so it is left out: unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32
from PIL import Image

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.align import scaled
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer
from spatialreasoner.scenes.importers.store import Store
from spatialreasoner.scenes.masks import require_size

CAMERA = Intrinsics(fx=518.85790117450188, fy=519.46961112127485, cx=325.58244941119034, cy=253.73616633400465)
_SURROUNDINGS = frozenset({"wall", "floor", "ceiling", "unknown", "unlabeled"})
_SMALLEST = 200


def _find(store: Store) -> Store | None:
    return store.rooted(r"[^/]*nyu[^/]*\.mat")


def _open(store: Store, options: FrameOptions) -> Capture:
    name = next(iter(store.find(r"([^/]*nyu[^/]*\.mat)")))
    with store.local(name) as path, _h5(str(path), store.where(name)) as file:
        count = _count(file, store.where(name))

    def read(places: Sequence[int]) -> Iterator[Frame]:
        with store.local(name) as path, _h5(str(path), store.where(name)) as file:
            names = _names(file)
            for place in places:
                yield _frame(file, place, names, store.where(name), options)

    names = tuple(f"{k:04}" for k in range(1, count + 1))
    return Capture(title=store.title if store.prefix else name.rsplit(".", 1)[0], names=names, read=read, source=_SOURCE)


_SOURCE = "NYU Depth V2 (Silberman et al. 2012)"


def _h5(path: str, where: str) -> Any:
    try:
        import h5py
    except ImportError:
        raise decode.needs("h5py", "NYU Depth V2") from None
    try:
        return h5py.File(path, "r")
    except OSError:
        raise SceneError(f"{where}: expected a MATLAB 7.3 file (HDF5), as released; it is another format, or cut off") from None


def _count(file: Any, where: str) -> int:
    shapes: list[tuple[int, ...]] = [getattr(file.get(key), "shape", ()) for key in ("images", "depths")]
    if len(shapes[0]) != 4 or shapes[0][1] != 3 or len(shapes[1]) != 3 or shapes[0][0] != shapes[1][0]:
        raise SceneError(f"{where}: expected images [n, 3, w, h] and depths [n, w, h]; got {shapes[0]} and {shapes[1]}")
    return int(shapes[0][0])


def _frame(file: Any, place: int, names: list[str], where: str, options: FrameOptions) -> Frame:
    image = Image.fromarray(np.ascontiguousarray(np.asarray(file["images"][place]).T.astype(np.uint8)))
    measured = "rawDepths" in file
    depth = decode.valid(_plane(file["rawDepths" if measured else "depths"], place))
    require_size(depth.shape, (image.height, image.width), where=where, what="depth of the image's size")
    return Frame(
        name=f"{place + 1:04}",
        image=image,
        depth=depth,
        intrinsics=options.intrinsics or scaled(CAMERA, (480, 640), (image.height, image.width)),
        regions=_regions(file, place, names),
        note="" if measured else "holes in the depth were filled in by a program",
    )


def _plane(data: Any, place: int) -> Float32[np.ndarray, "h w"]:
    return np.ascontiguousarray(np.asarray(data[place]).T)


def _names(file: Any) -> list[str]:
    """The names of the classes: references to arrays of UTF-16 code units."""
    if "names" not in file:
        return []
    try:
        return ["".join(chr(int(code)) for code in np.ravel(file[reference])) for reference in np.ravel(file["names"])]
    except (KeyError, ValueError, TypeError):
        return []


def _regions(file: Any, place: int, names: list[str]) -> tuple[tuple[str, Bool[np.ndarray, "h w"]], ...]:
    """Every labelled thing of at least 200 pixels, walls, floor and ceiling left out, the largest first."""
    if "labels" not in file or "instances" not in file or not names:
        return ()
    labels, instances = _plane(file["labels"], place).astype(np.int64), _plane(file["instances"], place).astype(np.int64)
    keys, counts = np.unique(labels * 1000 + instances, return_counts=True)
    wanted = [
        int(key)
        for key, count in sorted(zip(keys, counts, strict=True), key=lambda pair: -pair[1])
        if count >= _SMALLEST and 1 <= key // 1000 <= len(names) and names[key // 1000 - 1] not in _SURROUNDINGS
    ]
    return tuple((names[key // 1000 - 1], labels * 1000 + instances == key) for key in wanted)


IMPORTER = Importer(
    kind="nyu",
    title="NYU Depth V2's labelled .mat file",
    layout="nyu_depth_v2_labeled.mat",
    find=_find,
    open=_open,
)
