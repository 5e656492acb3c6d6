"""The paper's claims and its open questions, as comparisons of two arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spatialreasoner.report.published import published

COMPARISONS: Mapping[tuple[str, str], str] = {
    ("base", "sft"): "SFT on answers that the search found improves the base model",
    ("sft", "dpo"): "DPO improves on SFT",
    ("sft", "fdpo"): "fDPO improves on SFT",
    ("dpo", "fdpo"): "fDPO improves on DPO",
    ("sft-short", "sft"): "Chains of thought help: SFT on them against SFT on one sentence",
    ("sft", "sft-chosen"): "More SFT, on the pairs' chosen answers, improves on SFT",
    ("sft-chosen", "fdpo"): "Preferences teach more than their chosen answers: fDPO against SFT on these",
    ("sft", "sft-best"): "More SFT, on the best of eight own samples, improves on SFT",
    ("sft", "dpo-nearest"): "DPO on right against nearest wrong own samples improves on SFT",
    ("sft-best", "dpo-nearest"): "These pairs teach more than the best samples do",
    ("dpo-nearest", "fdpo-nearest"): "On these pairs, fDPO improves on DPO",
    ("sft", "grpo"): "GRPO on the same questions improves on SFT",
    ("sft-best", "grpo"): "GRPO teaches more than the best of as many samples",
    ("sft", "sft-numbers"): "More SFT, on the closest of eight own answers about quantities, improves on SFT",
    ("sft", "dpo-numbers"): "DPO on close against less close own answers about quantities improves on SFT",
    ("sft", "fdpo-numbers"): "fDPO on these pairs improves on SFT",
    ("sft-numbers", "dpo-numbers"): "These pairs teach more than the closest answers do",
    ("dpo-nearest", "dpo-numbers"): "They teach more than pairs of all kinds of questions do",
    ("dpo-numbers", "fdpo-numbers"): "On these pairs about quantities, fDPO improves on DPO",
    ("sft", "dpo-second"): "Two rounds of DPO about quantities improve on SFT",
    ("dpo-numbers", "dpo-second"): "The second round, on answers of the first one's model, improves on it",
    ("sft", "fdpo-second"): "A round of DPO, then one of fDPO, improve on SFT",
    ("dpo-second", "fdpo-second"): "In the second round, fDPO improves on DPO",
    ("sft", "online-dpo"): "Online DPO, on fewer questions about quantities, improves on SFT",
    ("sft", "online-fdpo"): "Online fDPO on these questions improves on SFT",
    ("online-dpo", "online-fdpo"): "Online, fDPO improves on DPO",
    ("sft", "dpo-once"): "DPO on the best against the worst of as many answers, sampled once, improves on SFT",
    ("dpo-once", "online-dpo"): "Answers sampled as it learns teach more than as many sampled once",
    ("dpo-numbers", "online-dpo"): "Online DPO teaches more than close against less close answers to 2.7 times the questions",
    ("sft-blind", "sft"): "The model looks: SFT with images against SFT without",
    ("fdpo-fixed", "fdpo"): "Weights must adapt to the pair: fDPO against fixed unequal betas",
    ("fdpo-fixed-opposite", "fdpo"): "The right segment must weigh more: fDPO against the fixed opposite",
    ("fdpo-shuffled", "fdpo"): "The gaps inform: fDPO against the gaps of other pairs",
    ("fdpo-inverse", "fdpo"): "A larger gap wants a larger beta: fDPO against the inverse",
    ("fdpo-description", "fdpo"): "The reasoning's gap counts: fDPO against the description's gap alone",
    ("fdpo-reasoning", "fdpo"): "The description's gap counts: fDPO against the reasoning's gap alone",
    ("sft", "fdpo-visual"): "fDPO on pairs ranked by the visual reward alone improves on SFT",
    ("sft", "fdpo-spatial"): "fDPO on pairs ranked by the spatial rewards alone improves on SFT",
    ("sft", "fdpo-logical"): "fDPO on pairs ranked by the logical reward alone improves on SFT",
    ("fdpo-visual", "fdpo"): "All rewards count: fDPO against the visual reward alone",
    ("fdpo-spatial", "fdpo"): "All rewards count: fDPO against the spatial rewards alone",
    ("fdpo-logical", "fdpo"): "All rewards count: fDPO against the logical reward alone",
    ("sft", "fdpo-own"): "fDPO on own samples alone improves on SFT",
    ("sft", "fdpo-factor"): "fDPO on own samples, lengths scored by factor, improves on SFT",
    ("fdpo-own", "fdpo-factor"): "Lengths are better scored by factor than by relative error",
    ("fdpo-own", "fdpo"): "The mixture of candidates helps: against own samples alone",
    ("fdpo-teachers", "fdpo"): "Own samples help: the mixture against search and teachers alone",
    ("fdpo-ranked", "fdpo"): "Hard negatives help",
    ("sft", "fdpo-exact"): "fDPO on exact answers against own samples improves on SFT",
    ("sft", "dpo-exact"): "DPO on exact answers against own samples improves on SFT",
    ("dpo-exact", "fdpo-exact"): "On these pairs, fDPO improves on DPO",
    ("sft", "sft-exact"): "More SFT, on the same exact answers, improves on SFT",
    ("sft-exact", "fdpo-exact"): "These pairs teach more than their exact answers: fDPO against SFT on these",
}
"""What is compared, the second arm with the first, and what it would mean if the second were better."""

MODELS: Mapping[str, str] = {
    "base": "Sa2VA-{} (base)",
    "sft": "SpatialReasoner-R1 SFT {}",
    "dpo": "SpatialReasoner-R1 DPO {}",
    "fdpo": "SpatialReasoner-R1 fDPO {}",
}
"""What the paper calls the arms that it has, the size left open."""


@dataclass(frozen=True, kw_only=True)
class Printed:
    """What the paper prints of a comparison: the difference in points, 8B and 4B."""

    large: float
    small: float


def printed(first: str, second: str, column: str) -> Printed | None:
    """The paper's difference of two arms in a column of its Table 1, percent points; None if it has none."""
    if first not in MODELS or second not in MODELS:
        return None
    rows = {row.model: row.percent for row in published().rows}
    differences: list[float] = []
    for size in ("8B", "4B"):
        before, after = (rows[MODELS[arm].format(size)][column] for arm in (first, second))
        if before is None or after is None:
            return None
        differences.append(after - before)
    return Printed(large=differences[0], small=differences[1])


