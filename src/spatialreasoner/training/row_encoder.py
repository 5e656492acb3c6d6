"""Tokens of every kind of row: conversations, plain text as TRL reads it, segments by spans in the data, and cut rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from spatialreasoner.core.errors import InputError
from spatialreasoner.scenes.files import read_image
from spatialreasoner.training.collate import Encoder, Markup, Tokens, assign_segments
from spatialreasoner.training.data import SEGMENTS
from spatialreasoner.training.images import image_token_ids, images_of, last_image
from spatialreasoner.training.messages import message_text
from spatialreasoner.training.segments import Spans
from spatialreasoner.vlm.encoding import TOKEN_KEYS

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase, ProcessorMixin

_Row = Mapping[str, Any]
_SpansOf = Mapping[str, tuple[int, int]]


class RowEncoder(Encoder):
    """An `Encoder` that also takes plain text and the spans of the data, and truncates if the options say so.

    Plain text (`prompt`, `chosen` and `rejected` are strings) is read as TRL reads its standard rows: without a chat template;
    the end token follows an answer that lacks it; prompt and answer are tokenized together and parted where they differ from
    the prompt's own tokens. With images nothing is added, and prompt and answers are tokenized apart.

    A row may say where its segments are: `chosen_spans` and `rejected_spans` hold the start and end, exclusive, in characters
    of each segment by its name; what they leave out is found in the text.

    Args:
        processor: The model's processor, or the tokenizer of a text model; a fast one, which knows offsets.
        segments: Names of the segments.
        spans: Finds the segments in an answer.
        markup: How tokens outside every segment count.
        max_length: Maximum length of prompt and answer together, in tokens. None: no limit.
        enable_thinking: As in `Encoder`.
        truncates: Cut what is longer at its end, as TRL does, but never inside an image; otherwise it is refused.
    """

    _instead: ClassVar[str] = "cut pairs (truncation_mode=keep_start), "

    def __init__(
        self,
        processor: ProcessorMixin | PreTrainedTokenizerBase,
        *,
        segments: Sequence[str] = SEGMENTS,
        spans: Spans | None = None,
        markup: Markup = "base",
        max_length: int | None = None,
        enable_thinking: bool = False,
        truncates: bool = False,
    ) -> None:
        super().__init__(
            processor,
            segments=segments,
            spans=spans,
            markup=markup,
            max_length=None if truncates else max_length,
            enable_thinking=enable_thinking,
        )
        self.limit = max_length if truncates else None
        self._find = self.spans
        self._known: dict[str, _SpansOf] = {}
        self.spans = self._spans

    @property
    def truncates(self) -> bool:
        """Whether long rows are cut."""
        return self.limit is not None

    def __call__(self, examples: Sequence[_Row], answers: Sequence[str]) -> tuple[list[list[Tokens]], dict[str, Tensor]]:
        """Encode a batch, cut to the limit; raises what `Encoder` does."""
        encoded, vision = self._encode(examples, answers)
        if self.limit is None:
            return encoded, vision
        return [self._cut(row, parts) for row, parts in zip(examples, encoded, strict=True)], vision

    def leaves_answers(self, row: _Row) -> bool:
        """Whether a pair has a token of its answers within the limit."""
        prompt = self._encode([row], ("chosen", "rejected"))[0][0][0]
        return self.limit is None or len(prompt.ids) < self.limit

    def _encode(self, examples: Sequence[_Row], answers: Sequence[str]) -> tuple[list[list[Tokens]], dict[str, Tensor]]:
        plain = {isinstance(row["prompt"], str) for row in examples}
        if len(plain) > 1:
            raise InputError("expected rows of plain text or conversations; got both in one batch")
        kinds = {isinstance(row[name], str) for row in examples for name in answers}
        if kinds != plain:
            raise InputError("expected prompt, chosen and rejected all as text or all as messages; got both in a row")
        self._known = self._spans_of(examples, answers)
        if plain != {True}:
            return super().__call__(examples, answers)
        if any(images_of(row) for row in examples):
            encoded, vision = self._plain_with_images(examples, answers)
        else:
            encoded, vision = [self._plain(row, answers) for row in examples], {}
        for row, parts in zip(examples, encoded, strict=True):
            self._check_length(row, parts)
        return encoded, vision

    def _spans(self, text: str) -> _SpansOf:
        return self._known[text] if text in self._known else self._find(text)

    def _spans_of(self, examples: Sequence[_Row], answers: Sequence[str]) -> dict[str, _SpansOf]:
        """The spans that rows give, by the answers' texts."""
        found: dict[str, _SpansOf] = {}
        for row in examples:
            for name in answers:
                given: Mapping[str, Any] | None = row.get(f"{name}_spans")
                if given is None:
                    continue
                text = row[name] if isinstance(row[name], str) else message_text(row[name][0])
                spans = {**self._find(text), **_checked(given, text)}
                if found.setdefault(text, spans) != spans:
                    raise InputError(f"expected one set of spans for one answer; got two for {text[:60]!r}")
        return found

    def _plain(self, row: _Row, answers: Sequence[str]) -> list[Tokens]:
        """Prompt and answers of plain text, parted where the tokens of both together leave those of the prompt alone."""
        from trl.data_utils import common_prefix_length

        prompt = self.tokenizer(row["prompt"])["input_ids"]
        whole = [
            self.tokenizer(row["prompt"] + self._ended(row[name]), return_offsets_mapping=True, return_token_type_ids=False)
            for name in answers
        ]
        start = min(common_prefix_length(prompt, each["input_ids"]) for each in whole)
        if not start:
            raise InputError("expected a prompt of at least one token that both answers share; got none")
        return [
            Tokens(ids=torch.tensor(prompt[:start]), segments=torch.full((start,), -1)),
            *(
                self._segmented(each["input_ids"][start:], each["offset_mapping"][start:], row[name], len(row["prompt"]))
                for name, each in zip(answers, whole, strict=True)
            ),
        ]

    def _plain_with_images(
        self, examples: Sequence[_Row], answers: Sequence[str]
    ) -> tuple[list[list[Tokens]], dict[str, Tensor]]:
        """The same with images, whose places the prompts hold already; tokenized apart, nothing added, as in TRL."""
        opened = [[read_image(image) if isinstance(image, str) else image for image in images_of(row)] for row in examples]
        vision: dict[str, Any] = dict(
            self.processor(
                text=[row["prompt"] for row in examples],
                images=opened if any(opened) else None,
                padding=True,
                padding_side="right",
                return_tensors="pt",
                add_special_tokens=False,
            )
        )
        ids, mask = vision.pop("input_ids"), vision.pop("attention_mask").bool()
        types = {key: vision.pop(key) for key in TOKEN_KEYS if key in vision}
        encoded: list[list[Tokens]] = []
        for number, (row, keep) in enumerate(zip(examples, mask, strict=True)):
            own = {key: values[number, keep] for key, values in types.items()}
            prompt = Tokens(ids=ids[number, keep], segments=torch.full((int(keep.sum()),), -1), types=own)
            encoded.append([prompt, *(self._apart(row[name]) for name in answers)])
        return encoded, vision

    def _apart(self, text: str) -> Tokens:
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return self._segmented(encoded["input_ids"], encoded["offset_mapping"], text, 0)

    def _segmented(self, ids: Sequence[int], offsets: Sequence[tuple[int, int]], answer: str, start: int) -> Tokens:
        """An answer's tokens with their segments; it begins at the character `start`."""
        found = self.spans(answer)
        spans = [(start + begin, start + end) for begin, end in (found.get(name, (0, 0)) for name in self.segments)]
        return Tokens(
            ids=torch.tensor(list(ids), dtype=torch.long),
            segments=torch.tensor(assign_segments(offsets, spans, markup=self.markup), dtype=torch.long),
        )

    def _ended(self, answer: str) -> str:
        end: str = self.tokenizer.eos_token or ""
        return answer if answer.endswith(end) else answer + end

    def _cut(self, row: _Row, parts: Sequence[Tokens]) -> list[Tokens]:
        limit = self.limit or 0
        prompt, *answers = parts
        if images_of(row) and last_image(prompt, image_token_ids(self.processor)) > limit:
            raise self._refusal(row, prompt, "would end inside the images, and an image is never cut")
        left = limit - len(prompt.ids)
        if left <= 0:
            raise self._refusal(row, prompt, "leaves no token of an answer")
        return [prompt, *(replace(each, ids=each.ids[:left], segments=each.segments[:left]) for each in answers)]

    def _refusal(self, row: _Row, prompt: Tokens, reason: str) -> InputError:
        return InputError(
            f"pair {row.get('question_id', '?')!r}: max_length={self.limit} {reason} (the prompt has {len(prompt.ids)} "
            "tokens). Raise max_length, use smaller images, or remove the pair"
        )


def _checked(given: Mapping[str, Any], text: str) -> dict[str, tuple[int, int]]:
    """The spans that a row gives, without those that it leaves open.

    Raises:
        InputError: If one is not a start and an end within the text.
    """
    found: dict[str, tuple[int, int]] = {}
    for name, span in given.items():
        if span is None:
            continue
        pair = [int(each) for each in span] if isinstance(span, Sequence) and not isinstance(span, str) else []
        if len(pair) != 2 or not 0 <= pair[0] <= pair[1] <= len(text):
            raise InputError(f"expected the span of {name!r} as [start, end] within {len(text)} characters; got {span!r}")
        found[name] = (pair[0], pair[1])
    return found
