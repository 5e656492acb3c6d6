"""A judge as the engine uses it: answered from the run's journal where it can be, else limited and counted."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from dataclasses import asdict

from spatialreasoner.core import records
from spatialreasoner.core.digests import file_digest
from spatialreasoner.core.errors import RecordError, WorkError
from spatialreasoner.core.protocols import Grade, GradeRequest, Judge
from spatialreasoner.inference.budget import Budget
from spatialreasoner.inference.endpoint import Limits, identity
from spatialreasoner.inference.journal import Journal, Spent


class JournalledJudge:
    """A `Judge` around a judge, to be given to a reward and to `run_search` alike.

    The reward is made before the run has a journal, so the run hands over its journal when it begins. Grades are kept as
    replies are; a failed one is not, so that it is asked again. Each grade counts as one call of the budget, with the tokens
    that the judge tells.

    Args:
        judge: The judge. What decides its grades beside the request is its `identity`, or else its name.
        limits: Of these, concurrency, price and most tokens of a request are kept; retrying is the judge's own.
    """

    def __init__(self, judge: Judge, limits: Limits | None = None) -> None:
        self.identity = f"judge {identity(judge)}"
        self.failures: Counter[str] = Counter()
        self.calls = 0
        self.limits = limits or Limits()
        self._judge = judge
        self._slots = asyncio.Semaphore(self.limits.concurrency)
        self._bound: tuple[Journal, Budget] | None = None

    def bind(self, journal: Journal, budget: Budget) -> None:
        """Take over the run's journal and budget."""
        self._bound = (journal, budget)

    async def grade(self, request: GradeRequest) -> Grade:
        """The journal's grade, or else the judge's, which is in the journal before it is returned.

        Raises:
            BudgetError: If the call would go beyond the budget.
            WorkError: If no run has handed over its journal.
        """
        if self._bound is None:
            raise WorkError("a journalled judge works within a run; give it to run_search too")
        journal, budget = self._bound
        key = self._key(request)
        known = journal.get("replies", key)
        if known is not None:
            try:
                return records.parse_record(known, Grade, where="journal")
            except RecordError:  # torn or tampered with: ask again
                self.failures["unreadable journal row"] += 1
        async with self._slots:
            grade = await self._ask(request, budget)
        if grade.failure is not None:
            self.failures["failed grade"] += 1
            return grade
        spent = Spent(calls=1, prompt_tokens=grade.prompt_tokens, completion_tokens=grade.completion_tokens)
        await journal.put_reply(key, records.dumps(asdict(grade)), policy=self.identity, spent=spent)
        return grade

    async def _ask(self, request: GradeRequest, budget: Budget) -> Grade:
        price = self.limits.price
        reserved = (self.limits.max_tokens, price.most(self.limits.max_tokens))
        budget.reserve(*reserved)
        self.calls += 1
        used = (0, 0)
        try:
            grade = await self._judge.grade(request)
            used = (grade.prompt_tokens, grade.completion_tokens)
        finally:
            budget.settle(sum(used), price.cost(*used), reserved=reserved)
        return grade

    def _key(self, request: GradeRequest) -> str:
        shown = request.prompt
        regions = [[region.label, region.mask.size, region.mask.counts] for region in shown.regions]
        depth = request.depth_image and hashlib.sha256(request.depth_image.encode()).hexdigest()
        parts = [self.identity, file_digest(shown.image), regions, shown.request, request.text, request.reference, depth]
        return hashlib.sha256(records.dumps(parts).encode()).hexdigest()
