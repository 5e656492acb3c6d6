"""Images that carry their regions, in memory and in files."""

import numpy as np
import pytest
from PIL import Image

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Region
from spatialreasoner.scenes.carry import attach, attached, png_info
from spatialreasoner.scenes.files import read_image
from spatialreasoner.scenes.masks import encode


def two_regions() -> list[Region]:
    left, top = np.zeros((6, 8), bool), np.zeros((6, 8), bool)
    left[:, :3], top[:2] = True, True
    return [Region(id="a", label="a", mask=encode(left)), Region(id="b", label="b", mask=encode(top))]


def test_masks_survive_a_file_and_a_conversion(tmp_path):
    image = attach(Image.new("RGB", (8, 6), "red"), two_regions())
    image.save(tmp_path / "p.png", pnginfo=png_info(image))
    masks = attached(read_image(tmp_path / "p.png").convert("RGB"))
    assert [int(mask.sum()) for mask in masks] == [18, 16]
    assert masks[0][:, :3].all()
    assert masks[1][:2].all()


def test_an_ordinary_image_carries_nothing():
    assert attached(Image.new("RGB", (8, 6))) == []


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(SceneError, match=r"expected a mask of the image's size \(6, 9\)"):
        attach(Image.new("RGB", (9, 6)), two_regions())


@pytest.mark.parametrize(
    "carried", ["[", "[1]", "{}", '[{"size": [6, 8], "counts": "~~"}]', '[{"size": [2, 2], "counts": [4]}]', "[" * 100_000]
)
def test_what_is_not_a_mask_is_refused(carried):
    image = Image.new("RGB", (8, 6))
    image.info["regions"] = carried
    with pytest.raises(SceneError, match="carries"):
        attached(image)
