"""`spatialreasoner reward`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from spatialreasoner.cli.confirming import confirm
from spatialreasoner.cli.options import Key, MaxCalls, MaxCost, MaxTokens, Scenes, out_file_option
from spatialreasoner.core.errors import ConfigError

if TYPE_CHECKING:
    from spatialreasoner.judges.agreement import RewardAgreement


def reward(
    questions: Annotated[Path, typer.Argument(help="A questions file.", show_default=False)],
    responses: Annotated[Path, typer.Argument(help="JSON lines with question_id and text.", show_default=False)],
    out: Annotated[Optional[Path], out_file_option("The file to write.", show_default=False)] = None,  # noqa: UP045
    scenes: Scenes = None,
    explain: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Print this response (its row, from 0) with its statements coloured by verdict.", min=0),
    ] = None,
    judging: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--judge", help="Judge model, api:MODEL@BASE_URL, for what geometry cannot score; several are averaged."),
    ] = None,
    embeddings: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Sentence-embedding model (a folder or repository) for names missing from the vocabulary."),
    ] = None,
    judge_all: Annotated[
        bool, typer.Option("--judge-all", help="Judge every response and compare the judges with geometry.")
    ] = False,
    concurrency: Annotated[int, typer.Option(help="Maximum concurrent requests per judge.", min=1)] = 16,
    key_variable: Key = "OPENAI_API_KEY",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation before expensive judging.")] = False,
    max_calls: MaxCalls = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
) -> None:
    """Score answers by geometry that can be verified, or else by a judge: visual, spatial and logical, with reasons.

    Examples:
        spatialreasoner reward questions.jsonl responses.jsonl --out rewards.jsonl
        spatialreasoner reward questions.jsonl responses.jsonl --explain 0
    """
    from spatialreasoner.pipeline import RewardJudgesConfig
    from spatialreasoner.pipeline import explain as look
    from spatialreasoner.pipeline import reward as score
    from spatialreasoner.rewards.explain import print_explanation as show

    if out is None and explain is None:
        raise ConfigError("expected --out FILE to write the rewards, or --explain ROW to print one, or both")
    judges = RewardJudgesConfig(
        names=tuple(judging), concurrency=concurrency, key_variable=key_variable,
        max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost,
    ) if judging else None  # fmt: skip
    if explain is not None:
        show(*look(questions, responses, explain, scenes=scenes, judging=judges, judge_all=judge_all, embeddings=embeddings))
    if out is not None:
        made = score(
            questions,
            responses,
            out=out,
            scenes=scenes,
            judging=judges,
            judge_all=judge_all,
            embeddings=embeddings,
            confirm=partial(confirm, yes),
        )
        typer.echo(f"{made.count} rewards in {out}")
        if made.details is not None:
            _show_agreement(made.details)


def _show_agreement(found: RewardAgreement) -> None:
    from spatialreasoner.judges.agreement import print_agreement

    typer.echo(
        f"{found.asked} of {found.responses} responses were judged; {found.unscored} have no total, because a part is unscored"
    )
    if found.asked:
        print_agreement(found)
    if found.failed:
        typer.echo(f"{found.failed} judgements failed and are unscored; run the same command again to retry. {found.failure}")
