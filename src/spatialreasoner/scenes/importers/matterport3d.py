"""Matterport3D: the undistorted images of a house.

Rule, after the data set's `data_organization.md`:

- `undistorted_depth_images/P_dC_Y.png`: 16 bits, 0.25 mm per unit (4000 per metre), along the optical axis, 0 not measured.
- `undistorted_color_images/P_iC_Y.jpg`: the pixels of depth map onto it.
- `undistorted_camera_parameters/HOUSE.conf`: an `intrinsics_matrix` (nine numbers, row by row) holds for the `scan` lines
  after it. Its origin is the bottom-left of the image, so cy counts from below: here it is height - 1 - cy.
- `scan DEPTH COLOUR` and sixteen numbers: camera to world; the camera looks along -z with y up; world z up.
- The distorted `matterport_*` images have a lens distortion that a pinhole camera does not, and are not read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, one_by_one
from spatialreasoner.scenes.importers.store import Store


@dataclass(frozen=True, kw_only=True)
class _Scan:
    image: str
    depth: str
    k: Float[np.ndarray, "3 3"]
    pose: Float[np.ndarray, "4 4"]


def _find(store: Store) -> Store | None:
    return store.rooted(r"undistorted_camera_parameters/(?:.*/)?[^/]+\.conf", r"undistorted_depth_images/.*\.png")


def _open(store: Store, options: FrameOptions) -> Capture:
    name = next(iter(store.find(r"(undistorted_camera_parameters/(?:.*/)?[^/]+\.conf)")))
    scans = {scan.image.rsplit("/", 1)[-1].rsplit(".", 1)[0]: scan for scan in _scans(store, name)}
    return Capture(
        title=store.title,
        names=tuple(scans),
        read=one_by_one(lambda place: _frame(store, list(scans)[place], scans, options)),
        source=f"Matterport3D {store.title} (Chang et al. 2017)",
    )


def _scans(store: Store, name: str) -> list[_Scan]:
    """The images of a .conf whose files are there."""
    files = {each.rsplit("/", 1)[-1]: each for each in store.local_names if each.startswith("undistorted_")}
    scans: list[_Scan] = []
    k = None
    for line in store.text(name).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "intrinsics_matrix":
            k = decode.matrix(rest, store.where(name))
        elif word == "scan":
            depth, image, *pose = rest.split()
            if k is None or len(k) != 3:
                raise RecordError(f"{store.where(name)}: expected an intrinsics_matrix of nine numbers before the first scan")
            if depth in files and image in files:
                numbers = decode.numbers(" ".join(pose), store.where(name), count=16)
                scans.append(_Scan(image=files[image], depth=files[depth], k=k, pose=numbers.reshape(4, 4)))
    return scans


def _frame(store: Store, name: str, scans: dict[str, _Scan], options: FrameOptions) -> Frame:
    scan = scans[name]
    image, encoded = decode.rgb(store.read(scan.image), store.where(scan.image))
    below = decode.camera(scan.k, store.where(name))
    camera = Intrinsics(fx=below.fx, fy=below.fy, cx=below.cx, cy=image.height - 1 - below.cy)
    return Frame(
        name=name,
        image=image,
        encoded=encoded,
        depth=decode.metres(decode.depth16(store.read(scan.depth), store.where(scan.depth)), 4000),
        intrinsics=options.intrinsics or camera,
        gravity=decode.gravity(scan.pose[:3, :3], (0, 0, -1), opengl=True),
        units_per_metre=4000,
    )


IMPORTER = Importer(
    kind="matterport3d",
    title="a Matterport3D house (undistorted images)",
    layout="undistorted_color_images/, undistorted_depth_images/ and undistorted_camera_parameters/HOUSE.conf",
    find=_find,
    open=_open,
)
