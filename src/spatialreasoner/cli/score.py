"""`spatialreasoner score`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Optional

import typer

from spatialreasoner.cli.confirming import confirm
from spatialreasoner.cli.options import Key, MaxCalls, MaxCost, MaxTokens, Seed, out_file_option


def score(
    predictions: Annotated[Path, typer.Argument(help="A predictions file.", show_default=False)],
    out: Annotated[Optional[Path], out_file_option("Where to write score.json.", show_default=False)] = None,  # noqa: UP045
    against: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Another model's predictions, compared question by question.", show_default=False),
    ] = None,
    judge: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Judge model, api:MODEL@BASE_URL; also reports how far the offline rules agree with it.",
            show_default=False,
        ),
    ] = None,
    judge_revision: Annotated[str, typer.Option(help="Revision of the judge's weights, if known.")] = "",
    key_variable: Key = "OPENAI_API_KEY",
    questions: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="All questions, including those without a prediction, which count as unscored.",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation before expensive judging.")] = False,
    max_calls: MaxCalls = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    seed: Seed = 0,
) -> None:
    """Score predictions by the rules of SpatialRGPT-Bench, offline or with a judge model, with confidence intervals.

    Examples:
        spatialreasoner score predictions.jsonl --out score.json
        spatialreasoner score predictions.jsonl --questions questions.jsonl
        spatialreasoner score fdpo.jsonl --against dpo.jsonl
    """
    from spatialreasoner.pipeline import evaluate
    from spatialreasoner.report import terminal

    judging = None
    if judge is not None:
        from spatialreasoner.evaluation.model_judge import AnswerJudgeConfig

        judging = AnswerJudgeConfig(
            model=judge, revision=judge_revision, seed=seed, key_variable=key_variable,
            max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost,
        )  # fmt: skip
    found = evaluate(
        predictions, out=out, against=against, judging=judging, questions=questions, seed=seed, confirm=partial(confirm, yes)
    ).details
    terminal.show_score(found.score)
    if found.agreement is not None:
        terminal.show_agreement(found.agreement)
    if found.comparison is not None:
        terminal.show_comparison(found.comparison)
