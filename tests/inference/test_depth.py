"""Tiny depth models of the released classes, built from configurations."""

import numpy as np
import pytest
from PIL import Image

from spatialreasoner.core.errors import ConfigError, MissingFileError
from spatialreasoner.inference.backends.depth import FARTHEST_RELATIVE, TransformersDepth, depth_of_nearness

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def depth_anything(folder, sort):
    backbone = transformers.Dinov2Config(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=42,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=32,
        neck_hidden_sizes=[8, 16, 32, 32],
        fusion_hidden_size=16,
        head_hidden_size=8,
        depth_estimation_type=sort,
        max_depth=20,
    )
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    size = {"height": 42, "width": 42}
    transformers.DPTImageProcessorPil(size=size, keep_aspect_ratio=True, ensure_multiple_of=14).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(path)
    return str(path)


def test_a_metric_model_gives_metres_at_the_images_size(tmp_path, photo):
    model = TransformersDepth(depth_anything(tmp_path / "model", "metric"))
    assert model.metric
    depth, camera = model.estimate(photo)
    assert depth.shape == (60, 80)
    assert np.nanmin(depth) > 0
    assert np.nanmax(depth) <= 20.5  # a sigmoid times max_depth, resized by cubic interpolation
    assert camera is None


def test_a_relative_model_gives_an_order(tmp_path, photo):
    model = TransformersDepth(depth_anything(tmp_path / "model", "relative"))
    assert not model.metric
    depth, _ = model.estimate(photo)
    assert depth.shape == (60, 80)
    assert depth.min() == pytest.approx(1)
    assert depth.max() in (pytest.approx(FARTHEST_RELATIVE), pytest.approx(FARTHEST_RELATIVE, rel=1e-3))


def test_relative_depth_is_nearnessdepth_of_nearness():
    """Nearness 4, 2, 0: shares 1, 0.5, 0 of the span, so inverse depths 1, 0.55, 0.1."""
    np.testing.assert_allclose(depth_of_nearness(np.array([[4.0, 2.0, 0.0]])), [[1, 1 / 0.55, 10]])
    assert np.isfinite(depth_of_nearness(np.zeros((2, 2)))).all()


def test_what_is_not_a_depth_model_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot load a model"):
        TransformersDepth(str(tmp_path))
    config = transformers.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16)
    transformers.ViTModel(config).save_pretrained(tmp_path / "vit")
    with pytest.raises(ConfigError, match="depth-estimation"):
        TransformersDepth(str(tmp_path / "vit"))


def test_pickled_weights_are_refused(tmp_path):
    folder = depth_anything(tmp_path / "model", "metric")
    (tmp_path / "model" / "model.safetensors").rename(tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="pickle"):
        TransformersDepth(folder)


def test_a_missing_photo_is_named(tmp_path):
    model = TransformersDepth(depth_anything(tmp_path / "model", "metric"))
    with pytest.raises(MissingFileError, match=r"nothing\.jpg"):
        model.estimate(str(tmp_path / "nothing.jpg"))


def test_what_is_not_finite_does_not_spoil_the_rest():
    turned = depth_of_nearness(np.array([[1.0, 2.0], [np.inf, np.nan]]))
    assert turned[0].tolist() == [FARTHEST_RELATIVE, 1.0]
    assert np.isnan(turned[1]).all()
