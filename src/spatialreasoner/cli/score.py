"""`spatialreasoner score`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from spatialreasoner.cli.options import Key, Seed
from spatialreasoner.core.progress import stage

if TYPE_CHECKING:
    from spatialreasoner.evaluation.model_judge import JudgingConfig


def score(
    predictions: Annotated[Path, typer.Argument(help="A predictions file.", show_default=False)],
    out: Annotated[Optional[Path], typer.Option("--out", help="Where to write score.json.", show_default=False)] = None,  # noqa: UP045
    against: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Another model's predictions: tell the difference, question by question.", show_default=False),
    ] = None,
    judge: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="A model, api:MODEL@BASE_URL, that judges the answers; tells how far the offline rules agree.",
            show_default=False,
        ),
    ] = None,
    judge_revision: Annotated[str, typer.Option(help="Revision of the judge's weights, where known.")] = "",
    key_variable: Key = "OPENAI_API_KEY",
    seed: Seed = 0,
) -> None:
    """Score predictions by the rules of SpatialRGPT-Bench, offline or by a judging model, with intervals.

    Examples:
        spatialreasoner score predictions.jsonl --out score.json
        spatialreasoner score fdpo.jsonl --against dpo.jsonl
    """
    from spatialreasoner.evaluation.predictions import read_predictions
    from spatialreasoner.evaluation.score import compare, run_score
    from spatialreasoner.report import terminal

    if judge is not None:
        from spatialreasoner.evaluation.model_judge import JudgingConfig

        judging = JudgingConfig(model=judge, revision=judge_revision, seed=seed, key_variable=key_variable)
        _score_by_model(predictions, out, against, judging, seed)
        return
    terminal.show_score(run_score(predictions, out, seed=seed))
    if against is not None:
        terminal.show_comparison(compare(read_predictions(against), read_predictions(predictions), seed=seed))


def _score_by_model(predictions: Path, out: Path | None, against: Path | None, judging: JudgingConfig, seed: int) -> None:
    from spatialreasoner.evaluation.agreement import run_judged_score
    from spatialreasoner.evaluation.predictions import read_predictions
    from spatialreasoner.evaluation.score import compare
    from spatialreasoner.report import terminal

    with stage(f"judge {predictions}") as advance:
        judged = run_judged_score(predictions, judging, out, seed=seed, progress=advance)
    terminal.show_score(judged.score)
    terminal.show_agreement(judged.agreement)
    if against is not None:
        with stage(f"judge {against}") as advance:
            other = run_judged_score(against, judging, seed=seed, progress=advance)
        verdicts = (other.verdicts, judged.verdicts)
        terminal.show_comparison(compare(read_predictions(against), read_predictions(predictions), verdicts, seed=seed))
