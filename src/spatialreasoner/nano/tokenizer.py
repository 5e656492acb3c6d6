"""The nano's tokens: whole phrases, words where there is no phrase, and numbers.

Numbers are what spatial answers turn on, so the first two digits of a number are one token (`0.57`, `1.2`, `36`) and one
prediction tells its size; further digits follow in tokens of their own. So are words that the image decides. What is
between them is one token where answers often say it, which makes an answer half as long as it is in words, and every step of
`generate` and of training a step about what is seen. Any text survives encoding and decoding.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, product
from typing import TYPE_CHECKING, Any

from spatialreasoner.scenes.synthetic import COLOURS
from spatialreasoner.scenes.synthetic.shapes import SHAPE_KINDS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

NUM_REGIONS = 16
PAD, END, IMAGE = "<|pad|>", "<|end|>", "<|image|>"
TURNS = ("<|system|>", "<|user|>", "<|assistant|>")
TAGS = ("<description>", "</description>", "<reasoning>", "</reasoning>")

NUMBER_PIECE = r"0\.00[1-9]\d|0\.0[1-9]\d|0\.\d\d|[1-9]\.\d|\.\d\d|[1-9]\d|\d"
"""Two digits of a number, or what follows them."""

DECIDED = (
    rf"(?:{'|'.join((*COLOURS, *SHAPE_KINDS))}|left|right|above|below|behind|front|taller|shorter|wider|thinner"
    r"|bigger|smaller|larger|higher|lower|nearer|further|greater|less|more|Yes|No)"
)
"""A word that the image decides."""

_WORD = r" ?[A-Za-z']+(?: (?=\d)| $)?| ?[^\sA-Za-z0-9]+(?: (?=\d)| $)?|\s+"
"""A word or signs with the blank before them; and the blank after them, where a number or a region comes next."""

_APART = rf" ?(?<![A-Za-z]){DECIDED}(?![A-Za-z])"
_PHRASE = rf"{_APART}|(?:(?!{_APART})[^\n.?\d]){{1,160}}(?:[.?](?!\d)\s?|\n)?|[.?](?!\d)\s?|[.?]|\s"
"""A word that the image decides; or all up to such a word, a number or a region, but no further than its sentence. No piece
is long, whatever the text: the regular expressions of `tokenizers` give up on long searches."""


def region_name(number: int) -> str:
    """The name of a region; numbers start at 1.

    >>> region_name(1)
    '<region1>'
    """
    return f"<region{number}>"


def train_nano_tokenizer(
    requests: Iterable[str], answers: Iterable[str], *, words: int = 400, often: int = 20
) -> PreTrainedTokenizerFast:
    """A tokenizer that takes as few of its pieces as make up a text.

    Requests are read word by word, as people word theirs freely; answers phrase by phrase.

    Args:
        requests: Where words are taken from, beside the answers.
        answers: Where phrases are taken from.
        words: The commonest words to take.
        often: Phrases that come so often are taken.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    told = list(answers)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    by_words, by_phrases = _splitter(_WORD), _splitter(_PHRASE)
    common = [piece for piece, _ in _pieces(by_words, chain(requests, told)).most_common(words)]
    phrases = [piece for piece, count in _pieces(by_phrases, told).most_common() if count >= often]
    pieces = dict.fromkeys([*alphabet, *_numbers(), *common, *phrases])
    tokenizer = Tokenizer(models.Unigram([(piece, -1.0) for piece in pieces]))  # all cost the same: the fewest win
    tokenizer.pre_tokenizer = by_phrases
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.add_special_tokens([PAD, END, IMAGE, *TURNS])
    tokenizer.add_tokens([*_NAMES, *TAGS])
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
    found = {index: float(token) for token, index in vocabulary.items() if _LEADING.fullmatch(token)}
    return dict(sorted(found.items()))


_LEADING = re.compile(r"0\.00[1-9]\d|0\.0[1-9]\d|0\.\d\d|[1-9]\.\d|[1-9]\d")
_NAMES = [region_name(number) for number in range(1, NUM_REGIONS + 1)]


def _numbers() -> list[str]:
    """Every piece of `NUMBER_PIECE`."""
    digits = "0123456789"
    pairs = [*map("".join, product(digits, digits))]
    return [
        *(f"0.{pair}" for pair in pairs),
        *(f"0.{zeros}{pair}" for zeros in ("0", "00") for pair in pairs if pair[0] != "0"),
        *(f"{first}.{second}" for first, second in pairs if first != "0"),
        *(f".{pair}" for pair in pairs),
        *(pair for pair in pairs if pair[0] != "0"),
        *digits,
    ]


def _splitter(pieces: str) -> Any:
    """Splits text into numbers and `pieces`, as bytes."""
    from tokenizers import Regex, pre_tokenizers

    return pre_tokenizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [
            pre_tokenizers.Split(Regex(f"{NUMBER_PIECE}|{pieces}"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _pieces(splitter: Any, texts: Iterable[str]) -> Counter[str]:
    """How often each piece comes."""
    names = [*_NAMES, *TAGS]
    parts = (part for text in texts for part in _between(text, names))
    return Counter(piece for part in parts for piece, _ in splitter.pre_tokenize_str(part))


def _between(text: str, names: Sequence[str]) -> list[str]:
    """The text without the names that are tokens of their own."""
    for name in names:
        text = text.replace(name, "\0")
    return text.split("\0")
