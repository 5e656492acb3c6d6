"""The stages as commands, each with a folder to write into, at the smallest size at which there is something to lose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

Command = Callable[[Path, Path], Sequence[object]]
"""Of the folder of inputs and of the folder to write into."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage.

    Attributes:
        name: Its name.
        command: Its arguments.
        trains: Whether it loads torch, and takes long.
        held: Whether a second process in the same place is refused; others write one file, whole, whoever is last.
        program: What Python runs.
    """

    name: str
    command: Command
    trains: bool = False
    held: bool = False
    program: tuple[str, ...] = ("-m", "spatialreasoner")

    def place(self, folder: Path, run: str) -> Path:
        """Where it writes in one of the runs: all these folders are as deep and named alike, since reports name them."""
        return folder / run / self.name.replace(" ", "-")

    def start(self, inputs: Path, out: Path, *, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Begin the stage in a process, and a group of processes, of its own."""
        out.mkdir(parents=True, exist_ok=True)
        arguments = [sys.executable, *self.program, *map(str, self.command(inputs, out))]
        return subprocess.Popen(
            arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**ENVIRONMENT, **(environment or {})},
        )  # fmt: skip


TINY = "testing:llava,width=16,layers=1,image_size=56,vocabulary=300"
STUDY = ("sft_scenes=2", "preference_scenes=2", "test_scenes=1", "per_scene=2", "test_per_scene=2", "own_samples=2",
         "max_new_tokens=4", "drift_answers=2")  # fmt: skip
TEACHERS = tuple(part for name in ("careful", "vague", "hasty") for part in ("--policy", f"scripted:{name}"))


def stages() -> list[Stage]:
    """All stages, those that take long last."""
    training = ("max_steps=6", "save_steps=2", "per_device_train_batch_size=2", "gradient_accumulation_steps=1", "threads=1")

    def train(kind: str, rows: str, model: str) -> Command:
        return lambda inputs, out: (
            "train", kind, "--model", model if model == TINY else inputs / model, "--data", inputs / "pairs" / rows,
            "--out", out / kind, *training,
        )  # fmt: skip

    return [
        Stage(name="scenes synthetic", held=True,
              command=lambda inputs, out: ("scenes", "synthetic", "--count", 40, "--seed", 3, "--out", out / "scenes")),
        Stage(name="scenes rgbd", held=True,
              command=lambda inputs, out: ("scenes", "rgbd", *sorted((inputs / "photos").iterdir()), "--out", out / "scenes")),
        Stage(name="scenes benchmark",
              command=lambda inputs, out: ("scenes", "benchmark", inputs / "bench", "--out", out / "bench")),
        Stage(name="questions",
              command=lambda inputs, out: ("questions", inputs / "scenes", "--per-scene", 20, "--out", out / "asked.jsonl")),
        Stage(name="search", held=True,
              command=lambda inputs, out: ("search", inputs / "questions.jsonl", *TEACHERS, "--rounds", 9,
                                           "--out", out / "search")),
        Stage(name="reward", held=True,
              command=lambda inputs, out: ("reward", inputs / "questions.jsonl", inputs / "responses.jsonl",
                                           "--out", out / "rewards.jsonl")),
        Stage(name="pairs", held=True,
              command=lambda inputs, out: ("pairs", inputs / "search", "--hard", 1, "--min-gap", 0, "--out", out / "pairs")),
        Stage(name="generate", held=True,
              command=lambda inputs, out: ("generate", inputs / "questions.jsonl", "--model", "scripted:careful",
                                           "--out", out / "predictions.jsonl")),
        Stage(name="score", command=lambda inputs, out: ("score", inputs / "predictions.jsonl", "--out", out / "score.json")),
        Stage(name="report", command=lambda inputs, out: ("report", inputs / "search", "--out", out / "report.html")),
        Stage(name="train sft", trains=True, held=True, command=train("sft", "sft.jsonl", TINY)),
        Stage(name="train dpo", trains=True, held=True, command=train("dpo", "pairs.jsonl", "model")),
        Stage(name="train fdpo", trains=True, held=True, command=train("fdpo", "pairs.jsonl", "model")),
        Stage(name="study", trains=True, held=True, program=("-m", "research.fdpo_study"),
              command=lambda inputs, out: ("--arms", "fdpo", "--seeds", 1, "--workers", 1, "--out", out,
                                           f"base={inputs / 'base'}", *STUDY)),
        Stage(name="demo", trains=True, held=True, program=("-P", str(Path(__file__).with_name("small.py"))),
              command=lambda inputs, out: (inputs / "base", "demo", "--out", out)),
    ]  # fmt: skip


