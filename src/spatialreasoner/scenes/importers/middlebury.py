"""Middlebury stereo (2014 and 2021): left image, disparity, calibration.

Rule, after the data set's page ("Calibration file format"):

- `disp0.pfm` (or disp0GT.pfm): float disparities of im0.png, rows from the bottom up; infinity is unknown.
- `calib.txt`: cam0=[f 0 cx; 0 f cy; 0 0 1], doffs, baseline (millimetres), width, height; pixels of the image as it lies
  there.
- Depth in millimetres: Z = baseline * f / (d + doffs), along the optical axis.
- Gravity: unknown.
"""

from __future__ import annotations

import re

import numpy as np

from spatialreasoner.core.errors import RecordError
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, one_by_one
from spatialreasoner.scenes.importers.store import Store


def _find(store: Store) -> Store | None:
    inside = r"calib\.txt", r"im0\.(?:png|jpg|ppm)", r"disp0(?:GT)?\.pfm"
    root = store.rooted(*inside)
    many = len(store.find(r"((?:.*/)?)disp0(?:GT)?\.pfm")) > 1
    return store if root and many else root


def _open(store: Store, options: FrameOptions) -> Capture:
    folders = [folder for folder in store.find(r"((?:.*/)?)disp0(?:GT)?\.pfm") if store.has(f"{folder}calib.txt")]
    return Capture(
        title=store.title,
        names=tuple(folder.rstrip("/") or store.title for folder in folders),
        read=one_by_one(lambda place: _frame(store, folders[place], options)),
        source="Middlebury stereo (Scharstein et al. 2014)",
    )


def _frame(store: Store, folder: str, options: FrameOptions) -> Frame:
    image_name, disparity_name = (next(f"{folder}{n}" for n in names if store.has(f"{folder}{n}")) for names in _FILES)
    image, encoded = decode.rgb(store.read(image_name), store.where(image_name))
    where = store.where(f"{folder}calib.txt")
    told = dict(re.findall(r"(\w+)\s*=\s*(.+)", store.text(f"{folder}calib.txt")))
    if not {"cam0", "doffs", "baseline"} <= told.keys():
        raise RecordError(f"{where}: expected cam0, doffs and baseline; got {sorted(told)}")
    camera = decode.camera(decode.matrix(re.sub(r"[\[\];]", " ", told["cam0"]), where), where)
    doffs, baseline = (decode.numbers(told[key], where, count=1)[0] for key in ("doffs", "baseline"))
    disparity = decode.pfm(store.read(disparity_name), store.where(disparity_name))
    shift = np.where(np.isfinite(disparity) & (disparity > 0), disparity + np.float32(doffs), np.float32(np.nan))
    return Frame(
        name=folder.rstrip("/") or store.title,
        image=image,
        encoded=encoded,
        depth=decode.valid(np.float32(baseline / 1000 * camera.fx) / shift),
        intrinsics=options.intrinsics or camera,
    )


_FILES = (("im0.png", "im0.jpg"), ("disp0.pfm", "disp0GT.pfm"))

IMPORTER = Importer(
    kind="middlebury",
    title="a Middlebury stereo scene",
    layout="im0.png, disp0.pfm and calib.txt",
    find=_find,
    open=_open,
)
