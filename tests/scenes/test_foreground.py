"""The thing in a box: on real photos against outlines drawn by hand, and on what can be known exactly."""

import numpy as np
import pytest
from scipy import ndimage

from spatialreasoner.core.errors import SceneError
from spatialreasoner.scenes import foreground, rgbd
from spatialreasoner.scenes.files import read_depth, read_image
from spatialreasoner.scenes.finding import Found
from spatialreasoner.scenes.foreground import at_click, cut_out, in_box
from spatialreasoner.scenes.geometry import clean, unproject
from spatialreasoner.scenes.masks import box_of, decode
from spatialreasoner.scenes.synthetic.write import make_scene


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def size_of(points):
    cleaned = clean(points[np.isfinite(points).all(axis=1)])
    return None if cleaned is None else np.ptp(cleaned, axis=0)[:2]


def test_boxes_around_outlines_mean_the_thing(rgbd_folders):
    """A plain box has a mean IoU of 0.74; 0.82 is what was asked for."""
    found, plain, fitting = [], [], 0
    for folder in rgbd_folders:
        scene = rgbd.load(folder)
        depth, image = read_depth(scene.depth), np.asarray(read_image(scene.image))
        points = unproject(depth, scene.intrinsics)
        for region in scene.regions:
            outline = decode(region.mask)
            x0, y0, x1, y1 = box_of(outline)
            mask = in_box((x0, y0, x1, y1), depth, image)
            found.append(iou(mask, outline))
            plain.append(outline.sum() / ((x1 - x0) * (y1 - y0)))
            drawn, cut = size_of(points[outline]), size_of(points[mask])
            fitting += drawn is not None and cut is not None and bool((np.abs(cut / drawn - 1) <= 0.25).all())
    assert len(found) == 12
    assert np.mean(plain) < 0.76
    assert np.mean(found) >= 0.82
    assert fitting >= 10


def test_boxes_of_rendered_things_mean_the_thing():
    """Other images than those that the weights were chosen by; the truth is exact."""
    found, plain = [], []
    for number in range(6):
        made = make_scene(21, number)
        for region in made.scene.regions:
            truth = decode(region.mask)
            x0, y0, x1, y1 = box_of(truth)
            if min(x1 - x0, y1 - y0) < 12:
                continue
            found.append(iou(in_box((x0, y0, x1, y1), made.depth, made.image), truth))
            plain.append(truth.sum() / ((x1 - x0) * (y1 - y0)))
    assert len(found) > 12
    assert np.mean(found) > np.mean(plain) + 0.1


def disc():
    """A red disc at 1 m before a grey wall at 2 m."""
    rows, columns = np.mgrid[:80, :100]
    truth = np.hypot(rows - 40, columns - 50) < 20
    depth = np.where(truth, 1.0, 2.0)
    image = np.where(truth[..., None], [200, 30, 30], [120, 120, 120]).astype(np.uint8)
    return truth, depth, image


@pytest.mark.parametrize("hidden", ["nothing", "depth", "colour"])
def test_either_depth_or_colour_is_enough(hidden):
    truth, depth, image = disc()
    if hidden == "depth":
        depth = np.full_like(depth, 2.0)
    if hidden == "colour":
        image = np.full_like(image, 120)
    assert iou(in_box(box_of(truth), depth, image), truth) > 0.9


def test_where_nothing_stands_out_the_box_is_kept():
    mask = in_box((10, 10, 30, 40), np.full((80, 100), 2.0), np.full((80, 100, 3), 90, np.uint8))
    assert mask.sum() == 20 * 30


def test_holes_in_depth_do_no_harm():
    truth, depth, image = disc()
    depth[np.random.default_rng(0).random(depth.shape) < 0.9] = np.nan
    assert iou(in_box(box_of(truth), depth, image), truth) > 0.85
    assert in_box(box_of(truth), np.full_like(depth, np.nan), image).any()


def test_a_click_finds_the_thing_under_it():
    truth, depth, image = disc()
    assert iou(at_click(55, 42, depth, image), truth) > 0.85
    with pytest.raises(SceneError, match="100 x 80"):
        at_click(100, 10, depth, image)
    with pytest.raises(SceneError, match="nothing was measured"):
        at_click(5, 5, np.where(ndimage.binary_dilation(truth), depth, np.nan), image)


def test_a_box_beside_the_image_is_refused():
    _, depth, image = disc()
    with pytest.raises(SceneError, match="100 x 80"):
        in_box((200, 10, 220, 30), depth, image)


def test_only_boxes_are_cut_out():
    mask = np.ones((4, 4), dtype=bool)
    found = Found("cup", mask, "drawn")
    assert cut_out(found, np.ones((4, 4)), "none.png") is found


def test_filters_of_some_pixels_are_those_of_all():
    rng = np.random.default_rng(0)
    for _ in range(20):
        height, width, step = (int(rng.integers(low, high)) for low, high in ((4, 90), (4, 90), (1, 9)))
        depth = rng.random((height, width)).astype(np.float32)
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        size = max(3, step)
        medians = ndimage.median_filter(depth, size)[::step, ::step]
        means = ndimage.uniform_filter(foreground._lab(image), (step, step, 1))[::step, ::step]
        assert np.array_equal(foreground._medians(depth, size, step), medians)
        assert np.allclose(foreground._colours(image, step), means, atol=1e-9)
