"""The configuration of a Sa2VA folder, checked before anything is built from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, Field

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError

TILE = 448
"""Pixels along a side of a tile. The public code sets it, 1 to 12 tiles and a thumbnail in code, whatever the folder says."""

MAX_TILES = 12

TEXT_CLASSES = ("Qwen2ForCausalLM", "InternLM2ForCausalLM")
"""Language models that are converted, by the names of their classes."""

CHAT_FORMS = ("qwen_chat", "internlm2_chat")
"""Chat templates that are converted; both write the same text."""

_Size = Annotated[int, Field(gt=0, le=2**20)]
_Rate = Annotated[float, Field(gt=0)]


class RopeScaling(BaseModel):
    """How rotary positions stretch beyond the trained length."""

    type: Literal["linear", "dynamic"] = Field(validation_alias=AliasChoices("type", "rope_type"))
    factor: Annotated[float, Field(ge=1)]


class VisionSettings(BaseModel):
    """The vision tower, an InternViT; defaults are those of its own configuration class."""

    hidden_size: _Size = 3200
    intermediate_size: _Size = 12800
    num_hidden_layers: _Size = 48
    num_attention_heads: _Size = 25
    num_channels: _Size = 3
    patch_size: _Size = 14
    image_size: _Size = 224
    hidden_act: str = "gelu"
    layer_norm_eps: _Rate = 1e-6
    norm_type: Literal["layer_norm", "rms_norm"] = "rms_norm"
    qkv_bias: bool = False
    qk_normalization: bool = True
    attention_dropout: float = 0.0
    dropout: float = 0.0


class TextSettings(BaseModel):
    """The language model; what a folder may leave out has the default of the class that it names."""

    architectures: Annotated[list[str], Field(min_length=1)]
    vocab_size: _Size
    hidden_size: _Size
    intermediate_size: _Size
    num_hidden_layers: _Size
    num_attention_heads: _Size
    num_key_value_heads: _Size | None = None
    max_position_embeddings: Annotated[int, Field(gt=0)] = 32_768
    hidden_act: str = "silu"
    rms_norm_eps: _Rate = 1e-6
    rope_theta: _Rate = 10_000
    rope_scaling: RopeScaling | None = None
    bias: bool = True
    attention_dropout: float = 0.0
    use_sliding_window: bool = False

    @property
    def groups(self) -> int:
        """Heads of keys and of values."""
        return self.num_key_value_heads or self.num_attention_heads


class Sa2VASettings(BaseModel):
    """The configuration of a Sa2VA folder, as far as it decides what the model computes."""

    model_type: Literal["sa2va_chat"]
    vision_config: VisionSettings
    llm_config: TextSettings
    template: str
    select_layer: int = -1
    downsample_ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    ps_version: str = "v1"
    use_backbone_lora: int = 0
    use_llm_lora: int = 0

    @property
    def side(self) -> int:
        """Image tokens along a side of a tile."""
        return int(TILE // self.vision_config.patch_size * self.downsample_ratio)


def read_settings(folder: str | Path) -> Sa2VASettings:
    """Read a folder's `config.json`.

    Raises:
        MissingFileError: If there is none.
        RecordError: If it is not the configuration of a Sa2VA.
        ConfigError: If it is one of a kind that cannot be converted.
    """
    settings = records.read_json(Path(folder) / "config.json", Sa2VASettings)
    problems = _problems(settings)
    if problems:
        raise ConfigError(f"{folder}: cannot convert this Sa2VA: expected {'; '.join(problems)}")
    return settings


def _problems(settings: Sa2VASettings) -> list[str]:
    """What keeps a folder from being converted: what was expected, and what came."""
    vision, text = settings.vision_config, settings.llm_config
    checks: list[tuple[str, object, tuple[object, ...]]] = [
        ("llm_config.architectures to begin with", text.architectures[0], TEXT_CLASSES),
        ("template to be", settings.template.replace("-", "_"), CHAT_FORMS),
        # v1 leaves rows and columns of the feature grid exchanged, which InternVL of transformers does not
        ("ps_version to be", settings.ps_version, ("v2",)),
        ("use_backbone_lora (merge adapters first) to be", settings.use_backbone_lora, (0,)),
        ("use_llm_lora (merge adapters first) to be", settings.use_llm_lora, (0,)),
        ("llm_config.use_sliding_window to be", text.use_sliding_window, (False,)),
        ("hidden_size modulo num_attention_heads to be", text.hidden_size % text.num_attention_heads, (0,)),
        ("num_attention_heads modulo num_key_value_heads to be", text.num_attention_heads % text.groups, (0,)),
        ("the same modulo of vision_config to be", vision.hidden_size % vision.num_attention_heads, (0,)),
        ("patch_size (the public code knows no other) to be", vision.patch_size, (14,)),
        ("downsample_ratio (the public code knows no other) to be", settings.downsample_ratio, (0.5,)),
    ]
    if vision.qk_normalization:
        checks.append(("layer_norm_eps with qk_normalization to be", vision.layer_norm_eps, (1e-6,)))
    return [f"{what} {' or '.join(map(repr, wanted))}, got {came!r}" for what, came, wanted in checks if came not in wanted]
