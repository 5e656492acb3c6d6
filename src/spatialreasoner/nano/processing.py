"""Text and images to what the nano reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from transformers import BatchFeature, ProcessorMixin

from spatialreasoner.core.errors import SceneError
from spatialreasoner.nano.tokenizer import IMAGE, NUM_REGIONS
from spatialreasoner.scenes.carry import attached
from spatialreasoner.scenes.squares import square_image, square_mask

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

NANO_CHAT_TEMPLATE = (
    "{% macro said(role, text) %}{% if role == 'user' %}{{ text[:1] | upper }}{{ text[1:] }}{% else %}{{ text }}{% endif %}"
    "{% endmacro %}"
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['content'] is string %}{{ said(message['role'], message['content']) }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}" + IMAGE + "{% else %}{{ said(message['role'], part['text']) }}{% endif %}"
    "{% endfor %}{% endif %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""Questions begin with a capital, as all do that the nano was taught: to its tokens, "how far" is not "How far"."""


class NanoProcessor(ProcessorMixin):
    """Images, with the regions that they carry (`scenes.carry`), and text.

    An image is padded to a square, so that nothing is stretched.

    Args:
        image_processor: Resizes squares and normalises them.
        tokenizer: Of `train_tokenizer`.
        num_image_tokens: Tokens that an image takes.
    """

    def __init__(
        self,
        image_processor: CLIPImageProcessorPil | None = None,
        tokenizer: PreTrainedTokenizerFast | None = None,
        num_image_tokens: int = 16,
        chat_template: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.num_image_tokens = num_image_tokens
        self.image_token = IMAGE
        self.image_token_id = None if tokenizer is None else tokenizer.convert_tokens_to_ids(IMAGE)
        super().__init__(image_processor, tokenizer, chat_template=chat_template or NANO_CHAT_TEMPLATE)

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]  (its parent lists every modality there is)
        self, images: Any = None, text: str | Sequence[str] | None = None, **kwargs: Any
    ) -> BatchFeature:
        """Encode.

        Args:
            images: An image, a list of images, or a list of them for each text; None for text alone. Each may also be
                the address, the path or the data URL of one, as chat templates of servers hand them on.
            text: A text or several; each image has one placeholder.
            kwargs: Arguments of the tokenizer.

        Returns:
            What the tokenizer gives; and for images `pixel_values` [images 3 height width] and `region_masks`
            [images regions height width], zero where an image has fewer regions than another.

        Raises:
            SceneError: If an image carries something else than masks, or the placeholders are not as many as the images.
        """
        given = [] if images is None else _flat(self.image_processor.fetch_images(images))
        texts = [text] if isinstance(text, str) else list(text or ())
        placeholders = sum(each.count(IMAGE) for each in texts)
        if texts and placeholders != len(given):
            raise SceneError(f"expected a placeholder {IMAGE} for each image; got {placeholders} for {len(given)} images")
        if len(texts) < 2 or kwargs.get("padding"):  # several of different lengths are not a tensor
            kwargs.setdefault("return_tensors", "pt")
        encoded: dict[str, Any] = {}
        if texts:
            encoded |= self.tokenizer([each.replace(IMAGE, IMAGE * self.num_image_tokens) for each in texts], **kwargs)
        if given:
            squares = [square_image(image.convert("RGB")) for image in given]
            encoded |= self.image_processor(squares, return_tensors="pt")
            encoded["region_masks"] = self._masks(given)
        return BatchFeature(encoded)

    @property
    def model_input_names(self) -> list[str]:
        """What the model takes."""
        return ["input_ids", "attention_mask", "pixel_values", "region_masks"]

    def _masks(self, images: Sequence[Image.Image]) -> torch.Tensor:
        side = self.image_processor.size["height"]
        masks = [[square_mask(mask, side) for mask in attached(image)[:NUM_REGIONS]] for image in images]
        padded = torch.zeros(len(masks), max(1, *map(len, masks)) if masks else 1, side, side, dtype=torch.uint8)
        for index, each in enumerate(masks):
            for number, mask in enumerate(each):
                padded[index, number] = torch.from_numpy(mask)
        return padded


def _flat(images: Any) -> list[Image.Image]:
    if isinstance(images, Image.Image):
        return [images]
    return [image for each in images for image in _flat(each)]
