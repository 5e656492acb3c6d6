"""Whether an architecture can share prefixes: decided by its structure, then by a trial.

A recurrent layer (linear attention, convolution, state space) carries a state from each token to the next in the packed row,
so a response would read its siblings. Structure tells which models have them; the others are tried:

- *Leaks*: other tokens in one response must leave its siblings' log-probabilities as they are, whatever the precision.
- *Agreement*: log-probabilities must be those of the model's own forward pass over separate rows, by its own attention and its
  own head, within what rounding explains.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from spatialreasoner.training.forward import padded
from spatialreasoner.training.images import images_key
from spatialreasoner.training.shared_prefix import (
    ATTENTION,
    attention_of,
    disable_shared_prefix,
    enable_shared_prefix,
    packed,
)
from spatialreasoner.training.vision import PROJECTORS, TOWERS

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from spatialreasoner.training.trie import Trie

ATTENTION_LAYERS = {"full_attention", "sliding_attention", "moe"}
"""Kinds of layers, by the names that configurations give them, that read other tokens by a mask alone, or none."""

PROBED = 64
"""Number of rows among which those to try are chosen."""


def cannot_share(model: PreTrainedModel) -> str:
    """Why a model's structure prevents sharing prefixes; empty if nothing does.

    Args:
        model: The model, unwrapped.
    """
    text: Any = model.config.get_text_config()
    if getattr(text, "is_encoder_decoder", False):
        return "it is an encoder and a decoder"
    kinds = {*(getattr(text, "layer_types", None) or ())} - ATTENTION_LAYERS
    if kinds:
        return f"it has layers of the kind {', '.join(sorted(kinds))}, which read more than a mask lets them"
    recurrent = next(_recurrent_modules(model), None)
    if recurrent is not None:
        return f"it carries a state from token to token ({recurrent})"
    if getattr(model, "_is_stateful", False):
        return "it carries a state from token to token"
    return ""


def _recurrent_modules(model: PreTrainedModel) -> Iterator[str]:
    for name, module in model.base_model.named_modules():
        sees = any(part in (*TOWERS, *PROJECTORS) or "vision" in part or "audio" in part for part in name.split("."))
        if not sees and isinstance(module, torch.nn.Conv1d | torch.nn.RNNBase):
            yield f"{type(module).__name__} {name}"


def probes(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows to try a model on: the first two, the first with images and the next that shares them, the first without."""
    looked = list(islice(rows, PROBED))
    keys = [images_key(row) for row in looked]
    seeing = [index for index, key in enumerate(keys) if key]
    same = [index for index in seeing if index != seeing[0] and keys[index] == keys[seeing[0]]]
    blind = [index for index, key in enumerate(keys) if not key]
    found = [looked[index] for index in sorted({*range(min(2, len(looked))), *seeing[:1], *same[:1], *blind[:1]})]
    return [*found, *_later(rows, seeing=not seeing, blind=not blind)]


def _later(rows: Any, *, seeing: bool, blind: bool) -> Iterator[Mapping[str, Any]]:
    """The first row with images, or without, behind those that are looked through whole."""
    if not (seeing or blind) or not isinstance(rows, Dataset) or "images" not in rows.column_names:
        return
    tables: Any = rows.select_columns(["images"]).with_format("arrow").iter(batch_size=1024)  # no image is decoded
    counts = (len(images or ()) for table in tables for images in table["images"].to_pylist())
    wanted = next((index for index, count in enumerate(counts) if index >= PROBED and bool(count) == seeing), None)
    if wanted is not None:
        yield rows[wanted]


@torch.no_grad()
def plain_logps(
    run: Callable[..., Any], model: PreTrainedModel, batches: Sequence[dict[str, Any]], *, pad_token_id: int
) -> Float[Tensor, " tokens"]:
    """Log-probability of each response token by the model's own forward pass and attention, which this package leaves alone.

    Args:
        run: The model's forward pass, perhaps wrapped.
        model: The model, unwrapped.
        batches: What `PairCollator` packs, one pair each, so that few logits are held at once.
        pad_token_id: What fills rows.
    """
    found: list[Tensor] = []
    with _own_attention(model):
        for batch in batches:
            inputs = padded(batch, pad_token_id=pad_token_id)
            at, targets = inputs.pop("logps_at"), inputs.pop("logps_of")
            logits = run(**inputs, use_cache=False).logits.flatten(0, 1)[at].float()
            found.append(-functional.cross_entropy(logits, targets, reduction="none"))
    return torch.cat(found)


