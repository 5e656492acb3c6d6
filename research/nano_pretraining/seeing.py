"""Phase 1, see: the vision tower and the region encoder learn depth, kind, colour, place, size, and pairs directly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from research.nano_pretraining.corpus import Corpus
from research.nano_pretraining.optimizing import Optimization, Rates, autocast, endless
from torch import Tensor, nn
from torch.nn import functional

from spatialreasoner.core.progress import Advance
from spatialreasoner.nano.modeling import NanoForConditionalGeneration
from spatialreasoner.nano.processing import NanoProcessor
from spatialreasoner.nano.vision import EncodedRegions, Seen

_LOSS_WEIGHTS: Mapping[str, float] = {"depth": 2.0, "place": 1.0, "size": 1.0, "pair": 1.5, "kind": 0.3, "colour": 0.3}

_VISIBLE = 16
"""Pixels of a region that is learned from."""

CLOSE, SHARE = 0.05, 0.2
"""An offset that is off by this, metres, or by this share of itself, is off by one unit of the loss."""


def images(corpus: Corpus, rooms: np.ndarray, processor: NanoProcessor) -> tuple[Tensor, Tensor]:
    """Pixel values and region masks of some rooms."""
    mean, std = (
        torch.tensor(each)[:, None, None]
        for each in (processor.image_processor.image_mean, processor.image_processor.image_std)
    )
    values = torch.from_numpy(corpus.image[rooms]).permute(0, 3, 1, 2).float() / 255
    owner = torch.from_numpy(corpus.owner[rooms])
    numbers = torch.arange(1, corpus.words.shape[1] + 1, dtype=torch.uint8)
    return (values - mean) / std, (owner[:, None] == numbers[:, None, None]).to(torch.uint8)


class RegionTargets(NamedTuple):
    """What `EncodedRegions` should hold: estimates of each region, and offsets of each (second axis) from each (first axis)."""

    estimates: Float[Tensor, "images regions 6"]
    offsets: Float[Tensor, "images regions regions 6"]


def targets(corpus: Corpus, rooms: np.ndarray, *, flip: bool) -> RegionTargets:
    """The targets of some rooms, or of their mirror images."""
    low, high, mean = torch.from_numpy(corpus.seen[rooms]).clone().unflatten(-1, (3, 3)).unbind(-2)
    if flip:
        mirror = torch.tensor([-1.0, 1.0, 1.0])
        flipped = low * mirror, high * mirror
        low, high, mean = torch.minimum(*flipped), torch.maximum(*flipped), mean * mirror
    middle, size = (low + high) / 2, (high - low).clamp(min=0.005)
    estimates = torch.cat([middle[..., :2] / middle[..., 2:], middle[..., 2:].log(), size.log()], dim=-1)
    of = [middle[..., 0], middle[..., 1], mean[..., 0], mean[..., 2], low[..., 2]]
    apart = torch.from_numpy(corpus.apart[rooms]).clamp(min=0.01).log()
    return RegionTargets(estimates, torch.stack([*(each[:, None] - each[:, :, None] for each in of), apart], dim=-1))


def _look(model: NanoForConditionalGeneration, values: Tensor, masks: Tensor) -> tuple[Seen, EncodedRegions, Tensor]:
    """What the vision part makes of images: the map, the regions, and the offsets of all pairs."""
    encoder = model.model.vision_regions
    seen = model.model.vision_tower(values)
    regions = encoder(seen, masks)
    features, estimates = regions.features, regions.estimates
    return seen, regions, encoder.relate(features[:, :, None], estimates[:, :, None], features[:, None], estimates[:, None])


def see_loss(
    model: NanoForConditionalGeneration, corpus: Corpus, rooms: np.ndarray, processor: NanoProcessor, *, flip: bool
) -> dict[str, Tensor]:
    """Losses of dense depth, of the estimates, of pairs, and of kinds and colours."""
    values, masks = images(corpus, rooms, processor)
    wanted = targets(corpus, rooms, flip=flip)  # a room and its mirror image are as likely
    depth, words = torch.from_numpy(corpus.depth[rooms]).float(), torch.from_numpy(corpus.words[rooms]).long()
    if flip:
        values, masks, depth = values.flip(-1), masks.flip(-1), depth.flip(-1)
    seen, regions, pairs = _look(model, values, masks)
    there = (words[..., 0] >= 0) & (masks.flatten(2).sum(-1) >= _VISIBLE) & ~wanted.estimates.isnan().any(-1)
    errors = functional.smooth_l1_loss(regions.estimates.float()[there], wanted.estimates[there], beta=0.1, reduction="none")
    errors = errors.mean(0) / 0.1
    features = regions.features[there]
    return {
        "depth": functional.l1_loss(seen.log_depth.float(), depth),
        "place": errors[:3].mean(),
        "size": errors[3:].mean(),
        "pair": _pair_loss(pairs.float(), wanted.offsets, there),
        "kind": functional.cross_entropy(model.model.vision_regions.kind(features).float(), words[there][:, 0]),
        "colour": functional.cross_entropy(model.model.vision_regions.colour(features).float(), words[there][:, 1]),
    }


def _pair_loss(
    found: Float[Tensor, "images regions regions 6"],
    wanted: Float[Tensor, "images regions regions 6"],
    there: Bool[Tensor, "images regions"],
) -> Tensor:
    """Errors of offsets by the size of these, as the benchmark counts them, and of the logarithm of the distance."""
    both = there[:, :, None] & there[:, None] & ~torch.eye(there.shape[1], dtype=torch.bool) & ~wanted.isnan().any(-1)
    found, wanted = found[both], wanted[both]
    unit = torch.cat([CLOSE + SHARE * wanted[:, :5].abs(), torch.full_like(wanted[:, 5:], SHARE)], dim=-1)
    return functional.smooth_l1_loss(found / unit, wanted / unit, beta=0.5)


def learn_to_see(
    model: NanoForConditionalGeneration,
    processor: NanoProcessor,
    corpus: Corpus,
    rates: Rates,
    *,
    seed: int,
    log: Any,
    advance: Advance,
    checkpoint: Path | None = None,
) -> None:
    """Phase 1."""
    both = nn.ModuleList([model.model.vision_tower, model.model.vision_regions]).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimization = Optimization(both, rates, checkpoint)
    for number, steps in optimization.stretches():
        rng = np.random.default_rng([seed, number])
        order = endless(len(corpus.image), rng)
        for step in steps:
            rooms = np.sort(np.fromiter(order, int, rates.batch))
            with autocast():
                losses = see_loss(model, corpus, rooms, processor, flip=bool(rng.integers(2)))
            optimization.step(sum((weight * losses[name] for name, weight in _LOSS_WEIGHTS.items()), torch.zeros(())))
            log("see", step, {name: value.item() for name, value in losses.items()})
            advance(step + 1)
