"""The stages as functions: what a stage reads is never replaced by what it writes, whoever calls it."""

from pathlib import Path

import pytest

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.pipeline import build_pairs, evaluate, generate, make_questions, report, reward

CALLS = {
    "generate": (lambda at: generate(at / "q.jsonl", model="nano", out=at / "q.jsonl"), "q.jsonl"),
    "generate, by its settings": (lambda at: generate(at / "q.jsonl", model="nano", out=at / "q.json"), "q.config.json"),
    "reward, questions": (lambda at: reward(at / "q.jsonl", at / "a.jsonl", out=at / "q.jsonl"), "q.jsonl"),
    "reward, responses": (lambda at: reward(at / "q.jsonl", at / "a.jsonl", out=at / "link.jsonl"), "a.jsonl"),
    "evaluate": (lambda at: evaluate(at / "a.jsonl", out=at / "a.jsonl"), "a.jsonl"),
    "evaluate, against": (lambda at: evaluate(at / "q.jsonl", against=at / "a.jsonl", out=at / "a.jsonl"), "a.jsonl"),
    "questions": (lambda at: make_questions(at, out=at / "scenes.jsonl"), "scenes.jsonl"),
    "pairs, answers": (lambda at: build_pairs(answers=at / "answers.jsonl", questions=at / "q.jsonl", out=at), "answers.jsonl"),
    "pairs, rewards": (lambda at: build_pairs(rewards=at / "sft.jsonl", out=at), "sft.jsonl"),
    "report": (lambda at: report(at, out=at / "a.jsonl"), "a.jsonl"),
}


@pytest.mark.parametrize("call", CALLS)
def test_what_is_read_is_never_replaced(call: str, tmp_path: Path) -> None:
    run, name = CALLS[call]
    for each in ("q.jsonl", "q.config.json", "a.jsonl", "scenes.jsonl", "answers.jsonl", "sft.jsonl"):
        (tmp_path / each).write_text("mine")
    (tmp_path / "link.jsonl").symlink_to("a.jsonl")
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(ConfigError, match=r"also an input|ending in \.html"):
        run(tmp_path)
    assert (tmp_path / name).read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == before
