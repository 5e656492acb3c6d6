"""Trainings that are killed, and checkpoints that are damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from strange.case import Bench, Case, need

SAME = "the weights of a training that nobody killed"
WHOLE = "the newest complete checkpoint is used, and said; " + SAME


def cases() -> Iterator[Case]:
    """Limits over kills, then damage to a folder of two checkpoints."""
    for name, settings, points in LIMITS:
        yield Case(kind="training limits", done=name, expected=SAME, run=partial(_limit, settings, points))
    yield Case(
        kind="training limits", done="max_steps is raised after the end", expected="refused, and said what differs", run=_raised
    )
    for name, damage in DAMAGE:
        yield Case(kind="damaged checkpoints", done=name, expected=WHOLE, run=partial(_damaged, damage, (0,)))
    for name, damage in ELSEWHERE:
        yield Case(
            kind="damaged checkpoints",
            done=name,
            expected="the same weights, or a refusal that says what to do",
            run=partial(_damaged, damage, (0, 1, 2)),
        )


LIMITS: tuple[tuple[str, tuple[str, ...], tuple[int, ...]], ...] = (
    ("max_steps=5, a checkpoint every 2 steps, killed after steps 3 and 5", ("max_steps=5", "save_steps=2"), (3, 5)),
    (
        "2.5 epochs, a checkpoint every 3 steps, killed after steps 4 and 9",
        ("num_train_epochs=2.5", "save_steps=3", "per_device_train_batch_size=1", "gradient_accumulation_steps=1"),
        (4, 9),
    ),
    (
        "0.75 epochs, no checkpoint at all, killed after step 2",
        ("num_train_epochs=0.75", "save_steps=99", "per_device_train_batch_size=1", "gradient_accumulation_steps=1"),
        (2,),
    ),
)


def train(
    bench: Bench, out: Path, *settings: str, kind: str = "sft", model: Path | None = None, data: Path | None = None
) -> list[object]:
    """The command of a training."""
    pairs = bench.inputs / "pairs"
    if data is None:
        data = bench.questions if kind == "grpo" else pairs / ("sft.jsonl" if kind == "sft" else "pairs.jsonl")
    model = bench.inputs / "model" if model is None else model
    return ["train", kind, "--model", model, "--data", data, "--out", out, "threads=1", *settings]


def _limit(settings: tuple[str, ...], points: tuple[int, ...], bench: Bench) -> str:
    whole, out = bench.folder / "whole", bench.folder / "out"
    bench.spatial(*train(bench, whole, *settings)).expect(0)
    for point in points:
        bench.spatial(*train(bench, out, *settings), until=lambda point=point: steps(out) >= point)
    bench.spatial(*train(bench, out, *settings)).expect(0)
    same(whole, out)
    return f"{steps(out)} steps, the same weights"


def steps(out: Path) -> int:
    """The last step in the metrics of a training."""
    path = out / "metrics.jsonl"
    lines = [line for line in path.read_text().splitlines() if line.endswith("}")] if path.exists() else []
    return max((json.loads(line).get("step", 0) for line in lines), default=0)


def same(whole: Path, out: Path) -> None:
    """Whether weights and metrics are the same bytes."""
    for name in ("model.safetensors", "metrics.jsonl"):
        need((whole / name).read_bytes() == (out / name).read_bytes(), f"{name} differs from an undisturbed training's")


def _raised(bench: Bench) -> str:
    out = bench.folder / "out"
    shutil.copytree(bench.inputs / "trained", out)
    end = bench.spatial(*train(bench, out, "max_steps=7", "save_steps=2")).expect(2, says="max_steps")
    return end.error[-110:]


def _cut(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _of_all(name: str, change: Callable[[Path], object]) -> Callable[[Path], None]:
    def act(out: Path) -> None:
        for folder in out.glob("checkpoint-*"):
            if (folder / name).exists():
                change(folder / name)

    return act


def _of_last(name: str, change: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda out: change(out / "checkpoint-4" / name)


DAMAGE: tuple[tuple[str, Callable[[Path], object]], ...] = (
    ("an empty optimizer.safetensors", _of_last("optimizer.safetensors", lambda path: path.write_bytes(b""))),
    ("a flipped bit in the weights", _of_last("model.safetensors", _flip)),
    ("a flipped bit in the random state", _of_last("rng_state_0.safetensors", _flip)),
    ("no trainer_state.json", _of_last("trainer_state.json", Path.unlink)),
    ("half a scheduler.json", _of_last("scheduler.json", lambda path: _cut(path, 0.5))),
    ("an empty digests.json", _of_last("digests.json", lambda path: path.write_bytes(b""))),
    ("brackets for a config.json", _of_last("config.json", lambda path: path.write_text("[" * 10_000))),
    (
        "the last checkpoint is a file",
        lambda out: (shutil.rmtree(out / "checkpoint-4"), (out / "checkpoint-4").write_text("x")),
    ),
    ("an empty folder checkpoint-999", lambda out: (out / "checkpoint-999").mkdir()),
    ("a folder checkpoint-x", lambda out: (out / "checkpoint-x").mkdir()),
    ("all checkpoints have a flipped bit", _of_all("model.safetensors", _flip)),
)
ELSEWHERE: tuple[tuple[str, Callable[[Path], object]], ...] = (
    ("half a line at the end of metrics.jsonl", lambda out: _cut(out / "metrics.jsonl", 0.9)),
    ("no metrics.jsonl", lambda out: (out / "metrics.jsonl").unlink()),
    ("half a training.json", lambda out: _cut(out / "training.json", 0.5)),
)


def _damaged(damage: Callable[[Path], object], codes: tuple[int, ...], bench: Bench) -> str:
    out = bench.folder / "out"
    shutil.copytree(bench.inputs / "killed", out)
    damage(out)
    end = bench.spatial(*train(bench, out, "max_steps=5", "save_steps=2")).expect(*codes)
    if end.code:
        return f"exit {end.code}: {end.error[:110]}"
    same(bench.inputs / "trained", out)
    said = [line for line in end.err.splitlines() if "checkpoint" in line]
    return said[0][:110] if said else "the same weights"
