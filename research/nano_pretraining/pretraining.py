"""Make the nano's base from nothing: `python -m research.nano_pretraining --out DIR`.

Three phases, because a model this small does not learn to see from next-token loss alone:

1. see: the vision tower and the region encoder learn depth, kind, colour, place, size and pairs directly;
2. read: the decoder learns to say what the vision part, now frozen, believes, to copy numbers, and to calculate;
3. understand: it learns whether the stated relation is the one asked for, first alone, then together with all other lessons.

The lessons of the last two and their shares form a curriculum (`reading.ReadConfig`).

The result has never seen an answer in the LongCoT form: that is for fine-tuning to teach. Each phase writes a checkpoint and is
not repeated when the command is run again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal

import torch
from research.nano_pretraining.beliefs import invent, invent_words, name
from research.nano_pretraining.corpus import Corpus, CorpusConfig, read_corpus, write_corpus
from research.nano_pretraining.optimizing import Rates
from research.nano_pretraining.processes import in_processes, wait_for_all
from research.nano_pretraining.reading import RELATIONS_FIRST, ReadConfig, learn_to_read
from research.nano_pretraining.seeing import learn_to_see
from research.nano_pretraining.skills import REQUESTS, ask, look_for, reason, regions_of, state
from transformers import PreTrainedModel, ProcessorMixin

from spatialreasoner.core.outputs import apply_umask
from spatialreasoner.core.progress import progress_bar
from spatialreasoner.core.records import write_config
from spatialreasoner.core.types import CATEGORIES
from spatialreasoner.nano.build import build_nano
from spatialreasoner.nano.modeling import NanoForConditionalGeneration
from spatialreasoner.nano.processing import NanoProcessor

TEXTS = 4000
"""Answers of each kind that the tokenizer takes its phrases from."""


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Settings of the base's pretraining.

    Attributes:
        seed: Decides the first weights and the order of everything; the rooms are always those of `corpus.SEED`.
        corpus: The rooms.
        see: Phase 1: optimization of the vision part.
        read: Phase 2: the curriculum of reading.
        understand: Phase 3: the curriculum of understanding.
        processes: Number of processes that train together, each with rooms of its own; another number gives other weights.
    """

    seed: int = 0
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    see: Rates = field(default_factory=lambda: Rates(steps=1500, batch=32, rate=1.5e-3))
    read: ReadConfig = field(default_factory=ReadConfig)
    understand: ReadConfig = field(
        default_factory=lambda: ReadConfig(
            rates=Rates(steps=1000, batch=3000, rate=1e-3), first=RELATIONS_FIRST, first_steps=200
        )
    )
    processes: int = 2


def texts(count: int = TEXTS) -> Iterator[tuple[str, str]]:
    """Requests and answers of the kinds that the nano is going to meet, about rooms that nobody has seen."""
    rng = Random("texts")
    for _ in range(count):
        view, facts, category = invent(rng), name(invent_words(rng)), rng.choice(CATEGORIES)
        request, answer = ask(category, view, rng)
        yield request, answer
        yield look_for(category, facts, view, rng)
        yield request, reason(request, name(invent_words(rng, regions_of(category))), view, rng)
        yield rng.choice(REQUESTS), state(facts, view, rng)


def pretrain(config: PretrainConfig, out: Path) -> Path:
    """Make the rooms and run the phases; finished ones are not repeated.

    Returns:
        The folder of the finished model, `OUT/nano-base`, in half precision.
    """
    write_config(out, "nano pretraining", config, name="pretraining.json")
    write_corpus(config.corpus, out / "corpus", workers=config.processes)
    if not _is_saved(out / "start"):
        requests, answers = zip(*texts(), strict=True)
        _save(*build_nano(requests, answers, seed=config.seed), out / "start")
    in_processes(_learn, config.processes, config, out)
    return out / "nano-base"


def _learn(rank: int, config: PretrainConfig, out: Path) -> None:
    """All phases, each process with rooms of its own; the first one saves."""
    torch.manual_seed(config.seed)
    corpus = Corpus(*(part[rank :: config.processes] for part in read_corpus(out / "corpus")))
    model, processor = _load(out / "start")
    writing = model.generation_config
    with (out / "metrics.jsonl").open("a", buffering=1, encoding="utf-8") if rank == 0 else nullcontext() as metrics:

        def log(phase: str, step: int, values: Mapping[str, Any]) -> None:
            if metrics is not None:
                metrics.write(json.dumps({"stage": phase, "step": step, **values}) + "\n")

        reading: dict[Literal["read", "understand"], ReadConfig] = {"read": config.read, "understand": config.understand}
        for name in ("see", *reading):
            if _is_saved(out / name):
                model, _ = _load(out / name)
                continue
            rates = config.see if name == "see" else reading[name].rates
            with progress_bar(f"learn to {name}", rates.steps) if rank == 0 else nullcontext(_silent) as advance:
                how: dict[str, Any] = {"seed": config.seed + rank, "log": log, "advance": advance}
                kept = out / f"{name}.safetensors"
                if name == "see":
                    learn_to_see(model.train(), processor, corpus, rates, checkpoint=kept, **how)
                else:
                    learn_to_read(model.train(), processor, corpus, reading[name], checkpoint=kept, phase=name, **how)
            if rank == 0:
                _save(model, processor, out / name)
                kept.unlink(missing_ok=True)
            wait_for_all()
    if rank == 0:
        model.generation_config = writing
        save_half(model, processor, out / "nano-base")


def save_half(model: PreTrainedModel, processor: ProcessorMixin, folder: Path) -> None:
    """Save a model in half precision, as it ships."""
    _save(model.eval().requires_grad_(True).half(), processor, folder)


def _silent(done: int, note: str = "") -> None:
    """Progress that another process shows."""


def _load(folder: Path) -> tuple[NanoForConditionalGeneration, NanoProcessor]:
    model = NanoForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return model, NanoProcessor.from_pretrained(folder)


def _is_saved(folder: Path) -> bool:
    return (folder / "processor_config.json").is_file()  # saved last


def _save(model: PreTrainedModel, processor: ProcessorMixin, folder: Path) -> None:
    model.save_pretrained(folder)
    apply_umask(folder)
    processor.save_pretrained(folder)
