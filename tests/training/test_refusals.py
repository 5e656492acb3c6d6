"""Families that cannot be trained, or lack a library, are refused by name before anything is loaded."""

import importlib.util
import json

import pytest
import transformers
from safetensors.torch import save_file

from spatialreasoner.core.errors import ConfigError, MissingExtraError
from spatialreasoner.testing.tiny_models import train_tokenizer
from spatialreasoner.training.refusals import UNTRAINABLE, UNTRAINABLE_BY_PAIRS, refuse_family
from spatialreasoner.training.run import run_training
from spatialreasoner.vlm.loading import load_vlm


@pytest.mark.parametrize("kind", ["sft", "dpo", "fdpo"])
@pytest.mark.parametrize("family", [*UNTRAINABLE, *UNTRAINABLE_BY_PAIRS])
def test_families_that_would_train_wrongly_are_refused_before_they_are_loaded(family, kind, data, tmp_path):
    if kind == "sft" and family in UNTRAINABLE_BY_PAIRS:
        refuse_family(family, pairs=False)
        return
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": family}))
    rows = data / ("sft.jsonl" if kind == "sft" else "pairs.jsonl")
    with pytest.raises(ConfigError, match=rf"models of type {family} cannot be trained by .*: it"):
        run_training(kind, model=str(tmp_path / "model"), data=rows, out=tmp_path / "out")
    assert not (tmp_path / "out" / "training.json").exists()


def test_others_are_not():
    for family in ("llava", "qwen3_vl", "gemma4", "", None):
        refuse_family(family, pairs=True)


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
def test_timm_is_named_with_torchvision_which_it_imports(tmp_path):
    transformers.FastVlmConfig(text_config={"model_type": "qwen2", "hidden_size": 32}).save_pretrained(tmp_path)
    train_tokenizer(["A red box."], vocabulary=300, extra={"image_token": "<image>"}).save_pretrained(tmp_path)
    settings = {"processor_class": "LlavaProcessor", "image_processor": {"image_processor_type": "CLIPImageProcessor"}}
    (tmp_path / "processor_config.json").write_text(json.dumps(settings))
    save_file({}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(MissingExtraError, match=r"torchvision and timm, not installed here: pip install torchvision timm \("):
        load_vlm(tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is not None, reason="torchvision is installed")
def test_a_class_that_reads_its_video_half_at_once_is_told_of_in_the_same_way(tmp_path):
    transformers.MiniCPMV4_6Config().save_pretrained(tmp_path)
    tokens = {f"{name}_token": f"<{name}>" for name in ("image", "video", "start_image", "end_image")}
    train_tokenizer(["A red box."], vocabulary=300, extra=tokens).save_pretrained(tmp_path)
    kinds = {
        f"{kind}_processor": {f"{kind}_processor_type": f"MiniCPMV4_6{kind.title()}Processor"} for kind in ("image", "video")
    }
    (tmp_path / "processor_config.json").write_text(json.dumps({"processor_class": "MiniCPMV4_6Processor", **kinds}))
    with pytest.raises(MissingExtraError, match="needs torchvision, not installed here"):
        load_vlm(tmp_path)


NEED = {"Mistral3": "PixtralProcessor", "Lfm2Vl": "Lfm2VlProcessor", "Cohere2Vision": "Cohere2VisionProcessor"}


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is not None, reason="torchvision is installed")
@pytest.mark.parametrize("name", NEED)
def test_a_missing_library_is_named_with_the_line_that_installs_it(name, tmp_path):
    getattr(transformers, f"{name}Config")().save_pretrained(tmp_path)
    train_tokenizer(["A red box."], vocabulary=300).save_pretrained(tmp_path)
    settings = {"processor_class": NEED[name], "image_processor": {"image_processor_type": f"{name}ImageProcessor"}}
    (tmp_path / "processor_config.json").write_text(json.dumps(settings))
    with pytest.raises(MissingExtraError, match=r"needs torchvision, not installed here: pip install torchvision \("):
        load_vlm(tmp_path)
