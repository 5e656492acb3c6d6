"""What every family with tokens for regions has in common, mixed into the classes of transformers (`vlm.region_families`).

The models add to the embedding of each `<regionK>`, in prompts and answers alike, a vector of that region of the latest image
(`vlm.region_encoder`); the processors read the regions that images carry (`scenes.carry`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count, takewhile
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional
from transformers import initialization as init
from transformers.image_utils import make_flat_list_of_images

from spatialreasoner.core.errors import ConfigError, SceneError
from spatialreasoner.scenes.carry import attached
from spatialreasoner.vlm.region_encoder import RegionEncoder
from spatialreasoner.vlm.region_tokens import latest_image, place_regions, region_numbers

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    _Mixed = Any
else:
    _Mixed = object

_NAME = re.compile(r"<region([1-9]\d?)>")


def region_token_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens `<region1>`, `<region2>`, ... of a tokenizer, up to the first that it lacks."""
    vocabulary: dict[str, int] = tokenizer.get_added_vocab()  # pyright: ignore - it is typed as a value of the settings
    named = {_NAME.fullmatch(text): token for text, token in vocabulary.items()}
    found = {int(name[1]): token for name, token in named.items() if name}
    return [found[number] for number in takewhile(found.__contains__, count(1))]


MASK_SIDE = 168
"""Cells along a side of the masks that models are given; a multiple of 24, the patches along a side of LLaVA 1.5."""

_VECTORS = "region_vectors"
"""Under this name an image's features, which `generate` computes beforehand and hands about, have its regions with them, and
the cache of keys and values those of each row, for tokens that are generated later."""


@dataclass(kw_only=True, repr=False, eq=False)
class RegionConfig:
    """Mixed into the configuration, after it, whose other parts are the family's.

    Attributes:
        region_tokens: True: regions reach the model as tokens, not as marks on the image.
        region_token_ids: The tokens `<region1>`, `<region2>`, ...
    """

    region_tokens: bool = True
    region_token_ids: list[int] = field(default_factory=list[int])


class RegionModel(_Mixed):
    """Mixed into the model without a head, before it: adds the vectors of regions to the embeddings of their tokens."""

    image_arguments: tuple[str, ...]
    """What `get_image_features` of the family takes beside the pixels."""

    embeds_by_ids = False
    """Whether the family's forward pass wants token ids beside embeddings, to place images by them."""

    embeds_images = True
    """Whether images are embedded here; else the family's forward pass does, which tells their places by the embeddings."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.region_encoder = RegionEncoder(config.get_text_config().hidden_size)
        self.post_init()

    def forward(
        self,
        input_ids: Int[Tensor, "rows tokens"] | None = None,
        *,
        inputs_embeds: Float[Tensor, "rows tokens width"] | None = None,
        pixel_values: Tensor | None = None,
        region_masks: UInt8[Tensor, "images regions side side"] | None = None,
        mm_encoder_outputs: dict[str, Any] | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        **kwargs: Any,
    ) -> Any:
        """As the family's own forward pass; by keywords, as the class with a head calls it.

        Args:
            input_ids: Tokens. Embeddings instead of them are taken as they are, without regions.
            inputs_embeds: Their embeddings.
            pixel_values: The images, as the family has them.
            region_masks: How much of each cell of each image each region covers, 0..255.
            mm_encoder_outputs: What `get_image_features` gave, instead of images and masks.
            position_ids: Positions; where they begin again at 0, a conversation does.
            past_key_values: The cache; it also keeps each row's regions.
            kwargs: All else that the family takes.
        """
        given = {"position_ids": position_ids, "past_key_values": past_key_values, **kwargs}
        if input_ids is None or inputs_embeds is not None:
            given |= {"pixel_values": pixel_values, "mm_encoder_outputs": mm_encoder_outputs}
            return super().forward(input_ids, inputs_embeds=inputs_embeds, **given)
        encoded = dict(mm_encoder_outputs or {})
        seen = encoded.pop("image", None)
        if seen is None and pixel_values is not None:
            how = {name: kwargs.get(name) for name in self.image_arguments}
            seen = self.get_image_features(pixel_values, region_masks=region_masks, **how)
        images = [] if seen is None else seen.pooler_output
        embeddings, latest = self._embed(input_ids, images, position_ids, getattr(past_key_values, _VECTORS, None))
        if seen is not None and not self.embeds_images:
            encoded["image"] = seen
        given |= {"inputs_embeds": embeddings, "mm_encoder_outputs": encoded or None}
        given["position_ids"] = self._positions(input_ids, given)
        output = super().forward(input_ids if self.embeds_by_ids else None, **given)
        cache = getattr(output, "past_key_values", None)
        if cache is not None:
            setattr(cache, _VECTORS, latest)
        return output

    def _embed(
        self,
        input_ids: Int[Tensor, "rows tokens"],
        images: Sequence[Float[Tensor, "cells width"]],
        position_ids: Tensor | None,
        kept: Float[Tensor, "rows regions width"] | None,
    ) -> tuple[Float[Tensor, "rows tokens width"], Float[Tensor, "rows regions width"]]:
        """Embeddings of tokens, images and regions; and the regions of each row's latest image."""
        embeddings = self.get_input_embeddings()(input_ids)
        numbers = region_numbers(input_ids, self.config.region_token_ids)
        vectors = embeddings.new_zeros(0, self._num_regions, embeddings.shape[-1])
        latest = torch.full_like(input_ids, -1)
        if len(images):
            joined = torch.cat([*images]).to(embeddings)
            self.get_placeholder_mask(input_ids, inputs_embeds=embeddings, image_features=joined)  # checks their number
            is_image = input_ids == self.config.image_token_id
            if self.embeds_images:
                embeddings = embeddings.masked_scatter(is_image[..., None], joined)
            sizes = torch.tensor([len(each) for each in images], device=input_ids.device)
            latest = latest_image(is_image, sizes, position_ids)
            vectors = torch.stack([getattr(each, _VECTORS) for each in images]).to(embeddings)
        return place_regions(embeddings, numbers, latest, vectors, kept)

    def _positions(self, input_ids: Int[Tensor, "rows tokens"], given: dict[str, Any]) -> Tensor | None:
        """The positions that the family's forward pass is given: those that this one was, if any."""
        return given["position_ids"]

    def _with_regions(self, seen: Any, grids: Sequence[tuple[int, int]], masks: Tensor | None) -> Any:
        """The output of `get_image_features`, each image's features with its regions."""
        images: Sequence[Tensor] = seen.pooler_output
        if masks is None:
            masks = torch.zeros(len(images), 0, MASK_SIDE, MASK_SIDE, dtype=torch.uint8, device=images[0].device)
        if len(masks) != len(images):
            raise ConfigError(f"expected region_masks of each of {len(images)} images; got {len(masks)}")
        vectors = self.region_encoder(images, grids, masks[:, : self._num_regions])
        vectors = functional.pad(vectors, (0, 0, 0, self._num_regions - vectors.shape[1]))
        for image, regions in zip(images, vectors, strict=True):
            setattr(image, _VECTORS, regions)
        return seen

    @property
    def _num_regions(self) -> int:
        return len(self.config.region_token_ids)


