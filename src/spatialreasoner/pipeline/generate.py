"""The stage `generate`: a model answers questions; its answers become rows that the official script reads, too."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from spatialreasoner.core import records
from spatialreasoner.core.errors import EndpointError, WorkError
from spatialreasoner.core.protocols import Policy
from spatialreasoner.core.types import Question, Scene
from spatialreasoner.evaluation.predictions import prediction, write_predictions
from spatialreasoner.inference.budget import Budget
from spatialreasoner.inference.endpoint import Endpoint, Limits, identity
from spatialreasoner.inference.journal import Journal
from spatialreasoner.inference.showing import Showing, showing
from spatialreasoner.questions.files import prompt

LIMITS = Limits(timeout=3600.0, patience=7200.0)
"""A local model on a CPU may take minutes for a batch; calls wait in it together."""


def run_generate(
    questions: Sequence[Question],
    scenes: Mapping[str, Scene],
    policy: Policy,
    out: Path,
    *,
    seed: int = 0,
    regions: Showing = "own",
    limits: Limits = LIMITS,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Answer every question once and write the predictions.

    Each reply is on disk, in a hidden journal beside `out`, before it is used: after any interruption the same call goes on
    where it was, and ends with the same bytes. A reply counts for one model, picture, question and seed; what has changed
    since is asked again.

    Args:
        questions: What to answer; ids are unique.
        scenes: Their scenes by id, paths resolved.
        policy: The model.
        out: The predictions file; `<stem>.config.json` beside it keeps the settings.
        seed: Origin of every call's seed.
        regions: How the model is shown regions.
        limits: How the model may be used: calls in flight, rate, retries.
        progress: Called with the number of questions done.

    Returns:
        The number of predictions.

    Raises:
        ConfigError: If region tokens are asked of a model that has none.
        WorkError: If the model fails on a question for good, or the output cannot be written; what was answered is kept.
    """
    with showing(policy, regions) as shown, Journal(out.with_name(f".{out.stem}.journal")) as journal:
        endpoint = Endpoint(shown, journal=journal, budget=Budget(), limits=limits)
        texts = asyncio.run(_Answering(endpoint, questions, scenes, seed, progress).answer())
    rows = (
        prediction(question, text, image=_relative(scenes[question.scene_id].image, out), model_id=policy.name)
        for question, text in zip(questions, texts, strict=True)
    )
    count = write_predictions(out, rows)
    settings = {"model": policy.name, "identity": identity(policy), "regions": regions, "seed": seed, "questions": count}
    records.write_config(out.parent, "generate", settings, name=f"{out.stem}.config.json")
    return count


def _relative(image: str, out: Path) -> str:
    """The picture's path from the predictions' folder: one picture, one name, whatever the machine."""
    return Path(os.path.relpath(image, out.parent)).as_posix()


class _Answering:
    """One run over the questions, many calls in flight; the endpoint limits how many."""

    def __init__(
        self,
        endpoint: Endpoint,
        questions: Sequence[Question],
        scenes: Mapping[str, Scene],
        seed: int,
        progress: Callable[[int], None],
    ) -> None:
        self._endpoint, self._questions, self._scenes, self._seed = endpoint, questions, scenes, seed
        self._progress = progress
        self._texts: dict[str, str] = {}
        self._failures: dict[str, EndpointError] = {}

    async def answer(self) -> list[str]:
        """The answers, in the order of the questions."""
        waiting = iter(self._questions)
        workers = min(2 * self._endpoint.limits.concurrency, len(self._questions))
        # not a task group: a journal that cannot be written is to be raised as it is
        await asyncio.gather(*(self._worker(waiting) for _ in range(workers)))
        if self._failures:
            question_id, error = next(iter(self._failures.items()))
            raise WorkError(
                f"{len(self._texts)} of {len(self._questions)} questions are answered; {question_id!r} failed: {error}; "
                "the same command goes on from here"
            ) from error
        return [self._texts[question.id] for question in self._questions]

    async def _worker(self, waiting: Iterator[Question]) -> None:
        for question in waiting:
            if self._endpoint.stopped is not None:
                return
            try:
                self._texts[question.id] = await self._ask(question)
            except EndpointError as error:
                self._failures[question.id] = error
            self._progress(len(self._texts))

    async def _ask(self, question: Question) -> str:
        digest = hashlib.sha256(f"generate {self._seed} {question.id}".encode()).digest()
        shown = prompt(question, self._scenes[question.scene_id])
        completions = await self._endpoint.complete(shown, n=1, seed=int.from_bytes(digest[:4], "big") >> 1)
        return completions[0].text if completions else ""
