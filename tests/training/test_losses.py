"""Losses beside the paper's: worked by hand, held to TRL's own, and through the trainer and the command."""

import json
import math
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import Tensor

from spatialreasoner.core.errors import ConfigError, InputError, RecordError
from spatialreasoner.training.config import FDPOSettings, read_config
from spatialreasoner.training.data import read_preferences
from spatialreasoner.training.fdpo_config import FDPOConfig
from spatialreasoner.training.loss import fdpo_loss, per_token, weighted_betas
from spatialreasoner.training.weights import parse_weights, segment_weights


def row(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


# F = (2, 1) and betas (0.08, 0.12), mean 0.1: z = 0.28; log(1 + e^-0.28) = 0.562915, log(1 + e^0.28) = 0.842915
CHOSEN, BETAS = (2.0, 1.0), (0.08, 0.12)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"loss_type": "sigmoid"}, 0.562915),
        ({"loss_type": "sigmoid", "label_smoothing": 0.1}, 0.9 * 0.562915 + 0.1 * 0.842915),
        ({"loss_type": "robust"}, 0.562915),
        ({"loss_type": "robust", "label_smoothing": 0.1}, (0.9 * 0.562915 - 0.1 * 0.842915) / 0.8),
        ({"loss_type": "hinge"}, 1 - 0.28),
        ({"loss_type": "ipo"}, (0.28 - 0.5) ** 2 / 0.1**2),
        ({"loss_type": "simpo", "gamma": 0.5}, 0.809185),  # log(1 + e^0.22)
        ({"loss_type": "simpo", "gamma": 0.5, "label_smoothing": 0.1}, 0.9 * 0.809185 + 0.1 * 0.589185),
    ],
)
def test_losses_worked_by_hand(options, expected):
    nothing = row(0, 0)
    assert fdpo_loss(row(*CHOSEN), nothing, nothing, nothing, row(*BETAS), **options).item() == pytest.approx(
        expected, abs=1e-5
    )


def test_a_hinge_that_is_wide_enough_costs_nothing():
    nothing = row(0, 0)
    assert fdpo_loss(row(30, 0), nothing, nothing, nothing, row(*BETAS), loss_type="hinge").item() == 0


def trl_simpo(chosen: Tensor, rejected: Tensor, *, beta: float, smoothing: float) -> float:
    """What TRL's own code makes of the log-probabilities per token of whole answers."""
    from trl.experimental.cpo.cpo_trainer import CPOTrainer

    trainer = SimpleNamespace(
        accelerator=SimpleNamespace(device="cpu"), beta=beta, loss_type="simpo", simpo_gamma=0.5,
        label_smoothing=smoothing, alpha=0.0,
    )  # fmt: skip
    return CPOTrainer.cpo_loss(cast("CPOTrainer", trainer), chosen, rejected)[0].item()


@pytest.mark.filterwarnings("ignore:.*'trl.experimental'")
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_equal_betas_are_the_simpo_of_trl(smoothing):
    generator = torch.Generator().manual_seed(0)
    chosen, rejected = torch.randn(2, 1, 2, generator=generator, dtype=torch.float64) * 5
    tokens = row(4, 3), row(2, 6)
    nothing = row(0, 0)
    ours = fdpo_loss(
        per_token(chosen, tokens[0], "answer"), per_token(rejected, tokens[1], "answer"), nothing, nothing, row(0.3, 0.3),
        loss_type="simpo", label_smoothing=smoothing,
    )  # fmt: skip
    theirs = trl_simpo(chosen.sum(-1) / 7, rejected.sum(-1) / 8, beta=0.3, smoothing=smoothing)
    assert ours.item() == pytest.approx(theirs, abs=1e-12)


def test_lengths_divide_what_they_say():
    logps, tokens = row(-6, -2, 0), row(3, 1, 0)
    assert per_token(logps, tokens, "none") is logps
    assert per_token(logps, tokens, "answer").tolist() == [[-1.5, -0.5, 0]]
    assert per_token(logps, tokens, "segment").tolist() == [[-2, -2, 0]]


def test_weights_set_betas_in_proportion_and_keep_the_mean():
    betas = weighted_betas(torch.tensor([[0.1, 0.1, 0.1], [0.05, 0.1, 0.15]]), torch.tensor([[1.0, 2, 0], [math.nan, 1, 1]]))
    torch.testing.assert_close(betas, torch.tensor([[0.1, 0.2, 0.0], [0.05, 0.1, 0.15]]))


def test_a_pairs_own_weights_come_before_those_for_all():
    names, both = ["a", "b"], {"a": 1.0, "b": 3.0}
    assert segment_weights({"weight_a": 2, "weight_b": 0}, names, both) == [2, 0]
    assert segment_weights({"weight_a": None, "weight_b": None}, names, both) == [1, 3]
    assert segment_weights({}, names) is None


@pytest.mark.parametrize("wrong", [{"weight_a": 1}, {"weight_a": -1, "weight_b": 1}, {"weight_a": 0, "weight_b": 0},
                                   {"weight_a": "1", "weight_b": 1}, {"weight_a": math.nan, "weight_b": 1}])  # fmt: skip
def test_weights_of_which_no_betas_can_be_made_are_refused(wrong):
    with pytest.raises(RecordError, match="weight_<segment>"):
        segment_weights(wrong, ["a", "b"])


@pytest.mark.parametrize("wrong", ["a", "a:x", "a:1,a:2", ":1"])
def test_settings_of_weights_that_cannot_be_read_are_refused(wrong):
    with pytest.raises(ConfigError, match="segment_weights"):
        parse_weights(wrong)


@pytest.mark.parametrize(
    "wrong", ["loss_type=bco_pair", "label_smoothing=0.5", "simpo_gamma=-1", "segment_weights=a", "length_normalization=x"]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        read_config(FDPOSettings, None, [wrong])


@pytest.mark.parametrize(
    "wrong",
    [
        {"length_normalization": "x"}, {"markup": "x"}, {"loss": "x"}, {"segments_by": "x"}, {"beta": math.inf},
        {"fdpo_lambda": math.inf}, {"nll_weight": math.inf}, {"segments": "plan,answer"},
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")  # TRL reads old names
def test_arguments_in_python_are_checked_as_settings_are(wrong, tmp_path):
    (name,) = wrong
    with pytest.raises(ConfigError, match=f"expected .*{name}"):
        FDPOConfig(output_dir=str(tmp_path), use_cpu=True, **wrong)


def test_weights_come_from_columns(data):
    path = data / "pairs.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[1] |= {"weight_description": 1, "weight_reasoning": 3.5}
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    found = read_preferences(path)
    assert found["weight_reasoning"][:2] == [None, 3.5]
    rows[2] |= {"weight_description": 1}
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    with pytest.raises(InputError, match="row 3: expected weight_<segment>"):
        read_preferences(path)
