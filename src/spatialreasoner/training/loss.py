"""The fDPO loss: DPO with a beta per segment (paper, section 3.2; equations by the numbers of paper and Tunix).

Notation, for each pair: `gap_s` is the reward of segment s in the chosen response minus that in the rejected one; `F_s` is
the segment's log-ratio margin, ``(log pi - log ref)(chosen) - (log pi - log ref)(rejected)``, summed over its tokens::

    w_s    = softmax_s(lam * gap_s)
    beta_s = beta * (1 + alpha * (S * w_s - 1))          S segments; for S = 2 the paper's 2 w_s - 1
    loss   = -log sigmoid(sum_s beta_s F_s)

For any S the betas' mean is `beta`, equal gaps or alpha = 0 give plain DPO, and alpha < 1 keeps every beta positive. The
paper has two segments; the factor S in place of its 2 is the one generalisation that keeps these laws.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


def segment_logps(
    token_logps: Float[Tensor, "batch tokens"], segment_ids: Int[Tensor, "batch tokens"], num_segments: int
) -> Float[Tensor, "batch segments"]:
    """Sum the log-probabilities of each segment's tokens (sums, not means: docs/papers.md 1.2).

    Args:
        token_logps: Log-probability of each predicted token, nats. Whatever stands where no segment is, is ignored.
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


def fdpo_loss(
    policy_chosen: Float[Tensor, "batch segments"],
    policy_rejected: Float[Tensor, "batch segments"],
    ref_chosen: Float[Tensor, "batch segments"],
    ref_rejected: Float[Tensor, "batch segments"],
    betas: Float[Tensor, "batch segments"],
) -> Float[Tensor, " batch"]:
    """The loss of each pair: one sigmoid of the weighted sum over segments (paper, equation 6).

    >>> one = lambda *values: torch.tensor([values])
    >>> fdpo_loss(one(2.0, 1.0), one(0.0, 0.0), one(0.0, 0.0), one(0.0, 0.0), one(0.078511, 0.121489))
    tensor([0.5636])

    Args:
        policy_chosen: Log-probability of the chosen response's segments under the trained model, nats.
        policy_rejected: The same of the rejected response.
        ref_chosen: Log-probability of the chosen response's segments under the reference, nats.
        ref_rejected: The same of the rejected response.
        betas: Beta of each segment.
    """
    margins = (policy_chosen - ref_chosen) - (policy_rejected - ref_rejected)
    return -functional.logsigmoid((betas * margins).sum(-1))
