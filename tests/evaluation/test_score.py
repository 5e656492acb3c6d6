"""Adding up verdicts: by hand, and as the official script does."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path

import pytest

from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.types import CATEGORIES, GROUPS, Category
from spatialreasoner.evaluation.answers import Verdict
from spatialreasoner.evaluation.predictions import Prediction, QaInfo, type_of, write_predictions
from spatialreasoner.evaluation.score import compare, run_score, score_predictions


def row(number: int, category: Category, pred: str = "", gt: str = "", *, image: str = "", model: str = "m") -> Prediction:
    return Prediction(
        question_id=f"q{number}", image=image or f"{number}.png", question="How wide is <region1>?", pred=pred, gt=gt,
        model_id=model, qa_info=QaInfo(type=type_of(category), category=category),
    )  # fmt: skip


def verdict(success: bool | None, error: float | None = None) -> Verdict:
    return Verdict(success=success, error=error, gt_value=None, pred_value=None)


def test_counts_by_hand() -> None:
    rows = [row(0, "width_data"), row(1, "width_data"), row(2, "width_data"), row(3, "direction"), row(4, "left_choice")]
    verdicts = [verdict(True, 0.1), verdict(False, 0.5), verdict(None), verdict(True, 30.0), verdict(True)]
    result = score_predictions(rows, verdicts)
    width, direction = result.groups["width"], result.groups["direction"]
    assert (width.items, width.right, width.unscored) == (3, 1, 1)
    assert (width.rate, width.upper, width.coverage) == (pytest.approx(1 / 3), pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (width.error, width.median_error) == (pytest.approx(0.3), pytest.approx(0.3))
    assert (direction.error, direction.median_error) == (30.0, 30.0)
    quantitative = result.totals["quantitative"]
    assert (quantitative.items, quantitative.right, quantitative.error) == (4, 2, None)
    assert result.totals["qualitative"].rate == 1
    assert result.groups["big/small"].rate is None
    assert list(result.groups) == list(GROUPS)


@pytest.mark.parametrize(("unscored", "given"), [(5, True), (6, False)])
def test_no_headline_above_five_percent_unscored(unscored: int, given: bool) -> None:
    rows = [row(number, "width_data") for number in range(100)]
    total = score_predictions(rows, [verdict(None)] * unscored + [verdict(True)] * (100 - unscored)).totals["quantitative"]
    assert (total.headline is not None) is given
    assert (total.rate, total.upper) == ((100 - unscored) / 100, 1.0)


def official_totals(rows: list[Prediction], verdicts: list[Verdict]) -> dict[str, float]:
    """The official script's arithmetic (docs/papers.md 4.3): lists by substring of the category, sums over lists, percent."""
    names = (("tall/short", "short", "tall"), ("left/right", "left", "right"), ("below/above", "below", "above"),
             ("behind/front", "behind", "front"), ("big/small", "big", "small"), ("wide/thin", "wide", "thin"))  # fmt: skip
    marks: dict[str, dict[str, list[int]]] = {"qualitative": defaultdict(list), "quantitative": defaultdict(list)}
    for item, given in zip(rows, verdicts, strict=True):
        category = item.qa_info.category
        name = category
        if item.qa_info.type == "qualitative":
            name = next(group for group, one, other in names if one in category or other in category)
        marks[item.qa_info.type][name].append(int(given.success is True))
    results: dict[str, float] = {}
    for kind, groups in marks.items():
        results |= {name: sum(values) / len(values) * 100 for name, values in groups.items()}
        results[kind] = sum(map(sum, groups.values())) / sum(map(len, groups.values())) * 100
    return results


@pytest.mark.parametrize("seed", range(5))
def test_agrees_to_the_digit_with_the_official_arithmetic(seed: int) -> None:
    rng = random.Random(seed)
    rows = [row(number, rng.choice(CATEGORIES)) for number in range(500)]
    verdicts = [verdict(rng.choice((True, True, False, None))) for _ in rows]
    ours, theirs = score_predictions(rows, verdicts), official_totals(rows, verdicts)
    for name, tally in ours.totals.items():
        assert tally.rate is not None
        assert tally.rate * 100 == theirs[name]
    renamed = {"direct distance": "distance_data", "horizontal distance": "horizontal_distance_data",
               "vertical distance": "vertical_distance_data", "width": "width_data", "height": "height_data"}  # fmt: skip
    for name, tally in ours.groups.items():
        assert tally.rate is not None
        assert tally.rate * 100 == theirs[renamed.get(name, name)]


