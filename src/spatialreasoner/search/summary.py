"""The results of a run: counts of one question, and their sums over all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from spatialreasoner.core.types import CATEGORIES, Question
from spatialreasoner.inference.failures import FILTERED, REFUSED, TOO_LARGE, TOO_LONG, UNREADABLE
from spatialreasoner.inference.prices import Price
from spatialreasoner.search.solve import Solved

NO_REPLY = frozenset({"unavailable", FILTERED, TOO_LONG, TOO_LARGE, UNREADABLE, REFUSED})
"""Kinds of failures without a reply that was paid for."""

_COUNTS = ("calls", "prompt_tokens", "completion_tokens", "cached_tokens", "kept", "pruned", "samples", "samples_right")


def count(question: Question, solved: Solved) -> dict[str, Any]:
    """The result of one question, as plain JSON."""
    tree, trajectories = solved.tree, solved.trajectories
    return {
        "question": question.id,
        "category": question.category,
        "outcome": tree.outcome,
        "rounds": tree.rounds,
        "model_rounds": tree.model_rounds,
        "trajectories": len(trajectories),
        "right": sum(trajectory.success is True for trajectory in trajectories),
        "paths": sum(trajectory.origin == "search" for trajectory in trajectories),
        "policies": {name: _count_policy(name, solved) for name in tree.usage},
    }


def _count_policy(name: str, solved: Solved) -> dict[str, Any]:
    usages = (solved.tree.usage[name], solved.sampling[name])
    nodes = [node for node in solved.tree.root.walk() if node.policy == name]
    samples = [t for t in solved.trajectories if t.origin == "sample" and t.policies == (name,)]
    failures: Counter[str] = Counter()
    for usage in usages:
        failures.update(usage.failures)
    return {
        "calls": sum(usage.calls for usage in usages),
        "prompt_tokens": sum(usage.prompt_tokens for usage in usages),
        "completion_tokens": sum(usage.completion_tokens for usage in usages),
        "cached_tokens": sum(usage.cached_tokens for usage in usages),
        "kept": sum(node.pruned is None for node in nodes),
        "pruned": sum(node.pruned is not None for node in nodes),
        "samples": len(samples),
        "samples_right": sum(sample.success is True for sample in samples),
        "failures": dict(failures),
    }


@dataclass(kw_only=True)
class Totals:
    """Sums over questions, and the summary made of them."""

    prices: Mapping[str, Price]
    sums: Counter[str] = field(default_factory=Counter[str])
    outcomes: Counter[str] = field(default_factory=Counter[str])
    categories: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    policies: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    failures: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    judges: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    unanswered: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict[str, dict[str, dict[str, int]]])

    def add(self, counted: Mapping[str, Any]) -> None:
        """Add the result of one question."""
        found = counted["outcome"] == "found"
        self.outcomes[counted["outcome"]] += 1
        self.sums.update({name: counted[name] for name in ("rounds", "model_rounds", "trajectories", "right", "paths")})
        self.sums.update(questions=1, found=found)
        self.categories.setdefault(counted["category"], Counter()).update(questions=1, found=found)
        for name, usage in counted["policies"].items():
            self.policies.setdefault(name, Counter()).update({key: usage[key] for key in _COUNTS})
            self.failures.setdefault(name, Counter()).update(usage["failures"])
        for name, usage in counted.get("judging", {}).items():
            self.judges.setdefault(name, Counter()).update({key: n for key, n in usage.items() if key != "failures"})
            self.failures.setdefault(name, Counter()).update(usage["failures"])
        if not counted["trajectories"] and "question" in counted:
            reasons = {name: dict(sorted(usage["failures"].items())) for name, usage in counted["policies"].items()}
            self.unanswered[counted["question"]] = reasons

    def summary(self) -> dict[str, Any]:
        """The content of `summary.json`; shares are None if there is nothing to share."""
        policies = {name: self._policy(name) for name in self.policies}
        judges = {name: self._judge(name) for name in sorted(self.judges)}
        paid = [*policies.values(), *judges.values()]
        cost = sum(each["cost"] for each in paid)
        tokens = sum(each["prompt_tokens"] + each["completion_tokens"] for each in paid)
        return {
            "questions": self.sums["questions"],
            "found": self.sums["found"],
            "success_rate": _share(self.sums["found"], self.sums["questions"]),
            "outcomes": dict(sorted(self.outcomes.items())),
            "trajectories": self.sums["trajectories"],
            "trajectories_right": self.sums["right"],
            "paths": self.sums["paths"],
            "mean_rounds": _share(self.sums["rounds"], self.sums["questions"]),
            "model_rounds": self.sums["model_rounds"],
            "share_pruned": _share(
                sum(policy["pruned"] for policy in policies.values()),
                sum(policy["pruned"] + policy["kept"] for policy in policies.values()),
            ),
            "calls": sum(each["calls"] for each in paid),
            "tokens": tokens,
            "cost": round(cost, 6),
            "cost_per_right_trajectory": None if not self.sums["right"] else round(cost / self.sums["right"], 6),
            "by_category": {
                name: {
                    **self.categories[name],
                    "success_rate": _share(self.categories[name]["found"], self.categories[name]["questions"]),
                }
                for name in CATEGORIES
                if name in self.categories
            },
            "by_policy": policies,
            **({"by_judge": judges} if judges else {}),
            "unanswered": self.unanswered,
        }

    def _judge(self, name: str) -> dict[str, Any]:
        counts = {key: self.judges[name][key] for key in ("requests", *_COUNTS[:4])}
        cost = round(_cost(self.prices.get(name, Price()), counts), 6)
        return {**counts, "cost": cost, "failures": dict(sorted(self.failures[name].items()))}

    def _policy(self, name: str) -> dict[str, Any]:
        counts = {key: self.policies[name][key] for key in _COUNTS}
        price = self.prices.get(name, Price())
        return {
            **counts,
            "share_pruned": _share(counts["pruned"], counts["pruned"] + counts["kept"]),
            "sample_success_rate": _share(counts["samples_right"], counts["samples"]),
            "answers": counts["calls"] - sum(n for kind, n in self.failures[name].items() if kind not in NO_REPLY),
            "cost": round(_cost(price, counts), 6),
            "failures": dict(sorted(self.failures[name].items())),
        }


def _cost(price: Price, counts: Mapping[str, int]) -> float:
    """Money for the tokens of many requests, each of them at the price of short ones: none reads more than a question."""
    return replace(price, tiers=()).cost(counts["prompt_tokens"], counts["completion_tokens"], counts["cached_tokens"])


def missing(counted: Mapping[str, Any]) -> Counter[str]:
    """Number of replies missing for a question, by policy or judge, because requests failed."""
    lacking = {name: usage["failures"].get("unavailable", 0) for name, usage in counted["policies"].items()}
    lacking |= counted.get("judges", {})
    return Counter({name: count for name, count in lacking.items() if count})


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 6) if whole else None
