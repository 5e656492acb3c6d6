"""The whole study: do what is not done, estimate, and write it down."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from research.fdpo_study.analysis import StudyResult, analyse
from research.fdpo_study.arms import MAIN, Arm
from research.fdpo_study.config import StudyConfig
from research.fdpo_study.figures import draw_figures
from research.fdpo_study.jobs import plan
from research.fdpo_study.runner import forecast_seconds, run_jobs
from research.fdpo_study.tables import TABLES_BEGIN, TABLES_END, between_markers, study_markdown
from research.fdpo_study.work import SETTINGS, read_study_config

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, InputError
from spatialreasoner.core.resume import hold
from spatialreasoner.report.report import write_report

RESULTS, TABLES, FIGURES, REPORT = "study.json", "study.md", "figures", "report.html"


def run_study(
    config: StudyConfig,
    out: Path,
    *,
    arms: Sequence[Arm],
    seeds: int,
    workers: int = 0,
    tell: Callable[[str], None] = lambda line: None,
) -> StudyResult:
    """Do a study, or continue with it, or add arms and seeds to it.

    Args:
        config: Sizes and settings; a study that has begun keeps those that it was begun with.
        out: Its folder.
        arms: What is compared.
        seeds: Trainings of each main arm.
        workers: Jobs at a time; 0 for as many as there are cores.
        tell: Called with the forecast.

    Raises:
        ConfigError: If the folder holds a study of other sizes or settings.
        WorkError: If a job failed, and running the same command again continues; or if another process works there.
    """
    begin(config, out)
    workers = workers or os.cpu_count() or 1
    jobs = plan(config, arms, seeds)
    tell(
        f"{len(jobs)} jobs on {workers} cores, {len(arms)} arms, {seeds} seeds: "
        f"about {forecast_seconds(jobs, out, workers) / 60:.0f} min on quiet cores"
    )
    with records.writing(out), hold(out / ".lock", out):
        run_jobs(jobs, out, seeds, workers)
        return write(out)


def begin(config: StudyConfig, out: Path) -> None:
    """Keep the settings of a study.

    Raises:
        ConfigError: If the folder holds a study with others.
    """
    if not (out / SETTINGS).is_file():
        records.write_config(out, "study", config, name=SETTINGS)
        return
    kept, given = asdict(read_study_config(out)), asdict(config)
    changed = sorted(name for name in given if kept[name] != given[name])
    if changed:
        raise ConfigError(f"{out} holds another study, which differs in {', '.join(changed)}; give another --out")


def write(out: Path) -> StudyResult:
    """Estimate from the results there are; write `study.json`, `study.md`, the figures, and a report of the first seed."""
    result = analyse(out)
    records.write_config(out, "study", {"settings": asdict(read_study_config(out)), "result": asdict(result)}, name=RESULTS)
    draw_figures(result, out / FIGURES)
    with records.atomic_write(out / TABLES) as file:
        file.write("# Study\n\n" + study_markdown(result, made_by=made_by(out, result)))
        file.write(f"\n[Answers of the first seed's models, image by image]({REPORT})\n")
    folders = [out / "base", *(out / "seed-0" / name for name in (*MAIN, "fdpo-exact", "pairs/mixture")), out / "data" / "test"]
    write_report([folder for folder in folders if folder.is_dir()], out / REPORT, title="SpatialReasoner study, first seed")
    return result


def made_by(out: Path, result: StudyResult) -> str:
    """What was run, in a sentence or two."""
    config = read_study_config(out)
    most = max((arm.seeds for arm in result.arms.values()), default=0)
    questions = config.preference_scenes * config.per_scene
    return (
        f"Base model `{config.base}`; SFT on rooms of {config.sft_scenes * config.per_scene} questions "
        f"({', '.join(config.sft_settings)}), preferences on {questions} further questions "
        f"({', '.join(config.preference_settings)}), {most} seeds at most, {config.split} rooms."
    )


def fill(out: Path, docs: Path) -> StudyResult:
    """Write the study's tables between the markers of a document, its figures beside it; returns what they are of.

    Raises:
        InputError: If the document is not there, or has no markers.
    """
    result = analyse(out)
    folder = docs.parent / "images" / "study"
    tables = study_markdown(result, made_by=made_by(out, result), figures="images/study")
    text = between_markers(records.require_file(docs).read_text("utf-8"), tables)
    if text is None:
        raise InputError(f"{docs}: expected the lines {TABLES_BEGIN!r} and {TABLES_END!r}, between which tables are written")
    draw_figures(result, folder)
    with records.atomic_write(docs) as file:
        file.write(text)
    return result
