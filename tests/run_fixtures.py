"""A small run of the real stages, for what reads runs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from builders import build_scene
from spatialreasoner.core import records
from spatialreasoner.core.types import Question, Trajectory
from spatialreasoner.evaluation.answers import judge
from spatialreasoner.evaluation.predictions import prediction, write_predictions
from spatialreasoner.preferences import pairs
from spatialreasoner.questions.files import read_questions
from spatialreasoner.questions.generate import QuestionsConfig, write_questions
from spatialreasoner.rewards import GeometricReward, score_response
from spatialreasoner.scenes.files import scene_index
from spatialreasoner.search.run import RunConfig, run_search
from spatialreasoner.teachers import scripted


def succeeds(question: Question, text: str) -> bool | None:
    return judge(question.category, question.text, question.answer, text).success


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes, questions, a search, pairs, two trainings and two models' predictions, each in its folder."""
    root = tmp_path_factory.mktemp("runs") / "demo"
    build_scene(root / "scenes")
    write_questions(QuestionsConfig(scenes=str(root / "scenes"), per_scene=12), root / "questions.jsonl")
    scenes = scene_index(root / "scenes")
    questions = read_questions(root / "questions.jsonl", scenes)
    run_search(
        questions=questions, scenes=scenes, policies=[scripted(name, scenes) for name in ("careful", "hasty")],
        reward=GeometricReward(scenes, succeeds=succeeds), config=RunConfig(), out=root / "search", inputs={},
    )  # fmt: skip
    trajectories = list(records.read_jsonl(root / "search" / "trajectories.jsonl", Trajectory))
    pairs.write_pairs(
        {q.id: q for q in questions}, scenes, trajectories, lambda q, text: score_response(scenes[q.scene_id], q, text),
        pairs.PairsConfig(hard=1.0), root / "pairs",
    )  # fmt: skip
    for label, index in (("base", 0), ("fdpo", -1)):
        answers = {q.id: [t.text for t in trajectories if t.question_id == q.id][index] for q in questions}
        rows = [prediction(q, answers[q.id], image="balls.png", model_id=label) for q in questions]
        write_predictions(root / "generate" / f"{label}-predictions.jsonl", rows)
        keys = ("rewards/margins/description", "rewards/margins/reasoning") if label == "fdpo" else ()
        log = [{"step": step, "loss": math.exp(-step / 9), **dict.fromkeys(keys, step / 20)} for step in range(1, 9)]
        records.write_jsonl(root / "train" / label / "metrics.jsonl", log)
    records.write_config(
        root / "train" / "fdpo", "train fdpo", {"beta": 0.2, "fdpo_alpha": 0.5, "fdpo_lambda": 1.0}, name="training.json"
    )
    records.write_json(root / "train" / "fdpo" / "config.json", {"model_type": "llava"})
    return root
