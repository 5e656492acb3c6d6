"""Results as Markdown and LaTeX."""

from __future__ import annotations

from pathlib import Path

import pytest

from spatialreasoner.core.errors import InputError
from spatialreasoner.evaluation.answers import Verdict
from spatialreasoner.evaluation.predictions import Prediction, QaInfo
from spatialreasoner.evaluation.score import score_predictions
from spatialreasoner.report.report import write_report
from spatialreasoner.report.results import Results
from spatialreasoner.report.tables import latex, markdown


def made(label: str, *outcomes: bool | None) -> Results:
    info = QaInfo(type="quantitative", category="width_data")
    rows = [
        Prediction(question_id=str(n), image=str(n), question="", pred="", gt="", model_id="m", qa_info=info)
        for n in range(len(outcomes))
    ]
    verdicts = [Verdict(success=outcome, error=None, gt_value=None, pred_value=None) for outcome in outcomes]
    return Results(scores={label: score_predictions(rows, verdicts)}, judged={label: list(zip(rows, verdicts, strict=True))})


def test_markdown_of_a_run(run_dir: Path, tmp_path: Path) -> None:
    write_report([run_dir], tmp_path / "report.md", title="A *run*")
    text = (tmp_path / "report.md").read_text()
    assert text.startswith("# A \\*run\\*\n")
    assert "fdpo over base, qualitative" in text
    assert "SpatialReasoner-R1 fDPO 8B (published)" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count(" | ") for line in table[:16]}) == 1


def test_a_total_with_too_many_unscored_is_a_range() -> None:
    text = markdown("t", [], made("m", True, True, None, False))
    assert "| quantitative | 4 | 50.0 to 75.0 |" in text
    assert "m, quantitative: 1 of 4 answers could not be read" in text
    assert "50.0--75.0" in latex(made("m", True, True, None, False))


def test_latex_table() -> None:
    text = latex(made("a_b & 50%", True, True, False, True))
    row = next(line for line in text.splitlines() if line.startswith("a\\_b"))
    assert row.startswith("a\\_b \\& 50\\% & -- & -- ")
    assert row.count(" & ") == 14
    assert "75.0 {\\tiny[25, 100]}" in row
    assert "SpatialReasoner-R1 fDPO 8B & 98.3 & " in text


def test_latex_needs_predictions(run_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected predictions to make a table of"):
        write_report([run_dir / "scenes"], tmp_path / "table.tex")
    assert not (tmp_path / "table.tex").exists()
