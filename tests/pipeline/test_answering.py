"""The stage `generate`: rows, order, and continuing after an interruption."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from spatialreasoner.core.errors import EndpointError, WorkError
from spatialreasoner.core.types import Completion, Prompt, Question, Scene
from spatialreasoner.evaluation.predictions import read_predictions
from spatialreasoner.pipeline.answering import run_generate


class Teller:
    """A model that answers with the question and the seed, and fails for good after a number of calls."""

    name = "teller"

    def __init__(self, *, fails_after: int | None = None) -> None:
        self.calls = 0
        self.fails_after = fails_after

    async def complete(self, prompt: Prompt, *, n: int, seed: int) -> Sequence[Completion]:
        if self.fails_after is not None and self.calls >= self.fails_after:
            raise EndpointError("teller refuses the key; set TELLER_KEY")
        self.calls += 1
        return [Completion(text=f"{prompt.request} {seed} {[region.id for region in prompt.regions]}")] * n


def ask(scene: Scene, count: int) -> list[Question]:
    return [
        Question(
            id=f"q{number}", scene_id=scene.id, category="left_predicate", region_ids=("region2", "region1"),
            text=f"{number}: is <region1> left of <region2>?", answer="No.",
        )
        for number in range(count)
    ]  # fmt: skip


def test_writes_official_rows_in_the_order_of_the_questions(scene: Scene, tmp_path: Path) -> None:
    out = tmp_path / "predictions.jsonl"
    seen: list[int] = []
    assert run_generate(ask(scene, 5), {scene.id: scene}, Teller(), out, progress=seen.append) == 5
    rows = read_predictions(out)
    assert [row.question_id for row in rows] == ["q0", "q1", "q2", "q3", "q4"]
    assert rows[0].pred.startswith("0: is <region1> left of <region2>?")
    assert rows[0].pred.endswith("['region2', 'region1']")
    assert rows[0].image == "scenes/balls.png"
    assert list(json.loads(out.read_text().splitlines()[0])) == [
        "question_id", "image", "question", "pred", "gt", "model_id", "qa_info",
    ]  # fmt: skip
    assert seen[-1] == 5


def test_goes_on_after_an_interruption_and_ends_with_the_same_bytes(scene: Scene, tmp_path: Path) -> None:
    questions, scenes = ask(scene, 40), {scene.id: scene}
    run_generate(questions, scenes, Teller(), tmp_path / "unbroken.jsonl")
    with pytest.raises(WorkError, match=r"17 of 40 questions are answered.*TELLER_KEY.*run the same again to resume"):
        run_generate(questions, scenes, Teller(fails_after=17), tmp_path / "broken.jsonl")
    rows = read_predictions(tmp_path / "broken.jsonl")
    assert [bool(row.pred) for row in rows].count(True) == 17
    assert {row.unanswered for row in rows if not row.pred} == {"teller refuses the key; set TELLER_KEY"}
    second = Teller()
    run_generate(questions, scenes, second, tmp_path / "broken.jsonl")
    assert second.calls == 23
    assert (tmp_path / "broken.jsonl").read_bytes() == (tmp_path / "unbroken.jsonl").read_bytes()


def test_a_finished_file_costs_no_calls_and_another_seed_does(scene: Scene, tmp_path: Path) -> None:
    questions, scenes, out = ask(scene, 3), {scene.id: scene}, tmp_path / "predictions.jsonl"
    run_generate(questions, scenes, Teller(), out)
    again, other = Teller(), Teller()
    run_generate(questions, scenes, again, out)
    run_generate(questions, scenes, other, out, seed=1)
    assert (again.calls, other.calls) == (0, 3)


def test_answers_by_another_model_are_not_replaced_without_a_word(scene: Scene, tmp_path: Path) -> None:
    questions, scenes, out = ask(scene, 2), {scene.id: scene}, tmp_path / "predictions.jsonl"
    said: list[str] = []
    first, other, again = Teller(), Teller(), Teller()
    other.name = "another"
    for model in (first, other):
        run_generate(questions, scenes, model, out, tell=said.append)
    assert said == [f"{out} holds answers by teller, now replaced; the same command with that model restores them, unasked"]
    run_generate(questions, scenes, again, out, tell=said.append)
    assert (again.calls, read_predictions(out)[0].model_id) == (0, "teller")
