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
