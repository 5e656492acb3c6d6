"""A study in Markdown."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from research.fdpo_study.analysis import StudyResult, analyse
from research.fdpo_study.config import StudyConfig
from research.fdpo_study.figures import draw_figures
from research.fdpo_study.run import begin, fill, write
from research.fdpo_study.shipped import main_figures, ship_figures
from research.fdpo_study.tables import TABLES_BEGIN, TABLES_END, between_markers, lengths, study_markdown
from research.fdpo_study.work import FACTOR, RESULT, TrainingResult, log_ratios

from spatialreasoner.core import records
from spatialreasoner.core.errors import InputError, MissingFileError
from spatialreasoner.core.types import Category, Question
from spatialreasoner.evaluation.predictions import Prediction, QaInfo, type_of
from spatialreasoner.evaluation.score import judge_all
from spatialreasoner.report.study import StudyFigures, study_figures

SHARES = {"base": 0.2, "sft": 0.5, "dpo": 0.5, "fdpo": 0.9, "dpo-beta-0.3": 0.4}
DRIFT = {"dpo": 2.0, "fdpo": 3.0, "dpo-beta-0.3": 4.0}
CATEGORIES: tuple[Category, ...] = ("left_predicate", "big_predicate", "width_data", "direction")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study whose trainings are made up: an arm is right on the first of 20 rooms, by its share, and two seeds agree."""
    out = tmp_path / "study"
    begin(StudyConfig(base="made-up"), out)
    questions = [
        Question(
            id=f"{room}-{category}", scene_id=f"room{room}", category=category, text="?", region_ids=("region1",), answer="Yes."
        )
        for room in range(20)
        for category in CATEGORIES
    ]
    (out / "data" / "test").mkdir(parents=True)
    records.write_jsonl(out / "data" / "test" / "questions.jsonl", questions)
    for arm, share in SHARES.items():
        for run in range(1 if arm == "base" else 2):
            folder = out / "base" if arm == "base" else out / f"seed-{run}" / arm
            right = {q.id: int(q.id.split("-")[0]) < 20 * share for q in questions}
            ratios = {q.id: math.log(1.5 if arm == "fdpo" else 0.75) for q in questions if q.category == "width_data"}
            records.write_json(folder / RESULT, _result(arm, run, right, ratios))
    return out


def _result(arm: str, run: int, right: dict[str, bool], ratios: dict[str, float]) -> TrainingResult:
    trained = arm in DRIFT
    curve = [(1.0, 0.0), (2.0, 0.5)]
    return TrainingResult(
        arm=arm, run=run, right=right, unread=0.0, ratios=ratios, words={"description": 20.0, "reasoning": 60.0},
        drift={"description": 1.0, "reasoning": 1.0, "markup": 0.0, "total": DRIFT[arm], "error": 0.1} if trained else None,
        ends={"chosen logratio/description": -1.5} if trained else {},
        curves={"rewards/margins/reasoning": curve} if trained else {},
        gaps={"pairs": 100.0, "description": 0.5, "reasoning": 4.3} if trained else {},
    )  # fmt: skip


def test_differences_and_verdicts(study: Path) -> None:
    result = analyse(study)
    found = {(c.first, c.second): c.effects["qualitative"] for c in result.comparisons}
    assert found["base", "sft"].value == pytest.approx(0.3)
    assert found["dpo", "fdpo"].verdict == "above"
    assert found["sft", "dpo"].verdict == "open"
    assert (result.questions, result.rooms) == (80, 20)
    assert result.arms["fdpo"].seeds == 2


def test_at_the_same_divergence_fdpo_is_compared_with_a_mix_of_dpo(study: Path) -> None:
    matched = analyse(study).matched
    assert matched is not None
    assert matched.first == "0.50 dpo + 0.50 dpo-beta-0.3"
    assert matched.effects["quantitative"].value == pytest.approx(0.9 - 0.45)


def test_the_table_of_claims_sets_the_papers_number_beside_ours(study: Path) -> None:
    text = study_markdown(analyse(study), made_by="Made up.")
    line = next(line for line in text.splitlines() if line.startswith("| fDPO improves on DPO | qualitative"))
    assert "| +4.1 / +8.1 | +40.0 (" in line
    assert line.endswith("| 2 | holds |")
    assert "| DPO improves on SFT | qualitative | +11.7 / +9.9 | +0.0 (+0.0 to +0.0) | 2 | not shown |" in text
    assert "At the same divergence" in text


def test_lengths_tell_a_common_error_from_one_that_varies(study: Path) -> None:
    lines = lengths(analyse(study)).splitlines()
    cells = {line.split(" | ")[0].strip("| "): line.split(" | ")[4] for line in lines if " | " in line}
    assert cells["sft: answer ÷ truth"] == "0.75 (0.75–0.75)"
    assert cells["fdpo ÷ sft"] == "2.00 (2.00–2.00)"
    assert cells["sft: factor of error"] == "1.33 (1.33–1.33)"
    assert cells["error of fdpo ÷ sft"] == "1.12 (1.12–1.12)"  # 1.5 / 1.33
    assert cells["sft: score"] == "0.83 (0.83 to 0.83)"  # (1 - 0.25) / 0.9
    assert cells["score of fdpo − sft"] == "-0.28 (-0.28 to -0.28)"  # (1 - 0.5) / 0.9 - 0.83


