"""Families of vision-language models with tokens for regions: configurations, models and processors of transformers.

What they have in common is in `vlm.region_models`. The classes are registered with transformers when this module is imported,
which `vlm.loading` does: their folders are plain safetensors, which the Auto classes read without remote code.
`vlm.regions.add_region_tokens` makes such a model of an ordinary one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from PIL import Image
from torch import Tensor
from transformers import (
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLModel,
    InternVLProcessor,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaModel,
    LlavaProcessor,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLModel,
    Qwen2_5_VLProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLModel,
    Qwen3VLMoeConfig,
    Qwen3VLMoeForConditionalGeneration,
    Qwen3VLMoeModel,
    Qwen3VLProcessor,
)

from spatialreasoner.vlm.region_models import RegionConfig, RegionGenerator, RegionModel, RegionProcessor
from spatialreasoner.vlm.registration import register
from spatialreasoner.vlm.sa2va import modeling  # pyright: ignore[reportUnusedImport]  # noqa: F401 - registers its classes


class RegionLlavaConfig(LlavaConfig, RegionConfig):
    """A LLaVA with tokens for regions."""

    model_type = "region_llava"


class RegionLlavaModel(RegionModel, LlavaModel):  # pyright: ignore[reportIncompatibleMethodOverride] - called by keywords
    """LLaVA with tokens for regions, without its head."""

    config_class = RegionLlavaConfig

    image_arguments = ("vision_feature_layer", "vision_feature_select_strategy", "image_sizes")

    def get_image_features(
        self,
        pixel_values: Tensor,
        vision_feature_layer: int | list[int] | None = None,
        vision_feature_select_strategy: str | None = None,
        image_sizes: Tensor | None = None,
        region_masks: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """As `LlavaModel`, each image's features with its regions."""
        how = {
            "vision_feature_layer": vision_feature_layer,
            "vision_feature_select_strategy": vision_feature_select_strategy,
            "image_sizes": image_sizes,
        }
        seen: Any = super().get_image_features(pixel_values, **{**kwargs, **how, "return_dict": True})
        side = math.isqrt(len(seen.pooler_output[0]))
        return self._with_regions(seen, [(side, side)] * len(seen.pooler_output), region_masks)


class RegionLlavaForConditionalGeneration(RegionGenerator, LlavaForConditionalGeneration):
    """LLaVA with tokens for regions."""

    config_class = RegionLlavaConfig
    body = RegionLlavaModel


