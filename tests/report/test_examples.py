"""Betas of pairs: docs/papers.md 1.1, its test vectors."""

from __future__ import annotations

import pytest
import torch

from spatialreasoner.core.types import GROUPS, Category, Question
from spatialreasoner.report.examples import BetaSettings, varied
from spatialreasoner.report.published import published
from spatialreasoner.training.loss import segment_betas


@pytest.mark.parametrize(
    ("description", "reasoning", "betas"),
    [(1, 4, (0.078511, 0.121489)), (0, 0, (0.1, 0.1)), (0.4, 5.1, (0.073375, 0.126625)), (3, 1, (0.116111, 0.083889))],
)
def test_betas_of_the_papers_vectors(description: float, reasoning: float, betas: tuple[float, float]) -> None:
    assert BetaSettings().of(description, reasoning) == pytest.approx(betas, abs=1e-6)


def test_betas_are_those_that_training_gives() -> None:
    gaps = [(description / 2, reasoning / 2) for description in range(-8, 9) for reasoning in range(-8, 9)]
    settings = BetaSettings(beta=0.2, fdpo_alpha=0.7, fdpo_lambda=1.3)
    trained = segment_betas(torch.tensor(gaps, dtype=torch.float64), beta=0.2, alpha=0.7, lam=1.3)
    assert [settings.of(*pair) for pair in gaps] == [pytest.approx(row) for row in trained.tolist()]


def test_an_unscored_pair_has_none() -> None:
    assert BetaSettings().of(None, 1.0) is None


def test_published_rows_cover_every_group_and_their_totals_are_item_weighted() -> None:
    counts = published().items
    assert (list(counts), sum(counts.values())) == (list(GROUPS), 1406)
    rows = {row.model: row.percent for row in published().rows}
    assert len(rows) == 16
    for percent in rows.values():
        assert set(percent) == {*GROUPS, "qualitative", "quantitative"}
    best = rows["SpatialReasoner-R1 fDPO 8B"]
    for total, names in (("qualitative", list(GROUPS)[:6]), ("quantitative", list(GROUPS)[6:])):
        right = sum(round(counts[name] * (best[name] or 0) / 100) for name in names)
        assert best[total] == pytest.approx(100 * right / sum(counts[name] for name in names), abs=0.011)


def test_the_benchmark_is_known_by_its_counts() -> None:
    counts = dict(published().items)
    assert published().covers(counts)
    assert not published().covers({**counts, "width": 132})


def test_examples_take_categories_in_turn_and_scenes_that_were_shown_least() -> None:
    def asked(number: int, category: Category, scene: str) -> Question:
        return Question(id=str(number), scene_id=scene, category=category, text="", region_ids=("region1",), answer="")

    questions = [
        asked(0, "width_data", "a"), asked(1, "width_data", "a"), asked(2, "width_data", "b"),
        asked(3, "height_data", "a"), asked(4, "height_data", "c"), asked(5, "direction", "a"),
    ]  # fmt: skip
    assert [row.id for row in varied(questions, 6)] == ["0", "4", "5", "2", "3", "1"]
    assert [row.id for row in varied(questions, 2)] == ["0", "4"]
