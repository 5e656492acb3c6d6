"""The images of a batch: which rows have the same ones, each prepared once, and where they are in the packed trie.

Rows share their images where these and everything before the last of them agree, so that images are never between
branches of the trie and keep the order of their placeholders.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional

from spatialreasoner.core.errors import InputError
from spatialreasoner.core.types import Rle
from spatialreasoner.scenes import carry
from spatialreasoner.scenes.files import read_image
from spatialreasoner.training.trie import Trie, TrieRow, grow

if TYPE_CHECKING:
    from PIL.Image import Image

    from spatialreasoner.training.collate import Encoder, Tokens

ImageTensors = Mapping[str, Tensor]
"""What the processor made of images, by the names of the model's arguments."""


@dataclass(frozen=True, kw_only=True)
class ImagePrefix:
    """The tokens of a prompt up to its last image, in the packed trie.

    Attributes:
        pair: A pair that starts with them.
        tokens: The tokens.
        stop: One past the last of them.
        end: One past the last token of all that continues them.
    """

    pair: int
    tokens: Int[Tensor, " prefix"]
    stop: int
    end: int


def encode_pairs(encoder: Encoder, examples: Sequence[Mapping[str, Any]]) -> tuple[list[list[Tokens]], dict[str, Any]]:
    """Encode preference pairs, images that several of them have once.

    Args:
        encoder: Turns conversations into tokens.
        examples: The pairs, with `chosen` and `rejected`.

    Returns:
        Prompt, chosen and rejected of each; and what a batch says of its images: `trie` and `image_prefixes` (the packed
        trie and where images are in it), `vision` (what the processor made of the images of each prefix), `vision_sizes`
        (how much of each tensor is each prefix's) and `vision_of` (each pair's prefix, -1 for none).
    """
    pairs: list[list[Tokens]] = [[] for _ in examples]
    groups, visions = same_images(examples), list[ImageTensors]()
    for group in groups:
        with prepared_once(encoder.processor, len(group)):
            encoded, vision = encoder([examples[pair] for pair in group], ("chosen", "rejected"))
        visions.append(one_of(vision, len(group)))
        for pair, parts in zip(group, encoded, strict=True):
            pairs[pair] = parts
    trie, prefixes, shown, vision_of = lay_out(pairs, groups, visions, image_token_ids(encoder.processor))
    layout = {
        "trie": trie,
        "image_prefixes": prefixes,
        "vision": join([visions[group] for group in shown]),
        "vision_sizes": {key: [len(visions[group][key]) for group in shown] for group in shown for key in visions[group]},
        "vision_of": vision_of,
    }
    return pairs, layout


@contextmanager
def prepared_once(processor: Any, count: int) -> Generator[None]:
    """Within it a processor prepares the images of the first of `count` rows, and has those of the others from it.

    Args:
        processor: A processor, or the tokenizer of a text model.
        count: How many rows with the same images it is given at a time.
    """
    inner = getattr(processor, "image_processor", None)
    if inner is None or count == 1:
        yield
        return
    processor.image_processor = _OncePrepared(inner, count)
    try:
        yield
    finally:
        processor.image_processor = inner


