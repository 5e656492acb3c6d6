"""Reward functions for training loops: TRL's form with texts, conversations and tables, awaited or not; verl's and EasyR1's."""

from __future__ import annotations

import asyncio
import inspect
import json
import math

import pytest

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, RecordError, SceneError
from spatialreasoner.core.types import Question, Scene, SceneObject
from spatialreasoner.rewards import reward_function, score_response
from spatialreasoner.rewards.functions import REWARD_PARTS, SCORES, completion_text, total_reward
from spatialreasoner.rewards.known import Known
from spatialreasoner.rewards.loops import easyr1_scores, ground_truth, verl_score

RIGHT = (
    "<description><region1> is a ball, left of <region2>, a ball.</description><reasoning>### Rationale\n<region1> is to the "
    "left of <region2>.</reasoning>\n### In Conclusion\nYes, <region1> is to the left of <region2>."
)
WRONG = RIGHT.replace("left", "right").replace("Yes", "No")


@pytest.mark.parametrize("score", [*SCORES, "logical.conclusion"])
def test_each_reward_is_that_of_the_scorer(scene: Scene, known: Known, question: Question, score: str) -> None:
    rewards = [score_response(known, question, text) for text in (RIGHT, WRONG)]
    expected = [getattr(each, score) if score in SCORES else each.parts[score] for each in rewards]
    given = reward_function(score)(completions=[RIGHT, WRONG], question=[question] * 2, scene=[scene] * 2)
    assert given == expected
    if score in ("total", "reasoning", "logical.conclusion"):
        assert given[0] > given[1]


def test_columns_are_records_mappings_or_json_and_survive_a_table_of_rows(scene: Scene, question: Question) -> None:
    datasets = pytest.importorskip("datasets")
    asked, seen = json.loads(records.dumps(question)), json.loads(records.dumps(scene))
    other = {**asked, "id": "other", "category": "width_data", "value": 1.0, "unit": "m"}
    rows = datasets.Dataset.from_list([{"question": row, "scene": seen} for row in (asked, other)])
    assert "value" in rows[0]["question"]  # a table gives each row the keys of all
    expected = total_reward([RIGHT], [question], [scene])
    for row in (asked, records.dumps(question), rows[0]["question"]):
        for place in (seen, records.dumps(scene), rows[0]["scene"]):
            assert total_reward(completions=[RIGHT], question=[row], scene=[place]) == expected


def test_what_is_null_in_a_record_stays(make_scene, question: Question) -> None:
    standing = SceneObject(
        region_id=None, kind="lamp", colour="red", centre=(0.0, 0.0, 3.0), size=(0.3, 0.3, 0.3), yaw=0.0, visible=1.0,
        supported_by=None,
    )  # fmt: skip
    scene = make_scene(objects=(standing,))
    expected = total_reward([RIGHT], [question], [scene])
    assert total_reward([RIGHT], [question], [json.loads(records.dumps(scene))]) == expected
    assert verl_score("rooms", RIGHT, ground_truth(question, scene))["total"] == expected[0]


def test_scenes_are_found_in_a_folder(scene: Scene, question: Question, tmp_path) -> None:
    folder = str(tmp_path / "scenes")
    expected = total_reward([RIGHT], [question], [scene])
    assert reward_function(scenes=folder)([RIGHT], [question]) == expected
    assert total_reward([RIGHT], [question], [folder]) == expected
    with pytest.raises(RecordError, match="there is no scene"):
        total_reward([RIGHT], [{**json.loads(records.dumps(question)), "scene_id": "elsewhere"}], [folder])


@pytest.mark.parametrize(
    "completion",
    [
        RIGHT,
        [{"role": "assistant", "content": RIGHT}],
        [{"role": "assistant", "content": [{"type": "text", "text": RIGHT[:30]}, {"type": "text", "text": RIGHT[30:]}]}],
        [{"role": "tool", "content": "7"}, {"role": "assistant", "content": RIGHT}],
    ],
)
def test_completions_are_texts_or_conversations(completion) -> None:
    assert completion_text(completion) == RIGHT


@pytest.mark.parametrize("wrong", [None, 7, ["text"], {"role": "assistant"}])
def test_other_completions_are_refused(wrong) -> None:
    with pytest.raises(RecordError, match="expected a completion"):
        completion_text(wrong)


