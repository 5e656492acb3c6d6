"""Where reading ends: what the vision part alone would tell."""

from pathlib import Path

import pytest
from research.fdpo_study.config import StudyConfig
from research.fdpo_study.data import make_part
from research.fdpo_study.sight import beliefs, believed_length, main

from spatialreasoner.nano.build import build_nano
from spatialreasoner.pipeline.inputs import read_inputs
from spatialreasoner.teachers.perception import Belief


def test_each_question_is_told_what_it_asks_for() -> None:
    belief = Belief(
        sizes=[[0.5, 0.4, 0.3], [0.6, 0.7, 0.8]], camera=[2.0, 2.5], middle=[-0.9, -0.2], offset=[-0.9, -0.2, 0.5],
        near=[1.8, 2.3], direct=0.77,
    )  # fmt: skip
    found = [believed_length(category, belief) for category in ("width_data", "height_data", "distance_data")]
    assert found == [0.5, 0.4, 0.77]
    assert [believed_length(category, belief) for category in ("horizontal_distance_data", "vertical_distance_data")] == [
        0.9,
        0.2,
    ]


def test_what_is_believed_of_a_question_is_of_its_own_regions_whatever_others_are_asked_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, processor = build_nano(["Is <region2> to the left of <region1>?"], ["Yes."])
    make_part(StudyConfig(number_scenes=2), "numbers", tmp_path)
    path = tmp_path / "data" / "numbers" / "questions.jsonl"
    asked = read_inputs(path)
    lengths = [question for question in asked.questions if question.category.endswith("_data")]
    together = list(beliefs(model.eval(), processor, lengths, asked.scenes))
    alone = [next(beliefs(model, processor, [question], asked.scenes)) for question in lengths]
    for one, other, question in zip(together, alone, lengths, strict=True):
        assert believed_length(question.category, one) == pytest.approx(
            believed_length(question.category, other), rel=0.05
        )  # of two digits
        assert len(one.sizes) == len(question.region_ids)
    main(path)
    said = capsys.readouterr().out
    assert said.count("%") == len({question.category for question in lengths})
