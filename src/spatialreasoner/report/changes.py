"""Before and after: questions that the first model and the last answer differently, one right and the other wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spatialreasoner.evaluation.predictions import Prediction
from spatialreasoner.language.responses import conclusion
from spatialreasoner.report.images import MarkedImage
from spatialreasoner.report.results import Results

MAX_CHANGES = 8


@dataclass(frozen=True, kw_only=True)
class AnsweredQuestion:
    """What a model concludes, and whether that is right; None if it cannot be told."""

    label: str
    said: str
    right: bool | None


@dataclass(frozen=True, kw_only=True)
class Change:
    """A question, its image with the regions where it is there, and the models' answers in their order."""

    prediction: Prediction
    image: MarkedImage | None
    answers: Sequence[AnsweredQuestion]


def changes(scored: Results, image: Callable[[str], MarkedImage | None]) -> list[Change]:
    """Questions whose verdict changed from the first model to the last, for better or worse as they come, categories in turn.

    Args:
        scored: Judged predictions by model.
        image: Finds a question's image by its id.
    """
    by_model = {
        label: {
            row.question_id: AnsweredQuestion(label=label, said=conclusion(row.pred), right=verdict.success)
            for row, verdict in rows
        }
        for label, rows in scored.judged.items()
    }
    first, last = next(iter(by_model)), scored.last
    changed = [
        row
        for row, _ in scored.judged[last]
        if all(row.question_id in answers for answers in by_model.values())
        and by_model[first][row.question_id].right != by_model[last][row.question_id].right
    ]
    return [
        Change(
            prediction=row,
            image=image(row.question_id),
            answers=[answers[row.question_id] for answers in by_model.values()],
        )
        for row in _in_turn(changed)[:MAX_CHANGES]
    ]


def _in_turn(rows: Sequence[Prediction]) -> list[Prediction]:
    """The rows, one of each category after the other."""
    seen: Counter[str] = Counter()
    turns: list[int] = []
    for row in rows:
        turns.append(seen[row.qa_info.category])
        seen[row.qa_info.category] += 1
    return [row for _, row in sorted(zip(turns, rows, strict=True), key=lambda entry: entry[0])]
