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
from spatialreasoner.vlm.sa2va.folder import Sa2VASettings, TextSettings
from spatialreasoner.vlm.safety import refuse_strays

_MASK_HEAD = ("grounding_encoder.", "text_hidden_fcs.")
"""The SAM 2 head and the layers that lead to it: what draws a mask for `[SEG]`."""

_COMPUTED = re.compile(r"rotary_emb\.(inv_freq|cos_cached|sin_cached)$")
"""Older checkpoints hold what is computed from the configuration."""

_VISION, _TEXT = "model.vision_tower.", "model.language_model."

_VISION_NAMES = {
    "embeddings.class_embedding": "embeddings.cls_token",
    "embeddings.patch_embedding.": "embeddings.patch_embeddings.projection.",
    "embeddings.position_embedding": "embeddings.position_embeddings",
    "encoder.layers.": "encoder.layer.",
    ".attn.proj.": ".attention.projection_layer.",
    ".attn.": ".attention.",
    ".ls1": ".lambda_1",
    ".ls2": ".lambda_2",
    ".norm1.": ".layernorm_before.",
    ".norm2.": ".layernorm_after.",
}
_TEXT_NAMES = {  # of InternLM2; transformers keeps those of Qwen2
    "tok_embeddings.": "embed_tokens.",
    ".attention.wo.": ".self_attn.o_proj.",
    ".attention.wqkv.": ".self_attn.wqkv.",
    ".feed_forward.w1.": ".mlp.gate_proj.",
    ".feed_forward.w3.": ".mlp.up_proj.",
    ".feed_forward.w2.": ".mlp.down_proj.",
    ".attention_norm.": ".input_layernorm.",
    ".ffn_norm.": ".post_attention_layernorm.",
}
_PARTS: dict[str, tuple[str, dict[str, str]]] = {
    "vision_model.": (_VISION, _VISION_NAMES),
    "mlp1.0.": ("model.multi_modal_projector.layer_norm.", {}),
    "mlp1.1.": ("model.multi_modal_projector.linear_1.", {}),
    "mlp1.3.": ("model.multi_modal_projector.linear_2.", {}),
    "language_model.model.": (_TEXT, _TEXT_NAMES),
    "language_model.output.": ("lm_head.", {}),
    "language_model.lm_head.": ("lm_head.", {}),
}
"""By how a name begins: how it begins in transformers, and what is renamed behind that, in order."""


def renamed(name: str) -> str:
    """The name of transformers for a tensor.

    >>> renamed("vision_model.encoder.layers.3.attn.proj.bias")
    'model.vision_tower.encoder.layer.3.attention.projection_layer.bias'

    Raises:
        ConfigError: If no part of a Sa2VA begins so.
    """
    part = next((part for part in _PARTS if name.startswith(part)), None)
    if part is None:
        raise ConfigError(f"expected the tensors of a Sa2VA; got {name!r} as well, which would be lost")
    beginning, names = _PARTS[part]
    rest = name.removeprefix(part)
    for old, new in names.items():
        rest = rest.replace(old, new)
    return beginning + rest


def converted(name: str, tensor: Tensor, text: TextSettings) -> Mapping[str, Tensor]:
    """A tensor under the names of transformers; queries, keys and values that are in one tensor become three.

    Args:
        name: Its name in the folder, without a prefix.
        tensor: The tensor.
        text: The language model.

    Returns:
        The converted tensors, without those of the mask head and those that are computed when the model is loaded.

    Raises:
        ConfigError: If a Sa2VA has no such tensor.
    """
    if name.startswith(_MASK_HEAD) or _COMPUTED.search(name):
        return {}
    new = renamed(name)
    if ".attention.qkv." in new:
        return {new.replace(".qkv.", f".{part}_proj."): value for part, value in zip("qkv", tensor.chunk(3), strict=True)}
    if ".wqkv." in new:
        return {new.replace(".wqkv.", f".{part}_proj."): value for part, value in split_groups(tensor, text).items()}
    return {new: tensor}


def split_groups(tensor: Tensor, text: TextSettings) -> dict[str, Tensor]:
    """Queries, keys and values of an InternLM2, which are stored group by group: a group's queries, its key, its value.

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


def read_weights(folder: Path, settings: Sa2VASettings) -> dict[str, Tensor]:
    """All tensors of a folder under the names of transformers; files are mapped into memory, not copied.

    Raises:
        ConfigError: If there are no safetensors, or tensors are missing, twice there, or of another kind of model.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in _tensors(folder):
        for new, value in converted(name, tensor, settings.llm_config).items():
            if new in found:
                raise ConfigError(f"{folder}: expected each tensor once; got {name!r} twice")
            found[new] = value.contiguous()
    _check_layers(f"{_VISION}encoder.layer.", settings.vision_config.num_hidden_layers, found)
    _check_layers(f"{_TEXT}layers.", settings.llm_config.num_hidden_layers, found)
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
        names = [(file, name) for file in opened for name in file.keys()]  # noqa: SIM118 - it is not a mapping
        prefix = _prefix(name for _, name in names)
        for file, name in names:
            yield name.removeprefix(prefix), file.get_tensor(name)


def _prefix(names: Iterable[str]) -> str:
    """What comes before `mlp1.0.weight`: nothing, or names of modules that once held the model."""
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
