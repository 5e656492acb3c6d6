"""Names and layouts of a Sa2VA's tensors, and those of transformers' InternVL with a Qwen2 or a Llama inside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import Tensor

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.vlm.loading import refuse_strays
from spatialreasoner.vlm.sa2va.folder import Settings, Text

MASK_HEAD = ("grounding_encoder.", "text_hidden_fcs.")
"""The SAM 2 head and the layers that lead to it: what draws a mask for `[SEG]`."""

_COMPUTED = re.compile(r"rotary_emb\.(inv_freq|cos_cached|sin_cached)$")
"""Older checkpoints hold what is computed from the configuration."""

_VISION = "model.vision_tower."
_LANGUAGE = "model.language_model."
_RENAMES: tuple[tuple[str, str], ...] = (
    (r"vision_model\.embeddings\.class_embedding", _VISION + "embeddings.cls_token"),
    (r"vision_model\.embeddings\.patch_embedding\.(weight|bias)", _VISION + r"embeddings.patch_embeddings.projection.\1"),
    (r"vision_model\.embeddings\.position_embedding", _VISION + "embeddings.position_embeddings"),
    (
        r"vision_model\.encoder\.layers\.(\d+)\.attn\.proj\.(weight|bias)",
        _VISION + r"encoder.layer.\1.attention.projection_layer.\2",
    ),
    (r"vision_model\.encoder\.layers\.(\d+)\.attn\.([qk]_norm)\.weight", _VISION + r"encoder.layer.\1.attention.\2.weight"),
    (r"vision_model\.encoder\.layers\.(\d+)\.ls([12])", _VISION + r"encoder.layer.\1.lambda_\2"),
    (r"vision_model\.encoder\.layers\.(\d+)\.mlp\.(fc[12])\.(weight|bias)", _VISION + r"encoder.layer.\1.mlp.\2.\3"),
    (r"vision_model\.encoder\.layers\.(\d+)\.norm1\.(weight|bias)", _VISION + r"encoder.layer.\1.layernorm_before.\2"),
    (r"vision_model\.encoder\.layers\.(\d+)\.norm2\.(weight|bias)", _VISION + r"encoder.layer.\1.layernorm_after.\2"),
    (r"mlp1\.0\.(weight|bias)", r"model.multi_modal_projector.layer_norm.\1"),
    (r"mlp1\.1\.(weight|bias)", r"model.multi_modal_projector.linear_1.\1"),
    (r"mlp1\.3\.(weight|bias)", r"model.multi_modal_projector.linear_2.\1"),
    # InternLM2
    (r"language_model\.output\.weight", "lm_head.weight"),
    (r"language_model\.model\.tok_embeddings\.weight", _LANGUAGE + "embed_tokens.weight"),
    (r"language_model\.model\.layers\.(\d+)\.attention\.wo\.(weight|bias)", _LANGUAGE + r"layers.\1.self_attn.o_proj.\2"),
    (r"language_model\.model\.layers\.(\d+)\.feed_forward\.w1\.weight", _LANGUAGE + r"layers.\1.mlp.gate_proj.weight"),
    (r"language_model\.model\.layers\.(\d+)\.feed_forward\.w3\.weight", _LANGUAGE + r"layers.\1.mlp.up_proj.weight"),
    (r"language_model\.model\.layers\.(\d+)\.feed_forward\.w2\.weight", _LANGUAGE + r"layers.\1.mlp.down_proj.weight"),
    (r"language_model\.model\.layers\.(\d+)\.attention_norm\.weight", _LANGUAGE + r"layers.\1.input_layernorm.weight"),
    (r"language_model\.model\.layers\.(\d+)\.ffn_norm\.weight", _LANGUAGE + r"layers.\1.post_attention_layernorm.weight"),
    # Qwen2, whose names transformers keeps
    (r"language_model\.lm_head\.weight", "lm_head.weight"),
    (r"language_model\.model\.((?:embed_tokens|norm|layers)\..+)", _LANGUAGE + r"\1"),
)
_SPLIT_VISION = re.compile(r"vision_model\.encoder\.layers\.(\d+)\.attn\.qkv\.(weight|bias)")
_SPLIT_TEXT = re.compile(r"language_model\.model\.layers\.(\d+)\.attention\.wqkv\.(weight|bias)")


def convert(name: str, tensor: Tensor, settings: Settings) -> Mapping[str, Tensor]:
    """A tensor under the names of transformers; queries, keys and values that stand in one tensor become three.

    Args:
        name: Its name in the folder, without a prefix.
        tensor: The tensor.
        settings: The folder's configuration.

    Returns:
        What it becomes; nothing of the mask head, nor of what is computed anew.

    Raises:
        ConfigError: If a Sa2VA has no such tensor.
    """
    if name.startswith(MASK_HEAD) or _COMPUTED.search(name):
        return {}
    if found := _SPLIT_VISION.fullmatch(name):
        parts = zip("qkv", tensor.chunk(3), strict=True)
        return {f"{_VISION}encoder.layer.{found[1]}.attention.{part}_proj.{found[2]}": value for part, value in parts}
    if found := _SPLIT_TEXT.fullmatch(name):
        parts = split_groups(tensor, settings.llm_config).items()
        return {f"{_LANGUAGE}layers.{found[1]}.self_attn.{part}_proj.{found[2]}": value for part, value in parts}
    for old, new in _RENAMES:
        if found := re.fullmatch(old, name):
            return {found.expand(new): tensor}
    raise ConfigError(f"expected the tensors of a Sa2VA; got {name!r} as well, which would be lost")


def split_groups(tensor: Tensor, text: Text) -> dict[str, Tensor]:
    """Queries, keys and values of an InternLM2, which stand group by group: a group's queries, its key, its value.

    Args:
        tensor: Weight [(groups (queries + 2) width) columns], or bias of as many rows.
        text: The language model.

    Returns:
        By `q`, `k` and `v`.

    Raises:
        ConfigError: If the tensor has another number of rows.
    """
    width = text.hidden_size // text.num_attention_heads
    queries = text.num_attention_heads // text.groups
    rows = text.groups * (queries + 2) * width
    if tensor.shape[0] != rows:
        raise ConfigError(f"expected wqkv with {rows} rows, by the heads of llm_config; got {tensor.shape[0]}")
    grouped = tensor.unflatten(0, (text.groups, queries + 2, width))
    parts = {"q": grouped[:, :queries], "k": grouped[:, queries : queries + 1], "v": grouped[:, queries + 1 :]}
    return {name: part.flatten(0, 2) for name, part in parts.items()}


def read(folder: Path, settings: Settings) -> dict[str, Tensor]:
    """All tensors of a folder under the names of transformers; files are mapped into memory, not copied.

    Raises:
        ConfigError: If there are no safetensors, or tensors are missing, twice there, or of another kind of model.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in _tensors(folder):
        for new, value in convert(name, tensor, settings).items():
            if new in found:
                raise ConfigError(f"{folder}: expected each tensor once; got {name!r} twice")
            found[new] = value.contiguous()
    _check_layers(f"{_VISION}encoder.layer.", settings.vision_config.num_hidden_layers, found)
    _check_layers(f"{_LANGUAGE}layers.", settings.llm_config.num_hidden_layers, found)
    return found


