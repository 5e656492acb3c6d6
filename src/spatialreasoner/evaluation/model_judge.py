"""A model as judge of answers: the second opinion beside the offline rules, never needed for a score.

As in the official script of SpatialRGPT-Bench (docs/papers.md 4.3), the model reads and this code decides: of lengths and hours
it extracts both values, and the official bounds are applied here; of relations and choices it marks the agreement. That script
gives an answer whose judgement fails the mark of the answer before it; here such an answer is unscored, and counted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spatialreasoner.core.errors import EndpointError, PromptError, WorkError
from spatialreasoner.core.old_names import importable_by_old_names
from spatialreasoner.core.progress import say
from spatialreasoner.core.types import QUALITATIVE, Category, Completion, Prompt
from spatialreasoner.evaluation.answers import Verdict, weigh
from spatialreasoner.evaluation.predictions import Prediction
from spatialreasoner.inference.backends.api import ApiConfig, ApiPolicy, adapting
from spatialreasoner.inference.backends.chat import plain
from spatialreasoner.inference.budget import Budget, BudgetError, refuse_unknown_prices
from spatialreasoner.inference.calls import UnavailableError
from spatialreasoner.inference.cleaning import KEPT_THINKING
from spatialreasoner.inference.endpoint import Endpoint
from spatialreasoner.inference.grounds import Grounds, digest_of, judge_grounds, stand_on
from spatialreasoner.inference.journal import Journal
from spatialreasoner.inference.limits import Limits
from spatialreasoner.inference.pool import Pool
from spatialreasoner.inference.registry import WritingConfig, limits_of
from spatialreasoner.judges.rewards import MOST_TOKENS, fenced, template

MAX_JUDGED_CHARACTERS = 20_000
"""Of an answer, so much of its end is shown to the judge: that is where it concludes."""

LONGEST_JUDGEMENT = 1500
"""Longest reply of a judge, thinking included, unless its name says otherwise; without thinking, it takes about twenty."""

UNSCORED = Verdict(success=None, error=None, gt_value=None, pred_value=None)

_PROMPTS = Path(__file__).with_name("prompts")
_Kind = Literal["length", "hour", "predicate", "choice"]


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _Values(_Reply):
    """What both texts say; None if one does not."""

    reference: float | None
    answer: float | None

    def verdict(self, category: Category) -> Verdict:
        if self.reference is None or self.answer is None:
            return Verdict(success=None, error=None, gt_value=self.reference, pred_value=self.answer)
        return weigh(category, self.reference, self.answer)


class _Lengths(_Values):
    reference: Annotated[float, Field(ge=0, le=1e6)] | None
    answer: Annotated[float, Field(ge=0, le=1e6)] | None


class _Hours(_Values):
    reference: Annotated[float, Field(ge=1, le=12, multiple_of=1)] | None
    answer: Annotated[float, Field(ge=1, le=12, multiple_of=1)] | None


class _Mark(_Reply):
    mark: Annotated[int, Field(ge=0, le=1)] | None

    def verdict(self, category: Category) -> Verdict:
        return Verdict(success=None if self.mark is None else self.mark == 1, error=None, gt_value=None, pred_value=None)


_FORMS: dict[_Kind, type[_Values] | type[_Mark]] = {"length": _Lengths, "hour": _Hours, "predicate": _Mark, "choice": _Mark}


@dataclass(frozen=True, kw_only=True)
class AnswerJudgeConfig:
    """How answers are judged by a model.

    Attributes:
        model: `api:MODEL@BASE_URL`. Use a dated version if there is one: the model behind an alias changes.
        revision: Revision of the weights, if known; part of what identifies a judgement.
        seed: Sent with every request, and part of what identifies a judgement.
        key_variable: Environment variable that holds the API key.
        limits: Concurrent requests, rate, retries; None uses those of its name, with the price of its tokens if known.
        max_calls: Maximum number of requests sent, over all processes that judged the same predictions; None means no limit.
        max_tokens: Maximum number of tokens, counted in the same way.
        max_cost: Maximum cost, counted in the same way, in the currency of the prices.
    """

    model: str
    revision: str = ""
    seed: int = 0
    key_variable: str = "OPENAI_API_KEY"
    limits: Limits | None = None
    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None

    def limited(self) -> Limits:
        """The limits of the judge.

        Raises:
            ConfigError: If the cost is limited and the price is unknown.
            MissingExtraError: If what endpoints need is not installed.
        """
        limits = self.limits or _limits(self.model)
        refuse_unknown_prices(self.max_cost, {self.model: limits.price})
        return limits

    def budget(self) -> Budget:
        """The limits of what may be spent."""
        return Budget(max_calls=self.max_calls, max_tokens=self.max_tokens, max_cost=self.max_cost)


def _limits(model: str) -> Limits:
    """The limits of a judge, by its name."""
    name = model if model.startswith("api:") else f"api:{model}"
    limits = limits_of(name, concurrency=8, writing=WritingConfig(max_new_tokens=LONGEST_JUDGEMENT))
    return replace(limits, attempts=4, max_tokens=max(MOST_TOKENS, limits.max_tokens))


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A model's judgements of some predictions.

    Attributes:
        verdicts: One per prediction, in their order; `UNSCORED` where the judgement failed.
        failures: Why judgements failed, by question id: "refused", "timeout", "server error", "rate limit", "connection",
            "bad reply", "cut off" for one that used up its tokens, or "unusable" for an endpoint that refuses the key or fails
            again and again.
        judge: The model.
    """

    verdicts: Sequence[Verdict]
    failures: dict[str, str] = field(default_factory=dict[str, str])
    judge: str

    @property
    def kinds(self) -> dict[str, int]:
        """How many judgements failed, by kind, the most frequent first."""
        return dict(Counter(self.failures.values()).most_common())


