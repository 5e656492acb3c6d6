"""Tiny real vision-language models, built from configurations: the same classes as the released ones, with random weights.

They run tests, benchmarks and the demo where no weights can be had. Each is saved as an ordinary folder (configuration,
safetensors, processor, chat template) that transformers loads like any other; nothing knows that it is tiny.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from spatialreasoner.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast, ProcessorMixin

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""ChatML in short; IMAGE stands for the family's own image placeholder."""

PAD, END = "<|pad|>", "<|end|>"
TURNS = ("<|system|>", "<|user|>", "<|assistant|>")


def build(
    family: str,
    folder: str | Path,
    texts: Iterable[str],
    *,
    seed: int = 0,
    width: int = 64,
    layers: int = 2,
    image_size: int = 56,
    vocabulary: int = 512,
) -> Path:
    """Build a tiny model of a family and save it.

    Args:
        family: One of `FAMILIES`.
        folder: Where to save it.
        texts: What its tokenizer is trained on.
        seed: Decides the weights.
        width: Size of hidden states of the language model; a multiple of 32. The vision tower has the same.
        layers: How many layers the language model has.
        image_size: Side of the square that pictures are resized to, where the family has a fixed one; a multiple of 28.
        vocabulary: At most so many tokens beside the special ones; at least 256, one a byte.

    Raises:
        ConfigError: If there is no such family.
    """
    if family not in FAMILIES:
        raise ConfigError(f"expected a family of {', '.join(FAMILIES)}; got {family!r}")
    # Built on the spot from a seed of its own, so that building one never moves the caller's random numbers.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, processor = FAMILIES[family](texts, width, layers, image_size, vocabulary)
    model.generation_config.eos_token_id = _tokenizer_of(processor).eos_token_id
    model.generation_config.pad_token_id = _tokenizer_of(processor).pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return Path(folder)


def train_tokenizer(
    texts: Iterable[str], *, vocabulary: int, extra: Mapping[str, str] | None = None
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer trained on `texts`: any text survives encoding and decoding.

    Args:
        texts: What it is trained on.
        vocabulary: At most so many tokens beside the special ones; 256 are the bytes.
        extra: Further special tokens by the attribute under which processors look them up, such as `image_token`.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    extra = dict(extra or {})
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        # Digits one by one: numbers are what spatial answers turn on
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    special = [PAD, END, *TURNS, *extra.values()]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary + len(special),
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, padding_side="left", extra_special_tokens=extra
    )


def _template(image: str) -> str:
    return CHAT_TEMPLATE.replace("IMAGE", image)


def _tokenizer_of(processor: ProcessorMixin) -> PreTrainedTokenizerFast:
    return processor.tokenizer  # pyright: ignore[reportAttributeAccessIssue]


def _llama(tokenizer: PreTrainedTokenizerFast, width: int, layers: int) -> dict[str, Any]:
    """Fields that the configurations of Llama-like language models share."""
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": width,
        "intermediate_size": math.ceil(width * 8 / 3 / 32) * 32,
        "num_hidden_layers": layers,
        "num_attention_heads": max(2, width // 32),
        "num_key_value_heads": max(1, width // 64),
        "max_position_embeddings": 4096,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": False,
    }


def _llava(
    texts: Iterable[str], width: int, layers: int, image_size: int, vocabulary: int
) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tokenizer = train_tokenizer(texts, vocabulary=vocabulary, extra={"image_token": "<image>"})
    vision = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=max(2, width // 32),
        image_size=image_size,
        patch_size=14,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=LlamaConfig(**_llama(tokenizer, width, layers)),
        image_token_index=tokenizer.get_vocab()["<image>"],
        vision_feature_layer=-1,
    )
    square = {"height": image_size, "width": image_size}
    processor = LlavaProcessor(
        # A square without a crop: what stands at the rim of a picture is asked about as well
        image_processor=CLIPImageProcessorPil(size=square, crop_size=square, do_center_crop=False),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_template("<image>"),
    )
    return LlavaForConditionalGeneration(config), processor


Builder = Callable[
    [Iterable[str], int, int, int, int],
    "tuple[PreTrainedModel, ProcessorMixin]",
]

FAMILIES: Mapping[str, Builder] = {"llava": _llava}
"""Builders of each family's tiny model."""
