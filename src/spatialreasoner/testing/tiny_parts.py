"""What configurations of tiny models have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spatialreasoner.testing.tiny_tokenizer import train_tokenizer
from spatialreasoner.vlm.processors import image_only

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast, ProcessorMixin


@dataclass(frozen=True, kw_only=True)
class Size:
    """Sizes of a tiny model: hidden states, layers, side of images in pixels, tokens beside the special ones."""

    width: int
    layers: int
    image: int
    vocabulary: int

    @property
    def heads(self) -> int:
        """Attention heads."""
        return max(2, self.width // 32)


Builder = Callable[[Iterable[str], Size], "tuple[PreTrainedModel, ProcessorMixin]"]
"""Makes a family's tiny model and its processor; its tokenizer is trained on the texts."""


def tokenizer_of(processor: ProcessorMixin) -> PreTrainedTokenizerFast:
    """A processor's tokenizer."""
    return processor.tokenizer  # pyright: ignore[reportAttributeAccessIssue]


def llama(tokenizer: PreTrainedTokenizerFast, size: Size) -> dict[str, Any]:
    """Fields that the configurations of Llama-like language models share."""
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": size.width,
        "intermediate_size": math.ceil(size.width * 8 / 3 / 32) * 32,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": max(1, size.heads // 2),
        "max_position_embeddings": 4096,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": False,
    }


def vision(size: Size) -> dict[str, Any]:
    """Fields that the configurations of vision towers share."""
    return {
        "hidden_size": size.width,
        "intermediate_size": 2 * size.width,
        "num_hidden_layers": 2,
        "num_attention_heads": size.heads,
    }


def qwen_tokens() -> dict[str, str]:
    """Qwen's special tokens of images, by the attributes under which they are looked up."""
    return {
        "image_token": "<|image_pad|>",
        "video_token": "<|video_pad|>",
        "vision_start_token": "<|vision_start|>",
        "vision_end_token": "<|vision_end|>",
    }


def qwen_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """The ids of `qwen_tokens`, as configurations name them."""
    return {f"{name}_id": tokenizer.get_vocab()[token] for name, token in qwen_tokens().items()}


def mrope(size: Size) -> dict[str, Any]:
    """Multimodal RoPE: three eighths of a head's frequencies turn with height, as many with width, the rest with time."""
    half = size.width // size.heads // 2
    spatial = half * 3 // 8
    return {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [half - 2 * spatial, spatial, spatial]}


def family_tokenizer(
    texts: Iterable[str],
    size: Size,
    extra: Mapping[str, str],
    *,
    end: str,
    marks: Iterable[str] = (),
    begin: str = "",
    words: str = "user\nassistant\n",
) -> PreTrainedTokenizerFast:
    """A tokenizer with a family's special tokens.

    Args:
        texts: What it is trained on.
        size: How many tokens it has.
        extra: The family's special tokens, by the attributes under which they are looked up.
        end: The token that ends an answer.
        marks: The special tokens of its template.
        begin: The token that it puts before every text; none if empty.
        words: What its template writes in words, of which a released tokenizer makes few tokens.
    """
    named = {f"mark_{number}_token": mark for number, mark in enumerate(marks)}
    known = list(texts)
    known += [words] * max(2, len(known) // 2)
    return train_tokenizer(known, vocabulary=size.vocabulary, extra={**extra, **named}, end=end, begin=begin)


INTERNVL_TOKENS = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}
"""InternVL's special tokens of images, by the attributes under which they are looked up."""


def internvl(
    tokenizer: PreTrainedTokenizerFast, size: Size, text_config: PretrainedConfig, template: str
) -> tuple[PreTrainedModel, ProcessorMixin]:
    """An InternVL over any text model, whose tokenizer has `INTERNVL_TOKENS`."""
    from transformers import InternVLConfig, InternVLForConditionalGeneration, InternVLProcessor
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

    config = InternVLConfig(
        vision_config={**vision(size), "image_size": [size.image, size.image], "patch_size": [14, 14]},
        text_config=text_config,
        image_token_id=tokenizer.get_vocab()["<IMG_CONTEXT>"],
        image_seq_length=(size.image // 28) ** 2,
    )
    processor = image_only(InternVLProcessor, {"video_processor_type": "InternVLVideoProcessor"})(
        image_processor=GotOcr2ImageProcessorPil(
            size={"height": size.image, "width": size.image}, crop_to_patches=True, max_patches=2
        ),
        tokenizer=tokenizer,
        image_seq_length=(size.image // 28) ** 2,
        chat_template=template,
    )
    return InternVLForConditionalGeneration(config), processor