class RegionGenerator(_Mixed):
    """Mixed into the model with its head, before it; `region_masks` go beside `pixel_values`."""

    body: type[Any]
    """The class of the model without a head."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = self.body(config)
        self.post_init()

    def prepare_inputs_for_generation(self, *args: Any, region_masks: Tensor | None = None, **kwargs: Any) -> dict[str, Any]:
        """The family's own inputs, and the masks, which `generate` would otherwise refuse as unknown arguments."""
        return {**super().prepare_inputs_for_generation(*args, **kwargs), "region_masks": region_masks}

    def _init_weights(self, module: torch.nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, RegionEncoder):
            init.zeros_(module.last.weight)


class RegionProcessor(_Mixed):
    """Mixed into a processor, before it: reads the regions that images carry."""

    @property
    def model_input_names(self) -> list[str]:
        """What the model takes."""
        return [*super().model_input_names, "region_masks"]

    def _process_images(self, images: Any, **kwargs: Any) -> tuple[Any, list[str]]:
        processed, replacements = super()._process_images(images, **kwargs)
        flat: Any = make_flat_list_of_images(images)
        processed["region_masks"] = self._region_masks(flat)
        return processed, replacements

    def _region_masks(self, images: Sequence[Any]) -> UInt8[np.ndarray, "images regions side side"]:
        found = [attached(image) if isinstance(image, Image.Image) else [] for image in images]
        most, known = max(map(len, found)), len(region_token_ids(self.tokenizer))
        if most > known:
            raise SceneError(
                f"expected at most {known} regions per image, the number of this model's region tokens; got {most}"
            )
        masks = np.zeros((len(images), most, MASK_SIDE, MASK_SIDE), dtype=np.uint8)
        for index, regions in enumerate(found):
            for number, mask in enumerate(regions):
                masks[index, number] = np.asarray(self._seen(mask).resize((MASK_SIDE, MASK_SIDE), Image.Resampling.BOX))
        return masks

    def _seen(self, mask: Bool[np.ndarray, "h w"]) -> Image.Image:
        """The mask of what the model sees of the image."""
        return Image.fromarray(mask.astype(np.uint8) * 255)
