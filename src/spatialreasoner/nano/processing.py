"""Text and pictures to what the nano reads.

Numbers are what spatial answers turn on, so the first two digits of a number are one token (`0.57`, `1.2`, `36`) and one
prediction tells its size; further digits follow in tokens of their own. Any text survives encoding and decoding.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature, ProcessorMixin

from spatialreasoner.errors import SceneError
from spatialreasoner.scene.carry import attached

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

NUM_REGIONS = 16
PAD, END, IMAGE = "<|pad|>", "<|end|>", "<|image|>"
TURNS = ("<|system|>", "<|user|>", "<|assistant|>")
TAGS = ("<description>", "</description>", "<reasoning>", "</reasoning>")
NUMBER = r"0\.\d\d|[1-9]\.\d|\.\d\d|\d\d|\d"
"""Two digits of a number, or what follows them."""

WORD = r" ?[A-Za-z']+(?: (?=\d)| $)?| ?[^\sA-Za-z0-9]+(?: (?=\d)| $)?|\s+"
"""A word or signs with the blank before them; and the blank after them, where a number or a region comes next."""

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}" + IMAGE + "{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def region_name(number: int) -> str:
    """The name of a region; numbers start at 1.

    >>> region_name(1)
    '<region1>'
    """
    return f"<region{number}>"


def train_tokenizer(texts: Iterable[str], *, vocabulary: int = 1600) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer that keeps two digits together.

    Args:
        texts: What its words are learned from.
        vocabulary: At most so many tokens beside the special ones; 256 are the bytes and 420 are numbers.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    numbers = _number_merges()
    tokenizer = Tokenizer(models.BPE())
    splits = pre_tokenizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [
            pre_tokenizers.Split(Regex(f"{NUMBER}|{WORD}"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.pre_tokenizer = splits
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    names = [region_name(number) for number in range(1, NUM_REGIONS + 1)]
    words = (part for text in texts for part in _between(text, [*names, *TAGS]))
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(numbers),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(words, trainer)
    tokenizer = Tokenizer.from_str(json.dumps(_with_merges(json.loads(tokenizer.to_str()), numbers)))
    tokenizer.add_special_tokens([PAD, END, IMAGE, *TURNS])
    tokenizer.add_tokens([*names, *TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        padding_side="left",
        extra_special_tokens={"image_token": IMAGE},
        model_max_length=2048,
    )


def leading_numbers(vocabulary: Mapping[str, int]) -> dict[int, float]:
    """The tokens that hold the first two digits of a number, and their values, in the order of the tokens.

    >>> leading_numbers({"0.57": 7, "cat": 1, "36": 3})
    {3: 36.0, 7: 0.57}
    """
    found = {index: float(token) for token, index in vocabulary.items() if re.fullmatch(r"0\.\d\d|[1-9]\.\d|\d\d", token)}
    return dict(sorted(found.items()))


def zero_led(vocabulary: Mapping[str, int]) -> list[int]:
    """The tokens `00` to `09`, which no number starts with.

    By value `02` is as near to 2.0 as can be, and the targets of numbers are spread over what is near: so a nano takes the
    one for the other, unless `generate` leaves these out.

    >>> zero_led({"02": 5, "20": 6, "0.2": 7})
    [5]
    """
    return sorted(index for token, index in vocabulary.items() if re.fullmatch(r"0\d", token))


def _between(text: str, names: Sequence[str]) -> list[str]:
    """The text without the names that are tokens of their own."""
    for name in names:
        text = text.replace(name, "\0")
    return text.split("\0")


def _number_merges() -> list[tuple[str, str]]:
    """The merges that make every piece of `NUMBER` one token, in the order of their ranks."""
    digits = "0123456789"
    return [
        *((digit, ".") for digit in digits),
        *((f"{digit}.", tenth) for digit, tenth in product(digits, digits)),
        *((f"0.{tenth}", hundredth) for tenth, hundredth in product(digits, digits)),
        *((".", digit) for digit in digits),
        *((f".{tenth}", hundredth) for tenth, hundredth in product(digits, digits)),
        *product(digits, digits),
    ]


def _with_merges(tokenizer: dict[str, Any], merges: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Put merges before the learned ones."""
    model = tokenizer["model"]
    for left, right in merges:
        model["vocab"].setdefault(left + right, len(model["vocab"]))
    learned = [tuple(merge) for merge in model["merges"]]
    model["merges"] = [list(merge) for merge in dict.fromkeys([*merges, *learned])]
    return tokenizer


