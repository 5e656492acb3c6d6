"""Text to tokens and segments: what the trainers are fed.

Pairs are packed without padding: one sequence ``prompt, chosen, rejected`` per pair, pairs one after the other, and each
image once. `forward` and `shared_prefix` lay this out for the model.

Segments are spans of characters. A token belongs to the segment that holds most of its characters (the earlier one on a
tie), even where the rest of it is a tag, so that no character of a segment goes without; it is found through the
tokenizer's offsets, never by tokenizing segments apart. Tags, whatever else lies between segments, and the end-of-turn
token belong to no segment; `markup` says how they count:

- ``base``: they take part with the base beta, so that alpha = 0 is DPO of the whole response (the default);
- ``drop``: they take no part (the paper's formula to the letter);
- ``segment``: they belong to the segment that follows, after the last one to the last.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, SupportsFloat

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from spatialreasoner.core.errors import InputError
from spatialreasoner.training import images
from spatialreasoner.training.messages import Message, answer_message, message_text, refuse_unread, with_image_blocks
from spatialreasoner.training.segments import SEGMENTS, Spans, default_spans
from spatialreasoner.training.weights import segment_weights
from spatialreasoner.vlm.encoding import TextReader, end_ids
from spatialreasoner.vlm.rendering import AnswerFrame, ChatTemplate, Rendered, chat_template_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, ProcessorMixin

logger = logging.getLogger(__name__)

Markup = Literal["base", "drop", "segment"]


def assign_segments(
    offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]], *, markup: Markup = "base"
) -> list[int]:
    """The segment of each token.

    >>> assign_segments([(0, 3), (3, 5), (5, 9), (9, 10)], [(4, 8)], markup="drop")
    [-1, 0, 0, -1]

    Args:
        offsets: Where each token is in the text, end exclusive.
        spans: Where each segment is, end exclusive; an empty span owns nothing.
        markup: How tokens outside every span count.

    Returns:
        Index into `spans`; for a token outside: -1 (drop), `len(spans)` (base), or its neighbour's (segment).
    """
    owners = [_owner(offset, spans) for offset in offsets]
    if markup == "base":
        return [len(spans) if owner < 0 else owner for owner in owners]
    if markup == "segment" and any(owner >= 0 for owner in owners):
        following = next(owner for owner in reversed(owners) if owner >= 0)
        for index in range(len(owners) - 1, -1, -1):
            following = owners[index] = owners[index] if owners[index] >= 0 else following
    return owners


def _owner(offset: tuple[int, int], spans: Sequence[tuple[int, int]]) -> int:
    overlaps = [min(offset[1], end) - max(offset[0], start) for start, end in spans]
    most = max(overlaps, default=0)
    return overlaps.index(most) if most > 0 else -1


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """A stretch of text as the model reads it.

    Attributes:
        ids: Token ids [tokens].
        segments: The segment of each token, -1 for none [tokens].
        types: What the processor says of each token, by its key, [tokens] each; absent keys are 0.
    """

    ids: Tensor
    segments: Tensor
    types: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])


class Encoder:
    """Turns conversations into tokens: the prompt with its images, and each answer with its segments.

    Prompt and answer are one rendering by the model's own chat template (`vlm.rendering`) and are read as one (`vlm.encoding`):
    their tokens joined are those of the whole conversation, and the tokenizer's end token where the template writes no end.

    Args:
        processor: The model's processor, or the tokenizer of a text model.
        segments: Names of the segments.
        spans: Finds the segments in an answer.
        markup: How tokens outside every segment count.
        max_length: Maximum length of prompt and answer together, in tokens. None: no limit.
        enable_thinking: Whether the model is to think before it answers, as rows then have it.
    """

    _instead: ClassVar[str] = ""
    """What else can be done with rows that are too long."""

    def __init__(
        self,
        processor: ProcessorMixin | PreTrainedTokenizerBase,
        *,
        segments: Sequence[str] = SEGMENTS,
        spans: Spans | None = None,
        markup: Markup = "base",
        max_length: int | None = None,
        enable_thinking: bool = False,
    ) -> None:
        self.processor: Any = processor
        self.tokenizer: Any = getattr(processor, "tokenizer", processor)
        self.segments = tuple(segments)
        self.spans = spans or default_spans(segments)
        self.markup: Markup = markup
        self.max_length = max_length
        self.enable_thinking = enable_thinking

    @cached_property
    def _template(self) -> ChatTemplate:
        return chat_template_of(self.processor, thinking=self.enable_thinking)

    def ends(self, own: int | list[int] | None) -> list[int]:
        """The tokens by which a model's answers end: `own`, and those that it learns here."""
        return end_ids(self._template, self.tokenizer, own)

    @cached_property
    def _reader(self) -> TextReader:
        return TextReader(self.processor)

    def __call__(
        self, examples: Sequence[Mapping[str, Any]], answers: Sequence[str]
    ) -> tuple[list[list[Tokens]], dict[str, Tensor]]:
        """Encode a batch.

        Args:
            examples: Mappings with `images`, `prompt` and the answers.
            answers: Keys of the answers, such as `chosen` and `rejected`.

        Returns:
            For each example its prompt and its answers; and what the processor made of all images.

        Raises:
            InputError: If prompt and answer are longer than `max_length` (nothing is cut), the chat template changes an
                answer's text, or an answer is not one turn of text.
        """
        images_shown = [images.read_images(example) for example in examples]
        conversations = [
            self._render(example, len(shown), answers) for example, shown in zip(examples, images_shown, strict=True)
        ]
        seen = self._reader.see([rendered[0].text for _, rendered in conversations], images_shown)
        encoded = [
            self._parts(frame, rendered, text, ids, types)
            for (frame, rendered), text, ids, types in zip(conversations, seen.texts, seen.ids, seen.types, strict=True)
        ]
        for example, parts in zip(examples, encoded, strict=True):
            self._check_length(example, parts)
        return encoded, seen.vision

    def _render(self, example: Mapping[str, Any], count: int, answers: Sequence[str]) -> tuple[AnswerFrame, list[Rendered]]:
        """What the template writes around an example's answers, and the conversation with each of them."""
        refuse_unread(example)
        messages = [Message(role=message["role"], content=message["content"]) for message in example["prompt"]]
        if self._reader.sees:
            with_image_blocks(messages, count)
            _check_places(messages, count)
        elif count:
            raise InputError("expected rows without images, since a text model was given; got one with an image")
        else:
            messages = [Message(role=message["role"], content=message_text(message)) for message in messages]
        frame = self._template.frame(messages)
        texts = [message_text(answer_message(name, example[name])) for name in answers]
        self._check_ends(frame, texts)
        return frame, [frame.whole(text) for text in texts]

    def _check_ends(self, frame: AnswerFrame, texts: Sequence[str]) -> None:
        """Refuse answers that hold their own end: the model would learn it twice, or in the middle."""
        for end in filter(None, (self._template.end(frame.tail), self.tokenizer.eos_token)):
            if any(end in text for text in texts):
                raise InputError(
                    f"expected an answer without {end!r}, which ends one in this model: the chat template writes it. Remove it"
                )

    def _parts(
        self, frame: AnswerFrame, rendered: Sequence[Rendered], seen: str, ids: list[int], types: Mapping[str, Tensor]
    ) -> list[Tokens]:
        """Prompt and answers of one example.

        Args:
            frame: What the template writes around the answers.
            rendered: The conversation with each answer.
            seen: The first of them, the tokens of images written out.
            ids: Its tokens as the processor reads them.
            types: What the processor says of each.
        """
        start = rendered[0].start
        answer = rendered[0].text[start:]
        prompt = seen[: seen.rindex(answer)]
        special = self._reader.adds_special(frame.head)
        read = [self._reader.encode(prompt + each.text[start:], special=special) for each in rendered]
        self._reader.check(ids, read[0])
        first = min(each.first_after(len(prompt)) for each in read)
        if any(each.ids[:first] != read[0].ids[:first] for each in read):
            raise InputError(
                "the tokenizer encodes the prompt differently before each answer, so the answers of a pair share no prompt"
            )
        ends = self._ends(frame)
        parts = [Tokens(ids=torch.tensor(read[0].ids[:first]), segments=torch.full((first,), -1), types=_first(types, first))]
        for each, whole in zip(read, rendered, strict=True):
            owners = self._owners(whole, each.offsets[first:], len(prompt) - start)
            after = self._markup_of_end(owners)
            tokens, segments = [*each.ids[first:], *ends], [*owners, *([after] * len(ends))]
            parts.append(Tokens(ids=torch.tensor(tokens), segments=torch.tensor(segments)))
        return parts

    def _owners(self, whole: Rendered, offsets: Sequence[tuple[int, int]], shift: int) -> list[int]:
        """The segment of each token of an answer; `shift` is by how much images make the text longer."""
        found = self.spans(whole.answer)
        begin = whole.begin + shift
        spans = [found.get(name, (0, 0)) for name in self.segments]
        placed = [(begin + start, begin + stop) for start, stop in spans]
        return assign_segments(offsets, placed, markup=self.markup)

    def _ends(self, frame: AnswerFrame) -> list[int]:
        """The end token, where the template writes none."""
        if self._template.end(frame.tail) is not None:
            return []
        if self.tokenizer.eos_token_id is None:
            raise InputError(
                "the chat template writes no end after an answer, and the tokenizer has no end token: the model could never "
                "learn to stop. Set the tokenizer's eos_token"
            )
        _say_once(f"the chat template writes no end after an answer: {self.tokenizer.eos_token} is appended, and learned")
        return [self.tokenizer.eos_token_id]

    def _markup_of_end(self, owners: Sequence[int]) -> int:
        """The segment of an appended end token, which no segment owns."""
        if self.markup == "base":
            return len(self.segments)
        return owners[-1] if self.markup == "segment" and owners else -1

    def _check_length(self, example: Mapping[str, Any], parts: Sequence[Tokens]) -> None:
        prompt, *answers = (len(part.ids) for part in parts)
        if self.max_length is not None and prompt + max(answers) > self.max_length:
            raise InputError(
                f"pair {example.get('question_id', '?')!r}: the prompt has {prompt} tokens with its images, the longest "
                f"answer {max(answers)}; max_length is {self.max_length} and nothing is cut. Raise max_length, "
                f"{self._instead}use smaller images, or remove the pair"
            )


