"""Labelled statements: is each one's verdict right? How they were made: tests/data/verdicts.md.

A third, marked `held`, was not looked at while the code was tuned. Rows about the real photos are left out where those are
not beside this checkout; the rooms are part of the tests.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from spatialreasoner.core.types import Question, Scene
from spatialreasoner.language.statements import extract
from spatialreasoner.rewards.known import Known, KnownScenes
from spatialreasoner.rewards.spatial import verify
from spatialreasoner.scenes import rgbd
from spatialreasoner.scenes.files import scene_index

DATA = Path(__file__).resolve().parents[1] / "data"
PHOTOS = sorted((DATA.parents[2] / "shared" / "data" / "rgbd").glob("*/"))
ROWS = [json.loads(line) for line in (DATA / "verdicts.jsonl").read_text(encoding="utf-8").splitlines()]
TOLERANCE = 0.15


@pytest.fixture(scope="module")
def scenes() -> KnownScenes:
    found: Mapping[str, Scene] = {folder.name: rgbd.load(folder) for folder in PHOTOS}
    return KnownScenes({**scene_index(DATA / "rooms"), **found}, kept=20)


def verdict(known: Known, row: Mapping[str, object]) -> str | float | None:
    """r of the row's statement, or "not found"."""
    regions = tuple(row["region_ids"])  # type: ignore[arg-type]
    labels = tuple(known.scene.region(region).label for region in regions)
    category = "left_predicate" if len(regions) > 1 else "width_data"
    question = Question(id="q", scene_id=known.scene.id, category=category, text="", region_ids=regions, answer="")
    found = [assertion for assertion in extract(str(row["text"]), labels) if same(assertion.kind, str(row["kind"]))]
    return verify(known.measured, question, found[-1]).score if found else "not found"


def same(kind: str, named: str) -> bool:
    """Whether a statement is of the row's kind; a converse says the same with the regions exchanged."""
    converse = {"left": "right", "above": "below", "tall": "short", "wide": "thin", "big": "small", "behind": "front"}
    converse |= {after: before for before, after in converse.items()}
    sizes = {"tall": "height", "wide": "width"}
    return kind in {named, converse.get(named), sizes.get(named)}


def is_right(said: str | float | None, expected: float | None) -> bool:
    if said is None or expected is None or isinstance(said, str):
        return said is None and expected is None
    return abs(said - expected) <= TOLERANCE


def test_there_are_enough_and_a_third_is_held():
    assert len(ROWS) >= 300
    assert 0.25 < sum(row["split"] == "held" for row in ROWS) / len(ROWS) < 0.42
    assert len({(row["scene"], *row["region_ids"], row["text"]) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("split", ["tune", "held"])
def test_verdicts_are_right(scenes: KnownScenes, split: str):
    names = {folder.name for folder in PHOTOS}
    rows = [row for row in ROWS if row["split"] == split and (row["scene"].startswith("synthetic") or row["scene"] in names)]
    said = [verdict(scenes.get(row["scene"]), row) for row in rows]
    wrong = [(row["text"], row["r"], got) for row, got in zip(rows, said, strict=True) if not is_right(got, row["r"])]
    print(f"{split}: {len(rows) - len(wrong)} of {len(rows)} verdicts right")  # noqa: T201 - the figure that is reported
    for line in wrong:
        print(line)  # noqa: T201
    assert len(wrong) <= 0.03 * len(rows), wrong
