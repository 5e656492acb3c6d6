from io import BytesIO

import numpy as np
import trimesh
from PIL import Image

from spatialreasoner.app.views import depth_image, depth_png_shown, surfaces, thinned_depth
from spatialreasoner.core.types import Intrinsics, Region
from spatialreasoner.scenes.masks import encode


def test_near_is_bright_and_unmeasured_is_grey():
    depth = np.linspace(1, 5, 100).reshape(10, 10)
    depth[0, 0] = np.nan
    shown = np.asarray(depth_image(depth)).astype(int)
    assert shown[0, 1].sum() > shown[9, 9].sum()
    assert shown[0, 0].tolist() == [128] * 3
    assert depth_image(np.full((3, 3), np.nan)).getpixel((1, 1)) == (128, 128, 128)


def test_surfaces_are_metres_in_the_frame_of_gltf():
    depth = np.full((50, 80), 2.0)
    depth[:, 40:] = 3.0
    mask = np.zeros(depth.shape, bool)
    mask[10:30, 5:25] = True
    camera, region = Intrinsics(fx=40, fy=40, cx=39.5, cy=24.5), Region(id="a", label="b", mask=encode(mask))
    glb = surfaces(np.full((50, 80, 3), 100, np.uint8), depth, camera, [region])
    scene = trimesh.load(BytesIO(glb), file_type="glb")
    assert set(scene.geometry) == {"surroundings", "region 1"}
    region = scene.geometry["region 1"]
    assert np.allclose(region.bounds[:, 2], -2.0)
    assert np.allclose(region.extents[:2], [19 / 40 * 2, 19 / 40 * 2])
    assert (region.face_normals[:, 2] > 0.99).all()
    assert region.bounds[0, 1] > -0.3  # it lies in the upper half of the image: y points up
    steps = np.abs(np.diff(scene.geometry["surroundings"].triangles[..., 2], axis=1)).max()
    assert steps == 0  # nothing joins what lies at different depths


def test_single_points_of_a_lidar_are_neither_lost_nor_too_small_to_see():
    depth = np.full((90, 1200), np.nan, np.float32)
    depth[40, 601], depth[10, 7] = 5.0, 9.0
    assert np.nanmin(thinned_depth(depth, 300)) == 5.0
    assert np.isfinite(thinned_depth(depth, 300)).sum() == 2
    png, low, high = depth_png_shown(depth)
    shown = np.asarray(Image.open(BytesIO(png))).astype(int)
    assert (np.ptp(shown, axis=2) > 0).sum() > 20
    assert 5 <= low < high <= 9