_TABLES = ("direct distance", "horizontal distance", "vertical distance", "width", "height", "direction")


def _columns(table: Mapping[float, Sequence[float]]) -> Mapping[float, Mapping[str, float]]:
    return {value: dict(zip(_TABLES, percent, strict=True)) for value, percent in table.items()}


SUCCESS_BY_ALPHA = _columns(
    {
        0.1: (53.38, 52.46, 65.09, 51.88, 56.39, 91.58),
        0.2: (56.76, 55.74, 67.92, 57.89, 57.14, 92.23),
        0.3: (60.13, 59.01, 71.75, 65.41, 57.89, 92.52),
        0.4: (58.11, 56.55, 69.81, 63.16, 58.64, 94.39),
    }
)
"""Success of fDPO 4B by alpha, percent (paper, Table 3)."""

SUCCESS_BY_LAMBDA = _columns(
    {
        0.2: (54.05, 53.27, 65.09, 53.38, 56.39, 91.58),
        0.4: (57.38, 57.37, 68.86, 60.15, 57.14, 91.58),
        0.6: (60.13, 59.01, 71.75, 65.41, 57.89, 92.53),
        0.8: (59.45, 58.19, 69.81, 54.67, 57.89, 93.45),
    }
)
"""The same by lambda, at alpha = 0.3 (paper, Table 4)."""


def mean_quantitative(percent: Mapping[str, float]) -> float:
    """The six quantitative groups of the paper's tables as one number, each weighing as many questions as it has.

    >>> round(mean_quantitative(SUCCESS_BY_ALPHA[0.3]), 1)  # the 4B row of Table 1 prints 66.76
    66.8
    """
    items = published().items
    return sum(items[name] * value for name, value in percent.items()) / sum(items[name] for name in percent)