class _OncePrepared:
    """An image processor that is given the same images several times in a row."""

    def __init__(self, inner: Any, count: int) -> None:
        self._inner = inner
        self._count = count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(self, images: Any, **kwargs: Any) -> Any:
        if not isinstance(images, list | tuple) or len(images) % self._count:
            return self._inner(images, **kwargs)  # a processor that looks at something else beside, such as a region's mask
        found = self._inner(images[: len(images) // self._count], **kwargs)
        return type(found)({key: self._repeated(value) for key, value in found.items()})

    def _repeated(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return torch.cat([value] * self._count)
        return np.concatenate([value] * self._count) if isinstance(value, np.ndarray) else value * self._count


def images_of(example: Mapping[str, Any]) -> list[Any]:
    """The images of a row, paths or images."""
    images = example["images"] if "images" in example else [example["image"]] if "image" in example else []
    return list(images or [])


def read_images(example: Mapping[str, Any]) -> list[Image]:
    """The images of a row as its processor is given them, the first with the row's regions unless it carries its own.

    Raises:
        InputError: If the row is not a conversation.
        MissingFileError: If an image is not there.
    """
    if isinstance(example["prompt"], str):
        raise InputError("expected conversations, lists of messages with a role and content; got a prompt of plain text")
    found = [read_image(image) if isinstance(image, str) else image for image in images_of(example)]
    return [_carrier(found[0], carried_regions(example)), *found[1:]] if found else []


def carried_regions(example: Mapping[str, Any]) -> str:
    """The regions of a row's first image as an image carries them; empty for none.

    `data.read_preferences` gives them so; files of rows that `datasets` reads by itself hold a list of masks.

    Raises:
        InputError: If they are neither.
    """
    given = example.get("regions") or ""
    if isinstance(given, str):
        return given
    try:
        return carry.as_text([Rle(size=(mask["size"][0], mask["size"][1]), counts=mask["counts"]) for mask in given])
    except (ValueError, TypeError, LookupError) as error:
        raise InputError(f"expected regions as masks of `size` and `counts`, as 'pairs' writes them; got {error!r}") from None


def _carrier(image: Image, regions: str) -> Image:
    if not regions or carry.KEY in image.info:
        return image
    carrier = image.copy()
    carrier.info[carry.KEY] = regions
    return carrier


def images_key(example: Mapping[str, Any]) -> str:
    """Digest of a row's images and regions; empty for a row without images. A path stands for what it leads to."""
    images = images_of(example)
    if not images:
        return ""
    digest = hashlib.sha256(carried_regions(example).encode())
    for image in images:
        if isinstance(image, str):
            digest.update(b"path" + image.encode() + b"\0")
        elif isinstance(image, Mapping):  # as `datasets` keeps images that are not decoded
            digest.update(hashlib.sha256(image["bytes"] or str(image["path"]).encode()).digest())
        else:
            digest.update(carry.image_digest(image))
    return digest.hexdigest()


def same_images(examples: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """The numbers of the rows that have the same images, by their first."""
    found: dict[str, list[int]] = {}
    for number, example in enumerate(examples):
        found.setdefault(images_key(example), []).append(number)
    return list(found.values())


def one_of(vision: ImageTensors, count: int) -> dict[str, Tensor]:
    """What the processor made of one row's images, of what it made of `count` rows with the same ones."""
    return {key: value[: len(value) // count] for key, value in vision.items()}


def join(visions: Sequence[ImageTensors]) -> dict[str, Tensor]:
    """Several rows' images as one; what differs in size is filled with zeros, as processors do."""
    keys = dict.fromkeys(key for vision in visions for key in vision)
    return {key: _cat([vision[key] for vision in visions if key in vision]) for key in keys}


def _cat(parts: Sequence[Tensor]) -> Tensor:
    sizes = [max(sides) for sides in zip(*(part.shape[1:] for part in parts), strict=True)]
    filled = [
        functional.pad(
            part, [side for size, own in zip(sizes[::-1], part.shape[:0:-1], strict=True) for side in (0, size - own)]
        )
        for part in parts
    ]
    return torch.cat(filled)


def image_token_ids(processor: Any) -> set[int]:
    """The ids that stand for parts of images; empty if the processor does not say."""
    named = [getattr(processor, name, None) for name in ("image_token_id", "image_token_ids", "image_ids", "video_token_id")]
    return {
        each for found in named for each in (found if isinstance(found, list | tuple) else [found]) if isinstance(each, int)
    }


def first_image(prompt: Tokens, ids: set[int]) -> int:
    """The first token of an image in a prompt; 0 if there are no image tokens."""
    places = _of_images(prompt, ids)
    return int(places[0]) if len(places) else 0


def last_image(prompt: Tokens, ids: set[int]) -> int:
    """One past the last token of an image in a prompt that has some; the whole of it where no token tells."""
    places = _of_images(prompt, ids)
    return int(places[-1]) + 1 if len(places) else len(prompt.ids)


def _of_images(prompt: Tokens, ids: set[int]) -> Tensor:
    inside = torch.zeros_like(prompt.ids, dtype=torch.bool)
    for each in ids:
        inside |= prompt.ids == each
    for types in prompt.types.values():
        inside |= types != 0
    return inside.nonzero()


def lay_out(
    pairs: Sequence[Sequence[Tokens]], groups: Sequence[Sequence[int]], visions: Sequence[ImageTensors], ids: set[int]
) -> tuple[Trie, list[ImagePrefix], list[int], list[int]]:
    """The trie of a batch of pairs.

    Args:
        pairs: Prompt and responses of each.
        groups: Numbers of the pairs that have the same images.
        visions: What the processor made of each group's images; empty for none.
        ids: Which tokens stand for parts of images.

    Returns:
        The trie, its image prefixes in the order of their images, the group of each of them, and the prefix of each pair.
    """
    prefixes, kinds = _kinds(pairs, groups, visions, ids)
    # A region belongs to the latest image before it, so that no image may come between a row and its own start
    alone = any("region_masks" in vision for vision in visions)
    starts = [0 if alone else first_image(pair[0], ids) for pair in pairs]
    trie = grow(_rows(pairs, starts, prefixes, kinds))
    found: dict[int, tuple[int, ImagePrefix]] = {}
    group_of = {pair: number for number, group in enumerate(groups) for pair in group}
    for pair, (length, kind) in enumerate(zip(prefixes, kinds, strict=True)):
        if length and kind not in found:
            tokens = trie.paths[2 * pair][:length]
            last = int(tokens[-1])
            end = trie.node_of(last).end
            found[kind] = group_of[pair], ImagePrefix(pair=pair, tokens=tokens, stop=last + 1, end=end)
    ordered = sorted(found, key=lambda kind: found[kind][1].stop)
    number = {kind: place for place, kind in enumerate(ordered)}
    vision_of = [number.get(kind, -1) for kind in kinds]
    return trie, [found[kind][1] for kind in ordered], [found[kind][0] for kind in ordered], vision_of


def _kinds(
    pairs: Sequence[Sequence[Tokens]], groups: Sequence[Sequence[int]], visions: Sequence[ImageTensors], ids: set[int]
) -> tuple[list[int], list[int]]:
    """Of each pair the length of its image prefix, and a number that those have in common that share it; 0 for none."""
    lengths, kinds = [0] * len(pairs), [0] * len(pairs)
    known: dict[tuple[int, bytes], int] = {}
    for number, (group, vision) in enumerate(zip(groups, visions, strict=True)):
        for pair in group if vision else ():
            lengths[pair] = last_image(pairs[pair][0], ids)
            same = _columns(pairs[pair][0])[: lengths[pair]].tobytes()
            kinds[pair] = known.setdefault((number, same), len(known) + 1)
    return lengths, kinds


def _rows(
    pairs: Sequence[Sequence[Tokens]], starts: Sequence[int], prefixes: Sequence[int], kinds: Sequence[int]
) -> list[TrieRow]:
    """Each response behind its prompt, as the trie takes it."""
    keys = sorted({key for pair in pairs for part in pair for key in part.types})
    rows: list[TrieRow] = []
    start = 0
    for (prompt, *responses), first, prefix, kind in zip(pairs, starts, prefixes, kinds, strict=True):
        size, after = len(prompt.ids), start + len(prompt.ids)
        for response in responses:
            columns = np.concatenate([_columns(prompt, keys), _columns(response, keys)])
            images = np.zeros(len(columns), dtype=np.int64)
            images[first:prefix] = kind
            stretch = np.arange(after, after + len(response.ids))
            source = np.concatenate([np.arange(start, start + size), stretch])
            rows.append(TrieRow(keys=np.column_stack([columns, images]), source=source, prompt=size))
            after += len(response.ids)
        start = after
    return rows


def _columns(part: Tokens, keys: Sequence[str] | None = None) -> np.ndarray:
    keys = sorted(part.types) if keys is None else keys
    columns = [part.ids, *(part.types.get(key, torch.zeros_like(part.ids)) for key in keys)]
    return torch.stack(columns, dim=1).numpy()
