"""The whole method on the model that ships with the package: read `run_demo` aloud and you know the system.

Every stage is the command of that name, with its files in its own folder, and continues where it stopped when
the demo is started again.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from spatialreasoner.app import terminal
from spatialreasoner.core import records
from spatialreasoner.core.resume import hold
from spatialreasoner.core.types import Question, Scene
from spatialreasoner.inference.registry import WritingConfig
from spatialreasoner.pipeline import (
    build_pairs,
    evaluate,
    generate,
    make_questions,
    make_scenes,
    read_rgbd,
    report,
    search,
    train,
)
from spatialreasoner.preferences.pairs import PairsConfig
from spatialreasoner.scenes.files import save_png, scene_index
from spatialreasoner.scenes.masks import decode
from spatialreasoner.search.m3cts import SearchConfig
from spatialreasoner.search.run import RunConfig
from spatialreasoner.training.config import Kind
from spatialreasoner.training.run import require_extra

TEACHERS = ("scripted:careful", "scripted:shallow", "scripted:habitual")
PHOTOS_FOLDER = Path("../shared/data/rgbd")
"""Where real photos are looked for when none are named."""

LOOK = "look"
"""Folder of the few scenes that are made first, so that there is something to see within seconds."""

SFT = ("num_train_epochs=3", "learning_rate=1e-3", "freeze_vision=true", "per_device_train_batch_size=16")
"""Three times the study's rate (docs/reproduction.md), for a tenth of its steps."""

