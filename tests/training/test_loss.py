import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spatialreasoner.training.loss import fdpo_loss, segment_betas, segment_logps

# gap_desc, gap_reason, F_desc, F_reason, w_reason, beta_desc, beta_reason, z, loss, dL/dF_desc, dL/dF_reason
VECTORS = [
    (1, 4, 2, 1, 0.858149, 0.078511, 0.121489, 0.278511, 0.563557, -0.033824, -0.052340),
    (0, 0, 2, 1, 0.500000, 0.100000, 0.100000, 0.300000, 0.554355, -0.042556, -0.042556),
    (0.4, 5.1, 0.5, -3, 0.943747, 0.073375, 0.126625, -0.343187, 0.879391, -0.042922, -0.074071),
    (3, 1, 2, 1, 0.231475, 0.116111, 0.083889, 0.316111, 0.547531, -0.048955, -0.035369),
    (2, 0, 2, 1, 0.231475, 0.116111, 0.083889, 0.316111, 0.547531, -0.048955, -0.035369),
]

gaps = st.lists(st.floats(-8, 8), min_size=1, max_size=5)
alphas, lams = st.floats(0, 0.99), st.floats(0, 5)


def row(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)


@pytest.mark.parametrize("vector", VECTORS)
def test_vectors_worked_by_hand(vector):
    gap_d, gap_r, f_d, f_r, weight, beta_d, beta_r, z, loss, grad_d, grad_r = vector
    betas = segment_betas(row(gap_d, gap_r))
    assert betas.tolist()[0] == pytest.approx([beta_d, beta_r], abs=1e-6)
    assert (betas[0, 1].item() / 0.1 - 1) / 0.3 == pytest.approx(2 * weight - 1, abs=1e-5)
    policy = row(f_d, f_r).requires_grad_()
    value = fdpo_loss(policy, row(0, 0), row(0, 0), row(0, 0), betas)
    assert (betas * policy).sum().item() == pytest.approx(z, abs=1e-6)
    assert value.item() == pytest.approx(loss, abs=1e-6)
    value.backward()
    assert policy.grad is not None
    assert policy.grad.tolist()[0] == pytest.approx([grad_d, grad_r], abs=1e-6)


def test_margins_are_policy_minus_reference_chosen_minus_rejected():
    loss = fdpo_loss(row(-3, -5), row(-4, -9), row(-4, -6), row(-3, -8), row(0.1, 0.2))
    assert loss.item() == pytest.approx(math.log1p(math.exp(-(0.1 * 2 + 0.2 * 2))))


@given(gaps, alphas, lams)
def test_mean_of_betas_is_beta_and_all_are_positive(values, alpha, lam):
    betas = segment_betas(row(*values), alpha=alpha, lam=lam)
    assert betas.mean().item() == pytest.approx(0.1)
    assert (betas > 0).all()


@given(gaps, st.floats(-8, 8))
def test_betas_depend_on_differences_of_gaps_only(values, shift):
    shifted = [value + shift for value in values]
    torch.testing.assert_close(segment_betas(row(*values)), segment_betas(row(*shifted)))


@given(st.floats(-8, 8), st.integers(1, 5), alphas, lams)
def test_equal_gaps_are_plain_dpo(gap, count, alpha, lam):
    torch.testing.assert_close(segment_betas(row(*[gap] * count), alpha=alpha, lam=lam), row(*[0.1] * count))


@given(gaps)
def test_alpha_zero_and_lambda_zero_are_plain_dpo(values):
    base = row(*[0.1] * len(values))
    torch.testing.assert_close(segment_betas(row(*values), alpha=0.0), base)
    torch.testing.assert_close(segment_betas(row(*values), lam=0.0), base)


@given(st.floats(-8, 8), alphas)
def test_one_segment_is_plain_dpo(gap, alpha):
    assert segment_betas(row(gap), alpha=alpha).item() == pytest.approx(0.1)


def test_large_lambda_switches_hard():
    torch.testing.assert_close(segment_betas(row(1, 2), lam=1e3), row(0.07, 0.13))


@pytest.mark.parametrize("missing", [math.nan, math.inf, -math.inf])
def test_an_unscored_row_weighs_its_segments_equally_and_leaves_the_others_alone(missing):
    betas = segment_betas(torch.tensor([[missing, 4.0], [1.0, 4.0]]))
    torch.testing.assert_close(betas[0], torch.tensor([0.1, 0.1]))
    torch.testing.assert_close(betas[1], torch.tensor([0.078511, 0.121489]), atol=1e-6, rtol=0)


def test_gaps_carry_no_gradient():
    assert not segment_betas(row(1, 2).requires_grad_()).requires_grad


def test_segment_logps_sum_each_segment_and_nothing_else():
    logps = torch.tensor([[-1.0, -2.0, -4.0, math.nan], [-8.0, -16.0, -32.0, -math.inf]], requires_grad=True)
    ids = torch.tensor([[0, 1, 1, -1], [1, -1, 0, -1]])
    sums = segment_logps(logps, ids, 3)
    assert sums.tolist() == [[-1.0, -6.0, 0.0], [-32.0, -8.0, 0.0]]
    sums.sum().backward()
    assert logps.grad is not None
    assert logps.grad.tolist() == [[1, 1, 1, 0], [1, 0, 1, 0]]


def test_swapping_the_pair_mirrors_the_margin():
    chosen, rejected, ref, betas = row(-3, -1), row(-2, -4), row(0, 0), row(0.1, 0.1)
    forwards, backwards = fdpo_loss(chosen, rejected, ref, ref, betas), fdpo_loss(rejected, chosen, ref, ref, betas)
    margin = 0.1 * (-1 + 3)
    assert (backwards - forwards).item() == pytest.approx(margin)
