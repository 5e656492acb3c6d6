"""Images as squares."""

import numpy as np
import pytest
from PIL import Image

from spatialreasoner.core.errors import SceneError
from spatialreasoner.nano.tokenizer import IMAGE
from spatialreasoner.scenes.carry import png_info
from spatialreasoner.scenes.squares import LONGEST_SIDE, square_image, square_mask


def test_masks_lie_where_they_do_on_the_image(nano, image):
    batch = nano[1](images=[image(boxes=((0, 0, 60, 90),))], text=[IMAGE])
    mask = batch["region_masks"][0, 0]
    assert batch["pixel_values"].shape == (1, 3, 128, 128)
    assert mask.shape == (128, 128)
    # 120 x 90 lies in the middle of a square of 120: rows 16 to 112 of 128
    assert mask[18:110, :62].all()
    assert not mask[:14].any()
    assert not mask[114:].any()
    assert not mask[:, 66:].any()


def test_a_long_image_is_shrunk_before_it_is_squared():
    mask = np.zeros((150, 30_000), bool)
    mask[70, 29_990] = True
    squared = square_mask(mask, 128)
    assert square_image(Image.new("RGB", (30_000, 150))).size == (LONGEST_SIDE, LONGEST_SIDE)
    assert squared.shape == (128, 128)
    assert squared.any()
    assert not squared[:, :126].any()


def test_a_region_of_one_pixel_is_not_lost(nano, image):
    batch = nano[1](images=[image(boxes=((7, 7, 8, 8),))], text=[IMAGE])
    assert batch["region_masks"].sum() >= 1


def test_fewer_regions_are_padded(nano, image):
    one, two = image(boxes=((0, 0, 9, 9),)), image()
    masks = nano[1](images=[[one], [two]], text=[IMAGE, IMAGE], padding=True)["region_masks"]
    assert masks.shape[:2] == (2, 2)
    assert not masks[0, 1].any()


def test_an_image_is_also_read_from_a_file_with_its_regions(nano, image, tmp_path):
    shown, path = image(), tmp_path / "shown.png"
    shown.save(path, pnginfo=png_info(shown))
    read, given = (nano[1](images=[[each]], text=[IMAGE]) for each in (str(path), shown))
    assert read["pixel_values"].equal(given["pixel_values"])
    assert read["region_masks"].equal(given["region_masks"])


def test_a_placeholder_too_few_is_refused(nano, image):
    with pytest.raises(SceneError, match="placeholder"):
        nano[1](images=[image()], text=["Which is left?"])


@pytest.mark.parametrize("content", [str, lambda text: [{"type": "image"}, {"type": "text", "text": text}]])
def test_a_question_without_a_capital_is_the_same_question(nano, content):
    def said(question, answer):
        turns = [{"role": "user", "content": content(question)}, {"role": "assistant", "content": content(answer)}]
        return nano[1].apply_chat_template(turns, tokenize=False)

    small, capital = (said(question, "so far. No") for question in ("how far is <region1>?", "How far is <region1>?"))
    assert small == capital
    assert "so far. No" in small  # answers stay as they are
    assert "<region2>" in said("<region2> or <region1>?", "")


def test_no_question_at_all_is_none(nano):
    assert nano[1].apply_chat_template([{"role": "user", "content": ""}], tokenize=False) == "<|user|><|end|>"