def test_awaited_it_gives_the_same_and_other_columns_are_let_be(scene: Scene, question: Question) -> None:
    awaited = reward_function("reasoning", asynchronous=True)
    assert inspect.iscoroutinefunction(awaited)
    columns = {"prompts": ["?"], "completion_ids": [[1]], "images": [["a.png"]], "trainer_state": None, "environments": None}
    given = {"completions": [RIGHT], "question": [question], "scene": [scene], **columns}
    assert asyncio.run(awaited(**given)) == reward_function("reasoning")(**given)
    assert awaited.__name__ == "reasoning_reward"


def test_the_other_scores_are_logged_as_means(scene: Scene, question: Question) -> None:
    logged: dict[str, float] = {}
    total_reward([RIGHT, WRONG], [question] * 2, [scene] * 2, log_metric=logged.__setitem__)
    both = [score_response(scene, question, text) for text in (RIGHT, WRONG)]
    assert logged["verified/reasoning"] == pytest.approx(sum(each.reasoning or 0 for each in both) / 2)
    assert "verified/total" not in logged  # TRL logs the reward itself


def test_what_cannot_be_verified_is_none(make_scene, question: Question) -> None:
    scene = make_scene(depth=None, objects=None, intrinsics=None)
    assert total_reward([RIGHT], [question], [scene]) == [None]


def test_of_several_functions_none_counts_an_answer_that_one_cannot_verify(
    make_scene, scene: Scene, question: Question
) -> None:
    blind = make_scene(depth=None, objects=None, intrinsics=None)
    given = {"completions": [RIGHT, RIGHT], "question": [question] * 2, "scene": [scene, blind]}
    assert reward_function("spatial_reasoning")(**given)[1] is None
    alone, beside = reward_function("visual"), reward_function("visual", beside=["visual", "spatial_reasoning"])
    assert alone(**given)[1] is not None
    assert beside(**given) == [alone(**given)[0], None]
    with pytest.raises(ConfigError, match="beauty"):
        reward_function("visual", beside=["beauty"])


def test_the_parts_are_those_of_the_scorer(scene: Scene, question: Question) -> None:
    assert set(score_response(scene, question, RIGHT).parts) == set(REWARD_PARTS)


def test_unknown_scores_and_missing_columns_are_refused(question: Question) -> None:
    with pytest.raises(ConfigError, match=r"logical\.conclusion"):
        reward_function("beauty")
    with pytest.raises(ConfigError, match=r"a question and a scene for each of 1 .*got 1 and 0"):
        total_reward([RIGHT], [question])
    with pytest.raises(RecordError, match="the column 'question'"):
        total_reward([RIGHT], ['{"id": 7}'], ["somewhere"])


def test_verl_and_easyr1(scene: Scene, question: Question) -> None:
    truth = ground_truth(question, scene)
    reward = score_response(scene, question, RIGHT)
    assert reward.total is not None
    found = verl_score("rooms", RIGHT, truth, extra_info={"index": 0})
    assert found["score"] == pytest.approx(reward.total / 16)
    assert found["reasoning"] == reward.reasoning
    (batch,) = easyr1_scores([{"response": RIGHT, "response_length": 90, "ground_truth": truth}])
    assert batch["overall"] == found["score"]
    with pytest.raises(RecordError, match="ground_truth"):
        verl_score("rooms", RIGHT, "42")


def test_loops_without_a_word_for_unscored_take_the_mean_of_what_is_verified(make_scene, question: Question) -> None:
    scene = make_scene(depth=None, objects=None, intrinsics=None)
    reward = score_response(scene, question, RIGHT)
    verified = [
        v for v in (reward.visual, reward.spatial_description, reward.spatial_reasoning, reward.logical) if v is not None
    ]
    if verified:
        found = verl_score("rooms", RIGHT, ground_truth(question, scene))
        assert found["score"] == pytest.approx(sum(verified) / len(verified) / 4)
    else:
        with pytest.raises(SceneError, match="no reward"):
            verl_score("rooms", RIGHT, ground_truth(question, scene))


def test_verl_finds_every_name_in_every_answer(make_scene, scene: Scene, question: Question) -> None:
    blind = make_scene(depth=None, objects=None, intrinsics=None)
    verified = {name for name in SCORES if getattr(score_response(blind, question, RIGHT), name) is not None}
    assert 0 < len(verified) < len(SCORES)
    found = [verl_score("rooms", RIGHT, ground_truth(question, each)) for each in (scene, blind)]
    assert [set(each) for each in found] == [{"score", *SCORES}] * 2
    assert {name for name in SCORES if not math.isnan(found[1][name])} == verified
