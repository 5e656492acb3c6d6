"""SUN RGB-D: 10,335 images of four cameras, one folder per image.

Rule, after the data set's toolbox (`readframe.m`, `read3dPoints.m`, `SUNRGBDtoolbox`):

- Depth: `depth/*.png`, 16 bits, each number with its bits rotated left by three: metres = ((d >> 3) | (d << 13)) / 1000; 0
  not measured; the toolbox cuts at 8 m, beyond which these cameras do not measure. (`depth_bfx` is filled in by a program,
  so it is not taken.)
- Camera: `intrinsics.txt`, 3 x 3 row by row, in pixels of `image/*.jpg`, which has the depth's size.
- Gravity: `extrinsics/*.txt`, the newest by name: the tilt R that takes (x right, z forward, -y) to a frame with z up.
- Regions: `annotation2Dfinal/index.json` (or annotation2D3D): polygons with the names of `objects`; X and Y in pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, UInt16

from spatialreasoner.core.errors import SceneError
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, Vector, one_by_one
from spatialreasoner.scenes.importers.store import Store
from spatialreasoner.scenes.masks import from_polygon

_FARTHEST = 8.0
_ANNOTATIONS = ("annotation2Dfinal/index.json", "annotation2D/index.json")
_INSIDE = r"intrinsics\.txt"


def _find(store: Store) -> Store | None:
    root = store.rooted(
        _INSIDE, r"image/[^/]+\.(?:jpg|png)", r"depth(?:_bfx)?/[^/]+\.png", r"(?:extrinsics|annotation2D|fullres).*"
    )
    return root and (store if root.prefix and len(_folders(store)) > 1 else root)


def _folders(store: Store) -> list[str]:
    """The folders of single images, each with a slash at its end."""
    return [
        start for start in store.find(rf"((?:.*/)?){_INSIDE}") if any(n.startswith(f"{start}depth") for n in store.local_names)
    ]


def _open(store: Store, options: FrameOptions) -> Capture:
    folders = _folders(store)
    return Capture(
        title=store.title,
        names=tuple(folder.rstrip("/") or store.title for folder in folders),
        read=one_by_one(lambda place: _frame(store, folders[place], options)),
        source="SUN RGB-D (Song et al. 2015)",
    )


def _frame(store: Store, folder: str, options: FrameOptions) -> Frame:
    image_name, depth_name = (_only(store, folder, pattern) for pattern in (r"image/[^/]+\.(?:jpg|png)", r"depth/[^/]+\.png"))
    image, encoded = decode.rgb(store.read(image_name), store.where(image_name))
    camera_name = f"{folder}intrinsics.txt"
    camera = decode.matrix(store.text(camera_name), store.where(camera_name))
    return Frame(
        name=folder.rstrip("/") or store.title,
        image=image,
        encoded=encoded,
        depth=unrotated(decode.depth16(store.read(depth_name), store.where(depth_name))),
        intrinsics=options.intrinsics or decode.camera(camera, store.where(camera_name)),
        gravity=_gravity(store, folder),
        regions=_regions(store, folder, (image.height, image.width)),
        units_per_metre=1000,
    )


def unrotated(values: UInt16[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Metres of SUN RGB-D's numbers, whose bits are rotated left by three.

    >>> unrotated(np.array([[8 * 1500, 0]], dtype=np.uint16))
    array([[1.5, nan]], dtype=float32)
    """
    plain = ((values >> 3) | (values << 13)).astype(np.uint16)
    depth = decode.metres(plain, 1000)
    return np.where(depth <= _FARTHEST, depth, np.float32(np.nan))


def _only(store: Store, folder: str, pattern: str) -> str:
    names = list(store.find(f"({folder}{pattern})"))
    if len(names) != 1:
        raise SceneError(f"{store.where(folder)}: expected one file in {pattern.partition('/')[0]}/; got {len(names)}")
    return names[0]


def _gravity(store: Store, folder: str) -> Vector | None:
    names = list(store.find(rf"({folder}extrinsics/[^/]+\.txt)"))
    if not names:
        return None
    rotation = decode.numbers(store.text(names[-1]), store.where(names[-1]))
    if len(rotation) not in {9, 12}:
        return None
    tilt = rotation.reshape(3, -1)[:, :3]
    down = decode.gravity(tilt, (0, 0, -1))  # in (x right, z forward, -y)
    return down and (down[0], -down[2], down[1])


def _regions(store: Store, folder: str, size: tuple[int, int]) -> tuple[tuple[str, Bool[np.ndarray, "h w"]], ...]:
    name = next((folder + name for name in _ANNOTATIONS if store.has(folder + name)), None)
    if name is None:
        return ()
    entry = decode.json_object(store.read(name), store.where(name))
    try:
        labels = [str((each or {}).get("name", "")) for each in entry["objects"]]
        polygons = entry["frames"][0]["polygon"]
        found = [(_label(labels, each), _mask(each, size)) for each in polygons]
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise SceneError(f"{store.where(name)}: expected objects and frames[0].polygon; {error!r}") from None
    return tuple((label, mask) for label, mask in found if label and mask is not None and mask.any())


def _label(labels: list[str], polygon: dict[str, Any]) -> str:
    number = int(polygon["object"])
    return labels[number].split(":")[0].strip() if 0 <= number < len(labels) else ""


def _mask(polygon: dict[str, Any], size: tuple[int, int]) -> Bool[np.ndarray, "h w"] | None:
    xs, ys = (np.atleast_1d(polygon[key]).tolist() for key in ("x", "y"))
    if len(xs) != len(ys) or len(xs) < 3:
        return None
    return from_polygon([(float(x), float(y)) for x, y in zip(xs, ys, strict=True)], size)


IMPORTER = Importer(
    kind="sunrgbd",
    title="SUN RGB-D",
    layout="intrinsics.txt, image/*.jpg, depth/*.png, extrinsics/*.txt, in one folder or in many",
    find=_find,
    open=_open,
)
