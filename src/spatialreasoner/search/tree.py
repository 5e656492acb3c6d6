"""The tree of a search: nodes, the arithmetic of the four phases, and JSON for viewers. No models, no waiting.

A node is one step of an answer (description, rationale, one step, conclusion). Symbols of the paper: N is `visits`, V is
`value`, R is `reward`, the weight of the second UCB term is `exploration`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from spatialreasoner.core.old_names import accepts_old_names, to_new_names

SearchOutcome = Literal["found", "budget", "exhausted"]
"""How a search ended: a kept path is right; no model-rounds are left; nothing is left to expand."""

_OLD_NAMES = {"stage": "step"}


@accepts_old_names(partial(to_new_names, names=_OLD_NAMES))
@dataclass(eq=False, slots=True)
class Node:
    """One step of an answer, or the root: the question itself.

    Attributes:
        visits: N: how many kept nodes the subtree under it holds, itself included (the root's own place counts nothing).
        value: V: the mean reward of those nodes.
        parent: The step before, or None for the root.
        children: The steps that follow it, in the order found.
        step: Its name: "description", "rationale", "step 1", ..., "conclusion"; empty for the root.
        text: Its exact text; the texts from the root down are the prefix of an answer.
        policy: The policy that wrote it.
        ratings: What each criterion says of it, -1..1; criteria that say nothing are absent.
        reward: R: the mean of `ratings`; 0 if no criterion says anything.
        pruned: Why the search does not continue from here, or None for a kept node.
        success: Whether a conclusion agrees with the reference; None elsewhere and where it cannot be told.
        expansions: How many times the policies were asked to continue it.
        closed: Whether nothing is left to expand at it or beneath it.
        selections: Each round in which selection passed it, with its UCB value at that moment.
    """

    visits: int = 0
    value: float = 0.0
    parent: Node | None = field(default=None, repr=False)
    children: list[Node] = field(default_factory=list["Node"], repr=False)
    step: str = ""
    text: str = ""
    policy: str = ""
    ratings: Mapping[str, float] = field(default_factory=dict[str, float])
    reward: float = 0.0
    pruned: str | None = None
    success: bool | None = None
    expansions: int = 0
    closed: bool = False
    selections: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])

    @property
    def stage(self) -> str:
        """The old name of `step`."""
        warnings.warn("the attribute stage is now called step", FutureWarning, stacklevel=2)
        return self.step

    @property
    def open(self) -> bool:
        """Whether selection may enter it."""
        return self.pruned is None and not self.closed

    def path(self) -> list[Node]:
        """The nodes from the root's child down to this one; empty for the root."""
        nodes: list[Node] = []
        node = self
        while node.parent is not None:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]

    def prefix(self) -> str:
        """The answer up to and with this node."""
        return "".join(node.text for node in self.path())

    def walk(self) -> Iterator[Node]:
        """This node and all beneath it, parents before children, in the order found."""
        waiting: list[Node] = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


def ucb(node: Node, *, exploration: float) -> float:
    """What selection maximises: `V(c) + exploration * sqrt(log N(parent) / (1 + N(c)))` (docs/papers.md 3.2).

    The logarithm is taken of at least 1, so that a parent without visits adds nothing. The root, which has no rivals, is
    worth its value.

    >>> parent = Node(visits=4, value=0.5)
    >>> round(ucb(Node(visits=1, value=0.25, parent=parent), exploration=0.5), 4)  # 0.25 + 0.5 sqrt(1.3863 / 2)
    0.6663
    """
    if node.parent is None:
        return node.value
    return node.value + exploration * math.sqrt(math.log(max(1, node.parent.visits)) / (1 + node.visits))


def select(root: Node, *, exploration: float) -> Node:
    """Walk down from the root by the highest UCB, the first of equals, to a node without open children.

    Pruned and closed children are skipped, so a node whose children are all done is itself returned.
    """
    node = root
    while candidates := [child for child in node.children if child.open]:
        node = max(candidates, key=lambda child: ucb(child, exploration=exploration))
    return node


def backup(node: Node, rewards: Sequence[float]) -> None:
    """Update a node and its ancestors with its new kept children (docs/papers.md 3.2).

    `V(s) <- (N(s) V(s) + sum of R(c)) / (N(s) + n)` and `N(s) <- N(s) + n`, for s from `node` up to the root.

    Args:
        node: The parent of the new nodes.
        rewards: R of each new node that was kept; none changes nothing.
    """
    if not rewards:
        return
    total = math.fsum(rewards)
    above: Node | None = node
    while above is not None:
        visits = above.visits + len(rewards)
        above.value = (above.visits * above.value + total) / visits
        above.visits = visits
        above = above.parent


