"""From a conversation, images and their regions to what a Sa2VA reads, token for token as its public code writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from PIL import Image
from torch.nn import functional
from transformers import ProcessorMixin
from transformers.image_utils import make_flat_list_of_images
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from spatialreasoner.core.errors import ConfigError, SceneError
from spatialreasoner.core.types import Region
from spatialreasoner.scenes.carry import MAX_CARRIED_REGIONS, attach, attached
from spatialreasoner.scenes.masks import encode
from spatialreasoner.vlm.sa2va.folder import MAX_TILES, TILE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IMAGE_TOKEN, IMAGE_START, IMAGE_END = "<IMG_CONTEXT>", "<img>", "</img>"
REGION_START, REGION_END = "<vp>", "</vp>"

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, of red, green and blue."""

_TEMPLATE = """\
{{%- macro words(text, asked) -%}}
    {{%- set said = namespace(text=text) -%}}
    {{%- if asked -%}}
        {{%- for number in range(1, {most} + 1) -%}}
            {{%- set said.text = said.text | replace('<region' ~ number ~ '>', 'region' ~ number) -%}}
        {{%- endfor -%}}
    {{%- endif -%}}
    {{{{- said.text -}}}}
{{%- endmacro -%}}
{{{{- {bos} -}}}}
{{%- for message in messages -%}}
    {{{{- '\\n' if not loop.first -}}}}
    {{{{- '<|im_start|>' ~ message['role'] ~ '\\n' -}}}}
    {{%- set asked = message['role'] == 'user' -%}}
    {{%- if message['content'] is string -%}}
        {{{{- words(message['content'], asked) -}}}}
    {{%- else -%}}
        {{%- for block in message['content'] -%}}
            {{{{- '{image}' if block['type'] == 'image' else words(block['text'], asked) -}}}}
        {{%- endfor -%}}
    {{%- endif -%}}
    {{{{- '<|im_end|>' -}}}}
{{%- endfor -%}}
{{%- if add_generation_prompt -%}}
    {{{{- '\\n<|im_start|>assistant\\n' -}}}}
{{%- endif -%}}
"""


def chat_template(bos: str) -> str:
    """The chat template of both kinds of Sa2VA, in Jinja.

    Questions name regions as the statement behind the image does: `<region1>` becomes `region1`. Answers stay as they are.

    Args:
        bos: What the tokenizer puts before a text; empty for Qwen's.
    """
    return _TEMPLATE.format(most=MAX_CARRIED_REGIONS, bos=repr(bos), image=IMAGE_TOKEN)


def image_processor() -> GotOcr2ImageProcessorPil:
    """Cuts images into 1 to 12 tiles and a thumbnail, by Pillow's bicubic filter as the public code; torchvision's differs."""
    return GotOcr2ImageProcessorPil(
        size={"height": TILE, "width": TILE},
        crop_to_patches=True,
        min_patches=1,
        max_patches=MAX_TILES,
        image_mean=list(_MEAN),
        image_std=list(_DEVIATION),
    )


def covered_cells(masks: Sequence[Bool[np.ndarray, "h w"]], side: int) -> Bool[np.ndarray, "regions side side"]:
    """The cells of the thumbnail that regions cover: masks of the whole image, by nearest neighbour.

    >>> covered_cells([np.eye(4, dtype=bool)], 2).tolist()
    [[[True, False], [False, True]]]
    """
    cells = [mask[_nearest(mask.shape[0], side)][:, _nearest(mask.shape[1], side)] for mask in masks]
    return np.stack(cells) if cells else np.zeros((0, side, side), dtype=bool)


def _nearest(length: int, side: int) -> Int[np.ndarray, " side"]:
    """The pixel of each cell along a side, as torch chooses it."""
    pixels = torch.arange(length, dtype=torch.float64)
    return functional.interpolate(pixels[None, None], size=side, mode="nearest").flatten().long().numpy()


def statement(counts: Sequence[int]) -> str:
    r"""What follows an image with regions.

    >>> statement([2, 0])
    '\nThere are 2 part regions in the picture: region1<vp><IMG_CONTEXT><IMG_CONTEXT></vp>, region2<vp></vp>.\n'

    Args:
        counts: How many cells each region covers.
    """
    if not counts:
        return ""
    named = [f"region{number}{REGION_START}{IMAGE_TOKEN * count}{REGION_END}" for number, count in enumerate(counts, 1)]
    return f"\nThere are {len(counts)} part regions in the picture: {', '.join(named)}.\n"


