"""Configurations that declare more than the weights hold."""

import json
import shutil
import tracemalloc
from functools import reduce

import pytest
import torch
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertModel,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    LlamaConfig,
    LlamaForCausalLM,
)
from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.inference.backends.embeddings import TransformersEmbedder
from spatialreasoner.inference.backends.pipelines import load_pipeline
from spatialreasoner.testing.tiny_models import build_tiny, train_tokenizer
from spatialreasoner.vlm.adapters import put_on
from spatialreasoner.vlm.declared import FREE_TENSORS, HeldWeights, held_weights, refuse_layers, within_weights
from spatialreasoner.vlm.loading import load_text_model, load_vlm
from spatialreasoner.vlm.processors import load_processor
from spatialreasoner.vlm.regions import has_region_tokens

MANY = 10_000_000


def declare(folder, *keys, value):
    """Set a value of config.json."""
    config = json.loads((folder / "config.json").read_text())
    reduce(lambda part, key: part[key], keys[:-1], config)[keys[-1]] = value
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return build_tiny("qwen2_5_vl", tmp_path_factory.mktemp("model") / "qwen", ["How wide is it?"] * 5)


@pytest.fixture
def model(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "qwen")


def test_a_model_of_its_own_sizes_is_loaded(whole):
    assert load_vlm(whole)[0].config.model_type == "qwen2_5_vl"


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (("text_config", "vocab_size"), MANY, "vocab|weight"),
        (("text_config", "intermediate_size"), MANY, "weight"),
        (("text_config", "num_hidden_layers"), MANY, "num_hidden_layers"),
        (("text_config", "num_hidden_layers"), 10**30, "num_hidden_layers"),
        (("vision_config", "depth"), MANY, "depth"),
        (("vision_config", "patch_size"), 10_000, "weight"),
    ],
)
def test_what_is_declared_too_large_is_refused_before_it_takes_memory(model, keys, value, said):
    declare(model, *keys, value=value)
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match=f"{said}.*files hold"):
            load_vlm(model)
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("read", [load_processor, has_region_tokens, lambda source: load_text_model(source)])
def test_layers_are_compared_whatever_reads_the_configuration(model, read):
    declare(model, "text_config", "num_hidden_layers", value=MANY)
    with pytest.raises(ConfigError, match="num_hidden_layers 10,000,000"):
        read(str(model))


def test_many_small_tensors_are_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ConfigError, match="declares more than 10,008 tensors"), within_weights(tmp_path):
        torch.nn.ModuleList(torch.nn.Linear(1, 1, device="meta") for _ in range(FREE_TENSORS))


def test_only_the_thread_that_loads_is_held_to_it(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    with within_weights(tmp_path):
        pass
    torch.nn.Linear(10_000, 10_000, device="meta")


def test_a_text_encoder_is_held_to_its_weights(tmp_path):
    tokenizer = train_tokenizer(["a red chair"] * 5, vocabulary=300)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert TransformersEmbedder(str(tmp_path)).embed(["chair"]).shape == (1, 16)
    declare(tmp_path, "vocab_size", value=MANY)
    with pytest.raises(ConfigError, match="declares a larger model than its weights are"):
        TransformersEmbedder(str(tmp_path))


def test_a_depth_model_is_held_to_its_weights(tmp_path):
    backbone = {"model_type": "dinov2", "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": 28}
    config = DepthAnythingConfig(
        backbone_config={**backbone, "patch_size": 14, "out_indices": [1, 2, 3, 4], "reshape_hidden_states": False},
        reassemble_hidden_size=16, neck_hidden_sizes=[16] * 4, fusion_hidden_size=16, head_hidden_size=16,
    )  # fmt: skip
    DepthAnythingForDepthEstimation(config).save_pretrained(tmp_path)
    DPTImageProcessorPil(size={"height": 28, "width": 28}).save_pretrained(tmp_path)
    load_pipeline("depth-estimation", str(tmp_path))
    declare(tmp_path, "reassemble_hidden_size", value=MANY)
    with pytest.raises(ConfigError, match="declares a larger model than its weights are"):
        load_pipeline("depth-estimation", str(tmp_path))


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")  # PEFT reads old names
def test_an_adapter_is_held_to_its_weights(tmp_path):
    from peft import LoraConfig, get_peft_model

    config = LlamaConfig(vocab_size=300, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=1)
    base = LlamaForCausalLM(config)
    get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(tmp_path)
    put_on(LlamaForCausalLM(config), tmp_path, trainable=True)
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps({**settings, "r": 2_000_000}))
    with pytest.raises(ConfigError, match="declares a larger model than its weights are"):
        put_on(LlamaForCausalLM(config), tmp_path, trainable=True)


def test_weights_are_counted_by_their_headers(tmp_path):
    save_file({"a": torch.zeros(3, 5), "b": torch.zeros(4, dtype=torch.int32)}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"c": torch.zeros(7, dtype=torch.bfloat16)}, tmp_path / "model-00002-of-00002.safetensors")
    (tmp_path / "other.safetensors").write_bytes(b"nothing")
    assert held_weights(tmp_path) == HeldWeights(tensors=3, values=15 + 4 * 16 + 7)  # 16 values of 2 bits in each whole number
    assert held_weights("no/such/repository-at-all") == HeldWeights()


def test_usual_configurations_are_not_looked_at_further(tmp_path):
    (tmp_path / "config.json").write_text(
        '{"num_hidden_layers": 126, "max_window_layers": 1000000, "depths": [2, 2, 18], "x": {"depth": 32}}'
    )
    refuse_layers(tmp_path)
    (tmp_path / "config.json").write_text('{"x": {"depths": [2, 1e12]}}')
    with pytest.raises(ConfigError, match=r"declares x.depths 1,000,000,000,000"):
        refuse_layers(tmp_path)
