"""The stage `generate`: a model answers questions; its answers become rows that the official script reads, too."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, EndpointError, InputError, PromptError, WorkError
from spatialreasoner.core.loops import synchronous
from spatialreasoner.core.progress import say
from spatialreasoner.core.protocols import Policy
from spatialreasoner.core.types import Completion, Question, Scene
from spatialreasoner.evaluation.predictions import Prediction, prediction, write_predictions
from spatialreasoner.inference import advice
from spatialreasoner.inference.backends.replies import ended
from spatialreasoner.inference.budget import Budget, BudgetError
from spatialreasoner.inference.endpoint import FINAL, Endpoint, identity
from spatialreasoner.inference.grounds import asked_grounds, model_grounds, stand_on
from spatialreasoner.inference.journal import ANSWER, Journal
from spatialreasoner.inference.limits import Limits
from spatialreasoner.inference.pool import Pool
from spatialreasoner.inference.showing import Showing, showing
from spatialreasoner.inference.submitting import BatchConfig
from spatialreasoner.questions.files import prompt

GENERATE_LIMITS = Limits(timeout=3600.0, patience=7200.0)
"""A local model on a CPU may take minutes for a batch; calls wait in it together."""

BATCHED_QUESTIONS = 100_000
"""Questions that wait for their batches at a time: their images are on disk, so little is kept of each."""

UNAVAILABLE = "unavailable"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of one question.

    Attributes:
        text: The answer, empty if there is none.
        kind: "answer", "cut off", or why there is not an answer, in a few words.
        why: Why there is not an answer, in the endpoint's words; None if there is one.
        final: Whether the same command has no reason to ask again.
        read: Tokens read.
        written: Tokens written.
        cached: Of the tokens read, those that came from the server's cache.
    """

    text: str = ""
    kind: str = ANSWER
    why: str | None = None
    final: bool = True
    read: int = 0
    written: int = 0
    cached: int = 0


async def run_generate_async(
    questions: Sequence[Question],
    scenes: Mapping[str, Scene],
    policy: Policy,
    out: Path,
    *,
    seed: int = 0,
    regions: Showing = "own",
    limits: Limits = GENERATE_LIMITS,
    max_tokens: int = 0,
    budget: Budget | None = None,
    batching: BatchConfig | None = None,
    progress: Callable[[int], None] = lambda done: None,
    tell: Callable[[str], None] = say,
) -> int:
    """Answer every question once and write the predictions.

    Each reply is on disk, in a hidden journal beside `out`, before it is used: after any interruption the same call continues
    where it was, and ends with the same bytes. A reply counts for one model, image, question and seed. If a model's files or
    settings, an image or a question are not what they were, the call is refused, as all would be paid for again. The file is
    written whatever happens: a row without an answer says why, counts as unscored, and is asked for again by the same call,
    unless the endpoint refused the question itself.

    Args:
        questions: What to answer; ids are unique.
        scenes: Their scenes by id, paths resolved.
        policy: The model.
        out: The predictions file; beside it `<stem>.config.json` keeps the settings and `<stem>.summary.json` what the replies
            came to.
        seed: Seed from which every call's seed is derived.
        regions: How the model is shown regions.
        limits: Limits of the model: concurrent requests, rate, retries.
        max_tokens: Maximum reply length that was requested, for advice; 0 if it is unknown.
        budget: What may be spent, over all processes that worked on the same output; None means no limit.
        batching: Ask in batches, through the batch API of the model's endpoint; None asks at once.
        progress: Called with the number of questions done.
        tell: Called with a line when something takes long, and for each kind of reply that is not an answer.

    Returns:
        The number of predictions.

    Raises:
        ConfigError: If region tokens are asked of a model that has none, batches of one that has no endpoint, the cost is
            limited and the model's price unknown, or the output rests on other inputs of the same names.
        WorkError: If the model could not be asked about all questions, a budget is used up, or the output cannot be written.
    """
    with showing(policy, regions) as shown, Journal(out.with_name(f".{out.stem}.journal")) as journal:
        asked = asked_grounds(questions, scenes, truth=getattr(policy, "knows_scenes", False))
        await stand_on(journal, model_grounds([policy]) | asked, out)
        pool = Pool(journal, budget or Budget(), batching=batching, tell=tell)
        endpoint = pool.endpoint(shown, limits)
        if batching is not None and endpoint.batches is None:
            raise ConfigError(f"`batch` needs a model behind an endpoint, api:MODEL@BASE_URL; got {policy.name}")
        _tell_replaced(out, policy.name, tell)
        answering = _Answering(pool, endpoint, questions, scenes, seed, progress)
        outcomes = await answering.answer()
        count = write_predictions(out, _rows(questions, scenes, outcomes, out, policy.name))
        settings = {"model": policy.name, "identity": identity(policy), "regions": regions, "seed": seed, "questions": count}
        records.write_config(out.parent, "generate", settings, name=f"{out.stem}.config.json")
        records.write_json(out.with_name(f"{out.stem}.summary.json"), summary(questions, outcomes, endpoint))
        if not all(outcome.final for outcome in outcomes) and not answering.spent_up:
            await journal.next_round()
    _report(outcomes, endpoint, max_tokens, tell)
    return count


run_generate = synchronous(run_generate_async)
"""`run_generate_async`, run to its end."""