async def judge_answers_async(
    predictions: Sequence[Prediction],
    config: AnswerJudgeConfig,
    journal: Path,
    *,
    progress: Callable[[int], None] = lambda done: None,
    tell: Callable[[str], None] = say,
) -> Judged:
    """Let a model judge predictions.

    A judgement is on disk before it is used, and counts for one model, prompt, seed and row: what is known is not asked again.
    A failed one is asked for again by the next call, except a refusal. If a question, its reference or the judge's prompt is
    another one than when these predictions were judged before, the call is refused, as all would be paid for again.

    Args:
        predictions: What is judged; question ids are unique.
        config: The model and how it is asked.
        journal: The file of judgements; made if there is none.
        progress: Called with the number of predictions done.
        tell: Called with a line when something takes long.

    Raises:
        ConfigError: If the model's name has another form than `api:MODEL@BASE_URL`, the cost is limited and its price unknown,
            or the journal rests on other questions.
        MissingExtraError: If the `httpx2` package is not installed.
        WorkError: If a budget is used up, or the journal cannot be opened or written.
    """
    requests = {prediction.question_id: request(prediction) for prediction in predictions}
    kinds: dict[str, _Kind] = {
        requests[prediction.question_id]: _kind(prediction.qa_info.category) for prediction in predictions
    }
    model, limits = _JudgeModel(config, kinds), config.limited()
    with Journal(journal) as opened:
        await stand_on(opened, _grounds(model, predictions), journal, apart="keep these predictions in another file")
        pool = Pool(opened, config.budget(), tell=tell)
        try:
            judged = await _Judging(pool, pool.endpoint(model, limits), config.seed, requests, progress).judge(predictions)
        except BudgetError as error:
            raise WorkError(f"{error}; what was judged is kept: run the same again with a larger limit to resume") from error
        if judged.failures:  # run the same command again to retry
            await opened.next_round()
        return judged


def _grounds(model: _JudgeModel, predictions: Sequence[Prediction]) -> Grounds:
    """What judgements rest on; answers may change, and are judged anew then."""
    asked = {
        f"question {row.question_id}": {
            "text": digest_of([row.question, row.qa_info.category]),
            "reference": digest_of(row.gt),
        }
        for row in predictions
    }
    return judge_grounds({model.named: model}) | asked


def request(prediction: Prediction) -> str:
    """What the judge is asked about a prediction; the answer is inside a fence that it cannot forge."""
    answer, fence = fenced(prediction.pred[-MAX_JUDGED_CHARACTERS:])
    return template(_PROMPTS / "judge_request.j2").render(
        kind=_kind(prediction.qa_info.category),
        relation=prediction.qa_info.category.partition("_")[0],
        question=fenced(prediction.question)[0],
        reference=fenced(prediction.gt)[0],
        fence=fence,
        answer=answer,
    )


def read_verdict(category: Category, text: str) -> Verdict:
    """The verdict that follows from a judge's reply; unscored where it found no value.

    >>> read_verdict("width_data", '{"reference": 2.0, "answer": 2.5}').success
    True
    >>> read_verdict("width_data", '{"reference": 2.0, "answer": 2.51}').success
    False

    Raises:
        ValueError: If the reply does not have the form that was asked for.
    """
    return _FORMS[_kind(category)].model_validate_json(text).verdict(category)


