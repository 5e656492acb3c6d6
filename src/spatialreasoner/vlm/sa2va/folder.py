"""What a Sa2VA folder says of itself, checked before anything is built by it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, Field

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError

TILE = 448
"""Pixels along a side of a tile. The public code sets it, 1 to 12 tiles and a thumbnail in code, whatever the folder says."""

MAX_TILES = 12

TEXTS = ("Qwen2ForCausalLM", "InternLM2ForCausalLM")
"""Language models that are converted, by the names of their classes."""

TEMPLATES = ("qwen_chat", "internlm2_chat")
"""Chat templates that are converted; both write the same text."""

Size = Annotated[int, Field(gt=0, le=2**20)]
Rate = Annotated[float, Field(gt=0)]


class Scaling(BaseModel):
    """How rotary positions stretch beyond the trained length."""

    type: Literal["linear", "dynamic"] = Field(validation_alias=AliasChoices("type", "rope_type"))
    factor: Annotated[float, Field(ge=1)]


class Vision(BaseModel):
    """The vision tower, an InternViT; defaults are those of its own configuration class."""

    hidden_size: Size = 3200
    intermediate_size: Size = 12800
    num_hidden_layers: Size = 48
    num_attention_heads: Size = 25
    num_channels: Size = 3
    patch_size: Size = 14
    image_size: Size = 224
    hidden_act: str = "gelu"
    layer_norm_eps: Rate = 1e-6
    norm_type: Literal["layer_norm", "rms_norm"] = "rms_norm"
    qkv_bias: bool = False
    qk_normalization: bool = True
    attention_dropout: float = 0.0
    dropout: float = 0.0


class Text(BaseModel):
    """The language model; what a folder may leave out has the default of the class that it names."""

    architectures: Annotated[list[str], Field(min_length=1)]
    vocab_size: Size
    hidden_size: Size
    intermediate_size: Size
    num_hidden_layers: Size
    num_attention_heads: Size
    num_key_value_heads: Size | None = None
    max_position_embeddings: Annotated[int, Field(gt=0)] = 32_768
    hidden_act: str = "silu"
    rms_norm_eps: Rate = 1e-6
    rope_theta: Rate = 10_000
    rope_scaling: Scaling | None = None
    bias: bool = True
    attention_dropout: float = 0.0
    use_sliding_window: bool = False

    @property
    def groups(self) -> int:
        """Heads of keys and of values."""
        return self.num_key_value_heads or self.num_attention_heads


class Settings(BaseModel):
    """The configuration of a Sa2VA folder, as far as it decides what the model computes."""

    model_type: Literal["sa2va_chat"]
    vision_config: Vision
    llm_config: Text
    template: str
    select_layer: int = -1
    downsample_ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    ps_version: str = "v1"
    use_backbone_lora: int = 0
    use_llm_lora: int = 0
    torch_dtype: str | None = None

    @property
    def side(self) -> int:
        """Image tokens along a side of a tile."""
        return int(TILE // self.vision_config.patch_size * self.downsample_ratio)


def read(folder: str | Path) -> Settings:
    """Read a folder's `config.json`.

    Raises:
        MissingFileError: If there is none.
        RecordError: If it is not the configuration of a Sa2VA.
        ConfigError: If it is one of a kind that cannot be converted.
    """
    settings = records.read_json(Path(folder) / "config.json", Settings)
    for name, wanted in _differences(settings):
        raise ConfigError(f"{folder}: cannot convert this Sa2VA: expected {name} to be {wanted}")
    return settings


def _differences(settings: Settings) -> list[tuple[str, Any]]:
    """What keeps a folder from being converted, with what was expected."""
    vision, text = settings.vision_config, settings.llm_config
    checks = [
        ("llm_config.architectures", text.architectures[0], TEXTS),
        ("template", settings.template.replace("-", "_"), TEMPLATES),
        # v1 leaves rows and columns of the feature grid exchanged, which InternVL of transformers does not
        ("ps_version", settings.ps_version, ("v2",)),
        ("use_backbone_lora (adapters are merged first)", settings.use_backbone_lora, (0,)),
        ("use_llm_lora (adapters are merged first)", settings.use_llm_lora, (0,)),
        ("llm_config.use_sliding_window", text.use_sliding_window, (False,)),
        ("a multiple of num_attention_heads in hidden_size: the rest", text.hidden_size % text.num_attention_heads, (0,)),
        ("a multiple of num_key_value_heads in num_attention_heads: the rest", text.num_attention_heads % text.groups, (0,)),
        (
            "a multiple of num_attention_heads in the vision hidden_size: the rest",
            vision.hidden_size % vision.num_attention_heads,
            (0,),
        ),
        (
            "vision_config.layer_norm_eps with qk_normalization",
            vision.layer_norm_eps if vision.qk_normalization else 1e-6,
            (1e-6,),
        ),
        ("vision_config.patch_size (the public code knows no other)", vision.patch_size, (14,)),
        ("downsample_ratio (the public code knows no other)", settings.downsample_ratio, (0.5,)),
    ]
    return [(name, f"{' or '.join(map(repr, wanted))}; got {found!r}") for name, found, wanted in checks if found not in wanted]
