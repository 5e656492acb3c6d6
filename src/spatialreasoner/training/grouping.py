"""The order of rows: shuffled, and rows that share images brought together, so that a batch computes their images once.

An epoch is shuffled by the seed and cut into windows. Within a window the rows of an image, and among them those of a prompt,
are put side by side and cut into batches; what is left of several images fills further batches, and the batches are shuffled.
Each row comes once per epoch, as without grouping; but a batch has fewer images.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import Sampler

from spatialreasoner.training.images import images_key

if TYPE_CHECKING:
    from datasets import Dataset

RowKey = tuple[str, str]
"""What a row shares with others: its images, and its prompt."""


def row_keys(dataset: Dataset) -> list[RowKey]:
    """The key of each row; images are distinguished by path or by their bytes, without decoding them."""
    columns = [name for name in ("images", "image", "regions", "prompt") if name in dataset.column_names]
    tables: Any = dataset.select_columns(columns).with_format("arrow").iter(batch_size=64)
    return [_key(row) for table in tables for row in table.to_pylist()]


def _key(row: Mapping[str, Any]) -> RowKey:
    prompt = json.dumps(row.get("prompt"), sort_keys=True, default=str)
    return images_key(row), hashlib.sha256(prompt.encode()).hexdigest()


def share(keys: Sequence[RowKey]) -> bool:
    """Whether any two rows have images, or without images a prompt, in common."""
    return len({_shared(key) for key in keys}) < len(keys)


def arrange(keys: Sequence[RowKey], *, batch: int, window: int, generator: torch.Generator) -> list[int]:
    """The numbers of all rows in the order of an epoch.

    Args:
        keys: Of `row_keys`.
        batch: Rows that are computed together.
        window: Rows within which those that share are brought together; rounded up to whole batches.
        generator: The source of chance.
    """
    shuffled = torch.randperm(len(keys), generator=generator).tolist()
    size = -(-window // batch) * batch
    return list(chain.from_iterable(_arranged(rows, keys, batch, generator) for rows in _pieces(shuffled, size)))


def adjacent(keys: Sequence[RowKey]) -> list[int]:
    """The numbers of all rows, those that share side by side, by the first of them."""
    return list(chain.from_iterable(_groups(range(len(keys)), keys)))


def _arranged(rows: Sequence[int], keys: Sequence[RowKey], batch: int, generator: torch.Generator) -> list[int]:
    whole: list[list[int]] = []
    parts: list[list[int]] = []
    for group in _groups(rows, keys):
        for piece in _pieces(group, batch):
            (whole if len(piece) == batch else parts).append(piece)
    filled = _fill(parts, batch)
    *more, last = filled or [[]]
    whole += more if len(last) < batch else filled
    order = torch.randperm(len(whole), generator=generator).tolist()
    return [*chain.from_iterable(whole[index] for index in order), *(last if len(last) < batch else [])]


def _groups(rows: Sequence[int], keys: Sequence[RowKey]) -> list[list[int]]:
    """Rows by what they share, and within that by their prompts, each in the order of its first row."""
    groups: dict[str, dict[str, list[int]]] = {}
    for row in rows:
        groups.setdefault(_shared(keys[row]), {}).setdefault(keys[row][1], []).append(row)
    return [list(chain.from_iterable(prompts.values())) for prompts in groups.values()]


def _shared(key: RowKey) -> str:
    images, prompt = key
    return images or prompt


def _fill(parts: Sequence[list[int]], batch: int) -> list[list[int]]:
    """Batches of parts that are smaller, the largest first, each where it leaves least room; all are full but the last."""
    bins: list[list[int]] = []
    by_room: dict[int, list[int]] = {}
    for part in sorted(parts, key=len, reverse=True):
        room = next((room for room in range(len(part), batch + 1) if by_room.get(room)), None)
        if room is None:
            bins.append([])
            room, number = batch, len(bins) - 1
        else:
            number = by_room[room].pop()
        bins[number] += part
        by_room.setdefault(room - len(part), []).append(number)
    full = [rows for rows in bins if len(rows) == batch]
    return full + _pieces(list(chain.from_iterable(rows for rows in bins if len(rows) < batch)), batch)


def _pieces(rows: Sequence[int], size: int) -> list[list[int]]:
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]


class GroupedSampler(Sampler[int]):
    """Gives the rows of each epoch in the order of `arrange`; the same seed and epoch give the same order in every process.

    Args:
        keys: Of `row_keys`.
        batch: Rows that are computed together, in all processes.
        window: Rows within which those that share are brought together.
        seed: Decides the order, together with the epoch.
    """

    def __init__(self, keys: Sequence[RowKey], *, batch: int, window: int, seed: int) -> None:
        self.keys = keys
        self.batch = batch
        self.window = window
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        yield from arrange(self.keys, batch=self.batch, window=self.window, generator=generator)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0; accelerate calls it."""
        self.epoch = epoch