def _kind(category: Category) -> _Kind:
    if category not in QUALITATIVE:
        return "hour" if category == "direction" else "length"
    return "choice" if category.endswith("_choice") else "predicate"


class _Judging:
    """One run over the predictions, many calls in flight; the endpoint limits how many."""

    def __init__(
        self, pool: Pool, endpoint: Endpoint, seed: int, requests: Mapping[str, str], progress: Callable[[int], None]
    ) -> None:
        self._pool, self._endpoint, self._seed, self._requests, self._progress = pool, endpoint, seed, requests, progress
        self._done = 0

    async def judge(self, predictions: Sequence[Prediction]) -> Judged:
        async with self._pool as pool:
            found = await pool.filled(
                partial(self._judge_all, predictions),
                lambda found: {self._endpoint.name: sum(isinstance(kind, str) for kind in found)},
            )
        verdicts = [verdict if isinstance(verdict, Verdict) else UNSCORED for verdict in found]
        failures = {
            prediction.question_id: kind for prediction, kind in zip(predictions, found, strict=True) if isinstance(kind, str)
        }
        return Judged(verdicts=verdicts, failures=failures, judge=self._endpoint.name)

    async def _judge_all(self, predictions: Sequence[Prediction]) -> list[Verdict | str]:
        self._done = 0
        each = self._pool.each(predictions, self._judge, in_flight=2 * self._endpoint.limits.concurrency)
        return [verdict async for verdict in each]

    async def _judge(self, prediction: Prediction) -> Verdict | str:
        verdict = await self._ask(prediction)
        self._done += 1
        self._progress(self._done)
        return verdict

    async def _ask(self, prediction: Prediction) -> Verdict | str:
        """The verdict, or the kind of failure."""
        if prediction.unanswered is not None:  # there is nothing to judge
            return UNSCORED
        shown = Prompt(image="", regions=(), request=self._requests[prediction.question_id])
        try:
            completion, *_ = await self._endpoint.complete(shown, n=1, seed=self._seed)
        except EndpointError as error:
            return error.kind if isinstance(error, UnavailableError | PromptError) else "unusable"
        try:
            if completion.finish == "refusal":
                return "refused"
            return read_verdict(prediction.qa_info.category, completion.text)
        except ValueError:
            return "cut off" if completion.finish == "length" else "bad reply"


class _JudgeModel:
    """The judging model as a `Policy` that is shown text alone; what cannot be read of its replies is put beside them."""

    def __init__(self, config: AnswerJudgeConfig, kinds: Mapping[str, _Kind]) -> None:
        self._kinds = kinds
        self._policy = ApiPolicy(
            config.model,
            ApiConfig(
                temperature=0.0,
                max_tokens=LONGEST_JUDGEMENT,
                timeout=120.0 if config.limits is None else config.limits.timeout,
                key_variable=config.key_variable,
                revision=config.revision,
            ),
        )
        self._system = template(_PROMPTS / "judge_system.j2").render()
        prompts = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(_PROMPTS.glob("*.j2")))).hexdigest()
        self.name = self._policy.name
        self.named = f"{self.name} {config.revision}".strip()
        self.depends = {"prompts": prompts[:16]}
        self.identity = f"judge of answers {self.name} {config.revision!r} prompt {prompts[:12]}"

    @property
    def learned(self) -> Mapping[str, Any]:
        return self._policy.learned

    def restore(self, learned: Any) -> None:
        self._policy.restore(learned)

    async def complete(self, prompt: Prompt, *, n: int, seed: int) -> Sequence[Completion]:
        return await adapting(lambda: self.attempt(prompt, n=n, seed=seed))

    async def attempt(self, prompt: Prompt, *, n: int, seed: int) -> Sequence[Completion]:
        chat = [{"role": "system", "content": self._system}, {"role": "user", "content": prompt.request}]
        completions = await self._policy.chat(plain(chat), n=n, seed=seed)
        return [self._readable(completion, self._kinds[prompt.request]) for completion in completions]

    async def aclose(self) -> None:
        await self._policy.aclose()

    def _readable(self, completion: Completion, kind: _Kind) -> Completion:
        """A reply that is no judgement was paid for, but it is not an answer: the same command asks again."""
        if completion.finish == "refusal":
            return completion
        try:
            _FORMS[kind].model_validate_json(completion.text)
        except ValidationError:
            return replace(completion, text="", thinking=f"{completion.thinking}\n{completion.text}".strip()[-KEPT_THINKING:])
        return completion


__getattr__ = importable_by_old_names(__name__, {"JudgingConfig": "AnswerJudgeConfig"})
