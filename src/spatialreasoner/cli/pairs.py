"""`spatialreasoner pairs`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from spatialreasoner.cli.confirming import confirm
from spatialreasoner.cli.options import Key, Out, Scenes, Seed
from spatialreasoner.core.errors import ConfigError


def pairs(
    out: Out,
    runs: Annotated[Optional[list[Path]], typer.Argument(help="Folders written by 'search'.", show_default=False)] = None,  # noqa: UP045
    questions: Annotated[Optional[Path], typer.Option(help="The questions that --answers answer.", show_default=False)] = None,  # noqa: UP045
    answers: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="A file of answers: rows with question_id and text or pred, such as predictions. Repeatable."),
    ] = None,
    rewards: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--from", help="A file written by 'reward', or rows of its form.", show_default=False),
    ] = None,
    ratings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--rating",
            help="Column of the answers with your own ratings, instead of rewards: COLUMN for whole answers, "
            "SEGMENT=COLUMN for a segment. Repeatable.",
        ),
    ] = None,
    scenes: Scenes = None,
    seed: Seed = 0,
    candidates: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Number of scored answers to compare per question; 8 for searches, otherwise all.", min=2),
    ] = None,
    min_gap: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Minimum difference in total reward (0..16) within a pair; 0.5, or any with --rating.", min=0),
    ] = None,
    hard: Annotated[
        float, typer.Option(help="Share of questions with a hard negative (altered conclusion).", min=0, max=1)
    ] = 0.25,
    regions: Annotated[
        Literal["marks", "tokens"],
        typer.Option(
            help="Draw regions on the images (set-of-mark prompting), or leave the images clean for a model with region tokens."
        ),
    ] = "marks",
    judging: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--judge", help="Judge model, api:MODEL@BASE_URL, for what geometry cannot score; several are averaged."),
    ] = None,
    judge_all: Annotated[bool, typer.Option("--judge-all", help="Judge every answer.")] = False,
    concurrency: Annotated[int, typer.Option(help="Maximum concurrent requests per judge.", min=1)] = 16,
    key_variable: Key = "OPENAI_API_KEY",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation before expensive judging.")] = False,
    max_cost: Annotated[Optional[float], typer.Option(help="Maximum cost, in the currency of the prices.", min=0)] = None,  # noqa: UP045
) -> None:
    """Make preference pairs with a gap per segment, and SFT examples, from scored answers: of a search, or your own.

    Examples:
        spatialreasoner pairs search --out pairs
        spatialreasoner pairs search-1 search-2 --hard 0.5 --regions tokens --out pairs
        spatialreasoner pairs --questions questions.jsonl --answers a.jsonl --answers b.jsonl --out pairs
        spatialreasoner pairs --questions questions.jsonl --answers a.jsonl --rating stars --out pairs
        spatialreasoner pairs --from rewards.jsonl --out pairs
    """
    from spatialreasoner.pipeline import RewardJudgesConfig, build_pairs
    from spatialreasoner.preferences.pairs import PairsConfig

    rated = _columns(ratings or [])
    config = PairsConfig(
        candidates=candidates or (PairsConfig.candidates if runs else sys.maxsize),
        min_gap=(0.0 if rated else PairsConfig.min_gap) if min_gap is None else min_gap,
        hard=hard, seed=seed, regions=regions, scale=float("inf") if rated else PairsConfig.scale,
    )  # fmt: skip
    judges = RewardJudgesConfig(
        names=tuple(judging), concurrency=concurrency, key_variable=key_variable, max_cost=max_cost
    ) if judging else None  # fmt: skip
    made = build_pairs(
        runs or (), out=out, questions=questions, answers=answers or (), rewards=rewards, ratings=rated or None,
        judging=judges, judge_all=judge_all, confirm=partial(confirm, yes), scenes=scenes, config=config,
    ).details  # fmt: skip
    typer.echo(f"{made.ranked} ranked pairs, {made.hard} with hard negatives, {made.sft} SFT examples in {out}")


def _columns(given: Sequence[str]) -> dict[str, str]:
    """The column of each rating by its segment; that of whole answers as `total`."""
    found: dict[str, str] = {}
    for each in given:
        segment, equals, column = each.rpartition("=")
        name = segment if equals else "total"
        if not name or not column or name in found:
            raise ConfigError(f"expected --rating COLUMN or SEGMENT=COLUMN, each once; got {each[:80]!r}")
        found[name] = column
    return found
