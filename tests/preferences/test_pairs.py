import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Literal

import pytest
from PIL import Image

from spatialreasoner.core.errors import ConfigError, RecordError
from spatialreasoner.core.types import Question, Response, RewardBreakdown, Scene, Trajectory
from spatialreasoner.language import responses
from spatialreasoner.preferences.pairs import (
    PairsConfig,
    PairsSummary,
    alter_conclusion,
    choose,
    harden,
    make_pairs,
    rank,
    write_pairs,
)
from spatialreasoner.scenes.carry import attached
from spatialreasoner.scenes.files import read_image
from spatialreasoner.scenes.masks import decode

WIDTH = Question(
    id="balls-0", scene_id="balls", category="width_data", text="How wide is <region1>?", region_ids=("region2",),
    answer="<region1> is 1.00 meters wide.", value=1.0, unit="m",
)  # fmt: skip
LEFT = replace(WIDTH, category="left_predicate", region_ids=("region1", "region2"), value=None, unit=None)
HOUR = replace(LEFT, category="direction", value=2.0, unit="hour")


def reward(description: float, reasoning: float) -> RewardBreakdown:
    half = description / 2, reasoning / 2
    return RewardBreakdown(visual=half[0], spatial_description=half[0], spatial_reasoning=half[1], logical=half[1])


def trajectory(index: int, description: float, reasoning: float, **changes: object) -> Trajectory:
    text = responses.render(
        Response(description=f"Answer {index}.", reasoning="### Step 1\nIt is.", answer="<region1> is 1.00 meters wide.")
    )
    fields = {"success": True, "policies": ("scripted:careful",), **changes}
    return Trajectory(
        question_id=WIDTH.id,
        index=index,
        text=text,
        reward=reward(description, reasoning),
        **fields,  # type: ignore[arg-type]
    )


def conclusion(question: Question, answer: str, seed: int = 0) -> str | None:
    text = responses.render(Response(description="D.", reasoning="### Step 1\nS.", answer=answer))
    altered = alter_conclusion(question, text, Random(seed))
    if altered is not None:
        assert altered.startswith(text[: responses.spans(text)["conclusion"][0]])
    return None if altered is None else responses.parse(altered).answer


def test_an_answer_without_any_form_is_altered_as_a_conclusion() -> None:
    altered = alter_conclusion(WIDTH, "<region1> is 2.00 m wide.", Random(0))
    assert altered is not None
    assert altered.startswith("<region1> is ")
    assert abs(float(altered.split()[2]) - 2.0) > 0.5


def test_the_best_against_the_worst_with_the_gap_of_each_segment() -> None:
    pair = rank(WIDTH, [trajectory(0, 6, 5), trajectory(1, 7, 7), trajectory(2, 6.5, 1)], PairsConfig())
    assert pair is not None
    assert (pair.chosen, pair.rejected) == (trajectory(1, 0, 0).text, trajectory(2, 0, 0).text)
    assert (pair.gap_description, pair.gap_reasoning) == (0.5, 6)
    assert (pair.reward_chosen, pair.reward_rejected) == (14, 7.5)


def test_a_gap_may_be_negative_in_one_segment() -> None:
    pair = rank(WIDTH, [trajectory(0, 5, 7), trajectory(1, 6, 1)], PairsConfig())
    assert pair is not None
    assert (pair.gap_description, pair.gap_reasoning) == (-1, 6)


@pytest.mark.parametrize("answers", [[], [(6, 5)], [(6, 5), (6, 5.4)]])
def test_too_small_a_gap_makes_no_pair(answers: list[tuple[float, float]]) -> None:
    candidates = [trajectory(i, *scores) for i, scores in enumerate(answers)]
    assert rank(WIDTH, candidates, PairsConfig(min_gap=0.5)) is None


def test_equal_texts_and_unscored_answers_are_not_candidates() -> None:
    same = replace(trajectory(1, 2, 2), text=trajectory(0, 6, 6).text)
    unscored = replace(
        trajectory(2, 2, 2), reward=RewardBreakdown(visual=None, spatial_description=1, spatial_reasoning=1, logical=1)
    )
    assert len(choose([trajectory(0, 6, 6), same, unscored], 8)) == 1


def test_eight_candidates_come_from_search_and_samples() -> None:
    found = [trajectory(i, 5, 5, origin="search", value=i / 10) for i in range(6)]
    samples = [trajectory(i, 5, 5, origin="sample") for i in range(6, 12)]
    chosen = choose([*found, *samples], 8)
    assert [t.index for t in chosen] == [5, 4, 3, 2, 6, 7, 8, 9]
    assert len(choose(found, 8)) == 6
    assert [t.index for t in choose([*found, *samples[:1]], 6)] == [5, 4, 3, 2, 1, 6]


@pytest.mark.parametrize("seed", range(20))
def test_an_altered_length_is_beyond_the_tolerance(seed: int) -> None:
    answer = conclusion(WIDTH, "<region1> is about 1.50 meters wide.", seed)
    assert answer is not None
    value = float(answer.split("about ")[1].split()[0])
    assert abs(value - 1.5) > 0.25 * 1.5
    assert answer == f"<region1> is about {value:.2f} meters wide."


@pytest.mark.parametrize("seed", range(20))
def test_an_altered_hour_is_two_or_more_away(seed: int) -> None:
    answer = conclusion(HOUR, "<region2> is at 2 o'clock from <region1>.", seed)
    assert answer is not None
    hour = int(answer.split("at ")[1].split()[0])
    assert 1 <= hour <= 12
    assert 2 <= abs(hour - 2) <= 10


