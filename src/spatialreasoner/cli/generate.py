"""`spatialreasoner generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from spatialreasoner.cli.options import (
    Batched,
    Effort,
    Endpoints,
    Key,
    MaxCalls,
    MaxCost,
    MaxTokens,
    Model,
    NewTokens,
    Scenes,
    Seed,
    Thinking,
    Timeout,
    TopP,
    out_file_option,
)  # fmt: skip


def generate(
    questions: Annotated[Path, typer.Argument(help="A questions file.", show_default=False)],
    model: Model,
    out: Annotated[Path, out_file_option("The file to write.")] = Path("predictions.jsonl"),
    scenes: Scenes = None,
    seed: Seed = 0,
    temperature: Annotated[float, typer.Option(help="Sampling temperature; 0 is greedy.", min=0, max=10)] = 0.0,
    top_p: TopP = 1.0,
    max_new_tokens: NewTokens = 768,
    reasoning_effort: Effort = "",
    enable_thinking: Thinking = None,
    endpoints: Endpoints = None,
    timeout: Timeout = 600.0,
    batch_size: Annotated[int, typer.Option(help="Batch size of a local model.", min=1)] = 16,
    key_variable: Key = "OPENAI_API_KEY",
    batch: Batched = False,
    max_calls: MaxCalls = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    regions: Annotated[
        Literal["own", "marks", "boxes", "boxes-1000", "tokens"],
        typer.Option(help="How regions are shown to the model; 'own' is the model's own format."),
    ] = "own",
) -> None:
    """Answer questions with a model; writes rows in SpatialRGPT-Bench's format.

    Examples:
        spatialreasoner generate questions.jsonl --model fdpo --out predictions.jsonl
        spatialreasoner generate questions.jsonl --model api:gpt-4.1@https://api.openai.com/v1 --batch --max-cost 20
    """
    from spatialreasoner.inference.names import expand_name
    from spatialreasoner.inference.registry import WritingConfig
    from spatialreasoner.pipeline import generate as answer

    writing = WritingConfig(
        temperature=temperature, top_p=top_p, max_new_tokens=max_new_tokens, reasoning_effort=reasoning_effort,
        enable_thinking=enable_thinking,
        timeout=timeout, batch_size=batch_size, key_variable=key_variable,
    )  # fmt: skip
    (model,) = expand_name([model], endpoints)
    made = answer(
        questions, model=model, out=out, scenes=scenes, seed=seed, regions=regions, writing=writing, batch=batch,
        max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost,
    )  # fmt: skip
    typer.echo(f"{made.count} predictions in {out}")
