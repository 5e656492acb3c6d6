"""The stage `generate`: a model answers a questions file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.loops import synchronous
from spatialreasoner.core.outputs import keep_inputs
from spatialreasoner.core.progress import ShowProgress, progress_bar, quiet, say
from spatialreasoner.core.protocols import Policy
from spatialreasoner.inference.budget import Budget, refuse_unknown_prices
from spatialreasoner.inference.registry import WritingConfig, limits_of, named_policy
from spatialreasoner.inference.showing import Showing
from spatialreasoner.inference.submitting import BatchConfig, batch_config
from spatialreasoner.pipeline.answering import GENERATE_LIMITS, run_generate_async
from spatialreasoner.pipeline.inputs import PathLike, read_inputs
from spatialreasoner.pipeline.result import Result


async def generate_async(
    questions: PathLike,
    *,
    model: PathLike | Policy,
    out: PathLike,
    scenes: PathLike | None = None,
    seed: int = 0,
    regions: Showing = "own",
    writing: WritingConfig | None = None,
    batch: bool | BatchConfig = False,
    max_calls: int | None = None,
    max_tokens: int | None = None,
    max_cost: float | None = None,
    progress: ShowProgress | None = progress_bar,
) -> Result:
    """Answer a questions file with a model; writes rows in SpatialRGPT-Bench's format.

    Call it again to resume: replies are kept in a hidden journal beside `out`.

    Args:
        questions: The questions file.
        model: The model: a name, a folder, or a policy object.
        out: The predictions file to write.
        scenes: The scenes folder, if the path stored with the questions is out of date.
        seed: Seed from which every call's seed is derived.
        regions: How regions are shown to the model; "own" is the model's own format.
        writing: How a model given by name generates; None is greedy.
        batch: Ask through the batch API of the model's endpoint: half the price, replies within a day.
        max_calls: Maximum number of requests sent, over all processes that worked on the same output; None means no limit.
        max_tokens: Maximum number of tokens, counted in the same way.
        max_cost: Maximum cost, counted in the same way, in the currency of the prices.
        progress: Displays the progress; None displays nothing.

    Returns:
        The result; its summary is that of `STEM.summary.json`.

    Raises:
        InputError: If questions, scenes or the model's name are wrong, or `out` would replace an input.
        WorkError: If the model could not be asked about all questions, a budget is used up, or the output cannot be written.
    """
    if regions not in get_args(Showing):
        raise ConfigError(f"`regions` takes one of {', '.join(get_args(Showing))}; got {regions!r}")
    writing, shown, path = writing or WritingConfig(), progress or quiet, Path(out)
    keep_inputs(path, questions, beside=(".config.json", ".summary.json"))
    asked = read_inputs(questions, scenes, progress=shown)
    policy = named_policy(os.fspath(model), asked.scenes, writing) if isinstance(model, str | os.PathLike) else model
    name = os.fspath(model) if isinstance(model, str | os.PathLike) else policy.name
    concurrency = max(GENERATE_LIMITS.concurrency, writing.batch_size, getattr(policy, "at_once", 0))
    limits = limits_of(name, concurrency=concurrency, writing=writing, batch=bool(batch))
    refuse_unknown_prices(max_cost, {name: limits.price})
    with shown(f"answer {len(asked.questions)} questions with {policy.name}", len(asked.questions)) as advance:
        count = await run_generate_async(
            asked.questions,
            asked.scenes,
            policy,
            path,
            seed=seed,
            regions=regions,
            limits=limits,
            max_tokens=writing.max_new_tokens,
            budget=Budget(max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost),
            batching=batch_config(batch),
            progress=advance,
            tell=say if progress is not None else lambda line: None,
        )
    summary = records.read_json(path.with_name(f"{path.stem}.summary.json"), dict[str, object])
    return Result(stage="generate", out=path, files=(path,), count=count, summary=summary)


generate = synchronous(generate_async)
"""`generate_async`, run to its end."""
