import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.utils.import_utils import is_torchvision_available

from spatialreasoner.core.errors import ConfigError, MissingExtraError
from spatialreasoner.testing import tiny_models as tiny
from spatialreasoner.vlm import processors
from spatialreasoner.vlm.loading import load_vlm
from spatialreasoner.vlm.processors import refuse_large_images

TEXTS = ["The red box is 12.5 m from the chair."] * 3
WITH_VIDEO = {
    "llava_onevision": "LlavaOnevisionVideoProcessor",
    "qwen2_5_vl": "Qwen2VLVideoProcessor",
    "qwen3_vl": "Qwen3VLVideoProcessor",
    "internvl": "InternVLVideoProcessor",
}


def encode(processor):
    image = Image.fromarray(np.arange(60 * 90 * 3, dtype=np.uint8).reshape(60, 90, 3))
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How far?"}]}]
    text = processor.apply_chat_template(messages)
    return processor(images=[image], text=[text], return_tensors="pt")


@pytest.mark.parametrize("family", list(WITH_VIDEO))
def test_a_folder_loads_and_its_video_half_is_kept(family, tmp_path):
    made, processor = tiny.make_tiny(family, TEXTS, width=32, image_size=28)
    made.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    model, again = load_vlm(tmp_path)
    assert type(model) is type(made)
    assert type(again).__name__ == type(processor).__name__
    assert encode(again).keys() == encode(processor).keys()
    for key, value in encode(processor).items():
        assert torch.equal(encode(again)[key], value), key
    again.save_pretrained(tmp_path / "again")
    kept = json.loads((tmp_path / "again" / "video_preprocessor_config.json").read_text())
    assert kept == {"video_processor_type": WITH_VIDEO[family]}


@pytest.mark.skipif(is_torchvision_available(), reason="with torchvision the video half is read as any other")
@pytest.mark.parametrize("image_processor", ["Qwen2VLImageProcessor", "Qwen2VLImageProcessorFast"])
def test_a_folder_as_it_is_released_loads_without_torchvision(image_processor, tmp_path):
    tiny.build_tiny("qwen2_5_vl", tmp_path, TEXTS, width=32, image_size=28)
    (tmp_path / "processor_config.json").unlink()
    released = {
        "min_pixels": 784, "max_pixels": 3136, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
        "image_processor_type": image_processor, "processor_class": "Qwen2_5_VLProcessor",
    }  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(released))
    video = {"video_processor_type": "Qwen2VLVideoProcessor", "fps": 2.0, "max_frames": 768}
    (tmp_path / "video_preprocessor_config.json").write_text(json.dumps(video))
    _, processor = load_vlm(tmp_path)
    assert encode(processor)["image_grid_thw"].tolist() == [[1, 2, 4]]
    processor.save_pretrained(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "video_preprocessor_config.json").read_text()) == video


def test_a_library_that_is_missing_is_said_by_name(monkeypatch, tmp_path):
    tiny.build_tiny("llava", tmp_path, TEXTS, width=32, image_size=28)

    def needs(*_, **__):
        raise ImportError("Package `num2words` is required; pip install num2words")

    monkeypatch.setattr("transformers.AutoProcessor.from_pretrained", needs)
    with pytest.raises(MissingExtraError, match=r"needs num2words, .*: pip install 'spatialreasoner\[smolvlm\]'"):
        processors.load_processor(tmp_path)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": {"shortest_edge": 5 * 10**8, "longest_edge": 10**9}}, "size has shortest_edge 500,000,000"),
        ({"size": {"shortest_edge": 2_000}}, "size has shortest_edge 2,000; expected at most 1,024"),
        ({"size": {"height": 60_000, "width": 60_000}}, "size has height 60,000; expected at most 4,096"),
        ({"crop_size": {"height": 224, "width": 10**7}}, "crop_size has width 10,000,000"),
        ({"min_pixels": 10**9}, "min_pixels has min_pixels 1,000,000,000"),
        ({"size": {"shortest_edge": 65_536, "longest_edge": 16_777_216}}, None),
        ({"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}}, None),
        ({"size": {"longest_edge": 1_456}, "min_pixels": None, "max_pixels": 12_845_056}, None),
    ],
)
def test_processors_that_make_images_large_are_refused(settings, said):
    images = SimpleNamespace(to_dict=lambda: settings)
    if said is None:
        refuse_large_images(SimpleNamespace(image_processor=images), "m")
    else:
        with pytest.raises(ConfigError, match=said):
            refuse_large_images(SimpleNamespace(image_processor=images), "m")


def test_a_text_models_tokenizer_makes_no_images():
    refuse_large_images(object(), "m")