def _check_layers(prefix: str, wanted: int, names: Iterable[str]) -> None:
    """Refuse a number of layers that is not that of the weights, before as many are built."""
    found = {int(match[1]) for name in names if (match := re.match(re.escape(prefix) + r"(\d+)\.", name))}
    if len(found) != wanted or max(found) != wanted - 1:
        raise ConfigError(f"expected weights of {wanted} layers {prefix}0, 1, ..., by config.json; got {len(found)}")


def _tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Names, without the prefix that all of them may have, and tensors."""
    from safetensors import safe_open

    with ExitStack() as stack:
        opened: list[Any] = [stack.enter_context(safe_open(path, "pt")) for path in _files(folder)]
        names = [(file, name) for file in opened for name in file.keys()]  # noqa: SIM118 - it is no mapping
        prefix = _prefix(name for _, name in names)
        for file, name in names:
            yield name.removeprefix(prefix), file.get_tensor(name)


def _prefix(names: Iterable[str]) -> str:
    """What stands before `mlp1.0.weight`: nothing, or names of modules that once held the model."""
    return next((name.removesuffix("mlp1.0.weight") for name in names if name.endswith("mlp1.0.weight")), "")


def _files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        refuse_strays(folder)
        return sorted({folder / name for name in records.read_json(index, dict[str, Any])["weight_map"].values()})
    whole = folder / "model.safetensors"
    if not whole.is_file():
        raise ConfigError(f"{folder}: expected weights in {whole.name} or {index.name}; there is neither")
    return [whole]
