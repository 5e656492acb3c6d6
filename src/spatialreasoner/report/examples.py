"""Worked examples for a report: a question with its image, its search tree, and the pair that came of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from spatialreasoner.core.types import Question, RewardBreakdown, Trajectory
from spatialreasoner.report.images import MarkedImage
from spatialreasoner.report.runs import PairRow, Runs
from spatialreasoner.report.texts import Segment, segments
from spatialreasoner.report.treeview import TreeView, view
from spatialreasoner.training.old_names import with_new_names

MAX_EXAMPLES, MAX_EXAMPLE_BYTES = 60, 5_000_000
"""Maximum number of examples on a page, and of their bytes in all; the rest of the page stays below 3 MB."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One answer of a pair.

    Attributes:
        segments: Its coloured pieces.
        total: Its total reward, 0..16, or None.
        reward: Its reward in parts; None if it is not known (altered conclusions were never candidates).
        policies: Who wrote it.
    """

    segments: Sequence[Segment]
    total: float | None
    reward: RewardBreakdown | None
    policies: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class PairView:
    """A preference pair and what fDPO makes of it: segment weights become betas."""

    row: PairRow
    chosen: Side
    rejected: Side
    beta_description: float | None
    beta_reasoning: float | None


@dataclass(frozen=True, kw_only=True)
class Example:
    """A question with all that was made of it."""

    question: Question
    image: MarkedImage | None
    tree: TreeView | None
    trajectories: Sequence[Trajectory]
    pairs: Sequence[PairView]


@dataclass(frozen=True, kw_only=True)
class BetaSettings:
    """The settings of fDPO that turn gaps into betas; the defaults are the paper's."""

    beta: float = 0.1
    fdpo_alpha: float = 0.3
    fdpo_lambda: float = 0.6

    def of(self, gap_description: float | None, gap_reasoning: float | None) -> tuple[float, float] | None:
        """Betas of description and reasoning (docs/papers.md 1.1, equations 3 and 4); None for an unscored pair.

        >>> [round(beta, 6) for beta in BetaSettings().of(1, 4)]
        [0.078511, 0.121489]
        """
        if gap_description is None or gap_reasoning is None:
            return None
        # 2 sigmoid(x) - 1 = tanh(x / 2)
        swing = self.fdpo_alpha * math.tanh(self.fdpo_lambda * (gap_reasoning - gap_description) / 2)
        return self.beta * (1 - swing), self.beta * (1 + swing)


def build_examples(runs: Runs, image: Callable[[str], MarkedImage | None], policies: Mapping[str, int]) -> list[Example]:
    """The examples that show most, in a fixed order: pairs and trees first, categories in turn, as many as a page holds."""
    pairs: dict[str, list[PairRow]] = {}
    for row in runs.pairs:
        pairs.setdefault(row.question_id, []).append(row)
    known = [q for q in runs.questions.values() if q.id in runs.trees or q.id in pairs]
    best_first = sorted(known, key=lambda q: (-(q.id in runs.trees) - (q.id in pairs), q.id))
    beta_settings = fdpo_settings(runs)
    examples: list[Example] = []
    size = 0
    for number, question in enumerate(varied(best_first, MAX_EXAMPLES)):
        found = [_pair(row, runs, beta_settings) for row in pairs.get(question.id, [])]
        tree = runs.trees.get(question.id)
        example = Example(
            question=question,
            image=image(question.id),
            tree=view(tree, name=f"t{number}", policies=policies) if tree else None,
            trajectories=runs.trajectories.get(question.id, []),
            pairs=found,
        )
        size += _size(example)
        if size > MAX_EXAMPLE_BYTES and examples:
            break
        examples.append(example)
    return examples


def _size(example: Example) -> int:
    """About how many bytes an example takes on the page."""
    size = len(example.image.full) + len(example.image.thumbnail) if example.image else 0
    if example.tree is not None:
        size += len(example.tree.drawing) + sum(600 + len(shown.node.text) for shown in example.tree.nodes)
    sides = (side for pair in example.pairs for side in (pair.chosen, pair.rejected))
    return size + sum(2000 + sum(len(segment.html) for segment in side.segments) for side in sides)


def varied(questions: Sequence[Question], count: int) -> list[Question]:
    """Up to `count` questions: categories in turn, and of each the first about the scene that was shown least so far."""
    waiting: dict[str, list[Question]] = {}
    for question in questions:
        waiting.setdefault(question.category, []).append(question)
    chosen: list[Question] = []
    shown: Counter[str] = Counter()
    while len(chosen) < count and any(waiting.values()):
        for rows in filter(None, waiting.values()):
            question = min(rows, key=lambda row: shown[row.scene_id])
            rows.remove(question)
            shown[question.scene_id] += 1
            chosen.append(question)
    return chosen[:count]


def fdpo_settings(runs: Runs) -> BetaSettings:
    """The settings of the run's own fDPO training, or the paper's."""
    for stage in runs.stages:
        if "fdpo" in stage.stage:
            config = with_new_names(stage.config, quiet=True)
            names = ("beta", "fdpo_alpha", "fdpo_lambda")
            return BetaSettings(**{name: config[name] for name in names if isinstance(config.get(name), int | float)})
    return BetaSettings()


def _pair(row: PairRow, runs: Runs, beta_settings: BetaSettings) -> PairView:
    by_text = {trajectory.text: trajectory for trajectory in runs.trajectories.get(row.question_id, [])}
    chosen, rejected = row.texts
    betas = beta_settings.of(row.gap_description, row.gap_reasoning)
    return PairView(
        row=row,
        chosen=_side(chosen, row, row.reward_chosen, by_text.get(chosen)),
        rejected=_side(rejected, row, row.reward_rejected, by_text.get(rejected)),
        beta_description=betas[0] if betas else None,
        beta_reasoning=betas[1] if betas else None,
    )


def _side(text: str, row: PairRow, total: float | None, trajectory: Trajectory | None) -> Side:
    """One answer of a pair; of a pair with a hard negative, whose answers differ in the conclusion alone, only that."""
    pieces = segments(text)
    return Side(
        segments=pieces[-1:] if row.kind == "hard" else pieces,
        total=total,
        reward=trajectory.reward if trajectory else None,
        policies=tuple(dict.fromkeys(trajectory.policies)) if trajectory else (),
    )
