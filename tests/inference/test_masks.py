"""A tiny SAM built from its configuration."""

import numpy as np
import pytest
from PIL import Image

from spatialreasoner.core.errors import ConfigError, SceneError
from spatialreasoner.inference.backends.masks import FOUND_LABEL, MaskConfig, TransformersMasks, without_repeats

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def sam(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sam")
    torch.manual_seed(0)
    config = transformers.SamConfig(
        vision_config={
            "hidden_size": 32,
            "output_channels": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 64,
            "patch_size": 8,
            "window_size": 4,
            "global_attn_indexes": [1],
            "mlp_dim": 32,
            "num_pos_feats": 8,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 8, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "mlp_dim": 32,
            "iou_head_hidden_dim": 16,
        },
    )
    transformers.SamModel(config).save_pretrained(folder)
    processor = transformers.SamImageProcessorPil(
        size={"longest_edge": 64},
        pad_size={"height": 64, "width": 64},
        mask_size={"longest_edge": 16},
        mask_pad_size={"height": 16, "width": 16},
    )
    processor.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 60, 3), dtype=np.uint8)).save(path)
    return str(path)


def test_masks_have_the_images_size(sam, photo):
    masks = TransformersMasks(sam, MaskConfig(points=3, least_quality=0, least_stability=0)).find(photo, (48, 60))
    assert masks
    for label, mask, source in masks:
        assert (label, source) == (FOUND_LABEL, "model")
        assert mask.shape == (48, 60)
        assert mask.dtype == bool


def test_a_strict_choice_keeps_fewer(sam, photo):
    found = [
        len(TransformersMasks(sam, MaskConfig(points=3, least_quality=quality, least_stability=0)).find(photo, (48, 60)))
        for quality in (0.0, 1.0)
    ]
    assert found[0] > found[1] == 0


def test_repeated_masks_are_dropped():
    """The second repeats the first but for one of its eight pixels: 7 of 8 shared. The third shares 4 of 12."""
    first, third = np.zeros((2, 4, 8), dtype=bool)
    first[:2, :4] = True
    second = first.copy()
    second[0, 0] = False
    third[1:3, :4] = True
    kept = without_repeats([first, second, third])
    assert [mask is kept[i] for i, mask in enumerate((first, third))] == [True, True]
    assert without_repeats([]) == []


def test_an_image_of_another_size_is_refused(sam, photo):
    with pytest.raises(SceneError, match=r"\(10, 10\)"):
        TransformersMasks(sam).find(photo, (10, 10))


@pytest.mark.parametrize("change", [{"points": 0}, {"least_quality": -1}, {"least_stability": 2}])
def test_senseless_settings_are_refused(change):
    with pytest.raises(ConfigError, match="got"):
        MaskConfig(**change)


def test_what_is_not_a_mask_model_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="mask-generation"):
        TransformersMasks(str(tmp_path))
