"""Rooms by use: a training on a test room is found by the digest of its rows."""

import hashlib
from pathlib import Path

import pytest
from research.fdpo_study.use import rooms_by_use

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.questions.generate import QuestionsConfig, write_questions
from spatialreasoner.scenes import synthetic

SEEDS = {"sft": 5, "test": 6}


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study")
    for part, seed in SEEDS.items():
        folder = out / "data" / part
        synthetic.write_synthetic(synthetic.SyntheticConfig(count=1, seed=seed), folder / "scenes")
        write_questions(QuestionsConfig(scenes=str(folder / "scenes"), per_scene=2, seed=seed), folder / "questions.jsonl")
    return out


def _train(out: Path, rows: Path, digest: str | None = None) -> None:
    found = digest or hashlib.sha256(rows.read_bytes()).hexdigest()
    record = {"config": {"data": {"file": rows.name, "sha256": found}}}
    records.write_json(out / "seed-0" / "sft" / "training.json", record)


def test_a_training_on_rooms_of_its_own_is_told(rooms: Path) -> None:
    _train(rooms, rooms / "data" / "sft" / "questions.jsonl")
    table = rooms_by_use(rooms)
    assert "| sft | 1 | 2 | 1 | 0 |" in table
    assert "| test | 1 | 2 | 0 | 0 |" in table


def test_a_training_on_test_rooms_is_refused_whatever_its_file_is_called(rooms: Path) -> None:
    disguised = rooms / "seed-0" / "rows.jsonl"
    disguised.parent.mkdir(exist_ok=True)
    disguised.write_bytes((rooms / "data" / "test" / "questions.jsonl").read_bytes())
    _train(rooms, disguised)
    with pytest.raises(ConfigError, match="expected no training on test rooms; seed-0/sft"):
        rooms_by_use(rooms)
    disguised.unlink()


def test_rows_that_are_gone_prove_nothing(rooms: Path) -> None:
    _train(rooms, Path("sft.jsonl"), digest="0" * 64)
    with pytest.raises(ConfigError, match=r"rows that seed-0/sft learned from, sft\.jsonl"):
        rooms_by_use(rooms)


def test_a_room_in_two_parts_is_found(rooms: Path, tmp_path: Path) -> None:
    for part in SEEDS:
        folder = tmp_path / "data" / part
        synthetic.write_synthetic(synthetic.SyntheticConfig(count=1, seed=5), folder / "scenes")
        write_questions(QuestionsConfig(scenes=str(folder / "scenes"), per_scene=1), folder / "questions.jsonl")
    with pytest.raises(ConfigError, match="expected no room in two parts; 1 are"):
        rooms_by_use(tmp_path)
