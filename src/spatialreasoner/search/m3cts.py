"""Multi-model Monte Carlo tree search over the steps of an answer: expand, simulate, back up, select (paper, appendix B, C).

Given the replies, a search is deterministic: every call's seed comes from the question, the prefix and the policy, and
candidates are treated in the order of the policies, whichever answers first.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from spatialreasoner.core.errors import ConfigError, EndpointError, PromptError
from spatialreasoner.core.old_names import accepts_old_names, to_new_names
from spatialreasoner.core.protocols import Policy, Reward
from spatialreasoner.core.types import Completion, Prompt, Question
from spatialreasoner.language.responses import ResponseStep
from spatialreasoner.search.replies import Malformed, continuation
from spatialreasoner.search.tree import Node, Tree, Usage, add, close, mean_rating, select, ucb


def _renewed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings under today's names, and with today's name of the expansion."""
    found = to_new_names(values, {"max_stages": "max_steps"}, stacklevel=4)
    if found.get("expansion") == "stage":
        warnings.warn('expansion="stage" is now called expansion="step"', FutureWarning, stacklevel=3)
        found["expansion"] = "step"
    return found


@accepts_old_names(_renewed)
@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Settings of a search tree; what the paper leaves open has the defaults of CoMCTS, its closest relative (papers.md 3.3).

    Attributes:
        exploration: Weight of the second UCB term.
        threshold: Minimum mean rating of a step; steps below it are pruned.
        max_model_rounds: Maximum policy calls per question; each policy called in a round counts as one.
        expansion: "complete": each policy finishes the answer, which is cut at its first bad step (CoMCTS). "step": each
            policy adds one step (the paper's figure 5); anything it wrote after that is dropped.
        stop: "found": stop when a kept path is right. "budget": continue, to collect more paths.
        ratings: "continuous": as the reward gives them. "signs": each rounded to -1, 0 or 1, the paper's scale.
        sign_margin: With "signs", a rating at most this far from 0 is 0.
        max_expansions: Maximum expansions per node, each with new samples.
        samples: Continuations requested from each policy per expansion.
        max_steps: Maximum length of an answer in steps; longer replies count as malformed.
        seed: Seed from which every call's seed is derived.
    """

    exploration: float = 0.5
    threshold: float = 0.0
    max_model_rounds: int = 20
    expansion: Literal["complete", "step"] = "complete"
    stop: Literal["found", "budget"] = "found"
    ratings: Literal["continuous", "signs"] = "continuous"
    sign_margin: float = 1 / 3
    max_expansions: int = 2
    samples: int = 1
    max_steps: int = 24
    seed: int = 0

    def __post_init__(self) -> None:
        if self.exploration < 0:
            raise ConfigError(f"exploration must be at least 0; got {self.exploration}")
        if not -1 <= self.threshold <= 1:
            raise ConfigError(f"threshold must be in -1..1, the range of ratings; got {self.threshold}")
        for name in ("max_model_rounds", "max_expansions", "samples", "max_steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1; got {getattr(self, name)}")

    def journalled(self) -> dict[str, Any]:
        """The settings under their original names, by which a run's journal recognizes its finished questions."""
        names, values = {"max_steps": "max_stages"}, {"step": "stage"}
        known = {**asdict(self), "expansion": values.get(self.expansion, self.expansion)}
        return {names.get(name, name): value for name, value in known.items()}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What one policy proposed to follow a node, step by step, with its ratings once simulated."""

    policy: str
    steps: tuple[ResponseStep, ...]
    ratings: tuple[Mapping[str, float], ...] = ()


async def search(question: Question, prompt: Prompt, policies: Sequence[Policy], reward: Reward, config: SearchConfig) -> Tree:
    """Grow a tree until a kept path is right, the model-rounds are used up, or nothing is left to expand.

    Args:
        question: The question; its reference decides what is right.
        prompt: How the models see it, with an empty prefix.
        policies: The models; all are asked in every round, the first of them in a last round that the budget cuts short.
        reward: Rates steps and tells right from wrong.
        config: The choices.

    Raises:
        EndpointError: If no policy can be used.
    """
    tree = Tree(question_id=question.id, usage={policy.name: Usage() for policy in policies})
    while tree.outcome is None:
        node = select(tree.root, exploration=config.exploration)
        _record_selection(node, tree.rounds, config)
        candidates = await expand(tree, node, prompt, policies, config)
        candidates = await simulate(question, node, candidates, reward, config)
        found = [_insert(node, candidate, question, reward, config) for candidate in candidates]
        close(node, max_expansions=config.max_expansions)
        tree.rounds += 1
        if any(found) and config.stop == "found":
            tree.outcome = "found"
        elif tree.root.closed:
            tree.outcome = "exhausted"
        elif tree.model_rounds >= config.max_model_rounds:
            tree.outcome = "budget"
    if any(leaf.success for leaf in tree.complete_paths()):
        tree.outcome = "found"
    return tree


async def expand(tree: Tree, node: Node, prompt: Prompt, policies: Sequence[Policy], config: SearchConfig) -> list[Candidate]:
    """Ask the policies, all at once, to continue a node; malformed replies are counted and left out.

    Raises:
        EndpointError: If none of them can be used.
    """
    policies = policies[: config.max_model_rounds - tree.model_rounds]
    prefix = node.prefix()
    continued = replace(prompt, prefix=prefix)
    seeds = [stable_seed(config.seed, tree.question_id, prefix, policy.name, node.expansions) for policy in policies]
    replies = await asyncio.gather(
        *(policy.complete(continued, n=config.samples, seed=seed) for policy, seed in zip(policies, seeds, strict=True)),
        return_exceptions=True,  # replies on their way are awaited whatever the others do: they are paid for
    )
    node.expansions += 1
    tree.model_rounds += len(policies)
    usable = [reply if isinstance(reply, EndpointError) else _raised(reply) for reply in replies]
    if all(isinstance(reply, EndpointError) and not isinstance(reply, PromptError) for reply in usable):
        raise EndpointError(f"no policy could continue question {tree.question_id!r}; the first error: {usable[0]}")
    return [
        candidate
        for policy, reply in zip(policies, usable, strict=True)
        for candidate in _read(tree.usage[policy.name], policy.name, prefix, reply, config)
    ]


def _raised(reply: Sequence[Completion] | BaseException) -> Sequence[Completion]:
    if isinstance(reply, BaseException):
        raise reply
    return reply


def _read(
    usage: Usage, policy: str, prefix: str, reply: Sequence[Completion] | EndpointError, config: SearchConfig
) -> list[Candidate]:
    """The well-formed candidates in a reply; the rest is counted in `usage` by kind."""
    if isinstance(reply, EndpointError):
        usage.fail(reply.kind if isinstance(reply, PromptError) else "unavailable")
        return []
    count_tokens(usage, reply)
    found: list[Candidate] = []
    for completion in reply:
        try:
            steps = continuation(prefix, completion, whole=config.expansion == "complete", max_steps=config.max_steps)
        except Malformed as reason:
            usage.fail(reason.kind)
            continue
        found.append(Candidate(policy=policy, steps=tuple(steps)))
    return found


def count_tokens(usage: Usage, reply: Sequence[Completion]) -> None:
    """Add one reply's call and tokens to a usage."""
    usage.calls += 1
    usage.prompt_tokens += sum(completion.prompt_tokens for completion in reply)
    usage.completion_tokens += sum(completion.completion_tokens for completion in reply)
    usage.cached_tokens += sum(completion.cached_tokens for completion in reply)


async def simulate(
    question: Question, node: Node, candidates: Sequence[Candidate], reward: Reward, config: SearchConfig
) -> list[Candidate]:
    """Rate the steps of every candidate, up to and with its first bad one; what follows that is dropped."""
    rated = await asyncio.gather(*(_rate(question, node.prefix(), candidate, reward, config) for candidate in candidates))
    return list(rated)


async def _rate(question: Question, prefix: str, candidate: Candidate, reward: Reward, config: SearchConfig) -> Candidate:
    ratings: list[Mapping[str, float]] = []
    for step in candidate.steps:
        given = await reward.rate(question, prefix, step.text)
        ratings.append(_scaled(given, config))
        if mean_rating(ratings[-1]) < config.threshold:
            break
        prefix += step.text
    return replace(candidate, steps=candidate.steps[: len(ratings)], ratings=tuple(ratings))


def _scaled(ratings: Mapping[str, float], config: SearchConfig) -> Mapping[str, float]:
    """Ratings clipped to -1..1, and rounded to the paper's three values if the configuration says so."""
    clipped = {name: min(1.0, max(-1.0, rating)) for name, rating in ratings.items()}
    if config.ratings == "continuous":
        return clipped
    return {name: float((rating > config.sign_margin) - (rating < -config.sign_margin)) for name, rating in clipped.items()}


def _insert(node: Node, candidate: Candidate, question: Question, reward: Reward, config: SearchConfig) -> bool:
    """Put a rated candidate into the tree, backing up as it grows; returns whether it is a kept, right answer.

    A step that is already there word for word is not put in twice.
    """
    for step, ratings in zip(candidate.steps, candidate.ratings, strict=True):
        known = next((child for child in node.children if child.text == step.text), None)
        if known is None:
            pruned = _prune_reason(ratings, config.threshold)
            known = add(node, step=step.name, text=step.text, policy=candidate.policy, ratings=ratings, pruned=pruned)
        node = known
        if node.pruned is not None:
            return False
    if node.step != "conclusion":
        return False
    node.success = reward.succeeds(question, node.prefix())
    close(node, max_expansions=config.max_expansions)
    return node.success is True


def _prune_reason(ratings: Mapping[str, float], threshold: float) -> str | None:
    """Why a step is pruned, or None for one that is kept."""
    mean = mean_rating(ratings)
    if mean >= threshold:
        return None
    each = ", ".join(f"{name} {rating:+.2f}" for name, rating in ratings.items())
    return f"rated {mean:+.2f}, below {threshold:g}: {each}"


def _record_selection(node: Node, round_index: int, config: SearchConfig) -> None:
    """Record the current UCB value of each node on the selected path, for those who look at the tree later."""
    for passed in node.path():
        passed.selections.append((round_index, ucb(passed, exploration=config.exploration)))


def stable_seed(*parts: str | int) -> int:
    """A seed that depends on nothing but the parts: the same in every process, 0 .. 2^63 - 1.

    >>> stable_seed(0, "q1", "", "scripted:careful", 0) == stable_seed(0, "q1", "", "scripted:careful", 0)
    True
    """
    digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
