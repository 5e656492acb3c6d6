"""Scores in a terminal of 80 columns."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from spatialreasoner.core.types import Category
from spatialreasoner.evaluation.answers import Verdict
from spatialreasoner.evaluation.predictions import Prediction, QaInfo, type_of
from spatialreasoner.evaluation.score import compare, score_predictions
from spatialreasoner.report.terminal import show_comparison, show_score


def made(category: Category, count: int) -> list[Prediction]:
    info = QaInfo(type=type_of(category), category=category)
    return [
        Prediction(question_id=f"{category}{n}", image=str(n), question="", pred="", gt="", model_id="a-model", qa_info=info)
        for n in range(count)
    ]


def verdict(success: bool | None, error: float | None = None) -> Verdict:
    return Verdict(success=success, error=error, gt_value=None, pred_value=None)


def printed(function: object, value: object) -> str:
    out = StringIO()
    function(value, console=Console(file=out, width=80))  # type: ignore[operator]
    return out.getvalue()


def test_a_score_fits_and_tells_bounds_errors_and_unscored() -> None:
    rows = [*made("width_data", 20), *made("direction", 4), *made("left_choice", 2)]
    verdicts = [verdict(None)] * 2 + [verdict(True, 0.1)] * 18 + [verdict(False, 60.0)] * 4 + [verdict(True)] * 2
    lines = printed(show_score, score_predictions(rows, verdicts)).splitlines()
    assert all(len(line.rstrip()) <= 80 for line in lines)
    cells = {line.split()[0]: line.split() for line in lines if line.strip()}
    assert cells["width"][1:3] == ["20", "90.0–100.0"]
    assert cells["width"][-2:] == ["2", "10%"]
    assert cells["direction"][-1] == "60°"
    assert cells["height"][1:3] == ["0", "-"]
    assert cells["quantitative"][1:3] == ["24", "75.0–83.3"]


def test_a_comparison_fits() -> None:
    rows = made("width_data", 12)
    given = ([verdict(False)] * 12, [verdict(True)] * 9 + [verdict(False)] * 3)
    text = printed(show_comparison, compare(rows, rows, given))
    line = next(line for line in text.splitlines() if "quantitative" in line)
    assert line.split()[1:3] == ["12", "+75.0"]
    assert line.split()[-3:] == ["9", "0", "0.0039"]
    assert max(map(len, text.splitlines())) <= 80
