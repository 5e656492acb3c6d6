"""A Sa2VA folder as a model of transformers' own classes, in memory or on disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, InternVLVisionConfig, LlamaConfig, PreTrainedConfig, Qwen2Config
from transformers.utils import logging

from spatialreasoner.core import records
from spatialreasoner.core.digests import folder_digest
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.outputs import apply_umask
from spatialreasoner.vlm.sa2va.folder import Sa2VASettings, TextSettings, VisionSettings, read_settings
from spatialreasoner.vlm.sa2va.modeling import Sa2VAConfig, Sa2VAForConditionalGeneration
from spatialreasoner.vlm.sa2va.processing import IMAGE_TOKEN, Sa2VAProcessor, chat_template, image_processor, special_token
from spatialreasoner.vlm.sa2va.tokens import end_tokens, first_token, read_tokenizer
from spatialreasoner.vlm.sa2va.weights import read_weights
from spatialreasoner.vlm.safety import refuse_pickles, telling_of

MAX_ANSWER_TOKENS = 2048
"""Of an answer, as the public code has it."""

_EMBEDDING = "model.language_model.embed_tokens.weight"

CONVERSION_FILE = "conversion.json"
"""Written into a converted folder: what it was made of."""


def load_sa2va(
    source: str | Path, *, precision: str = "auto", **options: Any
) -> tuple[Sa2VAForConditionalGeneration, Sa2VAProcessor]:
    """Load a released Sa2VA folder.

    Args:
        source: The folder.
        precision: `float32`, `bfloat16`, `float16`, or `auto`: as it was saved.
        options: Further arguments of `from_pretrained`.

    Returns:
        The model, without its SAM 2 mask head, and its processor.

    Raises:
        MissingFileError: If the folder or its configuration is not there.
        ConfigError: If the folder is not a Sa2VA, or one that cannot be converted.
        MissingExtraError: If its tokenizer needs protobuf, which is not installed.
    """
    source = records.require_folder(source)
    logging.disable_progress_bar()
    settings = read_settings(source)
    refuse_pickles(source)
    with telling_of(source):
        tokenizer = read_tokenizer(source)
        processor = Sa2VAProcessor(
            image_processor(), tokenizer, settings.side**2, chat_template=chat_template(first_token(tokenizer))
        )
        found = read_weights(source, settings)
        config = configuration_of(settings, special_token(tokenizer, IMAGE_TOKEN), tied="lm_head.weight" not in found)
        model = _build(config, found, precision, options)
    model.generation_config = GenerationConfig(
        max_new_tokens=MAX_ANSWER_TOKENS,
        do_sample=False,
        eos_token_id=end_tokens(source, tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    model.name_or_path = model.config.name_or_path = str(source)
    return model, processor


def convert_sa2va(source: str | Path, out: str | Path) -> Path:
    """Rewrite a Sa2VA folder as safetensors of transformers' own classes with a processor that takes regions.

    The folder appears under its name when it is whole. What was written before is not written again.

    Args:
        source: The Sa2VA folder; only read, and no Python of it is run.
        out: Where the model goes.

    Returns:
        `out`.

    Raises:
        ConfigError: If `out` holds something else; or whatever `load_sa2va` raises.
        WorkError: If it cannot be written.
    """
    source, out = records.require_folder(source), Path(out).absolute()
    made = {"source": folder_digest(source)}
    if out.is_dir() and any(out.iterdir()):
        if (out / CONVERSION_FILE).is_file() and records.read_json(out / CONVERSION_FILE, dict[str, Any]).get("config") == made:
            return out
        raise ConfigError(f"{out} is not empty, and was not converted from this folder. Give another `out`, or remove it")
    model, processor = load_sa2va(source)
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with records.writing(unfinished):
        model.save_pretrained(unfinished)
        apply_umask(unfinished)
        processor.save_pretrained(unfinished)
        records.write_config(unfinished, "convert", made, name=CONVERSION_FILE)
        if out.is_dir():
            out.rmdir()
        unfinished.rename(out)
    return out


def configuration_of(settings: Sa2VASettings, image_token_id: int, *, tied: bool) -> Sa2VAConfig:
    """The configuration of transformers' classes.

    Args:
        settings: The folder's own.
        image_token_id: The id of `<IMG_CONTEXT>`.
        tied: Whether the head is the embedding of the tokens.
    """
    return Sa2VAConfig(
        vision_config=_vision(settings.vision_config),
        text_config=_text(settings.llm_config, tied=tied),
        image_token_id=image_token_id,
        image_seq_length=settings.side**2,
        downsample_ratio=settings.downsample_ratio,
        vision_feature_layer=settings.select_layer,
        tie_word_embeddings=tied,
        architectures=[Sa2VAForConditionalGeneration.__name__],
    )


def _vision(vision: VisionSettings) -> InternVLVisionConfig:
    return InternVLVisionConfig(
        hidden_size=vision.hidden_size,
        intermediate_size=vision.intermediate_size,
        num_hidden_layers=vision.num_hidden_layers,
        num_attention_heads=vision.num_attention_heads,
        num_channels=vision.num_channels,
        patch_size=vision.patch_size,
        image_size=vision.image_size,
        hidden_act=vision.hidden_act,
        layer_norm_eps=vision.layer_norm_eps,
        norm_type=vision.norm_type,
        attention_bias=vision.qkv_bias,
        use_qk_norm=vision.qk_normalization,
        attention_dropout=vision.attention_dropout,
        projection_dropout=vision.dropout,
    )


def _text(text: TextSettings, *, tied: bool) -> PreTrainedConfig:
    """A Qwen2 stays one; an InternLM2 is a Llama whose projections of attention may have biases."""
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": text.rope_theta}
    if text.rope_scaling:
        rope |= {"rope_type": text.rope_scaling.type, "factor": text.rope_scaling.factor}
    common: dict[str, Any] = {
        "vocab_size": text.vocab_size,
        "hidden_size": text.hidden_size,
        "intermediate_size": text.intermediate_size,
        "num_hidden_layers": text.num_hidden_layers,
        "num_attention_heads": text.num_attention_heads,
        "num_key_value_heads": text.groups,
        "max_position_embeddings": text.max_position_embeddings,
        "hidden_act": text.hidden_act,
        "rms_norm_eps": text.rms_norm_eps,
        "rope_parameters": rope,
        "attention_dropout": text.attention_dropout,
        "tie_word_embeddings": tied,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    if text.architectures[0] == "Qwen2ForCausalLM":
        return Qwen2Config(**common)
    return LlamaConfig(**common, attention_bias=text.bias, mlp_bias=False)


def _build(config: Sa2VAConfig, found: dict[str, torch.Tensor], precision: str, options: dict[str, Any]) -> Any:
    """The model with these weights, every one of them in its place."""
    _check_shapes(config, found)
    dtype = found[_EMBEDDING].dtype if precision == "auto" else getattr(torch, precision)
    build: Any = Sa2VAForConditionalGeneration.from_pretrained
    return build(None, config=config, state_dict=found, dtype=dtype, **options)


def _check_shapes(config: Sa2VAConfig, found: dict[str, torch.Tensor]) -> None:
    """Refuse weights that the configuration has no place for, and places without weights."""
    with torch.device("meta"):
        places = {name: place.shape for name, place in Sa2VAForConditionalGeneration(config).state_dict().items()}
    if config.tie_word_embeddings:
        places.pop("lm_head.weight")
    shapes = {name: tensor.shape for name, tensor in found.items()}
    wrong = [name for name in {**places, **shapes} if places.get(name) != shapes.get(name)]
    if wrong:
        want, got = (list(each[wrong[0]]) if wrong[0] in each else "none" for each in (places, shapes))
        raise ConfigError(f"{len(wrong)} weights do not fit config.json: {wrong[0]} should be {want}; got {got}")
