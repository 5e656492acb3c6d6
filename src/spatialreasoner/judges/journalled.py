"""A judge as a run uses it: answered from the run's journal where it can be, else limited, retried and paid for."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from spatialreasoner.core import records
from spatialreasoner.core.digests import file_digest
from spatialreasoner.core.errors import EndpointError, PromptError, SceneError
from spatialreasoner.core.protocols import Grade, GradeRequest, Judge
from spatialreasoner.inference.budget import Budget
from spatialreasoner.inference.counting import note_failed, note_lacking, note_used
from spatialreasoner.inference.desk import Desk, Form, Post
from spatialreasoner.inference.endpoint import identity
from spatialreasoner.inference.journal import ANSWER, Journal, Spent
from spatialreasoner.inference.limits import Limits

FAILED = "failed grade"
"""The kind of a judge's reply that is not a grade: it is asked again by the same command."""

_TOLD = 120
"""Of a judge's failure, so much is counted as its kind."""

_TAKEN = ("prompt_tokens", "completion_tokens", "cached_tokens")


class JournalledJudge(Desk[Grade]):
    """A `Judge` around a judge.

    Grades are kept as replies are. A failed one is not a grade: it is asked again in the same run as far as the limits allow,
    and by the same command when that is given again. Each request counts in the budget, with the tokens that the judge tells.

    Args:
        judge: The judge. What decides its grades beside the request is its `identity`, or else its name. Its `attempt`, where
            it has one, sends one request and raises what goes wrong; else its `grade` does the retrying.
        journal: Where grades are kept.
        budget: What all models of the run may spend together.
        limits: Its limits.
    """

    def __init__(self, judge: Judge, *, journal: Journal, budget: Budget, limits: Limits | None = None) -> None:
        self.identity = f"judge {identity(judge)}"
        super().__init__(self.identity, judge, _FORM, journal=journal, budget=budget, limits=limits or Limits())
        self._judge = judge

    async def grade(self, request: GradeRequest) -> Grade:
        """The journal's grade, or else the judge's, which is in the journal before it is returned.

        Raises:
            BudgetError: If a request would go beyond the budget.
        """
        key = self._key(request)
        try:
            known = self.known(key, key)
            grade = known if known is not None else await self.ask(key, key, lambda post: self._sent(request, post))
        except PromptError as error:
            note_failed(self.name, key, error.kind)
            grade = Grade(failure=str(error))
        except EndpointError as error:
            note_lacking(self.name)
            grade = Grade(failure=str(error))
        else:
            note_used(self.name, key, {name: getattr(grade, name) for name in _TAKEN})
            if grade.failure is not None:
                note_failed(self.name, key, grade.failure[:_TOLD])
        if grade.failure is not None:
            self.failures[FAILED] += 1
        return grade

    async def _sent(self, request: GradeRequest, post: Post | None) -> Grade:
        ask: Callable[[GradeRequest], Awaitable[Grade]] = getattr(self._judge, "attempt", self._judge.grade)
        try:
            return await ask(request)
        except SceneError as error:
            return Grade(failure=f"the image cannot be shown: {error}")

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


_FORM = Form[Grade](
    write=lambda grade: records.dumps(asdict(grade)),
    read=lambda text: records.parse_record(text, Grade, where="journal"),
    kind=lambda grade: ANSWER if grade.failure is None else FAILED,
    spent=_spent,
    final=frozenset({ANSWER}),
)