@pytest.mark.parametrize(
    ("answer", "altered"),
    [
        ("Yes, <region1> is left of <region2>.", "No, <region2> is left of <region1>."),
        ("No.", "Yes."),
        ("<region1> is taller.", "<region2> is taller."),
        ("It is the first.", "It is the second."),
    ],
)
def test_altered_relations_say_the_opposite(answer: str, altered: str) -> None:
    assert conclusion(LEFT, answer) == altered


@pytest.mark.parametrize(("question", "answer"), [(WIDTH, "It is wide."), (LEFT, "Hard to say.")])
def test_what_cannot_be_altered_is_left_out(question: Question, answer: str) -> None:
    assert conclusion(question, answer) is None


def test_hard_pairs_differ_in_the_conclusion_alone() -> None:
    pair = harden(WIDTH, trajectory(0, 7, 7), lambda question, text: reward(7, 6), Random(0))
    assert pair is not None
    assert (pair.kind, pair.gap_description, pair.gap_reasoning) == ("hard", 0, 1)
    start = responses.spans(pair.chosen)["conclusion"][0]
    assert pair.chosen[:start] == pair.rejected[:start]
    assert harden(WIDTH, trajectory(0, 7, 7), lambda question, text: reward(7, 7), Random(0)) is None


def test_sft_takes_the_best_successful_answer() -> None:
    trajectories = [
        trajectory(0, 8, 8, success=False),
        trajectory(1, 6, 6),
        trajectory(2, 7, 6),
        trajectory(3, 8, 8, success=None),
    ]
    ((question, pick, _),) = make_pairs({WIDTH.id: WIDTH}, trajectories, lambda *_: reward(1, 1), PairsConfig(hard=0))
    assert question == WIDTH
    assert pick is not None
    assert pick.index == 2


def write(
    scene: Scene, out: Path, trajectories: list[Trajectory], regions: Literal["marks", "tokens"] = "marks"
) -> PairsSummary:
    scorer = lambda question, text: reward(7, 6)  # noqa: E731
    config = PairsConfig(hard=1, regions=regions)
    return write_pairs({WIDTH.id: WIDTH}, {scene.id: scene}, trajectories, scorer, config, out)


def test_rows_carry_what_trl_and_fdpo_need(scene: Scene, tmp_path: Path) -> None:
    summary = write(scene, tmp_path / "out", [trajectory(0, 7, 7), trajectory(1, 6, 1)])
    assert (summary.sft, summary.ranked, summary.hard, summary.mean_gap_reasoning) == (1, 1, 1, 6)
    ranked, hard = map(json.loads, (tmp_path / "out" / "pairs.jsonl").read_text().splitlines())
    assert ranked["prompt"] == [{"role": "user", "content": WIDTH.text}]
    assert ranked["chosen"][0]["role"] == ranked["rejected"][0]["role"] == "assistant"
    assert (ranked["gap_description"], ranked["gap_reasoning"]) == (1, 6)
    assert hard["kind"] == "hard"
    assert read_image(tmp_path / "out" / ranked["images"][0]).size == (320, 240)
    (sft,) = map(json.loads, (tmp_path / "out" / "sft.jsonl").read_text().splitlines())
    assert [turn["content"] for turn in sft["messages"]] == [WIDTH.text, trajectory(0, 7, 7).text]


def test_images_are_marked_or_carry_their_regions(scene: Scene, tmp_path: Path) -> None:
    for regions in ("tokens", "marks"):  # one after the other in the same folder
        write(scene, tmp_path, [trajectory(0, 7, 7), trajectory(1, 6, 1)], regions)
        row = json.loads((tmp_path / "pairs.jsonl").read_text().splitlines()[0])
        shown = read_image(tmp_path / row["images"][0])
        assert [row["counts"] for row in row["regions"]] == [scene.region("region2").mask.counts]
        if regions == "tokens":
            (mask,) = attached(shown)
            assert (mask == decode(scene.region("region2").mask)).all()
            assert shown.tobytes() == read_image(scene.image).tobytes()
        else:
            assert attached(shown) == []
            assert shown.tobytes() != read_image(scene.image).tobytes()


def test_an_image_that_has_changed_is_drawn_again(scene: Scene, tmp_path: Path) -> None:
    answers = [trajectory(0, 7, 7), trajectory(1, 6, 1)]
    write(scene, tmp_path / "out", answers, "tokens")
    other = tmp_path / "other.png"
    Image.new("RGB", read_image(scene.image).size, (9, 8, 7)).save(other)
    write(replace(scene, image=str(other)), tmp_path / "out", answers, "tokens")
    row = json.loads((tmp_path / "out" / "pairs.jsonl").read_text().splitlines()[0])
    assert read_image(tmp_path / "out" / row["images"][0]).tobytes() == read_image(other).tobytes()


def test_the_same_input_writes_the_same_bytes(scene: Scene, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(scene, tmp_path / name, [trajectory(0, 7, 7), trajectory(1, 6, 1)])
    files = sorted(
        path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file() and path.name != ".lock"
    )
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    assert len(files) == 5


def test_no_pair_at_all_is_an_error_and_writes_no_rows(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no pair came out"):
        write(scene, tmp_path / "out", [trajectory(0, 7, 7, success=False)])
    assert not (tmp_path / "out" / "pairs.jsonl").exists()


def test_an_answer_to_an_unknown_question_is_refused(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="not among the questions"):
        write(scene, tmp_path / "out", [replace(trajectory(0, 7, 7), question_id="moon-0")])


@pytest.mark.parametrize("change", [{"candidates": 1}, {"min_gap": -1}, {"min_gap": 17}, {"hard": 1.5}])
def test_settings_out_of_range_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        PairsConfig(**change)  # type: ignore[arg-type]
