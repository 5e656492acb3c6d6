"""`python -m research.named_segments --out DIR`: DPO and fDPO of SmolLM2-135M-Instruct on problems with a plan and an answer.

One model is first taught the form (SFT). For each seed, DPO and fDPO then train from it on the same pairs in the same order. On
problems that none was trained on: whether the greedy answer's plan and result are right, and by how many nats the right segment
is more likely than the wrong one. Intervals are bootstrapped over problems. Each part is kept, and the same command continues.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from datasets import Dataset
from research.named_segments import smollm2
from research.named_segments.task import NAMED_SEGMENTS, PairKind, WordProblem, pairs, problems, score
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from spatialreasoner.cli import run
from spatialreasoner.core import records
from spatialreasoner.evaluation.bootstrap import difference_interval
from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer

_Measured = list[dict[str, float]]
"""What was found of each test problem: `plan` and `answer` right (0 or 1), `plan margin` and `answer margin` in nats."""

_KINDS: Mapping[PairKind, float] = {"both": 0.25, "answer": 0.25, "conflict": 0.5}
"""The share of each kind of pair: in half of them the chosen answer has the worse plan."""

_METRICS = ("plan", "answer", "plan margin", "answer margin")

TRAINED_LAYERS = 10
"""The last layers train, the others stay as they are: half of the arithmetic."""


def _study(out: Path, *, seeds: int, alpha: float, sizes: Mapping[str, int]) -> str:
    """Train and measure what is not there yet; the table, as Markdown."""
    torch.set_num_threads(1)
    start = teach(smollm2.convert_smollm2(out / "smollm2"), out / "sft", problems(sizes["taught"], seed=1))
    held = problems(sizes["tested"], seed=2)
    found: dict[str, list[_Measured]] = {"SFT": [_measure(start, held, out / "sft.json")], "DPO": [], "fDPO": []}
    for seed in range(seeds):
        for name, share in (("DPO", 0.0), ("fDPO", alpha)):
            file = out / f"{name}-{seed}.json"
            if not file.is_file():
                rows, reference = pairs(sizes["pairs"], 100 + seed, _KINDS), out / f"reference-{seed}.jsonl"
                prefer(start, out / f"{name}-{seed}", rows, reference, alpha=share, seed=seed)
            found[name].append(_measure(out / f"{name}-{seed}", held, file))
            typer.echo(_table(found), err=True)
    return _table(found)


def teach(model: Path, out: Path, examples: Sequence[WordProblem]) -> Path:
    """Teach the form by right answers."""
    if not (out / "model.safetensors").is_file():
        rows = [{"prompt": each.prompt, "completion": _said(each.say())} for each in examples]
        options = SFTConfig(**_options(out, seed=0), learning_rate=1e-4, completion_only_loss=True)
        trainer = SFTTrainer(_load(model), options, train_dataset=Dataset.from_list(rows), processing_class=_tokenizer(model))
        trainer.train()
        trainer.save_model(str(out))
    return out


def prefer(model: Path, out: Path, rows: Sequence[Mapping[str, Any]], reference: Path, *, alpha: float, seed: int) -> None:
    """Train by preferences; alpha 0 is DPO."""
    options = FDPOConfig(
        **_options(out, seed=seed), segments=list(NAMED_SEGMENTS), fdpo_alpha=alpha, learning_rate=1e-4,
        precompute_ref_log_probs=True, reference_cache=str(reference),
    )  # fmt: skip
    trainer = FDPOTrainer(
        _load(model), args=options, train_dataset=Dataset.from_list(list(rows)), processing_class=_tokenizer(model)
    )
    trainer.train()
    trainer.save_model(str(out))


def _measure(folder: Path, held: Sequence[WordProblem], file: Path) -> _Measured:
    """What a model does on the problems; the file keeps it, and the weights are no longer needed."""
    if not file.is_file():
        model, tokenizer = _load(folder).eval(), _tokenizer(folder)
        texts = greedy(model, tokenizer, held)
        found = zip(held, texts, margins(model, tokenizer, held), strict=True)
        rows = [_right(problem, text) | nats for problem, text, nats in found]
        records.write_json(file, rows)
        records.write_jsonl(
            file.with_suffix(".texts.jsonl"), [{"problem": p.text, "text": t} for p, t in zip(held, texts, strict=True)]
        )
    return json.loads(file.read_text("utf-8"))


def _right(problem: WordProblem, text: str) -> dict[str, float]:
    return {name: float(points > 0) for name, points in score(problem, text).items()}


@torch.inference_mode()
def greedy(model: Any, tokenizer: Any, held: Sequence[WordProblem], *, batch: int = 16) -> list[str]:
    """The likeliest answer to each problem."""
    found: list[str] = []
    for some in (held[start : start + batch] for start in range(0, len(held), batch)):
        prompts = [tokenizer.apply_chat_template(each.prompt, add_generation_prompt=True, tokenize=False) for each in some]
        inputs = tokenizer(prompts, padding=True, padding_side="left", add_special_tokens=False, return_tensors="pt")
        texts = model.generate(**inputs, max_new_tokens=32, do_sample=False)
        found += tokenizer.batch_decode(texts[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return found


@torch.inference_mode()
def margins(model: Any, tokenizer: Any, held: Sequence[WordProblem], *, batch: int = 8) -> list[dict[str, float]]:
    """Nats of the right plan over the wrong one; and of the right result over the wrong one, after the right plan."""
    found: list[dict[str, float]] = []
    for some in (held[start : start + batch] for start in range(0, len(held), batch)):
        sides = [part for each in some for part in _sides(tokenizer, each)]
        logps = _logps(model, tokenizer, sides)
        for plan, wrong_plan, answer, wrong_answer in (logps[start : start + 4] for start in range(0, len(logps), 4)):
            found.append({"plan margin": plan - wrong_plan, "answer margin": answer - wrong_answer})
    return found


def _sides(tokenizer: Any, problem: WordProblem) -> list[tuple[str, str]]:
    """What comes before, and what is weighed: the right and the wrong plan, then the right and the wrong result."""
    start = tokenizer.apply_chat_template(problem.prompt, add_generation_prompt=True, tokenize=False) + "<plan>"
    planned = f"{start}{problem.plan}</plan><answer>"
    plans, answers = (problem.plan, problem.wrong_plan), (problem.answer, problem.wrong_answer)
    return [*((start, f"{said}</plan>") for said in plans), *((planned, f"{said}</answer>") for said in answers)]


def _logps(model: Any, tokenizer: Any, sides: Sequence[tuple[str, str]]) -> list[float]:
    ids = [[tokenizer(text, add_special_tokens=False)["input_ids"] for text in side] for side in sides]
    rows = pad_sequence([torch.tensor(before + said) for before, said in ids], batch_first=True)
    logits = model(rows, attention_mask=(rows != 0).long()).logits
    found: list[float] = []
    for row, (before, said) in zip(logits, ids, strict=True):
        places = row[len(before) - 1 : len(before) + len(said) - 1]
        found.append(places.log_softmax(-1).gather(1, torch.tensor(said)[:, None]).sum().item())
    return found


def _table(found: Mapping[str, Sequence[_Measured]]) -> str:
    """Means over problems and seeds, and the differences of DPO, fDPO with their 95 % intervals."""
    lines = ["| | " + " | ".join(_METRICS) + " |", "|---|" + "---:|" * len(_METRICS)]
    for name, runs in found.items():
        if runs:
            lines.append(_line(name, (f"{_means(runs, metric).mean():.2f}" for metric in _METRICS)))
    for one, other in (("DPO", "SFT"), ("fDPO", "SFT"), ("fDPO", "DPO")):
        count = min(len(found[one]), len(found[other])) if other != "SFT" else len(found[one])
        if count:
            cells = (
                _difference(found[one][:count], found[other][: count if other != "SFT" else 1], metric) for metric in _METRICS
            )
            lines.append(_line(f"{one} − {other}", cells))
    return "\n".join(lines)


def _line(name: str, cells: Iterator[str]) -> str:
    return f"| {name} | " + " | ".join(cells) + " |"


def _means(runs: Sequence[_Measured], metric: str) -> np.ndarray:
    """Of each problem, over the seeds."""
    return np.array([[problem[metric] for problem in run] for run in runs]).mean(0)


def _difference(ones: Sequence[_Measured], others: Sequence[_Measured], metric: str) -> str:
    difference = _means(ones, metric) - _means(others, metric)
    found = difference_interval(difference, np.ones(len(difference)), seed=0)
    return f"{difference.mean():+.2f}" + ("" if found is None else f" ({found.low:+.2f} to {found.high:+.2f})")


def _options(out: Path, *, seed: int) -> dict[str, Any]:
    return {
        "output_dir": str(out), "seed": seed, "data_seed": seed, "num_train_epochs": 1, "per_device_train_batch_size": 4,
        "use_cpu": not torch.cuda.is_available(), "bf16": False, "report_to": "none", "save_strategy": "no", "logging_steps": 1,
        "lr_scheduler_type": "constant", "gradient_checkpointing": False, "disable_tqdm": True, "max_length": None,
    }  # fmt: skip


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


def _load(folder: Path) -> Any:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for parameter in model.parameters():
        parameter.requires_grad = False
    for layer in model.model.layers[-TRAINED_LAYERS:]:
        layer.requires_grad_(requires_grad=True)
    return model


def main(
    out: Annotated[Path, typer.Option(help="Folder of the study; the same command continues it.", show_default=False)],
    seeds: Annotated[int, typer.Option(help="Trainings of each kind.", min=1)] = 3,
    alpha: Annotated[
        float, typer.Option(help="fDPO's alpha; larger than the paper's, so that there is a difference to see.")
    ] = 0.9,
    taught: Annotated[int, typer.Option(help="Problems that the form is taught by.", min=1)] = 64,
    trained: Annotated[int, typer.Option(help="Pairs of each training.", min=4)] = 32,
    tested: Annotated[int, typer.Option(help="Problems that are tested.", min=1)] = 24,
) -> None:
    """Show what DPO and fDPO do on a task with two named segments and gaps that are known."""
    sizes = {"taught": taught, "pairs": trained, "tested": tested}
    typer.echo(_study(out, seeds=seeds, alpha=alpha, sizes=sizes))


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    run(app)