def summary(questions: Sequence[Question], outcomes: Sequence[Outcome], endpoint: Endpoint) -> dict[str, Any]:
    """The replies by kind, what they took, and what the endpoint taught."""
    read, written = sum(outcome.read for outcome in outcomes), sum(outcome.written for outcome in outcomes)
    price = endpoint.limits.price
    cost = sum(price.cost(outcome.read, outcome.written, outcome.cached) for outcome in outcomes)
    return {
        "model": endpoint.name,
        "questions": len(outcomes),
        "answered": sum(outcome.why is None for outcome in outcomes),
        "replies": dict(sorted(Counter(outcome.kind for outcome in outcomes).items())),
        "prompt_tokens": read,
        "completion_tokens": written,
        "cost": round(cost, 6) if price.known else None,
        "learned": dict(endpoint.learned),
        "unanswered": {q.id: outcome.why for q, outcome in zip(questions, outcomes, strict=True) if outcome.why is not None},
    }


def _rows(
    questions: Sequence[Question], scenes: Mapping[str, Scene], outcomes: Sequence[Outcome], out: Path, model_id: str
) -> Iterator[Prediction]:
    for question, outcome in zip(questions, outcomes, strict=True):
        image = _relative(scenes[question.scene_id].image, out)
        yield prediction(question, outcome.text, image=image, model_id=model_id, unanswered=outcome.why)


def _tell_replaced(out: Path, model_id: str, tell: Callable[[str], None]) -> None:
    """Say that another model's answers make way."""
    with suppress(InputError):  # there is no such file, or it holds something else
        before = next(records.read_jsonl(out, dict[str, Any])).get("model_id")
        if before not in (None, model_id):
            tell(f"{out} holds answers by {before}, now replaced; the same command with that model restores them, unasked")


def _relative(image: str, out: Path) -> str:
    """The image's path from the predictions' folder: one image, one name, whatever the machine."""
    return Path(os.path.relpath(image, out.parent)).as_posix()


def _report(outcomes: Sequence[Outcome], endpoint: Endpoint, max_tokens: int, tell: Callable[[str], None]) -> None:
    """Say what was not an answer, and why.

    Raises:
        WorkError: If the model could not be asked about all questions.
    """
    kinds = Counter(outcome.kind for outcome in outcomes)
    for line in (
        *advice.told(endpoint.name, kinds, len(outcomes), max_tokens=max_tokens),
        *advice.learned(endpoint.name, endpoint.learned),
        *endpoint.noticed(),
    ):
        tell(line)
    if kinds[UNAVAILABLE]:
        first = next(outcome.why for outcome in outcomes if outcome.kind == UNAVAILABLE)
        raise WorkError(
            f"{sum(outcome.why is None for outcome in outcomes)} of {len(outcomes)} questions are answered; {first}; "
            "run the same again to resume"
        )


class _Answering:
    """One run over the questions, many calls in flight; the endpoint limits how many."""

    def __init__(
        self,
        pool: Pool,
        endpoint: Endpoint,
        questions: Sequence[Question],
        scenes: Mapping[str, Scene],
        seed: int,
        progress: Callable[[int], None],
    ) -> None:
        self._pool, self._endpoint, self._questions, self._scenes = pool, endpoint, questions, scenes
        self._seed, self._progress, self._done = seed, progress, 0
        self.spent_up: str | None = None

    async def answer(self) -> list[Outcome]:
        """The outcomes of the questions, in their order."""
        in_flight = BATCHED_QUESTIONS if self._endpoint.batches is not None else 2 * self._endpoint.limits.concurrency
        async with self._pool as pool:
            outcomes = await pool.filled(partial(self._answer_all, in_flight), self._lacking)
        why = self.spent_up or str(self._endpoint.stopped)
        left = len(self._questions) - len(outcomes)
        return outcomes + [Outcome(kind=UNAVAILABLE, why=why, final=False)] * left

    async def _answer_all(self, in_flight: int) -> list[Outcome]:
        self._done = 0
        return [outcome async for outcome in self._pool.each(self._questions, self._answer, in_flight=in_flight)]

    def _lacking(self, outcomes: Sequence[Outcome]) -> dict[str, int]:
        """Number of replies that may still come, by model: none once a budget is used up."""
        missing = sum(outcome.kind == UNAVAILABLE for outcome in outcomes)
        return {self._endpoint.name: missing if self.spent_up is None else 0}

    async def _answer(self, question: Question) -> Outcome:
        outcome = await self._ask(question)
        if self._endpoint.stopped is not None or self.spent_up is not None:
            self._pool.end()
        self._done += 1
        self._progress(self._done)
        return outcome

    async def _ask(self, question: Question) -> Outcome:
        digest = hashlib.sha256(f"generate {self._seed} {question.id}".encode()).digest()
        shown = prompt(question, self._scenes[question.scene_id])
        try:
            replies = await self._endpoint.complete(shown, n=1, seed=int.from_bytes(digest[:4], "big") >> 1)
        except PromptError as error:
            return Outcome(kind=error.kind, why=f"{error.kind}: {error}", final=error.final)
        except EndpointError as error:
            return Outcome(kind=UNAVAILABLE, why=str(error), final=False)
        except BudgetError as error:
            self.spent_up = str(error)
            return Outcome(kind=UNAVAILABLE, why=str(error), final=False)
        return read_outcome(replies)


def read_outcome(replies: Sequence[Completion]) -> Outcome:
    """The result of a reply: its text, or why it has none.

    >>> read_outcome([Completion(text="", finish="length", thinking="Hm.")]).why
    'empty: cut off while thinking'
    """
    reply, kind = (replies[0] if replies else Completion(text="")), ended(replies)
    outcome = Outcome(kind=kind, read=reply.prompt_tokens, written=reply.completion_tokens, cached=reply.cached_tokens)
    if kind in {ANSWER, "cut off"}:
        return replace(outcome, text=reply.text)
    why = f"{kind}: {reply.text[:200]}" if reply.text.strip() else kind
    return replace(outcome, why=why, final=kind in FINAL)