class Sa2VAProcessor(ProcessorMixin):
    """The processor of `Sa2VAForConditionalGeneration`: images carry their regions (`scenes.carry`), or are given them.

    Args:
        image_processor: Cuts images into tiles.
        tokenizer: A fast one, which knows Sa2VA's special tokens.
        image_seq_length: Tokens of a tile; a square number.
        chat_template: Of `chat_template`.

    Raises:
        ConfigError: If the tokenizer lacks one of the special tokens.
    """

    text_kwargs = {"padding_side": "left"}  # noqa: RUF012 - transformers reads it so

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        image_seq_length: int = 256,
        chat_template: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template, **kwargs)
        self.image_seq_length = image_seq_length
        self.image_token = IMAGE_TOKEN
        self.image_token_id = special_token(tokenizer, IMAGE_TOKEN)
        for token in (IMAGE_START, IMAGE_END, REGION_START, REGION_END):
            special_token(tokenizer, token)

    @classmethod
    def _get_arguments_from_pretrained(cls, source: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """Pillow's image processor also where torchvision is installed, whose filter gives other pixels."""
        _, tokenizer = super()._get_arguments_from_pretrained(source, *args, **kwargs)
        return [GotOcr2ImageProcessorPil.from_pretrained(source), tokenizer]

    @property
    def model_input_names(self) -> list[str]:
        """What the model takes."""
        return [*super().model_input_names, "region_masks"]

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride] - it has neither videos nor sounds
        self, images: Any = None, text: Any = None, *, regions: Any = None, **kwargs: Any
    ) -> Any:
        """As any processor; a text that begins with the tokenizer's first token is not given another.

        Args:
            images: Images, perhaps with regions; as many as there are `<IMG_CONTEXT>` in the texts.
            text: One or several.
            regions: Masks [h w] of the regions of each image in turn, one list per image, instead of those that images carry.
            kwargs: Of the tokenizer and the image processor.

        Returns:
            What the tokenizer gives; and of images `pixel_values` [tiles 3 height width] and `region_masks`
            [tiles regions side side], all zero but for an image's last tile.

        Raises:
            SceneError: If masks are not of their image's size, or there is not one list of them per image.
        """
        begun, texts = self.tokenizer.bos_token, [text] if isinstance(text, str) else list(text or [])
        if begun and texts and all(each.startswith(begun) for each in texts):
            kwargs.setdefault("add_special_tokens", False)
        if regions is not None:
            images = _carrying(images, regions)
        return super().__call__(images=images, text=text, **kwargs)

    def _process_images(self, images: Any, **kwargs: Any) -> tuple[Any, list[str]]:
        flat: Any = make_flat_list_of_images(images)
        processed = self.image_processor(images, **kwargs)
        tiles = [int(count) for count in processed.pop("num_patches")]
        regions = [self._cells(image) for image in flat]
        processed["region_masks"] = _by_tile(tiles, regions)
        return processed, [self._text(*each) for each in zip(tiles, regions, strict=True)]

    def _cells(self, image: Any) -> Bool[np.ndarray, "regions side side"]:
        masks = attached(image) if isinstance(image, Image.Image) else []
        return covered_cells(masks, round(self.image_seq_length**0.5))

    def _text(self, tiles: int, regions: Bool[np.ndarray, "regions side side"]) -> str:
        image = f"{IMAGE_START}{IMAGE_TOKEN * self.image_seq_length * tiles}{IMAGE_END}"
        return image + statement([int(cells.sum()) for cells in regions])


def _carrying(images: Any, regions: Sequence[Sequence[Bool[np.ndarray, "h w"]]]) -> Any:
    """Images in the same order and lists, each with its regions."""
    flat: Any = make_flat_list_of_images(images)
    if len(flat) != len(regions):
        raise SceneError(f"expected one list of masks for each of {len(flat)} images; got {len(regions)}")
    carriers = iter([_carrier(image, masks) for image, masks in zip(flat, regions, strict=True)])
    if isinstance(images, list | tuple):
        return [[next(carriers) for _ in each] if isinstance(each, list | tuple) else next(carriers) for each in images]
    return next(carriers)


def _carrier(image: Image.Image, masks: Sequence[Bool[np.ndarray, "h w"]]) -> Image.Image:
    coded = [encode(np.asarray(mask, dtype=bool)) for mask in masks]
    return attach(image, [Region(id=f"region{number}", label="", mask=mask) for number, mask in enumerate(coded, 1)])


def _by_tile(
    tiles: Sequence[int], regions: Sequence[Bool[np.ndarray, "regions side side"]]
) -> UInt8[np.ndarray, "tiles regions side side"]:
    """The regions of all images by tile: they are the last one's, the thumbnail's."""
    most = max(map(len, regions))
    masks = np.zeros((sum(tiles), most, *regions[0].shape[1:]), dtype=np.uint8)
    for last, cells in zip(np.cumsum(tiles) - 1, regions, strict=True):
        masks[last, : len(cells)] = cells
    return masks


def special_token(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    """The id of a special token.

    Raises:
        ConfigError: If the tokenizer has none of that name.
    """
    ids = tokenizer.encode(token, add_special_tokens=False)
    if len(ids) != 1 or tokenizer.convert_ids_to_tokens(ids[0]) != token:
        raise ConfigError(f"expected a tokenizer with Sa2VA's special token {token!r}; this one reads it as {ids[:8]}")
    return ids[0]
