"""What a training's log says."""

import pytest
from research.fdpo_study.curves import curves, ends

LOG = [
    {"step": step, "loss": 0.7 - 0.01 * step, "rewards/chosen/reasoning": 0.1 * step, "betas/reasoning": 0.05, "note": "x"}
    for step in range(1, 41)
]


def test_curves_are_thinned_to_means() -> None:
    found = curves(LOG, points=20)
    assert set(found) == {"loss", "rewards/chosen/reasoning", "betas/reasoning"}
    assert len(found["loss"]) == 20
    assert found["loss"][0] == (1.5, pytest.approx(0.685))


def test_ends_and_the_log_ratio_of_the_chosen() -> None:
    found = ends(curves(LOG))
    assert found["rewards/chosen/reasoning"] == pytest.approx(3.65)  # the mean of steps 33 to 40
    assert found["chosen logratio/reasoning"] == pytest.approx(3.65 / 0.05)


def test_a_loss_that_is_not_a_number_is_left_out() -> None:
    found = curves([{"step": 1, "loss": float("nan")}, {"step": 2, "loss": 0.5}, {"loss": 0.4}])
    assert found == {"loss": [(2.0, 0.5)]}
    assert ends({}) == {}
