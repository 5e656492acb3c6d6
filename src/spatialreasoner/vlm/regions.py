"""Region tokens for other vision-language models: `<region1>` embeds its name and what its region looks like.

`add_region_tokens` turns an ordinary LLaVA, Qwen2.5-VL, Qwen3-VL or InternVL into one of `vlm.region_families`. Train it then,
by SFT first: until then the new tokens mean little to it, and the regions' vectors are 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from tokenizers import AddedToken
from transformers import AutoConfig

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.scenes.carry import MAX_CARRIED_REGIONS
from spatialreasoner.vlm.adapters import base_of
from spatialreasoner.vlm.declared import refuse_layers
from spatialreasoner.vlm.region_encoder import RegionEncoder
from spatialreasoner.vlm.region_families import REGION_CLASSES
from spatialreasoner.vlm.region_models import region_token_ids
from spatialreasoner.vlm.sa2va import SA2VA
from spatialreasoner.vlm.sources import config_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin


def has_region_tokens(source: str) -> bool:
    """Whether a folder or repository holds a model with region tokens, or an adapter of one; False if nothing can tell.

    Raises:
        ConfigError: If its configuration declares more layers than its weights can have.
    """
    source = base_of(source)
    if config_of(source).get("model_type") == SA2VA:
        return True
    refuse_layers(source)
    try:
        return bool(getattr(AutoConfig.from_pretrained(source, trust_remote_code=False), "region_tokens", False))
    except (OSError, ValueError, KeyError):
        return False


def add_region_tokens(
    model: PreTrainedModel, processor: ProcessorMixin, *, num_regions: int = 8, seed: int = 0
) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Give a model tokens `<region1>`, `<region2>`, ... that embed what their regions look like.

    Model and processor are changed in place, weights are not copied: their classes become those that transformers loads such
    a model with. A new token starts as the mean of the pieces that its name was before, and every region's vector as 0.

    Args:
        model: A LLaVA, Qwen2.5-VL, Qwen3-VL or InternVL.
        processor: Its processor.
        num_regions: Maximum number of regions per image.
        seed: Seed of the weights of the region encoder.

    Returns:
        The model and the processor; as they were, if the model already has region tokens.

    Raises:
        ConfigError: If the model is of another family, or the number of regions is out of range.
    """
    changed: Any = model
    if getattr(model.config, "region_tokens", False):
        return model, processor
    if not 1 <= num_regions <= MAX_CARRIED_REGIONS:
        raise ConfigError(f"num_regions must be in 1..{MAX_CARRIED_REGIONS}; got {num_regions}")
    if model.config.model_type not in REGION_CLASSES:
        raise ConfigError(
            f"region tokens can be given to {', '.join(REGION_CLASSES)}; got a model of type {model.config.model_type!r}. "
            "Show other models marks"
        )
    _check_square(model.config)
    config_class, model_class, generator_class, processor_class = REGION_CLASSES[model.config.model_type]
    _add_tokens(changed, processor, num_regions)
    # As FSDP2 does; a copy would need the memory of a second model
    changed.config.__class__, changed.__class__, changed.model.__class__ = config_class, generator_class, model_class
    processor.__class__ = _over(processor_class, type(processor))
    changed.config.region_tokens = True
    changed.config.region_token_ids = region_token_ids(_tokenizer(processor))
    changed.config.architectures = [generator_class.__name__]
    changed._weight_conversions = None  # the names under which its old class reads weights from files
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = RegionEncoder(changed.config.get_text_config().hidden_size)
    changed.model.region_encoder = encoder.to(changed.device, changed.dtype)
    return model, processor


def _over(extended: type[Any], own: type[Any]) -> type[Any]:
    """The extended class over the processor's own, which may be one that does without videos (`vlm.processors`)."""
    return extended if own in extended.__mro__ else type(extended.__name__, (extended, own), {})


def _check_square(config: Any) -> None:
    """LLaVA with a tower that keeps an image's proportions does not say how its cells lie."""
    if config.model_type == "llava" and config.vision_config.model_type not in {"clip_vision_model", "siglip_vision_model"}:
        raise ConfigError(f"expected a vision tower of CLIP or SigLIP; got {config.vision_config.model_type!r}")


@torch.no_grad()
def _add_tokens(model: Any, processor: ProcessorMixin, count: int) -> None:
    """Add the tokens, each starting as the mean of its pieces, where the model reads and where it writes them."""
    tokenizer = _tokenizer(processor)
    names = [f"<region{number}>" for number in range(1, count + 1)]
    pieces = [tokenizer(name, add_special_tokens=False)["input_ids"] for name in names]
    # No special tokens, which decoding would skip: answers name regions
    tokenizer.add_tokens([AddedToken(name, special=False, normalized=False) for name in names])
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    for matrix in (model.get_input_embeddings().weight, model.get_output_embeddings().weight):
        matrix[tokenizer.convert_tokens_to_ids(names)] = torch.stack([matrix[each].mean(0) for each in pieces])


def _tokenizer(processor: ProcessorMixin) -> Any:
    return processor.tokenizer  # pyright: ignore[reportAttributeAccessIssue]


def adapter_options(model: PreTrainedModel) -> dict[str, Any]:
    """What `peft.LoraConfig` needs beside the adapters' own settings, so that tokens of `add_region_tokens` train as well.

    The region encoder trains whole, and of the embeddings the tokens' own rows.
    """
    config: Any = model.config
    if not any(isinstance(config, family[0]) for family in REGION_CLASSES.values()):
        return {}
    ids = list(config.region_token_ids)
    read, written = cast("tuple[Any, Any]", (model.get_input_embeddings(), model.get_output_embeddings()))
    tied = read.weight is written.weight  # whatever the configuration says
    return {
        "modules_to_save": ["region_encoder"],
        "trainable_token_indices": {"embed_tokens": ids} if tied else {"embed_tokens": ids, "lm_head": ids},
    }
