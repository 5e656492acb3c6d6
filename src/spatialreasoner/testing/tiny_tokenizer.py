"""The tokenizer and the chat template of tiny models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""ChatML in short; IMAGE stands for the family's own image placeholder."""

_PAD, _END = "<|pad|>", "<|end|>"
_TURNS = ("<|system|>", "<|user|>", "<|assistant|>")


def train_tokenizer(
    texts: Iterable[str], *, vocabulary: int, extra: Mapping[str, str] | None = None, end: str = _END, begin: str = ""
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer trained on `texts`: any text survives encoding and decoding.

    Args:
        texts: What it is trained on.
        vocabulary: Maximum number of tokens beside the special ones; 256 are the bytes.
        extra: Further special tokens by the attribute under which processors look them up, such as `image_token`.
        end: The token that ends an answer; may be one of `extra`.
        begin: The token that it puts before every text; none if empty.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    extra = dict(extra or {})
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        # Digits one by one: numbers are what spatial answers turn on
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    special = list(dict.fromkeys([_PAD, end, *filter(None, [begin]), *_TURNS, *extra.values()]))
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary + len(special),
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if begin:
        known = [(begin, tokenizer.token_to_id(begin))]
        tokenizer.post_processor = processors.TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
            single=f"{begin} $A", pair=f"{begin} $A $B", special_tokens=known
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=_PAD, eos_token=end, bos_token=begin or None, padding_side="left",
        extra_special_tokens=extra,
    )  # fmt: skip
