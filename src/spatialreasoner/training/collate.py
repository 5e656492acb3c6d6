"""Text to tokens and segments: what the trainers are fed.

Pairs are packed without padding: one sequence ``prompt, chosen, rejected`` a pair, pairs one after the other, and each
image once. `forward` and `shared_prefix` lay this out for the model.

Segments are spans of characters. A token belongs to the segment that holds most of its characters (the earlier one on a
tie), even where the rest of it is a tag, so that no character of a segment goes without; it is found through the
tokenizer's offsets, never by tokenizing segments apart. Tags, whatever else lies between segments, and the end-of-turn
token belong to no segment; `markup` says what becomes of them:

- ``base``: they take part with the base beta, so that alpha = 0 is DPO of the whole response (the default);
- ``drop``: they take no part (the paper's formula to the letter);
- ``segment``: they belong to the segment that follows, after the last one to the last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from spatialreasoner.core.errors import InputError
from spatialreasoner.language import responses
from spatialreasoner.scenes import carry
from spatialreasoner.scenes.files import read_image
from spatialreasoner.training import images
from spatialreasoner.training.data import SEGMENTS
from spatialreasoner.training.messages import message_text
from spatialreasoner.training.weights import segment_weights

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import PreTrainedTokenizerBase, ProcessorMixin

Markup = Literal["base", "drop", "segment"]
Spans = Callable[[str], Mapping[str, tuple[int, int]]]

TOKEN_KEYS = ("token_type_ids", "mm_token_type_ids")
"""What processors say of each token of a prompt, beside its id; 0 throughout a response."""


def tag_spans(segments: Sequence[str]) -> Spans:
    """Spans of segments that stand in tags of their own names, ``<name>...</name>``; the first of each counts.

    >>> tag_spans(["a", "b"])("<a>x</a><b>yz</b>")
    {'a': (3, 4), 'b': (11, 13)}
    """

    def spans(text: str) -> Mapping[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for name in segments:
            start = text.find(f"<{name}>")
            end = text.find(f"</{name}>", start)
            if 0 <= start < end:
                found[name] = (start + len(name) + 2, end)
        return found

    return spans


def default_spans(segments: Sequence[str]) -> Spans:
    """How segments are found unless the caller says: the LongCoT form for its two segments, else tags."""
    return responses.spans if tuple(segments) == SEGMENTS else tag_spans(segments)


def assign_segments(
    offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]], *, markup: Markup = "base"
) -> list[int]:
    """The segment of each token.

    >>> assign_segments([(0, 3), (3, 5), (5, 9), (9, 10)], [(4, 8)], markup="drop")
    [-1, 0, 0, -1]

    Args:
        offsets: Where each token stands in the text, end exclusive.
        spans: Where each segment stands, end exclusive; an empty span owns nothing.
        markup: What becomes of tokens outside every span.

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

    Args:
        processor: The model's processor, or the tokenizer of a text model; a fast one, which knows offsets.
        segments: Names of the segments.
        spans: Finds the segments in an answer.
        markup: What becomes of tokens that no segment owns.
        max_length: Longest prompt and answer together, tokens. None: no limit.
    """

    def __init__(
        self,
        processor: ProcessorMixin | PreTrainedTokenizerBase,
        *,
        segments: Sequence[str] = SEGMENTS,
        spans: Spans | None = None,
        markup: Markup = "base",
        max_length: int | None = None,
    ) -> None:
        self.processor: Any = processor
        self.tokenizer: Any = getattr(processor, "tokenizer", processor)
        self.segments = tuple(segments)
        self.spans = spans or default_spans(segments)
        self.markup: Markup = markup
        self.max_length = max_length

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
            InputError: If prompt and answer are longer than `max_length` (nothing is ever cut), or the chat template
                changes an answer's text.
        """
        pictures = [_pictures(example) for example in examples]
        texts = [self._render(example, images, answers) for example, images in zip(examples, pictures, strict=True)]
        prompts, vision = self._prompts([text["prompt"] for text in texts], pictures)
        encoded = [
            [prompt, *(self._answer(text[name], message_text(example[name][0])) for name in answers)]
            for prompt, text, example in zip(prompts, texts, examples, strict=True)
        ]
        for example, parts in zip(examples, encoded, strict=True):
            self._check_length(example, parts)
        return encoded, vision

    @property
    def _sees(self) -> bool:
        return self.tokenizer is not self.processor

    def _render(self, example: Mapping[str, Any], images: list[Image], answers: Sequence[str]) -> dict[str, str]:
        from trl.data_utils import apply_chat_template, prepare_multimodal_messages

        if not self._sees:
            if images:
                raise InputError("expected rows without images, since a text model was given; got one with an image")
            return apply_chat_template({name: example[name] for name in ("prompt", *answers)}, self.tokenizer)
        messages: dict[str, Any] = {"prompt": prepare_multimodal_messages(example["prompt"], images=images)}
        for name in answers:
            messages[name] = prepare_multimodal_messages(example[name])
        return apply_chat_template(messages, self.processor)

    def _prompts(self, texts: list[str], pictures: list[list[Image]]) -> tuple[list[Tokens], dict[str, Tensor]]:
        seen = {"images": pictures if any(pictures) else None} if self._sees else {"return_token_type_ids": False}
        encoded = dict(
            self.processor(
                text=texts,
                padding=True,
                padding_side="right",
                return_tensors="pt",
                add_special_tokens=False,  # the chat template wrote them
                **seen,
            )
        )
        ids, mask = encoded.pop("input_ids"), encoded.pop("attention_mask").bool()
        types = {key: encoded.pop(key) for key in TOKEN_KEYS if key in encoded}
        prompts = [
            Tokens(
                ids=ids[row, keep],
                segments=torch.full((int(keep.sum()),), -1),
                types={key: values[row, keep] for key, values in types.items()},
            )
            for row, keep in enumerate(mask)
        ]
        return prompts, encoded

    def _answer(self, text: str, content: str) -> Tokens:
        start = text.find(content)
        if start < 0:
            raise InputError(
                f"the chat template must keep an answer's text; it turned {content[:60]!r} into {text[:60]!r}. "
                "Strip blanks around the answers, or mend the template"
            )
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        found = self.spans(content)
        spans = [found.get(name, (0, 0)) for name in self.segments]
        owners = assign_segments(
            encoded["offset_mapping"], [(start + begin, start + end) for begin, end in spans], markup=self.markup
        )
        return Tokens(ids=torch.tensor(encoded["input_ids"]), segments=torch.tensor(owners))

    def _check_length(self, example: Mapping[str, Any], parts: Sequence[Tokens]) -> None:
        prompt, *answers = (len(part.ids) for part in parts)
        if self.max_length is not None and prompt + max(answers) > self.max_length:
            raise InputError(
                f"pair {example.get('question_id', '?')!r}: the prompt has {prompt} tokens with its images, the longest "
                f"answer {max(answers)}; max_length is {self.max_length} and nothing is ever cut. Raise max_length, "
                "use smaller images, or remove the pair"
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
        gaps = [example.get(f"gap_{name}") for name in names]
        complete = all((answer.segments == index).any() for answer in pair[1:] for index in range(len(names)))
        return [float("nan") if gap is None or not complete else gap for gap in gaps]


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


def _pictures(example: Mapping[str, Any]) -> list[Image]:
    if isinstance(example["prompt"], str):
        raise InputError("expected conversations, lists of messages with a role and content; got a prompt of plain text")
    pictures = [read_image(image) if isinstance(image, str) else image for image in images.images_of(example)]
    return [_carrier(pictures[0], example.get("regions")), *pictures[1:]] if pictures else []


def _carrier(picture: Image, regions: str | None) -> Image:
    """The image with the row's regions, unless it carries its own."""
    if not regions or carry.KEY in picture.info:
        return picture
    carrier = picture.copy()
    carrier.info[carry.KEY] = regions
    return carrier