@accepts_old_names(partial(to_new_names, names=_OLD_NAMES))
def add(parent: Node, *, step: str, text: str, policy: str, ratings: Mapping[str, float], pruned: str | None) -> Node:
    """Add a rated step under a node and back it up; a pruned one is kept for the record, but counts nothing.

    A kept node starts with one visit, worth its own reward, so that selection can tell siblings apart before they have
    children.
    """
    reward = mean_rating(ratings)
    node = Node(step=step, text=text, policy=policy, ratings=ratings, reward=reward, parent=parent, pruned=pruned)
    parent.children.append(node)
    if pruned is None:
        node.visits, node.value = 1, reward
        backup(parent, [reward])
    return node


def mean_rating(ratings: Mapping[str, float]) -> float:
    """R of a step: the mean over the criteria that say something about it, or 0, neutral, where none does."""
    return math.fsum(ratings.values()) / len(ratings) if ratings else 0.0


def close(node: Node, *, max_expansions: int) -> None:
    """Close a node that is done, and with it every ancestor that is done in turn.

    A conclusion is done at once; another node when it was expanded `max_expansions` times and has no open child.
    """
    above: Node | None = node
    while above is not None:
        spent = above.expansions >= max_expansions and not any(child.open for child in above.children)
        if above.step != "conclusion" and not spent:
            return
        above.closed = True
        above = above.parent


@dataclass(kw_only=True)
class Usage:
    """What one policy was asked in one search, and what it cost.

    Attributes:
        calls: Replies received.
        prompt_tokens: Tokens read, as far as the policy tells.
        completion_tokens: Tokens written, as far as the policy tells.
        failures: Replies that never entered the tree, by kind ("empty", "refusal", "truncated", ...).
        cached_tokens: Of the tokens read, those that came from the server's cache.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    failures: dict[str, int] = field(default_factory=dict[str, int])
    cached_tokens: int = 0

    def to_json(self) -> dict[str, Any]:
        """As plain JSON; what only some servers report is left out if it is missing."""
        return {name: value for name, value in vars(self).items() if value or name != "cached_tokens"}

    def fail(self, kind: str) -> None:
        """Count one reply that cannot be used."""
        self.failures[kind] = self.failures.get(kind, 0) + 1


@dataclass(kw_only=True)
class Tree:
    """A finished or growing search of one question.

    Attributes:
        question_id: The question.
        root: The question as a node; its children are descriptions.
        outcome: How the search ended; None while it runs.
        rounds: How often the four phases ran.
        model_rounds: Policy calls made, the count that `SearchConfig.max_model_rounds` limits.
        usage: What each policy was asked, by its name.
    """

    question_id: str
    root: Node = field(default_factory=Node)
    outcome: SearchOutcome | None = None
    rounds: int = 0
    model_rounds: int = 0
    usage: dict[str, Usage] = field(default_factory=dict[str, Usage])

    def complete_paths(self) -> list[Node]:
        """The kept conclusions: the last nodes of whole answers, in the order of `walk`."""
        return [node for node in self.root.walk() if node.step == "conclusion" and node.pruned is None]


_STORED = ("text", "policy", "reward", "visits", "value", "pruned", "success", "expansions", "closed")


def tree_to_json(tree: Tree) -> dict[str, Any]:
    """A tree as plain JSON: its nodes in the order of `walk`, each with the index of its parent."""
    nodes = list(tree.root.walk())
    index = {id(node): number for number, node in enumerate(nodes)}
    return {
        "question_id": tree.question_id,
        "outcome": tree.outcome,
        "rounds": tree.rounds,
        "model_rounds": tree.model_rounds,
        "usage": {name: usage.to_json() for name, usage in tree.usage.items()},
        "nodes": [
            {
                "parent": None if node.parent is None else index[id(node.parent)],
                "stage": node.step,  # the key is older than the name
                **{name: getattr(node, name) for name in _STORED},
                "ratings": dict(node.ratings),
                "selections": node.selections,
            }
            for node in nodes
        ],
    }


def from_json(value: Mapping[str, Any]) -> Tree:
    """Read a tree back; `tree_to_json` of the result is the same JSON."""
    nodes: list[Node] = []
    for row in value["nodes"]:
        parent = None if row["parent"] is None else nodes[row["parent"]]
        node = Node(
            parent=parent,
            step=row["stage"],
            ratings=dict(row["ratings"]),
            selections=[(number, score) for number, score in row["selections"]],
            **{name: row[name] for name in _STORED},
        )
        nodes.append(node)
        if parent is not None:
            parent.children.append(node)
    return Tree(
        root=nodes[0],
        usage={name: Usage(**usage) for name, usage in value["usage"].items()},
        **{name: value[name] for name in ("question_id", "outcome", "rounds", "model_rounds")},
    )
