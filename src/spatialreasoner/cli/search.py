"""`spatialreasoner search`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Optional

import typer

from spatialreasoner.cli.confirming import confirm
from spatialreasoner.cli.options import (
    Batched,
    Effort,
    Endpoints,
    Key,
    MaxCalls,
    MaxCost,
    MaxTokens,
    NewTokens,
    Out,
    Scenes,
    Seed,
    Thinking,
    Timeout,
    TopP,
)  # fmt: skip
from spatialreasoner.core.errors import WorkError


def search(
    questions: Annotated[Path, typer.Argument(help="A questions file.", show_default=False)],
    policies: Annotated[
        list[str],
        typer.Option(
            "--policy",
            help="Policy model: scripted:careful, hf:DIR or api:MODEL@BASE_URL. Repeat for each model.",
            show_default=False,
        ),
    ],
    out: Out,
    judges: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--judge", help="Judge model, api:MODEL@BASE_URL, for what geometry cannot score. Repeat for each judge."),
    ] = None,
    scenes: Scenes = None,
    seed: Seed = 0,
    max_model_rounds: Annotated[
        int, typer.Option("--rounds", help="Maximum rounds per tree; each round calls every model once.", min=1)
    ] = 20,
    samples_per_policy: Annotated[
        int, typer.Option("--samples", help="Plain samples per model and question, in addition to the tree.", min=0)
    ] = 2,
    candidates: Annotated[int, typer.Option(help="Number of scored answers per question.", min=1)] = 8,
    temperature: Annotated[float, typer.Option(help="Sampling temperature.", min=0, max=10)] = 0.9,
    top_p: TopP = 1.0,
    max_new_tokens: NewTokens = 768,
    reasoning_effort: Effort = "",
    enable_thinking: Thinking = None,
    endpoints: Endpoints = None,
    timeout: Timeout = 600.0,
    concurrency: Annotated[int, typer.Option(help="Maximum concurrent requests per model.", min=1)] = 16,
    key_variable: Key = "OPENAI_API_KEY",
    prefill: Annotated[bool, typer.Option(help="The endpoints can continue a partial message (vLLM, SGLang).")] = False,
    batch: Batched = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation before an expensive run.")] = False,
    max_calls: MaxCalls = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    cluster: Annotated[bool, typer.Option("--cluster", help="Run on Ray (the extra 'ray').")] = False,
    shards: Annotated[int, typer.Option(help="Number of shards of a run on Ray; resume with the same number.", min=1)] = 2,
    address: Annotated[Optional[str], typer.Option(help="Address of a Ray cluster; without it a local one is started.")] = None,  # noqa: UP045
) -> None:
    """Search for answers with several models in one tree per question (M3CTS), rated by geometry.

    Examples:
        spatialreasoner search questions.jsonl --policy nano --policy scripted:careful --out search
        spatialreasoner search questions.jsonl --policy api:gpt-4.1@https://api.openai.com/v1 --max-cost 20 --out search
        spatialreasoner search questions.jsonl --policy api:gpt-4.1@https://api.openai.com/v1 --batch --out search
    """
    from spatialreasoner.inference.names import expand_name
    from spatialreasoner.inference.registry import WritingConfig
    from spatialreasoner.pipeline import ClusterConfig
    from spatialreasoner.pipeline import search as run
    from spatialreasoner.search.m3cts import SearchConfig
    from spatialreasoner.search.run import RunConfig

    config = RunConfig(
        search=SearchConfig(seed=seed, max_model_rounds=max_model_rounds), samples_per_policy=samples_per_policy,
        candidates=candidates, max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost, batch=batch,
    )  # fmt: skip
    writing = WritingConfig(
        temperature=temperature, top_p=top_p, max_new_tokens=max_new_tokens, reasoning_effort=reasoning_effort,
        enable_thinking=enable_thinking,
        timeout=timeout, key_variable=key_variable, prefill=prefill,
    )  # fmt: skip
    result = run(
        questions,
        policies=expand_name(policies, endpoints),
        out=out,
        judges=expand_name(judges or (), endpoints),
        scenes=scenes,
        config=config,
        writing=writing,
        concurrency=concurrency,
        cluster=ClusterConfig(shards=shards, address=address) if cluster else None,
        confirm=partial(confirm, yes),
    )
    typer.echo(f"{result.count} scored answers in {out}")
    if not result.complete:
        why = result.stopped or next(iter(result.unfinished.values()))
        left = result.summary["asked"] - result.summary["questions"]
        raise WorkError(
            f"{left} of {result.summary['asked']} questions are not finished: {why}; run the same command again to resume"
        )
