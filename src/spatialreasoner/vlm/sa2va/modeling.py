"""InternVL of transformers with Sa2VA's regions, whose tokens are the thumbnail's features of the cells that they cover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from transformers import InternVLConfig, InternVLForConditionalGeneration, InternVLModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.vlm.registration import register
from spatialreasoner.vlm.sa2va.processing import Sa2VAProcessor


class Sa2VAConfig(InternVLConfig):
    """An InternVL with regions.

    Attributes:
        region_tokens: True: regions reach the model as tokens, not as marks on the image.
    """

    model_type = "spatialreasoner_sa2va"

    region_tokens: bool = True


def features_with_regions(
    features: Float[Tensor, "tiles cells width"], masks: UInt8[Tensor, "tiles regions side side"]
) -> list[Float[Tensor, "tokens width"]]:
    """Each tile's features, and after them those of the cells that its regions cover, region by region.

    The features are taken as they are, not pooled: a region that covers 5 cells has 5 of them, an empty one has none.

    >>> tiles = torch.arange(8.0).view(2, 4, 1)
    >>> masks = torch.tensor([[[0, 0, 0, 0]] * 2, [[0, 1, 0, 0], [1, 1, 0, 0]]]).view(2, 2, 2, 2)
    >>> [each.flatten().tolist() for each in features_with_regions(tiles, masks.byte())]
    [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0, 5.0, 4.0, 5.0]]

    Args:
        features: Of all tiles of all images, rows of cells one after the other.
        masks: Which cells of each tile each region covers; all zero but for an image's last tile, its thumbnail.

    Raises:
        ConfigError: If there is no mask for each tile and cell.
    """
    covered = masks.flatten(2).bool()
    if len(covered) != len(features) or covered.shape[2] != features.shape[1]:
        raise ConfigError(
            f"expected region_masks of {len(features)} tiles with {features.shape[1]} cells; got {list(masks.shape)}"
        )
    counted = zip(features, covered, strict=True)
    return [torch.cat([tile, *(tile[cells] for cells in regions)]) for tile, regions in counted]


class Sa2VAModel(InternVLModel):  # pyright: ignore[reportIncompatibleMethodOverride] - called by keywords
    """InternVL with regions, without its head."""

    config_class = Sa2VAConfig

    def get_image_features(
        self,
        pixel_values: Tensor,
        vision_feature_layer: int | list[int] | None = None,
        vision_feature_select_strategy: str | None = None,
        region_masks: UInt8[Tensor, "tiles regions side side"] | None = None,
        **kwargs: Any,
    ) -> Any:
        """As `InternVLModel`; with masks, `pooler_output` is a list of each tile's features with its regions."""
        how: dict[str, Any] = {
            "vision_feature_layer": vision_feature_layer,
            "vision_feature_select_strategy": vision_feature_select_strategy,
            "return_dict": True,
        }
        seen: Any = super().get_image_features(pixel_values, **{**kwargs, **how})
        if region_masks is not None:
            seen.pooler_output = features_with_regions(seen.pooler_output, region_masks)
        return seen

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride] - likewise
        self,
        input_ids: Any = None,
        *,
        pixel_values: Float[Tensor, "tiles 3 height width"] | None = None,
        region_masks: UInt8[Tensor, "tiles regions side side"] | None = None,
        mm_encoder_outputs: dict[str, Any] | None = None,
        vision_feature_layer: int | list[int] | None = None,
        vision_feature_select_strategy: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """As `InternVLModel`; by keywords, as the class with a head calls it.

        Args:
            input_ids: Tokens [rows tokens]; those of an image and those of its regions are the same one.
            pixel_values: Tiles of all images, each image's thumbnail last.
            region_masks: Which cells of each tile each region covers.
            mm_encoder_outputs: What `get_image_features` gave, instead of tiles and masks.
            vision_feature_layer: As there.
            vision_feature_select_strategy: As there.
            kwargs: All else that InternVL takes.
        """
        encoded = dict(mm_encoder_outputs or {})
        if encoded.get("image") is None and pixel_values is not None:
            how = (vision_feature_layer, vision_feature_select_strategy, region_masks)
            encoded["image"] = self.get_image_features(pixel_values, *how)
        if encoded.get("image") is not None:
            encoded["image"] = _joined(encoded["image"].pooler_output)
        return super().forward(input_ids, mm_encoder_outputs=encoded or None, **kwargs)


def _joined(features: Sequence[Tensor]) -> BaseModelOutputWithPooling:
    """Features of tiles, with and without regions, as InternVL takes them: one after the other."""
    return BaseModelOutputWithPooling(pooler_output=torch.cat([*features])[None])  # pyright: ignore[reportArgumentType]


class Sa2VAForConditionalGeneration(InternVLForConditionalGeneration):
    """InternVL with regions; `region_masks` go beside `pixel_values`."""

    config_class = Sa2VAConfig

    def __init__(self, config: Sa2VAConfig) -> None:
        super().__init__(config)
        self.model = Sa2VAModel(config)
        self.post_init()

    def prepare_inputs_for_generation(self, *args: Any, region_masks: Tensor | None = None, **kwargs: Any) -> dict[str, Any]:
        """InternVL's inputs, and the masks, which `generate` would otherwise refuse as unknown arguments."""
        parent: Any = super()
        return {**parent.prepare_inputs_for_generation(*args, **kwargs), "region_masks": region_masks}


register(Sa2VAConfig, Sa2VAForConditionalGeneration, Sa2VAProcessor)
