"""Whole conversations to tokens, and where in them an answer begins.

A conversation is read once, as a whole: by the processor, which writes the tokens of images into the text, and the tokenizer's
offsets tell which token holds which character. A token across the boundary belongs to the answer, so that no prompt ends with
a token that its model never read there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.vlm.rendering import ChatTemplate, common_start

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

TOKEN_KEYS = ("token_type_ids", "mm_token_type_ids")
"""What processors say of each token, beside its id."""

DECODING: Mapping[str, Any] = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
"""How tokens are written out: special ones too, for some say what is thinking."""

Offsets = list[tuple[int, int]]

_NEAR = 8
"""Number of preceding tokens that can decide how a token is written: blanks, and characters of several tokens."""


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A text as tokens.

    Attributes:
        ids: The tokens.
        offsets: Where each is in the text, end exclusive.
    """

    ids: list[int]
    offsets: Offsets

    def first_after(self, place: int) -> int:
        """The first token that holds a character at or after a place."""
        return next((index for index, (_, end) in enumerate(self.offsets) if end > place), len(self.ids))


@dataclass(frozen=True, kw_only=True)
class SeenTexts:
    """Conversations with their images, as a processor reads them.

    Attributes:
        texts: The texts, the tokens of images written out.
        ids: The tokens of each; none where the tokenizer alone decides.
        types: What it says of each token of a text, by its key; one mapping for each text.
        vision: What it made of all images.
    """

    texts: list[str]
    ids: list[list[int]]
    types: list[dict[str, Tensor]]
    vision: dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A text that is to be continued, as it is given to a model.

    Attributes:
        text: What is read, perhaps with more behind it.
        surplus: How many of its last tokens are left out.
        owed: The end of the text that these tokens hold: what is written has to begin with it.
    """

    text: str
    surplus: int
    owed: str


def end_ids(template: ChatTemplate, tokenizer: Any, own: int | list[int] | None) -> list[int]:
    """The tokens that end an answer: a model's own, the tokenizer's, and what the chat template writes after one.

    Args:
        template: The model's chat template.
        tokenizer: Its tokenizer.
        own: `eos_token_id` of its generation_config.json.
    """
    written = template.end(template.frame([{"role": "user", "content": [{"type": "text", "text": "?"}]}]).tail)
    ends = [*(own if isinstance(own, list) else [own]), tokenizer.eos_token_id]
    ends += [] if written is None else [tokenizer.convert_tokens_to_ids(written)]
    return sorted({end for end in ends if end is not None})


def decoder_of(tokenizer: Any) -> Callable[[list[int]], str]:
    """Writes tokens out as `tokenizer.decode` does by `DECODING`; in half the time where that only calls its library."""
    from transformers import PreTrainedTokenizerFast

    if _inherits(tokenizer, PreTrainedTokenizerFast, "decode", "_decode"):
        return lambda ids: tokenizer.backend_tokenizer.decode(ids, skip_special_tokens=False)
    return lambda ids: tokenizer.decode(ids, **DECODING)


def _inherits(owner: Any, parent: type, *names: str) -> bool:
    """Whether methods of an object are those of a class of transformers."""
    return isinstance(owner, parent) and all(getattr(type(owner), name) is getattr(parent, name) for name in names)


class TextReader:
    """Reads texts as a model's own processor and tokenizer do.

    Args:
        processor: A model's processor, or the tokenizer of a text model.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.tokenizer: Any = getattr(processor, "tokenizer", processor)
        self._last: tuple[tuple[str, bool] | None, Encoded] = None, Encoded(ids=[], offsets=[])

    @property
    def sees(self) -> bool:
        """Whether images can be read."""
        return self.tokenizer is not self.processor

    def adds_special(self, text: str) -> bool:
        """Whether the tokenizer puts its first token before a text.

        As in transformers: templates of text models write it themselves, those of other models leave it to the processor
        unless the text begins with it.
        """
        begun = self.tokenizer.bos_token
        return self.sees and not (begun is not None and text.startswith(begun))

    @cached_property
    def _adds(self) -> bool:
        """Whether the tokenizer adds tokens of its own to a text at all."""
        full, bare = (self.tokenizer("a", add_special_tokens=each)["input_ids"] for each in (True, False))
        return full != bare

    @cached_property
    def appended(self) -> int:
        """How many tokens the tokenizer puts behind every text to which it adds its first one."""
        full, bare = (self.tokenizer("a", add_special_tokens=each)["input_ids"] for each in (True, False))
        after = [
            count for count in range(len(full) - len(bare) + 1) if full[len(full) - len(bare) - count :][: len(bare)] == bare
        ]
        return after[0] if after else 0

    def see(self, texts: Sequence[str], images: Sequence[Sequence[Image]]) -> SeenTexts:
        """Read conversations with their images.

        Args:
            texts: What the chat template wrote.
            images: The images of each.

        Raises:
            ConfigError: If the processor reads texts in another way than by its tokenizer.
        """
        if not self.sees:
            return SeenTexts(texts=list(texts), ids=[[] for _ in texts], types=[{} for _ in texts], vision={})
        with _overheard(self.processor) as heard:
            encoded = dict(
                self.processor(
                    text=list(texts),
                    images=list(map(list, images)) if any(images) else None,
                    padding=True,
                    padding_side="right",
                    return_tensors="pt",
                    add_special_tokens=self.adds_special(texts[0]),
                )
            )
        if len(heard) != 1 or len(heard[0]) != len(texts):
            raise self._reads_otherwise()
        ids, mask = encoded.pop("input_ids"), encoded.pop("attention_mask").bool()
        types = {key: encoded.pop(key) for key in TOKEN_KEYS if key in encoded}
        encoded.pop("labels", None)  # some make them of token types; which tokens are learned is decided here
        each = [{key: values[row, keep] for key, values in types.items()} for row, keep in enumerate(mask)]
        read = [ids[row, keep].tolist() for row, keep in enumerate(mask)]
        return SeenTexts(texts=heard[0], ids=read, types=each, vision=encoded)

    def encode(self, text: str, *, special: bool) -> Encoded:
        """A text as tokens; without what the tokenizer would append.

        Args:
            text: The text, the tokens of images written out.
            special: Whether the tokenizer's first token comes before it.
        """
        special = special and self._adds
        known, found = self._last  # a text is read several times in turn, to find where it can be continued
        if known == (text, special):
            return found
        found = self._encode(text, special=special)
        self._last = (text, special), found
        return found

    def _encode(self, text: str, *, special: bool) -> Encoded:
        fast = bool(getattr(self.tokenizer, "is_fast", False))
        found = self.tokenizer(text, add_special_tokens=special, **({"return_offsets_mapping": True} if fast else {}))
        ids: list[int] = found["input_ids"]
        ids = ids[: len(ids) - self.appended] if special and self.appended else ids
        offsets: Offsets = found["offset_mapping"][: len(ids)] if fast else self._offsets(text, ids)
        return Encoded(ids=list(ids), offsets=offsets)

    def open_ended(self, text: str, follows: Sequence[str] = ()) -> Opened:
        r"""A text to continue, without the tokens at its end that any longer text would read otherwise.

        Some tokenizers read blanks at the end of a text as one token and those before a word as several: GPT-2's reads `\n\n`
        so. Where that is the case, a letter is put behind the text, and its token left out. Others read the last characters
        and what follows as one token, such as `:<`: then these characters are owed.

        Args:
            text: The text.
            follows: What may follow it; of other continuations nothing is owed.
        """
        for each in follows:
            merged = self._parted(text, each)
            if merged is not None and merged.owed:
                return merged
        longer = "<" if text[-1:].isalnum() else "a"
        opened = self._parted(text, longer)
        if opened is None or opened.owed:
            return Opened(text=text, surplus=0, owed="")
        read = self.encode(opened.text, special=False).ids
        same = read[: len(read) - opened.surplus] == self.encode(text, special=False).ids
        return Opened(text=text, surplus=0, owed="") if same else opened

    def _parted(self, text: str, follows: str) -> Opened | None:
        """A text with what follows, whose tokens are surplus from the first on that holds any of it."""
        read = self.encode(text + follows, special=False)
        first = read.first_after(len(text))
        if first == len(read.ids):
            return None
        return Opened(text=text + follows, surplus=len(read.ids) - first, owed=text[read.offsets[first][0] :])

    def check(self, seen: Sequence[int], read: Encoded) -> None:
        """Refuse a processor whose tokens of a text are not those of its tokenizer.

        Raises:
            ConfigError: If they are not, but for what the tokenizer appends.
        """
        if seen and list(seen[: len(read.ids)]) != read.ids:
            raise self._reads_otherwise()

    def _reads_otherwise(self) -> ConfigError:
        return ConfigError(
            f"{type(self.processor).__name__} does not read whole texts by its tokenizer, so its tokens cannot be located "
            "in the text: this family cannot be trained here"
        )

    def _offsets(self, text: str, ids: Sequence[int]) -> Offsets:
        """Where tokens are in a text whose tokenizer does not say: each is what it adds to those before it, written out.

        Raises:
            ConfigError: If the tokens do not give the text back.
        """
        added = int(bool(ids) and ids[0] == self.tokenizer.bos_token_id and not text.startswith(self.tokenizer.bos_token))
        places, at, whole = [(0, 0)] * added, 0, [(added, 0)]
        for index in range(added, len(ids)):
            near, begin = next(each for each in reversed(whole) if each[0] <= max(added, index - _NEAR))
            written = self._written(ids[near : index + 1])
            begin += 0 if text.startswith(written[:1], begin) else len(text[begin:]) - len(text[begin:].lstrip(" "))
            end = max(at, begin + common_start(written, text[begin:]))
            whole += [(index + 1, end)] if end > at else []  # a character of several tokens can only be written as a whole
            places.append((at, end))
            at = end
        if text[at:].strip():
            raise ConfigError(
                f"{type(self.tokenizer).__name__} has no offsets, and its tokens do not give {text[at : at + 40]!r} back, so "
                "that no segment can be found: use the fast tokenizer of this model"
            )
        for index in range(len(ids) - 2, added - 1, -1):  # the first tokens of a character are of it, as the last one is
            places[index] = places[index + 1] if places[index][0] == places[index][1] else places[index]
        return places

    def _written(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids, **DECODING)


@contextmanager
def _overheard(processor: Any) -> Generator[list[list[str]]]:
    """Within it, the texts that a processor gives its tokenizer, one list for each time."""
    heard: list[list[str]] = []
    tokenizer = processor.tokenizer
    processor.tokenizer = _Overheard(tokenizer, heard)
    try:
        yield heard
    finally:
        processor.tokenizer = tokenizer


class _Overheard:
    """A tokenizer that keeps what it is given to read."""

    def __init__(self, inner: Any, heard: list[list[str]]) -> None:
        self._inner = inner
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(self, text: Any = None, **options: Any) -> Any:
        self._heard.append([text] if isinstance(text, str) else list(text or []))
        return self._inner(text, **options)
