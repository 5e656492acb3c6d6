"""A judge as the engine uses it: answered from the run's journal where it can be, else limited, retried and paid for."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from spatialreasoner.core import records
from spatialreasoner.core.digests import file_digest
from spatialreasoner.core.errors import EndpointError, RecordError, SceneError, WorkError
from spatialreasoner.core.protocols import Grade, GradeRequest, Judge
from spatialreasoner.inference.budget import Budget
from spatialreasoner.inference.calls import Caller, kept_lessons
from spatialreasoner.inference.endpoint import identity
from spatialreasoner.inference.journal import ANSWER, Journal, Spent
from spatialreasoner.inference.limits import Limits


class JournalledJudge:
    """A `Judge` around a judge, to be given to a reward and to `run_search` alike.

    The reward is made before the run has a journal, so the run hands over its journal when it begins. Grades are kept as
    replies are. A failed one is not a grade: it is asked again in the same run as far as the limits allow, and by the same
    command when that is given again. Each request counts in the budget, with the tokens that the judge tells.

    Args:
        judge: The judge. What decides its grades beside the request is its `identity`, or else its name. Its `attempt`, where
            it has one, sends one request and raises what goes wrong; else its `grade` does the retrying.
        limits: How it may be used.
    """

    def __init__(self, judge: Judge, limits: Limits | None = None) -> None:
        self.name = self.identity = f"judge {identity(judge)}"
        self.limits = limits or Limits()
        self._judge = judge
        self._bound: tuple[Journal, Caller] | None = None
        self._unread: Counter[str] = Counter()

    def bind(self, journal: Journal, budget: Budget) -> None:
        """Take over the run's journal and budget."""
        restore = getattr(self._judge, "restore", None)
        if restore is not None:
            restore(kept_lessons(journal, self.identity))
        self._bound = (journal, Caller(self.identity, self.limits, journal, budget, lambda: self.learned))

    @property
    def learned(self) -> Mapping[str, Any]:
        """What the endpoint taught of how it is to be asked."""
        return getattr(self._judge, "learned", {})

    @property
    def calls(self) -> int:
        """Requests of this process."""
        return 0 if self._bound is None else self._bound[1].calls

    @property
    def failures(self) -> Counter[str]:
        """Failed requests and grades of this process, by kind."""
        return self._unread if self._bound is None else self._unread + self._bound[1].failures

    @property
    def in_flight(self) -> int:
        """Requests sent and not ended."""
        return 0 if self._bound is None else self._bound[1].in_flight

    def longest_wait(self) -> float:
        """Seconds since the oldest request in flight was sent; 0 where there is none."""
        return 0.0 if self._bound is None else self._bound[1].longest_wait()

    async def grade(self, request: GradeRequest) -> Grade:
        """The journal's grade, or else the judge's, which is in the journal before it is returned.

        Raises:
            BudgetError: If a request would go beyond the budget.
            WorkError: If no run has handed over its journal.
        """
        if self._bound is None:
            raise WorkError("a journalled judge works within a run; give it to run_search too")
        journal, caller = self._bound
        key = self._key(request)
        known = self._known(journal, key)
        if known is not None:
            return known
        ask: Callable[[GradeRequest], Awaitable[Grade]] = getattr(self._judge, "attempt", self._judge.grade)
        attempt: int | None = None
        try:
            answer = await caller.call(key, lambda: ask(request), _spent)
            grade, attempt = answer.reply, answer.attempt
        except SceneError as error:
            grade = Grade(failure=f"the image cannot be shown: {error}")
        except EndpointError as error:
            grade = Grade(failure=str(error))
            if caller.stopped is not None:  # it was not asked of this answer, or was the last to be
                return grade
        kind = ANSWER if grade.failure is None else "failed grade"
        if grade.failure is not None:
            self._unread["failed grade"] += 1
        value = records.dumps(asdict(grade))
        await journal.put_reply(key, value, policy=self.identity, spent=_spent(grade), kind=kind, attempt=attempt)
        return grade

    async def aclose(self) -> None:
        """Close the judge's connections, if it has any."""
        close = getattr(self._judge, "aclose", None)
        if close is not None:
            await close()

    def _known(self, journal: Journal, key: str) -> Grade | None:
        kept = journal.reply(key)
        if kept is None or not (kept.kind == ANSWER or kept.current):
            return None
        try:
            return records.parse_record(kept.value, Grade, where="journal")
        except RecordError:  # torn or tampered with: ask again
            self._unread["unreadable journal row"] += 1
            return None

    def _key(self, request: GradeRequest) -> str:
        shown = request.prompt
        regions = [[region.label, region.mask.size, region.mask.counts] for region in shown.regions]
        depth = request.depth_image and hashlib.sha256(request.depth_image.encode()).hexdigest()
        parts = [self.identity, file_digest(shown.image), regions, shown.request, request.text, request.reference, depth]
        return hashlib.sha256(records.dumps(parts).encode()).hexdigest()


def _spent(grade: Grade) -> Spent:
    return Spent(
        calls=0,  # counted when it was sent
        prompt_tokens=grade.prompt_tokens,
        completion_tokens=grade.completion_tokens,
        cached_tokens=grade.cached_tokens,
    )
