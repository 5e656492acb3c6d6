"""One forward pass for a batch of pairs: log-probabilities of every response token.

The trainer owns its forward: only hidden states that predict a response token meet the vocabulary. Two layouts give the
same numbers: `padded` rows, one per response, which every architecture takes, and `shared_prefix`.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.training.head import Head, head_of
from spatialreasoner.training.loss import segment_logps
from spatialreasoner.training.router import recording_router, router_loss

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

MAX_LOGITS = 2**26
"""Logits held at once; more are computed in blocks, and again in the backward pass (256 MiB in float32)."""


def add_token_logps(model: PreTrainedModel) -> None:
    """Teach a model to return log-probabilities of chosen tokens alone.

    Afterwards ``model(..., logps_at=at, logps_of=of)`` returns a tensor [tokens]: the log-probability of token `of[i]` as
    predicted at position `at[i]` of the flattened batch; with ``logps_order=order`` the ones that `order` counts, in its
    order. With ``router_rows=rows`` it returns these and the router's loss over the tokens `rows` of the flattened batch.
    Without these arguments the model is unchanged. It goes through `forward`, so wrappers (DDP, FSDP, PEFT, autocast) see an
    ordinary call.

    Where the logits cannot be had from hidden states, and after `use_whole_forward`, they come from the model's own forward
    pass, those of prompt tokens too.
    """
    original = model.forward
    taught: Any = model
    try:
        head = head_of(model, original)
    except ConfigError as error:
        logger.warning("%s. Training continues with its full forward pass, which takes more memory", error)
        head = None
    taught.logps_by_whole_forward = head is None

    @functools.wraps(type(model).forward)  # `generate` checks its arguments against the signature
    def forward(
        *args: Any,
        logps_at: Tensor | None = None,
        logps_of: Tensor | None = None,
        logps_order: Tensor | None = None,
        router_rows: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        if logps_at is None or logps_of is None:
            return original(*args, **kwargs)
        if router_rows is not None:
            kwargs["output_router_logits"] = True
        with contextlib.nullcontext([]) if router_rows is None else recording_router(model) as gates:
            if head is None or taught.logps_by_whole_forward:
                logits = original(*args, **kwargs, use_cache=False).logits
                found = _logps_of(logits.flatten(0, 1)[logps_at], logps_of)
            else:
                # Looked up at each call: PEFT and FSDP replace modules later
                hidden = model.base_model(*args, **kwargs, use_cache=False).last_hidden_state
                size = model.config.get_text_config().vocab_size
                found = _token_logps(head, hidden.flatten(0, 1)[logps_at], logps_of, size)
        found = found if logps_order is None else found[logps_order]
        return found if router_rows is None else (found, router_loss(model, gates[0], router_rows))

    model.forward = forward


def use_whole_forward(model: PreTrainedModel) -> None:
    """From now on, take log-probabilities from the model's own forward pass (see `add_token_logps`)."""
    taught: Any = model
    taught.logps_by_whole_forward = True


def _logps_of(logits: Float[Tensor, "tokens vocabulary"], targets: Int[Tensor, " tokens"]) -> Float[Tensor, " tokens"]:
    return -functional.cross_entropy(logits.float(), targets, reduction="none")