class NanoProcessor(ProcessorMixin):
    """Pictures, with the regions that they carry (`scene.carry`), and text.

    A picture is padded to a square, so that nothing is stretched.

    Args:
        image_processor: Resizes squares and normalises them.
        tokenizer: Of `train_tokenizer`.
        num_image_tokens: Tokens that a picture takes.
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
        super().__init__(image_processor, tokenizer, chat_template=chat_template or CHAT_TEMPLATE)

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]  (its parent lists every modality there is)
        self, images: Any = None, text: str | Sequence[str] | None = None, **kwargs: Any
    ) -> BatchFeature:
        """Encode.

        Args:
            images: A picture, a list of pictures, or a list of them for each text; None for text alone. Each may also be
                the address, the path or the data URL of one, as chat templates of servers hand them on.
            text: A text or several; each picture has one placeholder.
            kwargs: Arguments of the tokenizer.

        Returns:
            What the tokenizer gives; and for pictures `pixel_values` [images 3 height width] and `region_masks`
            [images regions height width], zero where a picture has fewer regions than another.

        Raises:
            SceneError: If a picture carries something else than masks, or the placeholders are not as many as the pictures.
        """
        pictures = [] if images is None else _flat(self.image_processor.fetch_images(images))
        texts = [text] if isinstance(text, str) else list(text or ())
        placeholders = sum(each.count(IMAGE) for each in texts)
        if texts and placeholders != len(pictures):
            raise SceneError(
                f"expected a placeholder {IMAGE} for each picture; got {placeholders} for {len(pictures)} pictures"
            )
        kwargs.setdefault("return_tensors", "pt")
        encoded: dict[str, Any] = {}
        if texts:
            encoded |= self.tokenizer([each.replace(IMAGE, IMAGE * self.num_image_tokens) for each in texts], **kwargs)
        if pictures:
            squares = [_square(picture.convert("RGB")) for picture in pictures]
            encoded |= self.image_processor(squares, return_tensors="pt")
            encoded["region_masks"] = self._masks(pictures)
        return BatchFeature(encoded)

    @property
    def model_input_names(self) -> list[str]:
        """What the model takes."""
        return ["input_ids", "attention_mask", "pixel_values", "region_masks"]

    def _masks(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        side = self.image_processor.size["height"]
        masks = [[_resized(mask, side) for mask in attached(picture)[:NUM_REGIONS]] for picture in pictures]
        padded = torch.zeros(len(masks), max(1, *map(len, masks)) if masks else 1, side, side, dtype=torch.uint8)
        for index, each in enumerate(masks):
            for number, mask in enumerate(each):
                padded[index, number] = torch.from_numpy(mask)
        return padded


def _flat(images: Any) -> list[Image.Image]:
    if isinstance(images, Image.Image):
        return [images]
    return [picture for each in images for picture in _flat(each)]


def _square(picture: Image.Image) -> Image.Image:
    """The picture in the middle of a grey square."""
    side = max(picture.size)
    square = Image.new("RGB", (side, side), (127, 127, 127))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def _resized(mask: np.ndarray, side: int) -> np.ndarray:
    """The mask on the square, resized; a thin region keeps a pixel at least."""
    longest = max(mask.shape)
    square = Image.new("L", (longest, longest))
    square.paste(Image.fromarray(mask.astype(np.uint8) * 255), ((longest - mask.shape[1]) // 2, (longest - mask.shape[0]) // 2))
    coverage = np.asarray(square.resize((side, side), Image.Resampling.BOX))
    return (coverage >= min(128, max(1, int(coverage.max())))).astype(np.uint8)