class RegionLlavaProcessor(RegionProcessor, LlavaProcessor):
    """The processor of `RegionLlavaForConditionalGeneration`."""

    def _seen(self, mask: Bool[np.ndarray, "h w"]) -> Image.Image:
        # The very steps that images go through, a crop among them
        image = super()._seen(mask).convert("RGB")
        pixels = self.image_processor(image, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"]
        return Image.fromarray(np.clip(np.rint(pixels[0][0]), 0, 255).astype(np.uint8))


class RegionQwen2_5_VLConfig(Qwen2_5_VLConfig, RegionConfig):
    """A Qwen2.5-VL with tokens for regions."""

    model_type = "region_qwen2_5_vl"


class QwenRegions(RegionModel):
    """What every Qwen-VL with tokens for regions does: images come with the grid of their patches."""

    image_arguments = ("image_grid_thw",)

    def get_image_features(
        self, pixel_values: Tensor, image_grid_thw: Any = None, region_masks: Tensor | None = None, **kwargs: Any
    ) -> Any:
        """As the family's own, each image's features with its regions."""
        seen: Any = super().get_image_features(pixel_values, image_grid_thw, **{**kwargs, "return_dict": True})
        grids = image_grid_thw[:, 1:] // self.visual.spatial_merge_size
        return self._with_regions(seen, [(height, width) for height, width in grids.tolist()], region_masks)


class RegionQwen2_5_VLModel(QwenRegions, Qwen2_5_VLModel):  # pyright: ignore[reportIncompatibleMethodOverride] - likewise
    """Qwen2.5-VL with tokens for regions, without its head."""

    config_class = RegionQwen2_5_VLConfig
    embeds_by_ids = True


class RegionQwen2_5_VLForConditionalGeneration(RegionGenerator, Qwen2_5_VLForConditionalGeneration):
    """Qwen2.5-VL with tokens for regions."""

    config_class = RegionQwen2_5_VLConfig
    body = RegionQwen2_5_VLModel


class RegionQwen2_5_VLProcessor(RegionProcessor, Qwen2_5_VLProcessor):
    """The processor of `RegionQwen2_5_VLForConditionalGeneration`."""


class RegionQwen3VLConfig(Qwen3VLConfig, RegionConfig):
    """A Qwen3-VL with tokens for regions."""

    model_type = "region_qwen3_vl"


class Qwen3Regions(QwenRegions):
    """What a Qwen3-VL with tokens for regions does, with experts or without.

    Its forward pass takes ids or embeddings, never both, and has to see where images are itself: their features enter several
    layers (DeepStack).
    """

    embeds_images = False

    def _positions(self, input_ids: Int[Tensor, "rows tokens"], given: dict[str, Any]) -> Tensor | None:
        if given["position_ids"] is not None:
            return given["position_ids"]
        names = ("inputs_embeds", "image_grid_thw", "video_grid_thw", "attention_mask", "past_key_values", "mm_token_type_ids")
        return self.compute_3d_position_ids(input_ids, **{name: given.get(name) for name in names})


class RegionQwen3VLModel(Qwen3Regions, Qwen3VLModel):  # pyright: ignore[reportIncompatibleMethodOverride] - likewise
    """Qwen3-VL with tokens for regions, without its head."""

    config_class = RegionQwen3VLConfig


class RegionQwen3VLForConditionalGeneration(RegionGenerator, Qwen3VLForConditionalGeneration):
    """Qwen3-VL with tokens for regions."""

    config_class = RegionQwen3VLConfig
    body = RegionQwen3VLModel


class RegionQwen3VLProcessor(RegionProcessor, Qwen3VLProcessor):
    """The processor of `RegionQwen3VLForConditionalGeneration`, and of that of experts."""


class RegionQwen3VLMoeConfig(Qwen3VLMoeConfig, RegionConfig):
    """A Qwen3-VL of experts with tokens for regions."""

    model_type = "region_qwen3_vl_moe"


class RegionQwen3VLMoeModel(Qwen3Regions, Qwen3VLMoeModel):  # pyright: ignore[reportIncompatibleMethodOverride] - likewise
    """Qwen3-VL of experts with tokens for regions, without its head."""

    config_class = RegionQwen3VLMoeConfig


class RegionQwen3VLMoeForConditionalGeneration(RegionGenerator, Qwen3VLMoeForConditionalGeneration):
    """Qwen3-VL of experts with tokens for regions."""

    config_class = RegionQwen3VLMoeConfig
    body = RegionQwen3VLMoeModel


class RegionInternVLConfig(InternVLConfig, RegionConfig):
    """An InternVL with tokens for regions."""

    model_type = "region_internvl"


class RegionInternVLModel(RegionModel, InternVLModel):  # pyright: ignore[reportIncompatibleMethodOverride] - likewise
    """InternVL with tokens for regions, without its head.

    An image's last tile is the whole of it, in small, and the latest one before what follows: regions are of that tile, as in
    Sa2VA.
    """

    config_class = RegionInternVLConfig

    image_arguments = ("vision_feature_layer", "vision_feature_select_strategy")

    def get_image_features(
        self,
        pixel_values: Tensor,
        vision_feature_layer: int | list[int] | None = None,
        vision_feature_select_strategy: str | None = None,
        region_masks: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """As `InternVLModel`, each tile's features with its regions."""
        how = {"vision_feature_layer": vision_feature_layer, "vision_feature_select_strategy": vision_feature_select_strategy}
        seen: Any = super().get_image_features(pixel_values, **{**kwargs, **how, "return_dict": True})
        seen.pooler_output = list(seen.pooler_output)  # tensors that keep what they are told
        side = math.isqrt(len(seen.pooler_output[0]))
        return self._with_regions(seen, [(side, side)] * len(seen.pooler_output), region_masks)


class RegionInternVLForConditionalGeneration(RegionGenerator, InternVLForConditionalGeneration):
    """InternVL with tokens for regions."""

    config_class = RegionInternVLConfig
    body = RegionInternVLModel


class RegionInternVLProcessor(RegionProcessor, InternVLProcessor):
    """The processor of `RegionInternVLForConditionalGeneration`: masks are of tiles, and empty but for each image's last."""

    def _process_images(self, images: Any, **kwargs: Any) -> tuple[Any, list[str]]:
        processed, replacements = super()._process_images(images, **kwargs)
        masks = processed["region_masks"]
        last = np.cumsum(np.asarray(processed["num_patches"])) - 1
        processed["region_masks"] = np.zeros((last[-1] + 1, *masks.shape[1:]), dtype=masks.dtype)
        processed["region_masks"][last] = masks
        return processed, replacements


REGION_CLASSES: dict[str, tuple[type[Any], type[Any], type[Any], type[Any]]] = {
    "llava": (RegionLlavaConfig, RegionLlavaModel, RegionLlavaForConditionalGeneration, RegionLlavaProcessor),
    "qwen2_5_vl": (
        RegionQwen2_5_VLConfig,
        RegionQwen2_5_VLModel,
        RegionQwen2_5_VLForConditionalGeneration,
        RegionQwen2_5_VLProcessor,
    ),
    "qwen3_vl": (RegionQwen3VLConfig, RegionQwen3VLModel, RegionQwen3VLForConditionalGeneration, RegionQwen3VLProcessor),
    "qwen3_vl_moe": (
        RegionQwen3VLMoeConfig,
        RegionQwen3VLMoeModel,
        RegionQwen3VLMoeForConditionalGeneration,
        RegionQwen3VLProcessor,
    ),
    "internvl": (RegionInternVLConfig, RegionInternVLModel, RegionInternVLForConditionalGeneration, RegionInternVLProcessor),
}
"""By the model type that is extended: its configuration, model, model with a head, and processor."""

for _config, _, _model, _processor in REGION_CLASSES.values():
    register(_config, _model, _processor)
