"""Anyone's answers become pairs: rated by geometry, by rows of rewards, or by ratings that they bring along."""

import json
from pathlib import Path

import pytest

from builders import build_scene
from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, RecordError
from spatialreasoner.core.types import Question, Trajectory
from spatialreasoner.evaluation.predictions import prediction, write_predictions
from spatialreasoner.pipeline import build_pairs, reward
from spatialreasoner.pipeline.own_answers import gather_answers
from spatialreasoner.preferences.pairs import PairsConfig
from spatialreasoner.questions.files import read_questions
from spatialreasoner.questions.generate import QuestionsConfig, write_questions
from spatialreasoner.rewards import score_response
from spatialreasoner.scenes.files import scene_index
from spatialreasoner.teachers import scripted
from spatialreasoner.training.data import read_preferences

PLAIN = PairsConfig(hard=0.0, candidates=99)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes, questions, and the answers of two models: predictions of one, other rows of the other."""
    home = tmp_path_factory.mktemp("own")
    build_scene(home / "scenes")
    write_questions(QuestionsConfig(scenes=str(home / "scenes"), per_scene=8), home / "questions.jsonl")
    scenes = scene_index(home / "scenes")
    asked = read_questions(home / "questions.jsonl", scenes)
    careful, vague = (_answers(name, asked, scenes) for name in ("careful", "vague"))
    rows = [prediction(q, careful[q.id], image="balls.png", model_id="careful") for q in asked]
    rows.append(prediction(asked[0], "", image="balls.png", model_id="careful", unanswered="refusal"))
    write_predictions(home / "a.jsonl", rows)
    records.write_jsonl(
        home / "b.jsonl",
        [
            {"question_id": q.id, "text": vague[q.id], "stars": n % 5, "scores": {"description": n, "plan": -n}, "who": "me"}
            for n, q in enumerate(asked)
        ],
    )
    return home


def _answers(name: str, asked: list[Question], scenes: dict) -> dict[str, str]:
    import asyncio

    from spatialreasoner.questions.files import prompt

    policy = scripted(name, scenes)

    async def ask() -> dict[str, str]:
        return {q.id: (await policy.complete(prompt(q, scenes[q.scene_id]), n=1, seed=1))[0].text for q in asked}

    return asyncio.run(ask())


def rows_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def own(home: Path, out: Path, **options) -> Path:
    files = [home / "a.jsonl", home / "b.jsonl"]
    given = {"questions": home / "questions.jsonl", "answers": files, "config": PLAIN} | options
    return Path(build_pairs(out=out, progress=None, **given))


def test_two_files_of_answers_become_rated_pairs(home: Path, tmp_path: Path) -> None:
    out = own(home, tmp_path / "pairs")
    pairs, sft, rewards = (rows_of(out / f"{name}.jsonl") for name in ("pairs", "sft", "rewards"))
    asked = rows_of(home / "questions.jsonl")
    assert len(rewards) == 2 * len(asked)  # the row that says why it is not an answer is left out
    assert {row["source"] for row in rewards} == {"a.jsonl", "b.jsonl"}
    assert pairs
    assert sft
    texts = {(row["question_id"], row["text"]): row["reward"] for row in rewards}
    for row in pairs:
        better, worse = (texts[row["question_id"], row[side][0]["content"]] for side in ("chosen", "rejected"))
        assert row["gap_reasoning"] == pytest.approx(better["reasoning"] - worse["reasoning"], abs=1e-6)
        assert row["reward_chosen"] - row["reward_rejected"] >= 0.5
        kept = row["chosen_row"], row["rejected_row"]
        assert {each["source"] for each in kept} <= {"a.jsonl", "b.jsonl"}
        assert all("reward" not in each and "assertions" not in each for each in kept)
    best = max(pairs, key=lambda row: row["gap_reasoning"])
    assert best["chosen_row"]["model_id"] == "careful"
    assert best["rejected_row"]["who"] == "me"


def test_it_is_the_stage_reward_and_then_pairs_from_its_file(home: Path, tmp_path: Path) -> None:
    whole = own(home, tmp_path / "whole")
    rewarded = reward(home / "questions.jsonl", whole / "answers.jsonl", out=tmp_path / "rewards.jsonl", progress=None)
    build_pairs(out=tmp_path / "parts", rewards=rewarded, config=PLAIN, progress=None)  # its questions are on record
    for name in ("pairs.jsonl", "sft.jsonl"):
        assert (tmp_path / "parts" / name).read_bytes() == (whole / name).read_bytes()


def test_the_same_call_again_writes_the_same_bytes_and_rates_nothing_twice(home: Path, tmp_path: Path, monkeypatch) -> None:
    out = own(home, tmp_path)
    before = {path.name: path.read_bytes() for path in out.glob("*.jsonl")}
    from spatialreasoner.pipeline.scoring import Scorer

    graded = []
    grade = Scorer.grade
    monkeypatch.setattr(Scorer, "grade", lambda self, row: graded.append(row) or grade(self, row))
    (out / "rewards.jsonl").unlink()
    stopped = iter(range(5))
    monkeypatch.setattr(Scorer, "grade", lambda self, row: grade(self, row) if next(stopped, None) is not None else _stop())
    with pytest.raises(KeyboardInterrupt):
        own(home, tmp_path)
    monkeypatch.setattr(Scorer, "grade", lambda self, row: graded.append(row) or grade(self, row))
    own(home, tmp_path)
    assert len(graded) == len(rows_of(out / "answers.jsonl")) - 5
    assert before == {path.name: path.read_bytes() for path in out.glob("*.jsonl")}


def _stop() -> None:
    raise KeyboardInterrupt


def test_rewards_of_the_projects_own_objects_are_read(home: Path, tmp_path: Path) -> None:
    scenes = scene_index(home / "scenes")
    asked = {q.id: q for q in read_questions(home / "questions.jsonl", scenes)}
    rows = [row for name in ("a", "b") for row in rows_of(home / f"{name}.jsonl") if row.get("pred", "x")]
    made = [
        Trajectory(
            question_id=row["question_id"], index=n, text=(text := row.get("pred") or row["text"]), policies=("own",),
            success=True, reward=score_response(scenes["balls"], asked[row["question_id"]], text),
        )
        for n, row in enumerate(rows)
    ]  # fmt: skip
    records.write_jsonl(tmp_path / "mine.jsonl", made)
    out = Path(build_pairs(out=tmp_path, rewards=tmp_path / "mine.jsonl", questions=home / "questions.jsonl", progress=None))
    assert rows_of(out / "pairs.jsonl")
    with pytest.raises(ConfigError, match="does not say which questions"):
        build_pairs(out=tmp_path, rewards=tmp_path / "mine.jsonl", progress=None)


def test_ratings_of_ones_own_on_any_scale(home: Path, tmp_path: Path) -> None:
    asked = rows_of(home / "questions.jsonl")
    rows = [
        {"question_id": q["id"], "text": f"{q['answer']} {n}", "stars": n, "plan": n / 10, "why": 1 - n / 10}
        for q in asked
        for n in (1, 3, 2)
    ]
    rows.append({"question_id": asked[0]["id"], "text": "unrated", "stars": None, "plan": 1, "why": 1})
    records.write_jsonl(tmp_path / "rows.jsonl", rows)
    given = {"questions": home / "questions.jsonl", "answers": tmp_path / "rows.jsonl", "progress": None}
    whole = rows_of(Path(build_pairs(out=tmp_path / "stars", ratings={"total": "stars"}, **given)) / "pairs.jsonl")
    assert len(whole) == len(asked)
    assert {(row["reward_chosen"], row["reward_rejected"]) for row in whole} == {(3, 1)}
    assert {row["gap_reasoning"] for row in whole} == {None}  # unscored, so the segments weigh the same
    assert not (tmp_path / "stars" / "rewards.jsonl").exists()
    columns = {"total": "stars", "plan": "plan", "reasoning": "why"}
    parts = rows_of(Path(build_pairs(out=tmp_path / "parts", ratings=columns, **given)) / "pairs.jsonl")
    assert {(row["gap_plan"], row["gap_reasoning"]) for row in parts} == {(0.2, -0.2)}
    assert all("gap_description" not in row for row in parts)  # nobody has rated such a segment


def test_a_wrong_rating_is_told_by_its_own_file_line_and_column(home: Path, tmp_path: Path) -> None:
    asked = rows_of(home / "questions.jsonl")[0]["id"]
    records.write_jsonl(tmp_path / "good.jsonl", [{"question_id": asked, "text": "x", "stars": 1}])
    for stars, message in (
        ({"moons": 1}, "a rating in the column 'stars'"),
        ({"stars": "1"}, "a number, or null, as the rating in 'stars'; got '1'"),
        ({"stars": {"plan": True}}, r"a number, or null, as the rating in 'stars\.plan'; got True"),
    ):
        records.write_jsonl(tmp_path / "bad.jsonl", [{"question_id": asked, "text": "y"} | stars])
        answers = [tmp_path / "good.jsonl", tmp_path / "bad.jsonl"]
        with pytest.raises(RecordError, match=rf"{tmp_path.name}/bad\.jsonl:1: expected {message}"):
            own(home, tmp_path / "out", answers=answers, ratings={"total": "stars"})


def test_pairs_rated_by_segments_of_other_names_are_trained_on(home: Path, tmp_path: Path) -> None:
    rows = [
        {"question_id": q["id"], "text": f"<plan>Look {n}</plan><answer>{n}</answer>", "p": n, "a": -2 * n}
        for q in rows_of(home / "questions.jsonl")
        for n in (1, 2)
    ]
    records.write_jsonl(tmp_path / "rows.jsonl", rows)
    out = own(home, tmp_path / "o", answers=tmp_path / "rows.jsonl", ratings={"plan": "p", "answer": "a"}, config=None)
    found = read_preferences(out / "pairs.jsonl", segments=("plan", "answer"))
    assert set(zip(found["gap_plan"], found["gap_answer"], strict=True)) == {(-1.0, 2.0)}
    older = [row | {"gap_description": None} for row in rows_of(out / "pairs.jsonl")]  # a null is no gap of another segment
    records.write_jsonl(out / "older.jsonl", older)
    assert read_preferences(out / "older.jsonl", segments=("plan", "answer"))["gap_plan"] == found["gap_plan"]
    records.write_jsonl(out / "other.jsonl", [row | {"gap_reason": 1.0} for row in older])
    with pytest.raises(RecordError, match="cannot be trained on"):
        read_preferences(out / "other.jsonl", segments=("plan", "answer"))


def test_among_equal_rewards_right_answers_are_chosen_wrong_ones_rejected_and_the_first_of_each(
    home: Path, tmp_path: Path
) -> None:
    rows = [
        {"question_id": q["id"], "text": text, "stars": stars, "success": right}
        for q in rows_of(home / "questions.jsonl")
        for text, stars, right in (
            ("a", 4, False), ("b", 4, True), ("c", 4, True), ("d", 2, True), ("e", 2, False), ("f", 2, False),
            ("g", None, True),
        )
    ]  # fmt: skip
    records.write_jsonl(tmp_path / "rows.jsonl", rows)
    out = own(home, tmp_path / "o", answers=tmp_path / "rows.jsonl", ratings={"total": "stars"}, config=None)
    assert {(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows_of(out / "pairs.jsonl")} == {
        ("b", "e")
    }
    assert {row["messages"][-1]["content"] for row in rows_of(out / "sft.jsonl")} == {"b"}
    records.write_jsonl(tmp_path / "equal.jsonl", [row | {"stars": 3} for row in rows])
    with pytest.raises(RecordError, match="no two different answers to a question have different ratings"):
        own(home, tmp_path / "p", answers=tmp_path / "equal.jsonl", ratings={"total": "stars"}, config=None)


@pytest.mark.parametrize("without", [{"pred": None}, {"text": None}, {"text": None, "pred": None}, {}, {"pred": ""}])
def test_rows_that_say_why_they_have_no_answer_are_left_out(home: Path, tmp_path: Path, without: dict) -> None:
    asked = rows_of(home / "questions.jsonl")[0]["id"]
    answers = [{"question_id": asked, "text": None, "pred": text} for text in ("Yes.", "No.")]
    records.write_jsonl(tmp_path / "rows.jsonl", [{"question_id": asked, **without, "unanswered": "timeout"}, *answers])
    count = gather_answers([tmp_path / "rows.jsonl"], {asked}, tmp_path / "all.jsonl")
    assert count == 2
    assert [row["text"] for row in rows_of(tmp_path / "all.jsonl")] == ["Yes.", "No."]


def test_a_rating_may_be_an_object_of_segments(home: Path, tmp_path: Path) -> None:
    both = [row | {"scores": {"description": 0, "plan": 0}} for row in rows_of(home / "a.jsonl") if row["pred"]]
    records.write_jsonl(tmp_path / "a.jsonl", [{k: v for k, v in row.items() if k != "unanswered"} for row in both])
    shifted = [row | {"scores": {"description": 3, "plan": -1}} for row in rows_of(home / "b.jsonl")]
    records.write_jsonl(tmp_path / "b.jsonl", shifted)
    out = own(
        home, tmp_path / "o", answers=[tmp_path / "a.jsonl", tmp_path / "b.jsonl"], ratings={"total": "scores"}, config=None
    )
    rows = rows_of(out / "pairs.jsonl")
    assert {(row["reward_chosen"], row["gap_description"], row["gap_plan"]) for row in rows} == {(2, 3, -1)}


def test_wrong_rows_are_told_by_file_and_line(home: Path, tmp_path: Path) -> None:
    good = json.dumps({"question_id": rows_of(home / "questions.jsonl")[0]["id"], "text": "x"})
    for bad, message in (
        ('{"question_id": "moon", "text": "x"}', "there is no question 'moon'"),
        ('{"question_id": "q"}', "`text` or `pred`"),
        ("{", "JSON"),
        (good[:-1] + ', "n": NaN}', "finite"),
    ):
        (tmp_path / "bad.jsonl").write_text(f"{good}\n\n{bad}\n")
        with pytest.raises(RecordError, match=rf"bad\.jsonl:3: .*{message}"):
            own(home, tmp_path / "out", answers=[home / "a.jsonl", tmp_path / "bad.jsonl"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"questions": None}, "`answers` needs `questions`"),
        ({"answers": ()}, "one of the three"),
        ({"runs": "search"}, "one of the three"),
        ({"rewards": "r.jsonl"}, "one of the three"),
    ],
)
def test_sources_are_not_mixed(home: Path, tmp_path: Path, given: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        own(home, tmp_path, **given)