def test_score_file(tmp_path: Path) -> None:
    rows = [row(n, "width_data", pred="It is 1.1 m wide.", gt="1 meter", image=f"{n % 4}.png") for n in range(8)]
    write_predictions(tmp_path / "predictions.jsonl", rows)
    result = run_score(tmp_path / "predictions.jsonl", tmp_path / "score.json")
    stored = json.loads((tmp_path / "score.json").read_text())
    assert (stored["items"], stored["images"], result.images) == (8, 4, 4)
    assert stored["groups"]["width"]["headline"] == 1.0
    assert stored["totals"]["quantitative"]["rate"] == 1.0
    assert stored["groups"]["width"]["interval"]["high"] == 1.0


def test_compare_by_hand() -> None:
    right, wrong = "In conclusion, it is 1 m.", "In conclusion, it is 3 m."
    first = [row(n, "width_data", pred=right if n < 4 else wrong, gt="1 meter", model="first") for n in range(10)]
    second = [row(n, "width_data", pred=wrong if n == 0 else right, gt="1 meter", model="second") for n in range(9)]
    result = compare(first, second)
    total = result.totals["quantitative"]
    assert (total.items, total.gained, total.lost) == (9, 5, 1)
    assert total.difference == pytest.approx(4 / 9)
    assert total.p_value == pytest.approx(2 * (1 + 6) / 2**6)
    assert total.interval is not None
    assert total.interval.low <= 4 / 9 <= total.interval.high
    assert (result.only_first, result.only_second, result.first, result.second) == (1, 0, "first", "second")
    assert result.groups["height"].items == 0


def test_compare_refuses_different_questions() -> None:
    with pytest.raises(RecordError, match="share no question_id"):
        compare([row(0, "width_data")], [row(1, "width_data")])
    with pytest.raises(RecordError, match="'q0' has the reference 'a'"):
        compare([row(0, "width_data", gt="a")], [row(0, "width_data", gt="b")])


def test_nothing_to_score() -> None:
    with pytest.raises(RecordError, match="at least one prediction"):
        score_predictions([])


def test_missing_questions_count_as_unscored_and_are_told(tmp_path: Path) -> None:
    write_predictions(tmp_path / "predictions.jsonl", [row(0, "width_data", "1.1 m", "1.0 meters")])
    asked = [{"id": f"q{number}", "text": "How wide?", "answer": "2 m", "category": "width_data"} for number in range(3)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(one) + "\n" for one in asked))
    result = run_score(tmp_path / "predictions.jsonl", tmp_path / "score.json", questions=tmp_path / "questions.jsonl")
    assert (result.items, result.missing) == (3, 2)
    width = result.groups["width"]
    assert (width.items, width.right, width.unscored, width.rate) == (3, 1, 2, pytest.approx(1 / 3))
    assert [(one.question_id, one.reason) for one in result.unscored] == [("q1", "no prediction"), ("q2", "no prediction")]
    assert json.loads((tmp_path / "score.json").read_text())["missing"] == 2


def test_unscored_rows_are_listed_with_their_reason_and_do_not_err() -> None:
    """What is not a length has no error: "300 pixels" once made the mean error of a group 26,038 %."""
    said = ["1.1 m", "300 pixels", "I'm sorry, but I can't assist with that request.", "", "<think>1 m", "502 Bad Gateway"]
    rows = [row(number, "width_data", pred, "1.0 meters") for number, pred in enumerate(said)]
    result = score_predictions(rows)
    reasons = {one.question_id: one.reason for one in result.unscored}
    assert set(reasons) == {"q1", "q2", "q3", "q4", "q5"}
    assert [reasons[f"q{number}"] for number in (2, 3, 4, 5)] == ["refusal", "empty", "thinking never ended", "error"]
    assert reasons["q1"] == "no answer to the question was found"
    assert result.groups["width"].error == pytest.approx(0.1, rel=0.01)
    assert result.groups["width"].median_error == pytest.approx(0.1, rel=0.01)


def test_one_image_is_one_cluster_however_its_path_is_written() -> None:
    paths = ["a/b.png", "./a/b.png", "a//b.png", "a\\b.png", "a/c/../b.png", " a/b.png", "file://a/b.png", "a/c.png"]
    rows = [row(number, "width_data", "1 m", "1 m", image=path) for number, path in enumerate(paths)]
    assert score_predictions(rows).images == 2