PREFERENCE = (
    *("num_train_epochs=0.33", "learning_rate=3e-5", "nll_weight=10"),
    *("freeze_vision=true", "per_device_train_batch_size=8"),
)
"""At 5e-6 answers hardly change. The likelihood of chosen answers would sink without its term, which weighs what it does in the
study (docs/nano.md)."""


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Settings of the demo.

    Attributes:
        seed: Seed of every random choice.
        base: The model that it starts from, one with region tokens. `nano-base` has never seen the form that it is taught.
        scenes: Number of synthetic scenes to train on.
        per_scene: Questions per scene.
        test_scenes: Number of synthetic scenes held out for testing.
        photos: RGB-D folders of real photos; None takes those in `../shared/data/rgbd`, if any.
        max_new_tokens: Maximum length of an answer in tokens.
    """

    seed: int = 0
    base: str = "nano-base"
    scenes: int = 150
    per_scene: int = 6
    test_scenes: int = 60
    photos: tuple[str, ...] | None = None
    max_new_tokens: int = 400


def run_demo(config: DemoConfig, out: Path) -> Path:
    """Run every stage; returns the path of the report.

    Raises:
        InputError: If a photo's folder is unusable, or the base model is not there.
        MissingExtraError: If what training needs is not installed; nothing is begun.
        WorkError: If a stage fails, and running the same command again continues with it; or if another process works there.
    """
    require_extra()
    with records.writing(out), hold(out / ".lock", out):
        records.write_config(out, "demo", config, name="demo.json")
        _synthetic(config, LOOK, 2, config.seed + 2, out)
        _first_look(config, out)
        unseen = _synthetic(config, "test", config.test_scenes, config.seed + 1, out)
        questions = [_synthetic(config, "train", config.scenes, config.seed, out), *_photos(config, out)]

        growth = RunConfig(search=SearchConfig(seed=config.seed, stop="budget", max_model_rounds=2 * len(TEACHERS)))
        searches = [path.parent / "search" for path in questions]
        for path, folder in zip(questions, searches, strict=True):
            writing = _writing(config, temperature=0.9)
            search(path, policies=TEACHERS, out=folder, config=growth, writing=writing, concurrency=64).check()
        build_pairs(searches, out=out / "pairs", config=PairsConfig(seed=config.seed, regions="tokens"))

        settings = (f"seed={config.seed}", "gradient_accumulation_steps=1")
        sft, pairs = out / "pairs" / "sft.jsonl", out / "pairs" / "pairs.jsonl"
        _train("sft", config.base, sft, out, *settings, *SFT)
        for kind in ("dpo", "fdpo"):
            _train(kind, str(out / "sft"), pairs, out, *settings, *PREFERENCE)

        for model, name in ((config.base, "base"), *((str(out / kind), kind) for kind in ("sft", "dpo", "fdpo"))):
            path, writing = out / "test" / f"predictions-{name}.jsonl", _writing(config, temperature=0.0)
            answers = generate(unseen, model=model, out=path, seed=config.seed, writing=writing)
            evaluate(answers, out=out / "test" / f"score-{name}.json", seed=config.seed)

        return Path(report(out, out=out / "report.html"))


def next_commands(out: Path) -> list[str]:
    """What to try on what the demo made: three commands that work."""
    question, scene = _first_question(out)
    masks = [argument for path in _mask_paths(out, question) for argument in ("--region", str(path))]
    commands = (
        ("ask", scene.image, question.text, *masks, "--model", out / "fdpo"),
        ("app", "--model", out / "fdpo", "--runs", out),
        ("train", "fdpo", "--model", out / "sft", "--data", out / "pairs" / "pairs.jsonl", "--out", out / "fdpo-bolder",
         "fdpo_alpha=0.6", *PREFERENCE),
    )  # fmt: skip
    return [shlex.join(map(str, ("spatialreasoner", *command))) for command in commands]


def _writing(config: DemoConfig, *, temperature: float) -> WritingConfig:
    return WritingConfig(temperature=temperature, max_new_tokens=config.max_new_tokens, batch_size=64)


def _synthetic(config: DemoConfig, name: str, count: int, seed: int, out: Path) -> Path:
    """Make synthetic scenes and ask about them; returns the questions file."""
    make_scenes(out=out / name / "scenes", count=count, seed=seed)
    return _ask(out / name, config.per_scene, config.seed)


def _first_look(config: DemoConfig, out: Path) -> None:
    """Let the base model answer one question, for people to see what all this is about."""
    question, scene = _first_question(out)
    masks = _mask_paths(out, question)
    for path, region_id in zip(masks, question.region_ids, strict=True):
        save_png(Image.fromarray(decode(scene.region(region_id).mask)), path)
    marked = out / LOOK / "marked.png"
    terminal.ask_in_terminal(
        terminal.AskConfig(
            image=scene.image, question=question.text, regions=tuple(map(str, masks)), model=config.base,
            save_marked=str(marked), max_new_tokens=config.max_new_tokens,
        ),
        heading=f"{question.text}  ({marked}; true: {question.answer})",
    )  # fmt: skip


def _first_question(out: Path) -> tuple[Question, Scene]:
    """The first question about two regions of the scenes to look at, and its scene."""
    found = records.read_jsonl(out / LOOK / "questions.jsonl", Question)
    question = next(question for question in found if len(question.region_ids) == 2)
    return question, scene_index(out / LOOK / "scenes")[question.scene_id]


def _mask_paths(out: Path, question: Question) -> list[Path]:
    return [out / LOOK / f"region{number}.png" for number in range(1, len(question.region_ids) + 1)]


def _photos(config: DemoConfig, out: Path) -> list[Path]:
    """Read the real photos, if there are any, and ask about them; returns their questions file in a list, or nothing."""
    folders = sorted(path.parent for path in PHOTOS_FOLDER.glob("*/scene.json"))
    if config.photos is not None:
        folders = [Path(folder) for folder in config.photos]
    if not folders:
        return []
    read_rgbd(folders, out=out / "photos" / "scenes")
    return [_ask(out / "photos", 3 * config.per_scene, config.seed)]


def _ask(folder: Path, per_scene: int, seed: int) -> Path:
    return Path(make_questions(folder / "scenes", out=folder / "questions.jsonl", per_scene=per_scene, seed=seed))


def _train(kind: Kind, model: str, data: Path, out: Path, *settings: str) -> None:
    train(data, kind=kind, model=model, out=out / kind, overrides=settings)
