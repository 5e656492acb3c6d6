import numpy as np
import pytest
from PIL import Image

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Region
from spatialreasoner.scenes import files, marks
from spatialreasoner.scenes.marks import draw
from spatialreasoner.scenes.masks import encode


def region(mask: np.ndarray, name: str = "region1") -> Region:
    return Region(id=name, label="thing", mask=encode(mask))


def test_marks_change_the_region_and_nothing_far_from_it() -> None:
    mask = np.zeros((80, 100), dtype=bool)
    mask[20:60, 20:60] = True
    image = Image.new("RGB", (100, 80), (128, 128, 128))
    changed = (np.asarray(draw(image, [region(mask)])) != np.asarray(image)).any(axis=-1)
    assert changed[mask].mean() > 0.95
    assert not changed[:, 70:].any()


def test_every_region_has_its_own_colour_and_number() -> None:
    left, right = np.zeros((80, 100), dtype=bool), np.zeros((80, 100), dtype=bool)
    left[10:70, 5:45] = right[10:70, 55:95] = True
    marked = np.asarray(draw(Image.new("RGB", (100, 80)), [region(left), region(right, "region2")]))
    assert (marked[12, 20] != marked[12, 75]).any()
    assert (marked[10:70, 5:45] != marked[10:70, 55:95]).any()


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(SceneError, match="image's size"):
        draw(Image.new("RGB", (10, 10)), [region(np.ones((5, 5), dtype=bool))])


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(SceneError, match="empty"):
        draw(Image.new("RGB", (10, 10)), [region(np.zeros((10, 10), dtype=bool))])


def test_a_single_pixel_at_the_corner_is_drawn() -> None:
    mask = np.zeros((10, 10), dtype=bool)
    mask[0, 0] = True
    assert draw(Image.new("RGB", (10, 10)), [region(mask)]).size == (10, 10)


def test_large_images_are_drawn_band_by_band_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (600, 500, 3), dtype=np.uint8))  # whose outlines are two pixels wide
    masks = [np.zeros((600, 500), dtype=bool) for _ in range(3)]
    for start, mask in enumerate(masks):
        mask[100 * start : 100 * start + 400, 50 * start : 50 * start + 300] = True
        mask &= rng.random(mask.shape) < 0.99
    regions = [region(mask, f"region{number}") for number, mask in enumerate(masks, 1)]
    whole = draw(image, regions).tobytes()
    monkeypatch.setattr(files, "_BAND", 7)
    assert draw(image, regions).tobytes() == whole


def test_the_number_of_a_huge_mask_is_inside_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "MOST_MEASURED", 100)
    mask = np.zeros((200, 300), dtype=bool)
    mask[20:180, 150:290] = True
    changed = np.asarray(draw(Image.new("RGB", (300, 200), (9, 9, 9)), [region(mask)])) != 9
    white = (np.asarray(draw(Image.new("RGB", (300, 200)), [region(mask)])) == 255).all(axis=-1)
    rows, columns = np.nonzero(white)
    assert 60 < rows.mean() < 140
    assert 190 < columns.mean() < 250
    assert not changed[:, :140].any()