def prepare(folder: Path, *, training: bool) -> Path:
    """Make what the stages read, in `folder/inputs`: scenes, photos, questions, a search, answers, pairs, and a model."""
    inputs = folder / "inputs"
    run = partial(_run, inputs)
    run("scenes", "synthetic", "--count", 12, "--width", 64, "--height", 64, "--out", inputs / "scenes")
    run("questions", inputs / "scenes", "--per-scene", 4, "--out", inputs / "questions.jsonl")
    run("search", inputs / "questions.jsonl", *TEACHERS, "--rounds", 9, "--out", inputs / "search")
    run("pairs", inputs / "search", "--hard", 1, "--min-gap", 0, "--out", inputs / "pairs")
    run("generate", inputs / "questions.jsonl", "--model", "scripted:careful", "--out", inputs / "predictions.jsonl")
    rows = [json.loads(line) for line in (inputs / "predictions.jsonl").read_text().splitlines()]
    responses = [json.dumps({"question_id": row["question_id"], "text": row["pred"]}) for row in rows] * 20
    (inputs / "responses.jsonl").write_text("\n".join(responses) + "\n")
    _photos(inputs)
    if training:
        from spatialreasoner.nano.build import build_nano

        run("train", "sft", "--model", TINY, "--data", inputs / "pairs" / "sft.jsonl", "--out", inputs / "model",
            "max_steps=1", "per_device_train_batch_size=2", "threads=1")  # fmt: skip
        for part in build_nano([], (row["pred"] for row in rows)):
            part.save_pretrained(inputs / "base")
    return inputs


def _run(inputs: Path, *arguments: object) -> None:
    inputs.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "spatialreasoner", *map(str, arguments)]
    subprocess.run(command, check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _photos(inputs: Path) -> None:
    """Photos with depth, and a small benchmark about them."""
    rng = np.random.default_rng(0)
    scene = {
        "image": "image.png", "depth": "depth.png", "depth_units_per_metre": 1000.0,
        "intrinsics": {"fx": 300.0, "fy": 300.0, "cx": 159.5, "cy": 119.5},
        "regions": [{"label": "box", "box": [10, 10, 90, 90]}, {"label": "ball", "box": [150, 60, 220, 140]}],
    }  # fmt: skip
    items: list[dict[str, object]] = []
    for number in range(12):
        photo = inputs / "photos" / f"photo{number}"
        photo.mkdir(parents=True)
        Image.fromarray(rng.integers(0, 255, (240, 320, 3), dtype=np.uint8)).save(photo / "image.png")
        Image.fromarray(rng.integers(500, 5000, (240, 320), dtype=np.uint16)).save(photo / "depth.png")
        (photo / "scene.json").write_text(json.dumps(scene))
        items.append(_item(f"photo{number}/image.png", number))
    bench = inputs / "bench"
    bench.mkdir()
    (bench / "bench.json").write_text("\n".join(map(json.dumps, items)))
    for number in range(12):
        target = bench / f"photo{number}" / "image.png"
        target.parent.mkdir()
        target.write_bytes((inputs / "photos" / f"photo{number}" / "image.png").read_bytes())


def _item(path: str, number: int) -> dict[str, object]:
    return {
        "id": str(number),
        "image_info": {"file_path": path, "height": 240, "width": 320},
        "text_q": "How wide is Region [0]?",
        "qa_info": {"type": "quantitative", "category": "width_data"},
        "conversations": [{"from": "gpt", "value": "It is 2 meters wide."}],
        "bbox": [[10, 10, 90, 90]],
        "rle": [],
    }
