import numpy as np
import pytest
from PIL import Image

from spatialreasoner.app.regions import (
    DrawnShape,
    Sight,
    from_mask_image,
    from_numbers,
    from_shape,
    is_numbers,
    shape_of,
)
from spatialreasoner.core.errors import MissingFileError, SceneError
from spatialreasoner.core.types import Region
from spatialreasoner.scenes.masks import decode, encode

SIZE = (40, 60)
SIGHT = Sight(size=SIZE)


def mask_of(region):
    return decode(region.mask)


@pytest.mark.parametrize("text", ["10,5,30,25", "10 5 30 25", " 10, 5; 30, 25 ".replace(";", ",")])
def test_four_numbers_are_a_box_with_its_end_left_out(text):
    mask = mask_of(from_numbers(text, SIZE))
    assert mask.sum() == 20 * 20
    assert mask[5, 10]
    assert not mask[25, 30]


def test_more_numbers_are_an_outline():
    assert 190 <= mask_of(from_numbers("0,0 20,0 0,20", SIZE)).sum() <= 240  # half of 20 x 20, its outline included


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a box x0,y0,x1,y1 or a polygon"),
        ("1,2,3", "a box x0,y0,x1,y1 or a polygon"),
        ("1,2,3,4,5", "a box x0,y0,x1,y1 or a polygon"),
        ("a,b,c,d", "a box x0,y0,x1,y1 or a polygon"),
        ("30,5,10,25", "x0 < x1"),
        ("100,100,120,120", "outside the image, which is 60 x 40"),
        ("-30,-30,-10,-10", "outside the image"),
        ("1e999,0,2,3", "a box x0,y0,x1,y1 or a polygon"),
        ("nan,0,2,3", "a box x0,y0,x1,y1 or a polygon"),
        (",".join(["1"] * 9000), "at most 4000 corners"),
    ],
)
def test_numbers_that_are_not_a_region_say_why(text, said):
    with pytest.raises(SceneError, match=said):
        from_numbers(text, SIZE)


def test_a_path_is_not_taken_for_numbers():
    assert is_numbers("1,2 3,4")
    assert not is_numbers("masks/1.png")


def test_a_mask_image_is_what_is_not_black(tmp_path):
    pixels = np.zeros(SIZE, np.uint8)
    pixels[3:6, 4:9] = 7
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    assert mask_of(from_mask_image(tmp_path / "mask.png", SIZE)).sum() == 15
    with pytest.raises(SceneError, match=r"\(41, 60\); got \(40, 60\)"):
        from_mask_image(tmp_path / "mask.png", (41, 60))
    Image.new("L", SIZE[::-1]).save(tmp_path / "black.png")
    with pytest.raises(SceneError, match="the whole image is black"):
        from_mask_image(tmp_path / "black.png", SIZE)
    with pytest.raises(MissingFileError):
        from_mask_image(tmp_path / "none.png", SIZE)


def test_a_box_may_be_dragged_in_any_direction():
    there, back = (DrawnShape(tool="box", points=points) for points in (((5, 6), (20, 9)), ((20, 9), (5, 6))))
    assert from_shape(there, SIGHT) == from_shape(back, SIGHT)
    assert mask_of(from_shape(there, SIGHT)).sum() == 15 * 3


def test_a_brush_paints_its_width():
    mask = mask_of(from_shape(DrawnShape(tool="brush", points=((10, 20), (50, 20)), width=9), SIGHT))
    assert 7 <= mask[:, 30].sum() <= 11
    assert mask_of(from_shape(DrawnShape(tool="brush", points=((10, 20),), width=9), SIGHT)).any()


def test_the_smallest_detected_thing_is_picked():
    large, small = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    large[:, :40], small[10:20, 10:20] = True, True
    detected = [
        Region(id=f"region{n}", label=label, mask=encode(mask)) for n, label, mask in ((1, "table", large), (2, "cup", small))
    ]
    sight = Sight(size=SIZE, detected=detected)
    assert from_shape(DrawnShape(tool="click", points=((15, 15),)), sight).label == "cup"
    assert from_shape(DrawnShape(tool="click", points=((2, 2),)), sight).label == "table"
    for point in ((50, 5), (1000, 5), (-3, 5)):
        with pytest.raises(SceneError, match="nothing was detected at this point"):
            from_shape(DrawnShape(tool="click", points=(point,)), sight)


def test_a_box_or_a_click_means_the_thing_that_depth_and_colour_tell_apart():
    depth, image = np.full(SIZE, 3.0), np.full((*SIZE, 3), 60, np.uint8)
    depth[10:30, 20:40], image[10:30, 20:40] = 1.5, 200
    sight = Sight(size=SIZE, depth=depth, image=image)
    around = DrawnShape(tool="box", points=((15, 5), (45, 35)))
    whole, thing = from_shape(around, sight), from_shape(around, sight, cut=True)
    assert (whole.region_source, mask_of(whole).sum()) == ("box", 900)
    assert thing.region_source == "box, cut out by depth and colour"
    clicked = from_shape(DrawnShape(tool="click", points=((30, 20),)), sight)
    assert clicked.region_source == "click, cut out by depth and colour"
    for found in (thing, clicked):
        assert 360 <= mask_of(found).sum() <= 440
    assert from_shape(around, SIGHT, cut=True).region_source == "box"  # nothing to cut by


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"tool": "box"},
        {"tool": "rm", "points": [[1, 2]]},
        {"tool": "box", "points": []},
        {"tool": "box", "points": [[1, 2, 3]]},
        {"tool": "box", "points": [[float("nan"), 2]]},
        {"tool": "box", "points": [[1e300, 2]]},
        {"tool": "brush", "points": [[1, 2]], "width": -1},
        {"tool": "brush", "points": [[1, 2]] * 5000},
        {"tool": "box", "points": [[1, 2]], "path": "/etc/passwd"},
    ],
)
def test_what_a_browser_should_not_send_is_refused(data):
    with pytest.raises(SceneError, match="not a region that can be drawn"):
        shape_of(data)