def test_a_length_that_cannot_be_read_counts_as_far_off(study: Path) -> None:
    for run in (0, 1):
        path = study / f"seed-{run}" / "fdpo" / RESULT
        records.write_json(path, replace(records.read_json(path, TrainingResult), ratios={}))
    fdpo = analyse(study).arms["fdpo"]
    assert fdpo.errors["width"].value == pytest.approx(math.log(FACTOR))
    assert fdpo.ratios["width"].value == 0
    assert fdpo.scores["width"].value == 0


def test_ratios_are_of_lengths_that_were_read_and_bounded() -> None:
    def answered(number: int, category: Category, gt: str, pred: str) -> Prediction:
        return Prediction(
            question_id=str(number), image="a.png", question="?", pred=pred, gt=gt, model_id="m",
            qa_info=QaInfo(type=type_of(category), category=category),
        )  # fmt: skip

    predictions = [
        answered(0, "width_data", "It is 1.0 meters wide.", "It is 50 cm wide."),
        answered(1, "width_data", "It is 1.0 meters wide.", "It is 100 meters wide."),
        answered(2, "width_data", "It is 1.0 meters wide.", "Nobody knows."),
        answered(3, "direction", "It is at 3 o'clock.", "At 6 o'clock."),
    ]
    assert log_ratios(predictions, judge_all(predictions)) == {"0": pytest.approx(-math.log(2)), "1": math.log(FACTOR)}


def test_what_is_written_reads_back(study: Path) -> None:
    written = write(study)
    found = records.read_json(study / "study.json", dict[str, object])
    config = found["config"]
    assert isinstance(config, dict)
    assert records.parse_record(records.dumps(config["result"]), StudyResult, where="study.json") == written
    assert {path.name for path in (study / "figures").iterdir()} == {"arms.svg", "divergence.svg", "curves.svg"}
    assert (study / "study.md").read_text().startswith("# Study")


def test_the_same_study_draws_the_same_figures(study: Path, tmp_path: Path) -> None:
    result = analyse(study)
    for name in ("one", "other"):
        draw_figures(result, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()


def test_a_document_keeps_what_stands_around_the_tables(study: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs" / "page.md"
    docs.parent.mkdir()
    docs.write_text(f"before\n{TABLES_BEGIN}\nstale words\n{TABLES_END}\nafter\n")
    fill(study, docs)
    once = docs.read_text()
    assert once.startswith("before\n")
    assert once.endswith(f"{TABLES_END}\nafter\n")
    assert "stale words" not in once
    assert "images/study/arms.svg" in once
    assert (docs.parent / "images" / "study" / "arms.svg").is_file()
    fill(study, docs)
    assert docs.read_text() == once


def test_the_demos_report_shows_the_same_figures(study: Path, tmp_path: Path) -> None:
    result = analyse(study)
    ship_figures(main_figures(result, "What was trained."), tmp_path / "study.json")
    found = records.read_json(tmp_path / "study.json", StudyFigures)
    assert (found.questions, found.rooms) == (result.questions, result.rooms)
    assert [row.title for row in found.models] == [result.arms[name].title for name in ("base", "sft")]
    shown, measured = found.models[1].quantitative, result.arms["sft"].rates["quantitative"]
    assert [shown.value, shown.low, shown.high] == pytest.approx(
        [100 * measured.value, 100 * measured.low, 100 * measured.high], abs=1e-4
    )
    assert [row.title for row in found.differences] == ["SFT on answers that the search found improves the base model"]


def test_what_ships_is_what_the_page_says() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reproduction.md").read_text()
    for row in study_figures().models:
        line = next(line for line in page.splitlines() if f"| {row.title} | {row.seeds} |" in line)
        for each in (row.qualitative, row.quantitative):
            assert f"{each.value:.1f} ({each.low:.1f}–{each.high:.1f})" in line


_INTERVAL = re.compile(r"(?<![\d.])[+−-]?(\d+\.\d)\**\s\(([^()]*)\)")
_NUMBER = re.compile(r"\d+\.\d+")


def _intervals(text: str) -> set[tuple[float, ...]]:
    """Values with their intervals, without signs: prose may say that something loses what a table prints as below 0."""
    found = ((match[1], _NUMBER.findall(match[2])) for match in _INTERVAL.finditer(text))
    return {(float(value), *sorted(map(float, ends))) for value, ends in found if len(ends) == 2}


def test_what_the_prose_says_is_what_the_tables_print() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reproduction.md").read_text()
    tables, rest = page.partition(TABLES_BEGIN)[2].split(TABLES_END)
    prose, of_the_first_study, _ = rest.partition("### The first study")
    assert of_the_first_study
    sentences = re.split(r"(?<=[.:]) ", prose.replace("\n", " "))
    of_the_test = " ".join(sentence for sentence in sentences if "validation" not in sentence)  # other rooms, docs/nano.md
    said = _intervals(of_the_test)
    assert len(said) > 20
    assert said - _intervals(tables) == set()


def test_a_document_without_markers_is_refused(study: Path, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("nothing")
    with pytest.raises(InputError, match="study: begin"):
        fill(study, tmp_path / "page.md")
    assert between_markers(f"{TABLES_END} {TABLES_BEGIN}", "t") is None


def test_a_study_without_results_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        analyse(tmp_path)
