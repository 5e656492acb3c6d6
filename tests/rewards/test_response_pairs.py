"""Labelled pairs of responses: does the better one score higher? How they were made: tests/data/verdicts.md."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from spatialreasoner.core.types import Question, RewardBreakdown, Scene
from spatialreasoner.rewards import score_response
from spatialreasoner.rewards.combine import REWARDS
from spatialreasoner.rewards.known import KnownScenes
from spatialreasoner.scenes import rgbd
from spatialreasoner.scenes.files import scene_index

DATA = Path(__file__).resolve().parents[1] / "data"
PHOTOS = sorted((DATA.parents[2] / "shared" / "data" / "rgbd").glob("*/"))
ROWS: list[dict[str, Any]] = [
    json.loads(line) for line in (DATA / "response_pairs.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.fixture(scope="module")
def scenes() -> KnownScenes:
    found: Mapping[str, Scene] = {folder.name: rgbd.load(folder) for folder in PHOTOS}
    return KnownScenes({**scene_index(DATA / "rooms"), **found}, kept=20)


def question(row: Mapping[str, Any]) -> Question:
    asked = row["question"]
    return Question(id=row["id"], scene_id=row["scene"], **{**asked, "region_ids": tuple(asked["region_ids"])})


def test_there_are_enough_and_a_third_is_held():
    assert len(ROWS) >= 150
    assert 0.25 < sum(row["split"] == "held" for row in ROWS) / len(ROWS) < 0.42


@pytest.mark.parametrize("split", ["tune", "held"])
def test_the_better_response_scores_higher(scenes: KnownScenes, split: str):
    names = {folder.name for folder in PHOTOS}
    rows = [row for row in ROWS if row["split"] == split and (row["scene"].startswith("synthetic") or row["scene"] in names)]
    wrong: list[str] = []
    for row in rows:
        better, worse = (score_response(scenes.get(row["scene"]), question(row), row[side]) for side in ("better", "worse"))
        more, less = comparable(better, worse)
        if more <= less:
            wrong.append(f"{row['id']} {row['fault']}: {more} against {less}")
    print(f"{split}: {len(rows) - len(wrong)} of {len(rows)} pairs right")  # noqa: T201 - the figure that is reported
    for line in wrong:
        print(line)  # noqa: T201
    assert len(wrong) <= 0.03 * len(rows), wrong


def comparable(first: RewardBreakdown, second: RewardBreakdown) -> tuple[float, float]:
    """The sums of the rewards that both have: where an error bar is wider than the tolerance, one of the four is unscored."""
    both = [(getattr(first, name), getattr(second, name)) for name in REWARDS]
    scored = [(one, other) for one, other in both if one is not None and other is not None]
    assert len(scored) >= 3
    return sum(one for one, _ in scored), sum(other for _, other in scored)