@torch.no_grad()
def head_disagreement(
    run: Callable[..., Any],
    model: PreTrainedModel,
    batches: Sequence[dict[str, Any]],
    plain: Float[Tensor, " tokens"],
    *,
    pad_token_id: int,
    precision: torch.dtype,
) -> str:
    """Where log-probabilities of the same rows, through the head alone, are not those of `plain_logps`; empty if nowhere."""
    with _own_attention(model):
        found = torch.cat([run(**padded(batch, pad_token_id=pad_token_id)).float() for batch in batches])
    worst = (found - plain).abs().max().item()
    steps = 4 if precision in (torch.bfloat16, torch.float16) else 64
    if worst <= steps * torch.finfo(precision).eps * max(1.0, plain.abs().max().item()):
        return ""
    return f"log-probabilities differ by up to {worst:.2g} nats from those of its own forward pass"


@contextlib.contextmanager
def _own_attention(model: PreTrainedModel) -> Generator[None]:
    installed = attention_of(model).startswith(ATTENTION)
    disable_shared_prefix(model)
    try:
        yield
    finally:
        if installed:
            enable_shared_prefix(model)


@torch.no_grad()
def disagreement(
    run: Callable[..., Tensor],
    model: PreTrainedModel,
    batch: dict[str, Any],
    plain: Float[Tensor, " tokens"],
    *,
    precision: torch.dtype,
) -> str:
    """What goes wrong when a model shares prefixes; empty if nothing does.

    Args:
        run: The model's forward pass, perhaps wrapped.
        model: The model, unwrapped.
        batch: What `PairCollator` packs of `probes`.
        plain: What `plain_logps` gives for them.
        precision: In what the arithmetic runs.
    """
    inputs = packed(batch, model)
    shared = run(**inputs).float()
    leak = _leak(run, inputs, batch, shared)
    # Experts take tokens in groups, whose sizes change with other tokens, and with them the order of sums
    rounding = torch.finfo(precision if _has_experts(model) else torch.float32).eps
    if leak > 8 * rounding * _spread(shared):
        return f"a response's log-probabilities change by up to {leak:.2g} nats with its siblings"
    difference, limit = (plain - shared).square().mean().sqrt().item(), tolerance(plain, precision)
    if not difference <= limit:  # NaN too
        worst = (plain - shared).abs().max().item()
        return f"log-probabilities differ by up to {worst:.2g} nats from those of separate rows"
    return ""


def tolerance(logps: Float[Tensor, " tokens"], precision: torch.dtype) -> float:
    """How far log-probabilities may differ by rounding, root mean square, nats.

    Hidden states are rounded once per operation in half precision, which is the whole of its error; in float32 it is the order
    of long sums that counts.
    """
    steps = 16 if precision in (torch.bfloat16, torch.float16) else 512
    return steps * torch.finfo(precision).eps * _spread(logps)


def _spread(logps: Tensor) -> float:
    """The scale of logits, of which rounding takes a share: how far log-probabilities lie apart, at least a nat."""
    return max(1.0, logps.std().item()) if len(logps) > 1 else 1.0


def _leak(run: Callable[..., Tensor], inputs: dict[str, Any], batch: dict[str, Any], before: Tensor) -> float:
    """How much log-probabilities of one response change with tokens of another, nats."""
    trie: Trie = batch["trie"]
    sizes = [length for pair in batch["lengths"].tolist() for length in pair[1:]]
    worst = 0.0
    for side in (0, 1):
        changed = _only_of(trie, side)
        if not len(changed):
            continue
        ids = inputs["input_ids"].clone()
        places = changed.to(ids.device)
        ids[0, places] = ids[0, places].roll(1)
        after = run(**{**inputs, "input_ids": ids}).float()
        kept = [index for index in range(len(sizes)) if index % 2 != side]
        for index in kept:
            one, other = before.split(sizes)[index], after.split(sizes)[index]
            worst = max(worst, (one - other).abs().max().item() if len(one) else 0.0)
    return worst


def _only_of(trie: Trie, side: int) -> Int[Tensor, " tokens"]:
    """The tokens of the packed row that only chosen (0) or only rejected (1) responses go through, prompts' left out."""
    through = [torch.zeros(len(trie), dtype=torch.bool) for _ in range(2)]
    for number, path in enumerate(trie.paths):
        through[number % 2][path] = True
    return (through[side] & ~through[1 - side]).nonzero()[:, 0]


def _has_experts(model: PreTrainedModel) -> bool:
    return any("experts" in name for name, _ in model.base_model.named_modules())
