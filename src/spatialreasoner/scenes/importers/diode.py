"""DIODE: indoor and outdoor images with depth of a laser scanner.

Rule, after the devkit (README, `intrinsics.txt`, `diode.py`):

- Depth: `X_depth.npy`, float32 [768, 1024, 1], metres; valid where `X_depth_mask.npy` is 1 (and above 0).
- The scanner's range, projected into a pinhole camera: the published numbers are used as depth along the optical axis, as
  the devkit does.
- Camera: one for all, fx 886.81, fy 927.06, cx 512, cy 384 of 1024 x 768 (the two focal lengths do differ).
- Gravity: crops look up and down by set angles that the files do not tell: unknown.
"""

from __future__ import annotations

import numpy as np

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.align import scaled
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, one_by_one
from spatialreasoner.scenes.importers.store import Store

_CAMERA = Intrinsics(fx=886.81, fy=927.06, cx=512.0, cy=384.0)


def _find(store: Store) -> Store | None:
    return store.rooted(r"(?:.*/)?[^/]+_depth_mask\.npy", r"(?:.*/)?[^/]+_depth\.npy") and store


def _open(store: Store, options: FrameOptions) -> Capture:
    stems = [stem for stem in store.find(r"((?:.*/)?[^/]+)_depth\.npy") if store.has(f"{stem}.png")]
    return Capture(
        title=store.title,
        names=tuple(stems),
        read=one_by_one(lambda place: _frame(store, stems[place], options)),
        source="DIODE (Vasiljevic et al. 2019)",
    )


def _frame(store: Store, stem: str, options: FrameOptions) -> Frame:
    image, encoded = decode.rgb(store.read(f"{stem}.png"), store.where(f"{stem}.png"))
    where = store.where(f"{stem}_depth.npy")
    depth = np.squeeze(decode.npy(store.read(f"{stem}_depth.npy"), where))
    if depth.ndim != 2:
        raise SceneError(f"{where}: expected depth [768, 1024, 1]; got {depth.shape}")
    depth = decode.valid(depth)
    if store.has(f"{stem}_depth_mask.npy"):
        mask = np.squeeze(decode.npy(store.read(f"{stem}_depth_mask.npy"), store.where(f"{stem}_depth_mask.npy")))
        depth = decode.confident(depth, mask, 1, store.where(f"{stem}_depth_mask.npy"))
    return Frame(
        name=stem,
        image=image,
        encoded=encoded,
        depth=depth,
        intrinsics=options.intrinsics or scaled(_CAMERA, (768, 1024), (image.height, image.width)),
    )


IMPORTER = Importer(
    kind="diode",
    title="DIODE",
    layout="X.png, X_depth.npy and X_depth_mask.npy",
    find=_find,
    open=_open,
)
