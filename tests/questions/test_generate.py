import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from builders import Ball, measured_balls
from spatialreasoner.core.errors import ConfigError, RecordError
from spatialreasoner.core.types import (
    CATEGORIES,
    METRES_PER,
    QUALITATIVE,
    QUANTITY_OF,
    RELATIONS,
    Scene,
    SceneObject,
    relation_of,
)
from spatialreasoner.questions import templates as wording
from spatialreasoner.questions.files import prompt, read_questions, scenes_folder
from spatialreasoner.questions.generate import QuestionsConfig, ask_about, write_questions
from spatialreasoner.scenes.files import scene_index
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.scenes.noise import margin


@pytest.fixture
def folder(scene: Scene) -> Path:
    return Path(scene.image).parent


def test_every_category_is_asked() -> None:
    questions = ask_about(measured_balls(), Random(0), 72)
    assert {question.category for question in questions} == set(CATEGORIES)


def test_values_are_the_measured_ones() -> None:
    measured = measured_balls()
    for question in ask_about(measured, Random(1), 60):
        if question.category in QUANTITY_OF:
            truth = measured.quantity(QUANTITY_OF[question.category], *question.region_ids).value
            assert question.value is not None
            assert question.unit is not None
            value = question.value if question.unit == "hour" else question.value * METRES_PER[question.unit]
            assert value == pytest.approx(truth, abs=0.005)
            assert f"{question.value:.0f}" in question.answer or f"{question.value:.2f}" in question.answer


def test_predicates_and_choices_are_answered_by_the_relation() -> None:
    measured = measured_balls()
    for question in ask_about(measured, Random(2), 90):
        relation = relation_of(question.category)
        if relation is None:
            continue
        holds = measured.compare(relation, *question.region_ids).holds
        if question.category.endswith("_choice"):
            named = re.findall(r"<region\d>", question.answer)
            assert named == ["<region1>" if holds else "<region2>"]
        else:
            false = re.match(r"No|That is not so", question.answer)
            assert (false is None) == holds


def test_regions_are_named_in_the_question_in_order() -> None:
    for question in ask_about(measured_balls(), Random(3), 90):
        assert len(set(re.findall(r"<region\d>", question.text))) == len(question.region_ids)


def test_categories_are_balanced_over_scenes() -> None:
    asked: Counter[str] = Counter()
    measured = measured_balls()
    for seed in range(12):
        ask_about(measured, Random(seed), 4, asked=asked)  # type: ignore[arg-type]
    assert set(asked.values()) == {2}


def test_what_is_inside_the_noise_of_depth_is_not_asked(make_scene: Callable[..., Scene]) -> None:
    far = make_scene([Ball("a", (-0.01, 0, 4.0), 0.12), Ball("b", (0.03, 0.2, 3.0), 0.14)])
    measured = Measured(far)
    for relation, told in (("left", False), ("tall", False), ("above", True), ("behind", True)):
        comparison = measured.compare(relation, "region1", "region2")
        assert comparison.holds is not None
        inside = abs(comparison.difference or 0.0) <= margin(measured, relation, ("region1", "region2"), comparison.scale)
        assert inside is not told
    relations = {relation_of(question.category) for question in ask_about(measured, Random(0), 100)}
    assert relations >= {"above", "below", "behind", "front"}
    assert not relations & {"left", "right", "tall", "short", "wide", "thin"}


def test_a_tie_is_not_asked(make_scene: Callable[..., Scene]) -> None:
    tied = make_scene([Ball("a", (-0.5, 0, 2.0), 0.30), Ball("b", (0.5, 0, 2.0), 0.31)])
    relations = {relation_of(question.category) for question in ask_about(Measured(tied), Random(0), 100)}
    assert relations == {"left", "right", None}


