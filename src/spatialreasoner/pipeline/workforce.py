"""Which models work on a stage, by name: policies that write, judges that grade, and the reward that brings them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.old_names import importable_by_old_names
from spatialreasoner.core.protocols import Embedder, Judge, Policy, Reward
from spatialreasoner.core.types import Scene
from spatialreasoner.inference.budget import Budget, refuse_unknown_prices
from spatialreasoner.inference.limits import Limits
from spatialreasoner.inference.registry import WritingConfig, limits_of, named_policy
from spatialreasoner.judges.panel import Panel
from spatialreasoner.pipeline.inputs import succeeds
from spatialreasoner.rewards import GeometricReward
from spatialreasoner.search.engine import RewardMaker

KEPT_SCENES = 64
"""Scenes whose depth stays loaded: more than the trees in flight ask about at a time."""


@dataclass(frozen=True, kw_only=True)
class Workforce:
    """The models and the reward of a search, by name; each process of a cluster makes its own.

    Attributes:
        policies: The policy models, by name or as objects.
        judges: Names of the models that grade what geometry cannot; each is one evaluator of the panel.
        scenes: The scenes by id.
        writing: How models given by name generate.
        reward: The reward to use instead of geometry and judges; None for those.
    """

    policies: tuple[str | Policy, ...]
    judges: tuple[str, ...]
    scenes: Mapping[str, Scene]
    writing: WritingConfig
    reward: Reward | None = None

    def __call__(self) -> tuple[list[Policy], Reward | RewardMaker, dict[str, Judge]]:
        """Policies, reward and judges."""
        return self.make_policies(), self.reward or self.make_reward, self.make_judges()

    def make_policies(self) -> list[Policy]:
        """The policy models."""
        return [named_policy(p, self.scenes, self.writing) if isinstance(p, str) else p for p in self.policies]

    def make_judges(self) -> dict[str, Judge]:
        """The judges by name."""
        if not self.judges:
            return {}
        from spatialreasoner.judges.rewards import ApiJudge, ApiJudgeConfig

        config = ApiJudgeConfig(key_variable=self.writing.key_variable)
        return {name: ApiJudge(name, config) for name in self.judges}

    def make_reward(self, judges: Mapping[str, Judge]) -> Reward:
        """Geometry alone, or a panel of geometry helped by each judge."""
        from spatialreasoner.judges.rewards import grader

        rewards: dict[str, Reward] = {
            name: GeometricReward(self.scenes, succeeds=succeeds, grader=grader(judge), kept=KEPT_SCENES)
            for name, judge in judges.items()
        }
        return Panel(rewards) if rewards else GeometricReward(self.scenes, succeeds=succeeds, kept=KEPT_SCENES)


@dataclass(frozen=True, kw_only=True)
class RewardJudgesConfig:
    """The models that judge responses, and the limits of what that may cost.

    Attributes:
        names: Names of the models, `api:MODEL@BASE_URL`; the scores of several are averaged.
        concurrency: Maximum concurrent requests per judge.
        key_variable: Environment variable that holds the API key.
        max_calls: Maximum number of requests sent, over all processes that worked on the same output; None means no limit.
        max_tokens: Maximum number of tokens, counted in the same way.
        max_cost: Maximum cost, counted in the same way, in the currency of the prices.
    """

    names: tuple[str, ...]
    concurrency: int = 16
    key_variable: str = "OPENAI_API_KEY"
    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None

    def judges(self) -> dict[str, Judge]:
        """The judges by name.

        Raises:
            ConfigError: If a name has another form or is repeated, or if the cost is limited and a price is unknown.
            MissingExtraError: If what endpoints need is not installed.
        """
        from spatialreasoner.judges.rewards import ApiJudge, ApiJudgeConfig

        if len(set(self.names)) < len(self.names):
            raise ConfigError(f"expected judges of different names; got {', '.join(self.names)}")
        config = ApiJudgeConfig(key_variable=self.key_variable)
        judges: dict[str, Judge] = {name: ApiJudge(name, config) for name in self.names}
        refuse_unknown_prices(self.max_cost, {name: limits.price for name, limits in self.limits().items()})
        return judges

    def limits(self) -> dict[str, Limits]:
        """The limits of each judge, by its name."""
        return {name: judge_limits(name, concurrency=self.concurrency) for name in self.names}

    def budget(self) -> Budget:
        """The limits of what may be spent."""
        return Budget(max_calls=self.max_calls, max_tokens=self.max_tokens, max_cost=self.max_cost)


def judge_limits(name: str, *, concurrency: int = 16) -> Limits:
    """The limits of a judge, by its name: concurrent requests, maximum tokens of one, and their price if known."""
    from spatialreasoner.judges.rewards import MOST_TOKENS

    limits = limits_of(name, concurrency=concurrency)
    return replace(limits, max_tokens=max(MOST_TOKENS, limits.max_tokens))


def named_embedder(source: str | None) -> Embedder | None:
    """A sentence-embedding model by name; None for None."""
    if source is None:
        return None
    from spatialreasoner.inference.backends.embeddings import TransformersEmbedder

    return TransformersEmbedder(source)


__getattr__ = importable_by_old_names(__name__, {"JudgesConfig": "RewardJudgesConfig"})
