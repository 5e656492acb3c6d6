"""The whole pipeline on the embedded default, stage by stage: read `run` aloud and you know the system.

Every stage is the one behind the command of its name, with its files in a folder of its own, and goes on where it was when
the demo is started again. The model is small and starts from nothing, so its answers are poor; what the demo shows is the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spatialreasoner import stages
from spatialreasoner.evaluation.report import write_report
from spatialreasoner.evaluation.score import run_score
from spatialreasoner.models.named import WritingConfig
from spatialreasoner.pairs import PairsConfig
from spatialreasoner.progress import stage
from spatialreasoner.records import write_config
from spatialreasoner.scene import rgbd, synthetic
from spatialreasoner.scene.questions import QuestionsConfig, write_questions
from spatialreasoner.search.m3cts import SearchConfig
from spatialreasoner.search.run import RunConfig
from spatialreasoner.training.run import Kind, train

TEACHERS = ("scripted:careful", "scripted:shallow", "scripted:habitual", "scripted:vague", "scripted:hasty")
PHOTOS = Path("../shared/data/rgbd")
"""Where real photos are looked for when none are named."""


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """How large the demo is.

    Attributes:
        seed: Seed of everything.
        scenes: Synthetic scenes to learn from.
        per_scene: Questions a scene.
        test_scenes: Synthetic scenes that no training stage sees.
        photos: RGB-D folders of real photos; None takes those in `../shared/data/rgbd`, if any.
        epochs: Passes of SFT over its rows.
    """

    seed: int = 0
    scenes: int = 100
    per_scene: int = 5
    test_scenes: int = 24
    photos: tuple[str, ...] | None = None
    epochs: int = 6


def run(config: DemoConfig, out: Path) -> Path:
    """Run every stage; returns the path of the report.

    Raises:
        InputError: If a photo's folder is unusable.
        WorkError: If a stage fails; the same command goes on with it.
    """
    write_config(out, "demo", config, name="demo.json")
    questions = [_synthetic(config, "train", config.scenes, config.seed, out)]
    questions += _photos(config, out)
    unseen = _synthetic(config, "test", config.test_scenes, config.seed + 1, out)

    search = RunConfig(search=SearchConfig(seed=config.seed, stop="budget", max_model_rounds=2 * len(TEACHERS)))
    searches = [path.parent / "search" for path in questions]
    for path, folder in zip(questions, searches, strict=True):
        stages.search(path, TEACHERS, folder, search, scenes=None, writing=WritingConfig())
    stages.pairs(searches, out / "pairs", PairsConfig(seed=config.seed), scenes=None)

    settings = (f"seed={config.seed}", "batch_size=16", "accumulation=1")
    sft, pairs = out / "pairs" / "sft.jsonl", out / "pairs" / "pairs.jsonl"
    shape = ("tiny_width=128", "tiny_layers=3", "learning_rate=2e-3", f"epochs={config.epochs}")
    _train("sft", "tiny", sft, out, *settings, *shape)
    for kind in ("dpo", "fdpo"):
        _train(kind, str(out / "sft"), pairs, out, *settings, "batch_size=8", "learning_rate=2e-5", "nll_weight=1")

    for model, name in ((TEACHERS[0], "teacher"), *((str(out / kind), kind) for kind in ("sft", "dpo", "fdpo"))):
        predictions = out / "test" / f"predictions-{name}.jsonl"
        writing = WritingConfig(max_new_tokens=320, batch_size=32)
        stages.generate(unseen, model, predictions, scenes=None, seed=config.seed, regions="own", writing=writing)
        run_score(predictions, out / "test" / f"score-{name}.json", seed=config.seed)

    report = out / "report.html"
    with stage("write the report"):
        write_report([out], report)
    return report


def _synthetic(config: DemoConfig, name: str, count: int, seed: int, out: Path) -> Path:
    """Make synthetic scenes and ask about them; returns the questions file."""
    scenes = synthetic.SyntheticConfig(count=count, seed=seed)
    with stage(f"render {count} scenes to {name}", count) as advance:
        synthetic.write_scenes(scenes, out / name / "scenes", progress=advance)
    return _ask(out / name, config.per_scene, config.seed)


def _photos(config: DemoConfig, out: Path) -> list[Path]:
    """Read the real photos, if there are any, and ask about them; returns their questions file in a list, or nothing."""
    folders = sorted(path.parent for path in PHOTOS.glob("*/scene.json"))
    if config.photos is not None:
        folders = [Path(folder) for folder in config.photos]
    if not folders:
        return []
    with stage(f"read {len(folders)} real photos", len(folders)) as advance:
        rgbd.write(folders, out / "photos" / "scenes", progress=advance)
    return [_ask(out / "photos", 3 * config.per_scene, config.seed)]


def _ask(folder: Path, per_scene: int, seed: int) -> Path:
    path = folder / "questions.jsonl"
    with stage(f"ask about {folder.name}") as advance:
        write_questions(QuestionsConfig(scenes=str(folder / "scenes"), per_scene=per_scene, seed=seed), path, progress=advance)
    return path


def _train(kind: Kind, model: str, data: Path, out: Path, *settings: str) -> None:
    train(kind, model=model, data=data, out=out / kind, config_file=None, overrides=settings)