def test_what_looks_other_than_it_is_is_not_asked(make_scene: Callable[..., Scene]) -> None:
    """A half hidden thing looks narrow; where its true size is known, its width is not asked."""

    def known(region_id: str, x: float, width: float) -> SceneObject:
        return SceneObject(
            region_id=region_id, kind="ball", colour="red", centre=(x, 0.0, 2.0), size=(width, 0.6, 0.6), yaw=0.0,
            visible=1.0, supported_by=None,
        )  # fmt: skip

    balls = [Ball("a", (-0.5, 0.2, 2.0), 0.3), Ball("b", (0.5, -0.2, 2.6), 0.25)]
    hidden = make_scene(balls, objects=(known("region1", -0.5, 1.2), known("region2", 0.5, 0.5)))
    widths = [q.region_ids for q in ask_about(Measured(hidden), Random(0), 100) if q.category == "width_data"]
    assert widths == [("region2",)]


def test_wordings_are_many_and_well_formed() -> None:
    assert min(len(wording.PREDICATE_QUESTIONS), len(wording.TRUE_ANSWERS), len(wording.FALSE_ANSWERS)) >= 3
    assert min(len(wording.CHOICE_QUESTIONS), len(wording.CHOICE_ANSWERS)) >= 3
    assert set(wording.RELATION_PHRASES) == set(RELATIONS)
    for templates in (*wording.QUANTITY_QUESTIONS.values(), *wording.QUANTITY_ANSWERS.values()):
        assert len(templates) >= 3
        assert len(set(templates)) == len(templates)


@pytest.mark.parametrize(
    ("metres", "shares"),
    [(0.5, {"cm": 0.2, "in": 0.8}), (2.0, {"m": 0.5, "ft": 0.5}), (5.0, {"m": 0.7, "ft": 0.3})],
)
def test_units_are_those_people_use(metres: float, shares: dict[str, float]) -> None:
    rng = Random(0)
    said = [wording.human_length(metres, rng) for _ in range(2000)]
    counts = Counter(unit for _, unit in said)
    assert {unit: round(count / 2000, 1) for unit, count in counts.items()} == shares
    for value, unit in said[:20]:
        assert value * METRES_PER[unit] == pytest.approx(metres, abs=0.005)


def test_the_same_seed_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    config = QuestionsConfig(scenes=str(folder), per_scene=30, seed=7)
    for name in ("a", "b"):
        write_questions(config, tmp_path / name / "questions.jsonl")
    first, second = ((tmp_path / name / "questions.jsonl").read_bytes() for name in ("a", "b"))
    assert first == second
    write_questions(replace(config, seed=8), tmp_path / "c" / "questions.jsonl")
    assert (tmp_path / "c" / "questions.jsonl").read_bytes() != first


def test_questions_know_their_scenes(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "questions.jsonl"
    count = write_questions(QuestionsConfig(scenes=str(folder), per_scene=10), path)
    scenes = scene_index(scenes_folder(path))
    questions = read_questions(path, scenes)
    assert len(questions) == count.total() == 10
    shown = prompt(questions[0], scenes["balls"])
    assert [region.id for region in shown.regions] == list(questions[0].region_ids)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scene_id": "moon"}, "no scene"),
        ({"region_ids": ["region9"]}, "expected regions"),
        ({"region_ids": []}, "expected regions"),
    ],
)
def test_questions_that_do_not_fit_their_scenes_are_refused(
    folder: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "questions.jsonl"
    write_questions(QuestionsConfig(scenes=str(folder), per_scene=1), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RecordError, match=message):
        read_questions(path, scene_index(folder))


def test_scenes_without_depth_leave_nothing_to_ask(make_scene: Callable[..., Scene], tmp_path: Path) -> None:
    blind = make_scene(depth=None)
    config = QuestionsConfig(scenes=str(Path(blind.image).parent))
    with pytest.raises(ConfigError, match="no question can be asked"):
        write_questions(config, tmp_path / "q" / "questions.jsonl")
    assert not (tmp_path / "q" / "questions.jsonl").exists()


@pytest.mark.parametrize("per_scene", [0, -1, 10**9])
def test_absurd_counts_are_refused(per_scene: int) -> None:
    with pytest.raises(ConfigError, match="per_scene"):
        QuestionsConfig(scenes="x", per_scene=per_scene)


def test_qualitative_questions_have_no_value() -> None:
    for question in ask_about(measured_balls(), Random(5), 72):
        assert (question.value is None) == (question.category in QUALITATIVE) == question.qualitative
