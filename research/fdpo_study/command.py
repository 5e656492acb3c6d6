"""What the command line says, as a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from research.fdpo_study.config import QUICK_SIZES, StudyConfig
from research.fdpo_study.run import TABLES, fill, made_by, run_study
from research.fdpo_study.shipped import SHIPPED, main_figures, ship_figures

from research.fdpo_study import arms as known
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.training.config import read_config


def study(out: Path, *, arms: str, seeds: int, quick: bool, config: Path | None, workers: int, overrides: Sequence[str]) -> str:
    """Do a study, or continue with it; returns what to say at the end.

    Args:
        out: Its folder.
        arms: Names with commas between; none are all, or with `quick` a few.
        seeds: Trainings of each main arm; with `quick` one.
        quick: Whether it is small.
        config: A YAML file of sizes and settings, or None.
        workers: Jobs at a time; 0 is one per core.
        overrides: Sizes and settings, `key=value`.

    Raises:
        InputError: If arms, sizes or settings are wrong, or the folder holds another study.
        WorkError: If a job failed.
    """
    import typer

    names = [name.strip() for name in arms.split(",") if name.strip()] or (list(known.QUICK_ARMS) if quick else [])
    chosen = known.choose_arms(names)
    if quick and config is not None:
        raise ConfigError("--quick is a set of sizes; give either it or --config")
    settings = read_config(StudyConfig, config, [*(QUICK_SIZES if quick else ()), *overrides])
    run_study(
        settings, out, arms=chosen, seeds=1 if quick else seeds, workers=workers, tell=lambda line: typer.echo(line, err=True)
    )
    note = "\nThis was --quick: few rooms, one seed. Its intervals do not know how trainings differ." if quick else ""
    return f"The tables are in {out / TABLES}{note}"


def write_docs(out: Path, docs: Path) -> str:
    """Write a study's tables into a document, and its main figures into the package; returns what to say.

    Raises:
        InputError: If there is no study, or no such document with markers.
    """
    result = fill(out, docs)
    ship_figures(main_figures(result, made_by(out, result)))
    return f"The tables of {out} are in {docs}, its main figures in {SHIPPED}"
