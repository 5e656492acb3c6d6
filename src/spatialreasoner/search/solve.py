"""One question, start to end: its tree, plain samples beside it, and the score of every whole answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from spatialreasoner.core.errors import EndpointError, PromptError
from spatialreasoner.core.protocols import Policy, Reward
from spatialreasoner.core.types import Prompt, Question, Trajectory
from spatialreasoner.search.m3cts import SearchConfig, count_tokens, search, stable_seed
from spatialreasoner.search.replies import Malformed, continuation
from spatialreasoner.search.tree import Tree, Usage


@dataclass(frozen=True, kw_only=True)
class Solved:
    """All that is kept of one question.

    Attributes:
        tree: The tree.
        sampling: What the policies were asked for plain samples, by their name.
        trajectories: The tree's whole paths in the order of the tree, then the samples; no text comes twice.
    """

    tree: Tree
    sampling: dict[str, Usage]
    trajectories: list[Trajectory]


@dataclass(kw_only=True)
class _Sampler:
    """Draws plain samples of one question."""

    question: Question
    prompt: Prompt
    config: SearchConfig
    usage: dict[str, Usage]
    drawn: dict[str, str] = field(default_factory=dict[str, str])

    async def draw(self, asked: Sequence[tuple[Policy, int]]) -> None:
        """Ask for whole answers, all at once, and keep those that are well-formed and new.

        Args:
            asked: Policies, each with the number of the sample; one request each: many servers write one answer per request.
        """
        replies = await asyncio.gather(*(self._ask(policy, number) for policy, number in asked), return_exceptions=True)
        for (policy, _), text in zip(asked, replies, strict=True):
            if isinstance(text, BaseException):
                raise text
            if text is not None:
                self.drawn.setdefault(text, policy.name)

    async def _ask(self, policy: Policy, number: int) -> str | None:
        usage = self.usage[policy.name]
        seed = stable_seed(self.config.seed, self.question.id, "sample", policy.name, number)
        try:
            reply = await policy.complete(self.prompt, n=1, seed=seed)
            count_tokens(usage, reply)
            for completion in reply[:1]:
                continuation("", completion, whole=True, max_steps=self.config.max_steps)
                return completion.text
            usage.fail("empty")
        except PromptError as reason:
            usage.fail(reason.kind)
        except EndpointError:
            usage.fail("unavailable")
        except Malformed as reason:
            usage.fail(reason.kind)
        return None


async def solve(
    question: Question,
    prompt: Prompt,
    policies: Sequence[Policy],
    reward: Reward,
    config: SearchConfig,
    *,
    samples_per_policy: int,
    candidates: int,
) -> Solved:
    """Search a question, draw plain samples, and score the answers of both.

    Args:
        question: The question.
        prompt: How the models see it.
        policies: The models.
        reward: Rates, scores and judges.
        config: How the tree grows.
        samples_per_policy: Plain samples of each policy.
        candidates: Wanted number of different whole answers; where there are fewer, up to twice the missing number is drawn.

    Raises:
        EndpointError: If no policy can be used.
    """
    sampling = {policy.name: Usage() for policy in policies}
    sampler = _Sampler(question=question, prompt=prompt, config=config, usage=sampling)
    growing = search(question, prompt, policies, reward, config)
    first = sampler.draw([(policy, number) for policy in policies for number in range(samples_per_policy)])
    tree, drawn = await asyncio.gather(growing, first, return_exceptions=True)
    for ended in (tree, drawn):
        if isinstance(ended, BaseException):
            raise ended
    assert isinstance(tree, Tree)
    paths = {leaf.prefix() for leaf in tree.complete_paths()}
    await _top_up(sampler, policies, paths, candidates, first=samples_per_policy)
    return Solved(tree=tree, sampling=sampling, trajectories=await _score(question, tree, sampler.drawn, reward))


async def _top_up(sampler: _Sampler, policies: Sequence[Policy], paths: set[str], candidates: int, *, first: int) -> None:
    """Draw what is missing, each policy in turn, in at most two rounds; samples are numbered from `first`."""
    asked = 0
    for _ in range(2):
        missing = candidates - len(paths | sampler.drawn.keys())
        if missing <= 0:
            return
        turns = range(asked, asked + missing)
        await sampler.draw([(policies[turn % len(policies)], first + turn // len(policies)) for turn in turns])
        asked += missing


async def _score(question: Question, tree: Tree, samples: dict[str, str], reward: Reward) -> list[Trajectory]:
    found: dict[str, Trajectory] = {}
    for leaf in tree.complete_paths():
        text = leaf.prefix()
        found[text] = Trajectory(
            question_id=question.id,
            index=len(found),
            text=text,
            policies=tuple(node.policy for node in leaf.path()),
            reward=await reward.score(question, text),
            success=leaf.success,
            visits=leaf.visits,
            value=leaf.value,
        )
    for text, policy in samples.items():
        if text not in found:
            found[text] = Trajectory(
                question_id=question.id,
                index=len(found),
                text=text,
                policies=(policy,),
                reward=await reward.score(question, text),
                success=reward.succeeds(question, text),
                origin="sample",
            )
    return list(found.values())