class PairCollator:
    """Packs preference pairs for `FDPOTrainer`.

    Examples are mappings with `images` (paths or images; or one `image`, or none), perhaps `regions` of the first image
    (as `scenes.carry` writes them, for models with region tokens), `prompt`, `chosen`, `rejected` (messages),
    `gap_<segment>` (absent or None: unscored) and, where the reference is cached, `ref_chosen_logps` and
    `ref_rejected_logps`.

    A batch holds `lengths` [pairs 3] (tokens of prompt, chosen, rejected), `input_ids` [1 tokens], `segment_ids` [1 tokens]
    (-1: no segment), `gaps` [pairs segments] (NaN: unscored, or a segment has no tokens on one side), `types` (per-token
    extras, [1 tokens] each), perhaps `weights` [pairs segments] (of the columns `weight_<segment>`, or else `weights` by
    segment; NaN: none), the reference's log-probabilities where given, and what `images.encode_pairs` says of images
    and of what rows share.
    """

    def __init__(self, encoder: Encoder, *, weights: Mapping[str, float] | None = None) -> None:
        self.encoder = encoder
        self.weights = weights

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Pack a batch; raises what `Encoder` does."""
        pairs, layout = images.encode_pairs(self.encoder, examples)
        parts = [part for pair in pairs for part in pair]
        keys = sorted({key for part in parts for key in part.types})
        batch: dict[str, Any] = {
            "lengths": torch.tensor([[len(part.ids) for part in pair] for pair in pairs]),
            "input_ids": torch.cat([part.ids for part in parts])[None],
            "segment_ids": torch.cat([part.segments for part in parts])[None],
            "gaps": torch.tensor([self._gaps(example, pair) for example, pair in zip(examples, pairs, strict=True)]),
            "types": {
                key: torch.cat([part.types.get(key, torch.zeros_like(part.ids)) for part in parts])[None] for key in keys
            },
            **layout,
        }
        weights = [segment_weights(example, self.encoder.segments, self.weights) for example in examples]
        if any(weights):
            batch["weights"] = torch.tensor([row or [float("nan")] * len(self.encoder.segments) for row in weights])
        for key in ("ref_chosen_logps", "ref_rejected_logps"):
            if key in examples[0]:
                batch[key] = torch.tensor([example[key] for example in examples])
        return batch

    def _gaps(self, example: Mapping[str, Any], pair: Sequence[Tokens]) -> list[float]:
        names = self.encoder.segments
        gaps = [_gap(name, example.get(f"gap_{name}")) for name in names]
        complete = all((answer.segments == index).any() for answer in pair[1:] for index in range(len(names)))
        return gaps if complete else [float("nan")] * len(gaps)


def _gap(segment: str, given: Any) -> float:
    """A segment's gap; NaN for none."""
    if given is None:
        return float("nan")
    if isinstance(given, bool | str) or not isinstance(given, SupportsFloat) or math.isinf(given):
        raise InputError(f"gap_{segment} must be a finite number or None; got {given!r}")
    return float(given)


