"""The fDPO loss: DPO with a beta per segment (paper, section 3.2; equations by the numbers of paper and Tunix).

Notation, for each pair: `gap_s` is the reward of segment s in the chosen response minus that in the rejected one; `F_s` is
the segment's log-ratio margin, ``(log pi - log ref)(chosen) - (log pi - log ref)(rejected)``, summed over its tokens::

    w_s    = softmax_s(lam * gap_s)
    beta_s = beta * (1 + alpha * (S * w_s - 1))          S segments; for S = 2 the paper's 2 w_s - 1
    loss   = -log sigmoid(sum_s beta_s F_s)

For any S the betas' mean is `beta`, equal gaps or alpha = 0 give plain DPO, and alpha < 1 keeps every beta positive. The
paper has two segments; the factor S in place of its 2 is the one generalisation that keeps these laws.

Other losses are functions of the same weighted margin ``z = sum_s beta_s F_s`` (`fdpo_loss`), of log-probabilities as they are
or per token (`per_token`), with betas by gaps (`segment_betas`) or by weights that are given (`weighted_betas`).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from spatialreasoner.training.loss_types import LengthNormalization, LossType


def segment_logps(
    token_logps: Float[Tensor, "batch tokens"], segment_ids: Int[Tensor, "batch tokens"], num_segments: int
) -> Float[Tensor, "batch segments"]:
    """Sum the log-probabilities of each segment's tokens (sums, not means: docs/papers.md 1.2).

    Args:
        token_logps: Log-probability of each predicted token, nats. Values outside all segments are ignored.
        segment_ids: The segment of each predicted token (shifted like the labels), 0..num_segments-1; -1 is not a segment.
        num_segments: How many segments there are.

    Returns:
        Log-probability of each segment, nats; 0 for a segment without tokens.
    """
    nothing = token_logps.new_zeros(())
    sums = [torch.where(segment_ids == segment, token_logps, nothing).sum(-1) for segment in range(num_segments)]
    return torch.stack(sums, dim=-1)


def segment_betas(
    gaps: Float[Tensor, "batch segments"], *, beta: float = 0.1, alpha: float = 0.3, lam: float = 0.6
) -> Float[Tensor, "batch segments"]:
    """DPO's beta for each segment of each pair (paper, equations 3 and 4).

    >>> segment_betas(torch.tensor([[1.0, 4.0], [float("nan"), 4.0]]))
    tensor([[0.0785, 0.1215],
            [0.1000, 0.1000]])

    Args:
        gaps: Reward of the chosen minus the rejected response in each segment. A row with a NaN is unscored.
        beta: The beta of plain DPO, and the mean of a row.
        alpha: The share of `beta` by which a segment's beta may rise or fall at two segments, 0..1.
        lam: Sensitivity to the gaps, per unit of reward.

    Returns:
        Betas without gradient; `beta` throughout an unscored row.
    """
    gaps = gaps.detach()
    scored = gaps.isfinite().all(-1, keepdim=True)
    weights = torch.softmax(lam * torch.where(scored, gaps, 0.0), dim=-1)
    return beta * (1 + alpha * (gaps.shape[-1] * weights - 1))


def weighted_betas(
    betas: Float[Tensor, "batch segments"], weights: Float[Tensor, "batch segments"], *, beta: float = 0.1
) -> Float[Tensor, "batch segments"]:
    """Betas in proportion to weights that are given, with the mean `beta`: ``beta_s = beta * S * w_s / sum(w)``.

    >>> weighted_betas(torch.tensor([[0.1, 0.1], [0.08, 0.12]]), torch.tensor([[3.0, 1.0], [float("nan"), 1.0]]))
    tensor([[0.1500, 0.0500],
            [0.0800, 0.1200]])

    Args:
        betas: Betas of the pairs without weights, from `segment_betas`.
        weights: Weight of each segment, not negative, at least one of a pair positive. A row with a NaN has no weights.
        beta: The mean of a row.
    """
    given = weights.isfinite().all(-1, keepdim=True)
    shares = torch.where(given, weights, 1.0)
    return torch.where(given, beta * weights.shape[-1] * shares / shares.sum(-1, keepdim=True), betas)


def per_token(
    logps: Float[Tensor, "batch segments"], tokens: Float[Tensor, "batch segments"], how: LengthNormalization
) -> Float[Tensor, "batch segments"]:
    """Log-probabilities of segments by their length.

    >>> logps, tokens = torch.tensor([[-6.0, -2.0]]), torch.tensor([[3.0, 1.0]])
    >>> per_token(logps, tokens, "answer"), per_token(logps, tokens, "segment")
    (tensor([[-1.5000, -0.5000]]), tensor([[-2., -2.]]))

    Args:
        logps: Log-probability of each segment, nats.
        tokens: Tokens of each segment.
        how: `answer` divides by the tokens of all segments, so that equal betas give the mean over the answer (TRL's
            `sigmoid_norm`); `segment` by those of the segment, so that a short segment counts as much as a long one; `none`
            leaves the sums (DPO).
    """
    if how == "none":
        return logps
    return logps / (tokens.sum(-1, keepdim=True) if how == "answer" else tokens).clamp(min=1.0)


def fdpo_loss(
    policy_chosen: Float[Tensor, "batch segments"],
    policy_rejected: Float[Tensor, "batch segments"],
    ref_chosen: Float[Tensor, "batch segments"],
    ref_rejected: Float[Tensor, "batch segments"],
    betas: Float[Tensor, "batch segments"],
    *,
    loss_type: LossType = "sigmoid",
    label_smoothing: float = 0.0,
    gamma: float = 0.5,
) -> Float[Tensor, " batch"]:
    """The loss of each pair: one sigmoid of the weighted sum over segments (paper, equation 6), or another function of it.

    With ``z = sum_s beta_s F_s``, ``e`` the label smoothing and ``beta`` the mean of the betas:

    - `sigmoid`: ``-(1 - e) log sigmoid(z) - e log sigmoid(-z)`` (DPO, arXiv:2305.18290; e: cDPO, Mitchell 2023);
    - `sigmoid_norm`: the same of log-probabilities per token (`per_token`), as in TRL;
    - `robust`: ``(-(1 - e) log sigmoid(z) + e log sigmoid(-z)) / (1 - 2 e)`` (arXiv:2403.00409, equation 12);
    - `hinge`: ``max(0, 1 - z)`` (SLiC, arXiv:2305.10425, with the log-ratio of RSO, arXiv:2309.06657);
    - `ipo`: ``((z - 1/2) / beta)^2``, which is ``(F - 1 / (2 beta))^2`` where all betas are equal (arXiv:2310.12036,
      equation 17; log-probabilities per token, as in TRL);
    - `simpo`: ``-(1 - e) log sigmoid(z - gamma) - e log sigmoid(gamma - z)`` without a reference (arXiv:2405.14734,
      equation 6; log-probabilities per token; give zeros as the reference).

    Equal betas make each of them TRL's own (`DPOTrainer`; for `simpo`, `CPOTrainer`).

    >>> one = lambda *values: torch.tensor([values])
    >>> fdpo_loss(one(2.0, 1.0), one(0.0, 0.0), one(0.0, 0.0), one(0.0, 0.0), one(0.078511, 0.121489))
    tensor([0.5636])

    Args:
        policy_chosen: Log-probability of the chosen response's segments under the trained model, nats.
        policy_rejected: The same of the rejected response.
        ref_chosen: Log-probability of the chosen response's segments under the reference, nats.
        ref_rejected: The same of the rejected response.
        betas: Beta of each segment.
        loss_type: The function of the weighted margin.
        label_smoothing: Expected share of pairs whose sides are swapped, 0 to below 0.5; only `sigmoid`, `sigmoid_norm`,
            `robust` and `simpo` support it.
        gamma: SimPO's target margin.
    """
    margins = (policy_chosen - ref_chosen) - (policy_rejected - ref_rejected)
    total = (betas * margins).sum(-1)
    if loss_type == "hinge":
        return functional.relu(1 - total)
    if loss_type == "ipo":
        return ((total - 0.5) / betas.mean(-1)) ** 2
    if loss_type == "simpo":
        total = total - gamma
    right, exchanged = -functional.logsigmoid(total), -functional.logsigmoid(-total)
    if loss_type == "robust":
        return ((1 - label_smoothing) * right - label_smoothing * exchanged) / (1 - 2 * label_smoothing)
    return (1 - label_smoothing) * right + label_smoothing * exchanged
