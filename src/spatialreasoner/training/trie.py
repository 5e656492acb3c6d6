"""Rows of tokens as a trie: what rows have in common from their start is in it once.

An image, the questions about it, their answers, and what a hard negative shares with the answer that it was made of: each
shared prefix is one node. The packed row is the trie in depth-first order, so a node is followed by all that continues it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class TrieRow:
    """A prompt and one response to it.

    Attributes:
        keys: What makes a token the same as another of the same place [tokens columns]: its id, its types, its images.
        source: Where each token is in the batch [tokens].
        prompt: How many of the tokens are the prompt's.
    """

    keys: np.ndarray
    source: np.ndarray
    prompt: int


@dataclass(frozen=True, kw_only=True)
class TrieNode:
    """A stretch of tokens that the same rows have in common.

    Attributes:
        start: Its first token in the packed row.
        stop: One past its last token.
        end: One past the last token of all that continues it.
        parent: Number of the node that it continues; -1 for none.
    """

    start: int
    stop: int
    end: int
    parent: int


@dataclass(frozen=True, kw_only=True)
class Trie:
    """The packed row.

    Attributes:
        nodes: In depth-first order.
        source: Where each token is in the batch.
        places: How many tokens come before each in its own row.
        scored: The tokens that belong to a response.
        predicted_at: The token before each of `scored`, where it is predicted.
        order: Which of `scored` each response token is, row by row.
        paths: The packed row's tokens of each row, from its first to its last.
    """

    nodes: Sequence[TrieNode]
    source: Int[Tensor, " tokens"]
    places: Int[Tensor, " tokens"]
    scored: Int[Tensor, " scored"]
    predicted_at: Int[Tensor, " scored"]
    order: Int[Tensor, " responses"]
    paths: Sequence[Int[Tensor, " row"]]

    def __len__(self) -> int:
        return len(self.source)

    def node_of(self, token: int) -> TrieNode:
        """The node that a token of the packed row is in."""
        return next(node for node in self.nodes if node.start <= token < node.stop)

    def ancestors(self, node: TrieNode) -> list[TrieNode]:
        """The nodes before it, from the root."""
        found: list[TrieNode] = []
        while node.parent >= 0:
            node = self.nodes[node.parent]
            found.append(node)
        return found[::-1]


def grow(rows: Sequence[TrieRow]) -> Trie:
    """Build the trie of rows.

    Args:
        rows: At least one; a prompt has at least one token.
    """
    root = _Branch(keys=rows[0].keys[:0], source=rows[0].source[:0])
    for row in rows:
        root.insert(row)
    nodes, source, places = _depth_first(root)
    before = np.arange(len(source)) - 1
    for node in nodes:
        before[node.start] = nodes[node.parent].stop - 1 if node.parent >= 0 else -1
    paths = [root.path(row) for row in rows]
    responses = np.concatenate([path[row.prompt :] for row, path in zip(rows, paths, strict=True)])
    scored, order = np.unique(responses, return_inverse=True)
    return Trie(
        nodes=nodes,
        source=torch.from_numpy(source),
        places=torch.from_numpy(places),
        scored=torch.from_numpy(scored),
        predicted_at=torch.from_numpy(before[scored]),
        order=torch.from_numpy(order),
        paths=[torch.from_numpy(path) for path in paths],
    )


@dataclass(kw_only=True)
class _Branch:
    """A node while the trie grows; its children are found by the key of their first token."""

    keys: np.ndarray
    source: np.ndarray
    children: dict[bytes, _Branch] = field(default_factory=dict[bytes, "_Branch"])
    start: int = 0

    def insert(self, row: TrieRow) -> None:
        branch, at = self, 0
        while at < len(row.keys):
            child = branch.children.get(row.keys[at].tobytes())
            if child is None:
                branch.children[row.keys[at].tobytes()] = _Branch(keys=row.keys[at:], source=row.source[at:])
                return
            same = _common(child.keys, row.keys[at:])
            if same < len(child.keys) and at + same < len(row.keys):
                child.split(same)
            branch, at = child, at + same

    def split(self, at: int) -> None:
        lower = _Branch(keys=self.keys[at:], source=self.source[at:], children=self.children)
        self.keys, self.source = self.keys[:at], self.source[:at]
        self.children = {lower.keys[0].tobytes(): lower}

    def path(self, row: TrieRow) -> np.ndarray:
        """The packed row's tokens of a row that was inserted, once starts are known."""
        branch, at, parts = self, 0, [np.empty(0, dtype=np.int64)]
        while at < len(row.keys):
            branch = branch.children[row.keys[at].tobytes()]
            count = min(len(branch.keys), len(row.keys) - at)
            parts.append(np.arange(branch.start, branch.start + count))
            at += count
        return np.concatenate(parts)


def _common(one: np.ndarray, other: np.ndarray) -> int:
    """How many tokens two stretches share from their start."""
    length = min(len(one), len(other))
    differs = (one[:length] != other[:length]).any(axis=1)
    return int(differs.argmax()) if differs.any() else length


def _depth_first(root: _Branch) -> tuple[list[TrieNode], np.ndarray, np.ndarray]:
    """The nodes; the source and the place of each token."""
    branches: list[_Branch] = []
    parents: list[int] = []
    places: list[np.ndarray] = []
    stack = [(child, -1, 0) for child in reversed(root.children.values())]
    start = 0
    while stack:
        branch, parent, place = stack.pop()
        number, below = len(branches), place + len(branch.keys)
        stack += [(child, number, below) for child in reversed(branch.children.values())]
        branch.start, start = start, start + len(branch.keys)
        branches.append(branch)
        parents.append(parent)
        places.append(np.arange(place, below))
    return _nodes(branches, parents), np.concatenate([each.source for each in branches]), np.concatenate(places)


def _nodes(branches: Sequence[_Branch], parents: Sequence[int]) -> list[TrieNode]:
    starts = [branch.start for branch in branches]
    stops = [branch.start + len(branch.keys) for branch in branches]
    ends = list(stops)
    for number in range(len(parents) - 1, -1, -1):  # children come after their parents
        if parents[number] >= 0:
            ends[parents[number]] = max(ends[parents[number]], ends[number])
    return [
        TrieNode(start=start, stop=stop, end=end, parent=parent)
        for start, stop, end, parent in zip(starts, stops, ends, parents, strict=True)
    ]