class SftCollator:
    """Pads conversations for `SFTTrainer`; the loss is on the answer alone.

    Examples are mappings with `images`, `prompt` and `completion`.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Pad a batch on the right; raises what `Encoder` does."""
        rows, vision = self.encoder(examples, ("completion",))
        ids = [torch.cat([part.ids for part in row]) for row in rows]
        labels = [torch.cat([torch.full_like(prompt.ids, -100), answer.ids]) for prompt, answer in rows]
        types = {
            key: _pad([torch.cat([prompt.types[key], torch.zeros_like(answer.ids)]) for prompt, answer in rows], 0)
            for key in rows[0][0].types
        }
        return {
            "input_ids": _pad(ids, self.encoder.tokenizer.pad_token_id),
            "attention_mask": _pad([torch.ones_like(row) for row in ids], 0),
            "labels": _pad(labels, -100),
            **types,
            **vision,
        }


def _pad(rows: list[Tensor], value: int) -> Tensor:
    return pad_sequence(rows, batch_first=True, padding_value=value)


def _first(types: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    return {key: values[:count] for key, values in types.items()}


def _check_places(messages: Sequence[Message], count: int) -> None:
    """Refuse a prompt with more or fewer places than images."""
    contents = [message["content"] for message in messages]
    places = sum(block["type"] == "image" for content in contents if not isinstance(content, str) for block in content)
    if places != count:
        raise InputError(f"expected an image for each place in the prompt; got {count} images for {places} places")


@cache
def _say_once(what: str) -> None:
    logger.warning(what)
