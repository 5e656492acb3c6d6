"""Trainings of every kind that are killed at many moments, and what they rest on, changed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from PIL import Image

from strange.case import Bench, Case, need
from strange.trainings import SAME, same, steps, train

POINTS = 20
"""Moments after the last checkpoint at which a training is killed."""


def cases() -> Iterator[Case]:
    """Kills of each kind, checkpoints of preference trainings, and changed grounds."""
    for kind, settings in KINDS.items():
        yield Case(
            kind="training limits",
            done=f"{kind}, killed after steps 1, 2 and 3",
            expected=SAME,
            run=partial(_killed, kind, settings),
        )
    yield Case(
        kind="training limits", done=f"sft, killed at {POINTS} moments after its last checkpoint", expected=SAME, run=_moments
    )
    yield Case(kind="training limits", done="sft, run again when it has ended", expected="nothing is trained", run=_again)
    yield Case(kind="training limits", done="sft, one checkpoint kept, which is damaged", expected=SAME, run=_only_one)
    for name in ("model.safetensors", "optimizer.safetensors", *SETTINGS):
        yield Case(kind="damaged checkpoints", done=f"fdpo: half of {name}", expected=SAME, run=partial(_halved, name))
    for name, change in GROUNDS.items():
        yield Case(
            kind="stale results", done=f"train fdpo, killed, then {name}", expected="refused, and said what differs",
            run=partial(_changed, change),
        )  # fmt: skip


SETTINGS = ("scheduler.json", "trainer_state.json", "config.json")
SMALL = ("per_device_train_batch_size=1", "gradient_accumulation_steps=1")
KINDS: Mapping[str, tuple[str, ...]] = {
    "sft": (*SMALL, "num_train_epochs=1.3", "save_steps=2"),
    "dpo": (*SMALL, "max_steps=4", "save_steps=2"),
    "fdpo": (*SMALL, "max_steps=5", "save_steps=2", "save_total_limit=1"),
    "grpo": ("max_steps=3", "save_steps=1", "num_generations=2", "per_device_train_batch_size=2", "max_completion_length=8"),
}  # fmt: skip


def _killed(kind: str, settings: tuple[str, ...], bench: Bench) -> str:
    whole, out = bench.folder / "whole", bench.folder / "out"
    bench.spatial(*train(bench, whole, *settings, kind=kind)).expect(0)
    for point in (1, 2, 3):
        bench.spatial(*train(bench, out, *settings, kind=kind), until=lambda point=point: steps(out) >= point)
    bench.spatial(*train(bench, out, *settings, kind=kind)).expect(0)
    same(whole, out)
    return f"{steps(out)} steps, the same weights"


def _moments(bench: Bench) -> str:
    settings = (*SMALL, "max_steps=3", "save_steps=2")
    whole = bench.folder / "whole"
    bench.spatial(*train(bench, whole, *settings)).expect(0)
    begun, out = [0.0], bench.folder / "timed"
    seen: list[float] = []

    def watch() -> bool:
        if not seen and (out / "checkpoint-2").exists():
            seen.append(time.monotonic())
        return False

    bench.spatial(*train(bench, out, *settings), until=watch)
    lasted = time.monotonic() - seen[0]
    killed = 0
    for point in range(POINTS):
        out, begun = bench.folder / f"out-{point}", []

        def due(out: Path = out, begun: list[float] = begun, point: int = point) -> bool:
            if not begun and (out / "checkpoint-2").exists():
                begun.append(time.monotonic())
            return bool(begun) and time.monotonic() - begun[0] > lasted * point / POINTS

        killed += bench.spatial(*train(bench, out, *settings), until=due).code == -9
        bench.spatial(*train(bench, out, *settings)).expect(0)
        need(steps(out) == 3, f"{steps(out)} steps")
        same(whole, out)
        shutil.rmtree(out)
    return f"{killed} of {POINTS} killed at work, within {lasted:.1f} s; the same weights"


def _again(bench: Bench) -> str:
    out, settings = bench.folder / "out", (*SMALL, "max_steps=2", "save_steps=2")
    bench.spatial(*train(bench, out, *settings)).expect(0)
    before = {path: path.stat().st_mtime_ns for path in out.iterdir() if path.suffix == ".safetensors"}
    bench.spatial(*train(bench, out, *settings)).expect(0)
    need(all(path.stat().st_mtime_ns == then for path, then in before.items()), "weights were written again")
    return "untouched"


def _only_one(bench: Bench) -> str:
    whole, out, settings = (
        bench.folder / "whole",
        bench.folder / "out",
        (*SMALL, "max_steps=4", "save_steps=2", "save_total_limit=1"),
    )
    bench.spatial(*train(bench, whole, *settings)).expect(0)
    bench.spatial(*train(bench, out, *settings), until=lambda: steps(out) >= 3)
    for path in out.glob("checkpoint-*/optimizer.safetensors"):
        path.write_bytes(path.read_bytes()[:-9])
    end = bench.spatial(*train(bench, out, *settings)).expect(0, says="checkpoint")
    same(whole, out)
    return next((line for line in end.err.splitlines() if "checkpoint" in line), "")[:120]


FDPO = (*SMALL, "max_steps=5", "save_steps=2")


def _halved(name: str, bench: Bench) -> str:
    whole, out = bench.folder / "whole", bench.folder / "out"
    bench.spatial(*train(bench, whole, *FDPO, kind="fdpo")).expect(0)
    bench.spatial(*train(bench, out, *FDPO, kind="fdpo"), until=lambda: steps(out) >= 5)
    need((out / "checkpoint-4").exists(), "it was not killed in time")
    path = out / "checkpoint-4" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    end = bench.spatial(*train(bench, out, *FDPO, kind="fdpo")).expect(0, says="checkpoint")
    same(whole, out)
    return next((line for line in end.err.splitlines() if "checkpoint" in line), "")[:120]


def _edited(name: str, key: str, value: object) -> Callable[[Path], None]:
    def change(copy: Path) -> None:
        path = copy / name
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))

    return change


def _repainted(copy: Path) -> None:
    for path in (copy / "pairs" / "images").iterdir():
        image = Image.open(path).convert("RGB")
        image.putpixel((5, 5), (1, 2, 3))
        image.save(path)


def _template(copy: Path) -> None:
    path = copy / "model" / "chat_template.jinja"
    path.write_text(path.read_text() + " ")


def _gap(copy: Path) -> None:
    path = copy / "pairs" / "pairs.jsonl"
    row, *others = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(row), "gap_reasoning": 7.5}), *others]) + "\n")


def _version(copy: Path) -> None:
    """Another version of the package has begun it."""
    out = copy.parent / "out"
    for path in [*out.rglob("*.json")]:
        text = path.read_text()
        if '"spatialreasoner"' in text or "package" in text:
            path.write_text(text.replace('"spatialreasoner": "', '"spatialreasoner": "0.'))


GROUNDS: Mapping[str, Callable[[Path], None]] = {
    "a model's processor_config.json": _edited("model/processor_config.json", "image_seq_length", 7),
    "a model's generation_config.json": _edited("model/generation_config.json", "temperature", 0.3),
    "a model's template": _template,
    "a pixel of the images": _repainted,
    "a gap of one pair": _gap,
    "the package's version": _version,
}


def _changed(change: Callable[[Path], None], bench: Bench) -> str:
    copy, out = bench.folder / "copy", bench.folder / "out"
    shutil.copytree(bench.inputs / "model", copy / "model")
    shutil.copytree(bench.inputs / "pairs", copy / "pairs")
    command = train(Bench(folder=bench.folder, inputs=copy), out, *FDPO, kind="fdpo")
    bench.spatial(*command, until=lambda: steps(out) >= 3)
    change(copy)
    end = bench.spatial(*command).expect(2)
    return end.error[:200]
