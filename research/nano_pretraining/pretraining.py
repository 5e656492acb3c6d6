"""Make the nano's weights from nothing: `python -m research.nano_pretraining --out DIR`.

Three stages, because a model this small does not learn to see, nor to say yes and no, from next-token loss alone:

1. see: the vision tower and the region encoder learn depth, kind, colour, place and size directly;
2. read: the decoder learns to say what the region encoder, now fixed, tells it: statements and LongCoT answers;
3. judge: it learns whether what it has found is what was asked: mostly the ends of answers that say yes or no, then whole ones.

Each stage leaves a checkpoint and is not done again when the command is given again.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from research.nano_pretraining.corpus import Corpus, CorpusConfig, read_corpus, write_corpus
from research.nano_pretraining.lessons import COURSES, Reading, batches, encode_rows, endless
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from spatialreasoner.core.outputs import apply_umask
from spatialreasoner.core.progress import stage
from spatialreasoner.core.records import write_config
from spatialreasoner.nano.build import build_nano
from spatialreasoner.nano.modeling import NanoForConditionalGeneration
from spatialreasoner.nano.processing import NanoProcessor
from spatialreasoner.nano.tokenizer import leading_numbers
from spatialreasoner.nano.vision import EncodedRegions


@dataclass(frozen=True, kw_only=True)
class Rates:
    """A stage's optimization.

    Attributes:
        steps: Optimizer steps.
        batch: Images (see), or rows (read), of one step.
        rate: Peak learning rate.
    """

    steps: int
    batch: int
    rate: float


def optimizer_of(model: nn.Module, rates: Rates) -> tuple[torch.optim.Optimizer, Any]:
    """AdamW for what may learn, vectors without decay; warm-up over a thirtieth of the steps, then cosine to a hundredth."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learning if p.ndim >= 2], "lr": rates.rate, "weight_decay": 0.05},
        {"params": [p for p in learning if p.ndim < 2], "lr": rates.rate, "weight_decay": 0.0},
    ]
    warmup = max(1, rates.steps // 30)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.01 + 0.495 * (1 + math.cos(math.pi * (step - warmup) / max(1, rates.steps - warmup)))

    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def autocast() -> torch.autocast:
    """Products in bfloat16 where the processor has instructions for it; without them it is ten times slower than float32."""
    known = torch.cpu.get_capabilities()
    return torch.autocast("cpu", torch.bfloat16, enabled=any(known.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")))


# Stage 1: see


def images(corpus: Corpus, indices: np.ndarray, processor: NanoProcessor) -> tuple[Tensor, Tensor]:
    """Pixel values and region masks of some rooms."""
    mean, std = (
        torch.tensor(each)[:, None, None]
        for each in (processor.image_processor.image_mean, processor.image_processor.image_std)
    )
    values = torch.from_numpy(corpus.image[indices]).permute(0, 3, 1, 2).float() / 255
    owner = torch.from_numpy(corpus.owner[indices])
    numbers = torch.arange(1, corpus.words.shape[1] + 1, dtype=torch.uint8)
    masks = (owner[:, None] == numbers[:, None, None]).to(torch.uint8)
    return (values - mean) / std, masks


def see_loss(
    model: NanoForConditionalGeneration, corpus: Corpus, indices: np.ndarray, processor: NanoProcessor, *, flip: bool
) -> dict[str, Tensor]:
    """Losses of dense depth, of the estimates, and of kinds and colours."""
    values, masks = images(corpus, indices, processor)
    depth = torch.from_numpy(corpus.depth[indices]).float()
    truth = torch.from_numpy(corpus.truth[indices]).clone()
    words = torch.from_numpy(corpus.words[indices]).long()
    if flip:  # a room and its mirror image are as likely
        values, masks, depth = values.flip(-1), masks.flip(-1), depth.flip(-1)
        truth[..., 0] = -truth[..., 0]
    seen = model.model.vision_tower(values)
    regions = model.model.vision_regions(seen, masks)
    there = (words[..., 0] >= 0) & (masks.flatten(2).sum(-1) >= 16)
    x, y, z, *sizes = truth.unbind(-1)
    wanted = torch.stack([x / z, y / z, z.log(), *(size.log() for size in sizes)], dim=-1)[there]
    estimates = regions.estimates.float()[there]
    errors = functional.smooth_l1_loss(estimates, wanted, beta=0.1, reduction="none").mean(0) / 0.1
    features = regions.features[there]
    return {
        "depth": functional.l1_loss(seen.log_depth.float(), depth),
        "place": errors[:3].mean(),
        "size": errors[3:].mean(),
        "kind": functional.cross_entropy(model.model.vision_regions.kind(features).float(), words[there][:, 0]),
        "colour": functional.cross_entropy(model.model.vision_regions.colour(features).float(), words[there][:, 1]),
        "error": (estimates - wanted).abs().detach().mean(0),
    }


SEE_WEIGHTS: Mapping[str, float] = {"depth": 2.0, "place": 1.0, "size": 1.0, "kind": 0.3, "colour": 0.3}


def see(
    model: NanoForConditionalGeneration, processor: NanoProcessor, corpus: Corpus, rates: Rates, *, seed: int, log: Any
) -> None:
    """Stage 1."""
    vision = [model.model.vision_tower, model.model.vision_regions]
    both = nn.ModuleList(vision).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer, schedule = optimizer_of(both, rates)
    rng = np.random.default_rng(seed)
    order = endless(len(corpus.image), rng)
    with stage("learn to see", rates.steps) as advance:
        for step in range(rates.steps):
            indices = np.sort(np.fromiter(order, int, rates.batch))
            with autocast():
                losses = see_loss(model, corpus, indices, processor, flip=bool(rng.integers(2)))
            loss = sum(weight * losses[name] for name, weight in SEE_WEIGHTS.items())
            _step(loss, both, optimizer, schedule)
            log("see", step, {name: value.detach().tolist() for name, value in losses.items()})
            advance(step + 1)


def _step(loss: Any, model: nn.Module, optimizer: torch.optim.Optimizer, schedule: Any) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
    optimizer.step()
    schedule.step()


# Stages 2 and 3: read, judge

SPREAD = 0.06
"""How far, as a share, a number may be off and still count as nearly right: targets are spread over its neighbours."""

LEADING, TRAILING, SHOWN = 2.0, 0.25, 3.0
"""Weights of the first two digits of a number, of those that follow, which are hardly ever to be known, and of words that the
image decides. Other words weigh 1: they are frames, of which the writer took one by chance."""

VERDICT = 30.0
"""By how much more a verdict (yes, no, ...) weighs than any other word: about as much as the rest of a drill."""


class Numbers:
    """Which tokens are numbers, and how near they are to each other.

    Args:
        processor: Whose tokens.
    """

    def __init__(self, processor: NanoProcessor) -> None:
        vocabulary: dict[str, int] = processor.tokenizer.get_vocab()
        numbers = leading_numbers(vocabulary)
        self.ids = torch.tensor(list(numbers))
        self.place = torch.full((len(vocabulary),), -1)
        self.place[self.ids] = torch.arange(len(self.ids))
        self.trailing = torch.zeros(len(vocabulary), dtype=torch.bool)
        self.trailing[[index for token, index in vocabulary.items() if re.fullmatch(r"\.\d\d|\d", token)]] = True
        values = torch.tensor(list(numbers.values()))
        distances = (values[None] - values[:, None]) / (SPREAD * values[:, None] + 0.01)
        self.nearness = torch.softmax(-0.5 * distances**2, dim=-1)

    def loss(self, logits: Tensor, labels: Tensor, shown: Tensor, verdicts: Tensor) -> dict[str, Tensor]:
        """Mean losses of tokens.

        Args:
            logits: Of each token [tokens vocabulary].
            labels: The right ones [tokens].
            shown: Which of them are words that the image decides, or numbers that are exact [tokens].
            verdicts: Which of them are a verdict [tokens].

        Returns:
            `loss`, of all, weighted; and `numbers`, `shown` and `verdict`, of these alone; NaN where there is none.
        """
        logps = logits.float().log_softmax(-1)
        losses = -logps.gather(1, labels[:, None])[:, 0]
        leading = self.place[labels] >= 0
        # Digits that stand alone, such as hours and numbers of steps, do not follow; those of 0.0254 do
        follows = (leading | self.trailing[labels]) & functional.pad(leading, (1, 0))[:-1]
        spread = leading & ~shown & ~follows
        losses = losses.masked_scatter(
            spread, -(logps[spread][:, self.ids] * self.nearness[self.place[labels[spread]]]).sum(-1)
        )
        weights = torch.where(spread, LEADING, torch.where(shown, SHOWN, torch.where(follows, TRAILING, 1.0)))
        weights = weights + VERDICT * verdicts
        parts = {"numbers": spread, "shown": shown, "verdict": verdicts}
        means = {name: losses[part].mean().detach() for name, part in parts.items()}
        return {"loss": (losses * weights).sum() / weights.sum(), **means}


class Memory:
    """What the vision part, fixed for now, sees in every room that has texts.

    Args:
        model: The nano.
        corpus: The rooms.
        processor: Its processor.
    """

    def __init__(self, model: NanoForConditionalGeneration, corpus: Corpus, processor: NanoProcessor) -> None:
        tokens: list[Tensor] = []
        regions: list[EncodedRegions] = []
        with torch.no_grad(), autocast():
            for start in range(0, len(corpus.rows), 250):
                rooms = np.arange(start, min(start + 250, len(corpus.rows)))
                seen = model.model.look(*images(corpus, rooms, processor))
                tokens.append(seen[0].bfloat16())
                regions.append(EncodedRegions(seen[1].features.bfloat16(), *seen[1][1:]))
        self.tokens = torch.cat(tokens)
        self.regions = EncodedRegions(*(torch.cat(parts) for parts in zip(*regions, strict=True)))

    def __call__(self, rows: Sequence[Reading]) -> tuple[Tensor, EncodedRegions]:
        """What is seen in the rooms of some rows, their own regions first; kept in half the space, read as float32."""
        scenes = torch.tensor([row.scene for row in rows])
        numbers = torch.tensor([row.regions for row in rows])
        return self.tokens[scenes].float(), EncodedRegions(*(part[scenes[:, None], numbers].float() for part in self.regions))


def read_loss(
    model: NanoForConditionalGeneration, rows: Sequence[Reading], tokens: Tensor, regions: EncodedRegions, numbers: Numbers
) -> dict[str, Tensor]:
    """The losses of answers, given what is seen."""
    ids, shown, verdicts = (
        pad_sequence([torch.tensor(getattr(row, name)) for row in rows], batch_first=True)
        for name in ("ids", "shown", "verdict")
    )
    lengths = torch.tensor([[row.prompt, len(row.ids)] for row in rows])
    embeds, _ = model.model.embed(ids, *model.model.tell(tokens, regions))
    hidden = model.model(inputs_embeds=embeds).last_hidden_state  # causal: padding on the right is never seen
    places = torch.arange(ids.shape[1])
    answers = ((places >= lengths[:, :1]) & (places < lengths[:, 1:]))[:, 1:]
    labels, shown, verdicts = (part[:, 1:][answers] for part in (ids, shown, verdicts))
    return numbers.loss(model.lm_head(hidden[:, :-1][answers]), labels, shown, verdicts)


class Lessons:
    """What stages 2 and 3 learn from, which is the same for both: the vision part is fixed by then.

    Args:
        model: The nano.
        processor: Its processor.
        corpus: The rooms that have texts.
    """

    def __init__(self, model: NanoForConditionalGeneration, processor: NanoProcessor, corpus: Corpus) -> None:
        self.numbers, self.readings = Numbers(processor), encode_rows(corpus, processor)
        self.memory = Memory(model, corpus, processor)


def read(model: NanoForConditionalGeneration, lessons: Lessons, name: str, rates: Rates, *, seed: int, log: Any) -> None:
    """Stages 2 and 3, by the course of that name; the vision part as it is."""
    for module in (model.model.vision_tower, model.model.vision_regions):
        module.requires_grad_(False)
    model.set_attn_implementation("eager")  # of rows this short, twice as fast in bfloat16 as torch's fused kernel for CPUs
    optimizer, schedule = optimizer_of(model, rates)
    rng = np.random.default_rng(seed)
    with stage(f"learn to {name}", rates.steps) as advance:
        for step, rows in enumerate(batches(lessons.readings, COURSES[name], rates.steps, rates.batch, rng)):
            with autocast():
                losses = read_loss(model, rows, *lessons.memory(rows), lessons.numbers)
            _step(losses["loss"], model, optimizer, schedule)
            log(name, step, {name: value.item() for name, value in losses.items() if not value.isnan()})
            advance(step + 1)


# The whole


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """What the nano's weights are made with.

    Attributes:
        seed: Decides the first weights and the order of everything; the rooms are always those of `corpus.SEED`.
        corpus: The rooms.
        see: Stage 1.
        read: Stage 2.
        judge: Stage 3.
    """

    seed: int = 0
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    see: Rates = field(default_factory=lambda: Rates(steps=1300, batch=64, rate=1.5e-3))
    read: Rates = field(default_factory=lambda: Rates(steps=3200, batch=32, rate=1e-3))
    judge: Rates = field(default_factory=lambda: Rates(steps=1100, batch=32, rate=1e-3))


def pretrain(config: PretrainConfig, out: Path) -> Path:
    """Make the rooms and go through the stages; what is there already is not done again.

    Returns:
        The folder of the finished model, `OUT/nano`, in half precision.
    """
    write_config(out, "nano pretraining", config, name="pretraining.json")
    write_corpus(config.corpus, out / "corpus")
    corpus = read_corpus(out / "corpus")
    rows = [row for rows in corpus.rows[:3000] for row in rows]
    model, processor = build_nano((row.request for row in rows), (row.answer for row in rows), seed=config.seed)
    writing = model.generation_config
    told = corpus._replace(rows=corpus.rows[: config.corpus.told])
    with (out / "metrics.jsonl").open("a", buffering=1, encoding="utf-8") as metrics:

        def log(name: str, step: int, values: Mapping[str, Any]) -> None:
            metrics.write(json.dumps({"stage": name, "step": step, **values}) + "\n")

        lessons: Lessons | None = None
        for name in ("see", *COURSES):
            if (out / name / "processor_config.json").is_file():  # saved last
                model = _load(out / name)
                continue
            model.train()
            rates: Rates = getattr(config, name)
            if name == "see":
                see(model, processor, corpus, rates, seed=config.seed, log=log)
            else:
                lessons = lessons or Lessons(model, processor, told)
                read(model, lessons, name, rates, seed=config.seed, log=log)
            _save(model, processor, out / name)
    model.generation_config = writing
    _save(model.eval().requires_grad_(True).half(), processor, out / "nano")
    return out / "nano"


def _load(folder: Path) -> NanoForConditionalGeneration:
    return NanoForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)


def _save(model: NanoForConditionalGeneration, processor: NanoProcessor, folder: Path) -> None:
    model.save_pretrained(folder)
    apply_umask(folder)
    processor.save_pretrained(folder)