def _token_logps(
    head: Head, hidden: Float[Tensor, "tokens width"], targets: Int[Tensor, " tokens"], vocabulary: int
) -> Float[Tensor, " tokens"]:
    def block_logps(hidden: Tensor, targets: Tensor) -> Tensor:
        return _logps_of(head(hidden), targets)

    rows = max(1, MAX_LOGITS // vocabulary)
    if len(targets) <= rows:
        return block_logps(hidden, targets)
    blocks = zip(hidden.split(rows), targets.split(rows), strict=True)
    return torch.cat([checkpoint(block_logps, *block, use_reentrant=False) for block in blocks])  # pyright: ignore[reportArgumentType]


def padded(batch: dict[str, Any], *, pad_token_id: int, router: bool = False) -> dict[str, Any]:
    """Arguments of a forward pass with one row per response: every chosen one, then every rejected one, as in TRL.

    Prompts and images are in two rows each. Rows are padded on the right.

    Args:
        batch: What `PairCollator` packs.
        pad_token_id: What fills the rows.
        router: Whether the router's loss is asked for, over all tokens that are not padding.

    Returns:
        Keyword arguments of a model that knows `add_token_logps`, whose result is in the batch's own order.
    """
    lengths: list[list[int]] = batch["lengths"].tolist()
    ids = _rows(batch["input_ids"][0], lengths)
    width, device = max(map(len, ids)), ids[0].device
    starts = [  # of each response, in the batch's order
        (row * width + prompt - 1, length)
        for pair, (prompt, *responses) in enumerate(lengths)
        for row, length in zip((pair, len(lengths) + pair), responses, strict=True)
    ]
    mask = pad_sequence([torch.ones_like(row) for row in ids], batch_first=True)
    return {
        "input_ids": pad_sequence(ids, batch_first=True, padding_value=pad_token_id),
        "attention_mask": mask,
        **({"router_rows": mask.flatten().nonzero()[:, 0]} if router else {}),
        **{key: pad_sequence(_rows(value[0], lengths), batch_first=True) for key, value in batch["types"].items()},
        **_vision_of_rows(batch),
        "logps_at": torch.cat([torch.arange(start, start + length, device=device) for start, length in starts]),
        "logps_of": batch["input_ids"][0][response_positions(lengths, device=device)],
    }


def _vision_of_rows(batch: dict[str, Any]) -> dict[str, Tensor]:
    """The images of each row, of which a batch holds each once."""
    rows = [number for number in batch["vision_of"] if number >= 0] * 2
    found: dict[str, Tensor] = {}
    for key, value in batch["vision"].items():
        parts = value.split(batch["vision_sizes"][key])
        found[key] = torch.cat([parts[number] for number in rows])
    return found


def response_positions(lengths: list[list[int]], *, device: torch.device) -> Int[Tensor, " tokens"]:
    """Where the responses' tokens are in the packed sequence, in order."""
    spans: list[Tensor] = []
    start = 0
    for prompt, chosen, rejected in lengths:
        spans.append(torch.arange(start + prompt, start + prompt + chosen + rejected, device=device))
        start += prompt + chosen + rejected
    return torch.cat(spans)


def pair_logps(
    token_logps: Float[Tensor, " tokens"], batch: dict[str, Any], num_segments: int
) -> tuple[Float[Tensor, "pairs segments"], Float[Tensor, "pairs segments"]]:
    """Sum the tokens of each segment, chosen and rejected apart.

    Args:
        token_logps: Log-probability of each response token, in the batch's order.
        batch: What `PairCollator` packs.
        num_segments: How many segments there are, the base one included.
    """
    lengths: list[list[int]] = batch["lengths"].tolist()
    sizes = [length for pair in lengths for length in pair[1:]]
    ids = batch["segment_ids"][0][response_positions(lengths, device=token_logps.device)]
    sums = segment_logps(
        pad_sequence(list(token_logps.split(sizes)), batch_first=True),
        pad_sequence(list(ids.split(sizes)), batch_first=True, padding_value=-1),
        num_segments,
    )
    return sums[0::2], sums[1::2]


def pair_tokens(
    batch: dict[str, Any], num_segments: int
) -> tuple[Float[Tensor, "pairs segments"], Float[Tensor, "pairs segments"]]:
    """Count the tokens of each segment, chosen and rejected apart; arguments as for `pair_logps`."""
    lengths: list[list[int]] = batch["lengths"].tolist()
    ones = batch["gaps"].new_ones(sum(length for pair in lengths for length in pair[1:]))
    return pair_logps(ones, batch, num_segments)


def _rows(packed: Tensor, lengths: list[list[int]]) -> list[Tensor]:
    pairs = [part.split(pair) for part, pair in zip(packed.split([sum(pair) for pair in lengths]), lengths, strict=True)]
    return [torch.cat([pair[0], pair[side]]) for side in (1, 2) for pair in pairs]
