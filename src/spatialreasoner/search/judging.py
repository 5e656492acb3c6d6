"""A judge as the engine uses it: answered from the run's journal where it can be, else limited and counted."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from dataclasses import asdict

from spatialreasoner import records
from spatialreasoner.errors import RecordError, WorkError
from spatialreasoner.protocols import Grade, GradeRequest, Judge
from spatialreasoner.search.budget import Budget
from spatialreasoner.search.endpoint import Limits, file_digest, identity
from spatialreasoner.search.journal import Journal, Spent


class JournalledJudge:
    """A `Judge` around a judge, to be given to a reward and to `run_search` alike.

    The reward is made before the run has a journal, so the run hands over its journal when it begins. Grades are kept as
    replies are; a failed one is not, so that it is asked again. Each grade counts as one call of the budget, its tokens as
    none: a judge does not tell them.

    Args:
        judge: The judge. What decides its grades beside the request is its `identity`, or else its name.
        limits: Of these, the concurrency is kept; retrying is the judge's own.
    """

    def __init__(self, judge: Judge, limits: Limits | None = None) -> None:
        self.identity = f"judge {identity(judge)}"
        self.failures: Counter[str] = Counter()
        self.calls = 0
        self._judge = judge
        self._slots = asyncio.Semaphore((limits or Limits()).concurrency)
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
            budget.reserve(0, 0.0)
            self.calls += 1
            grade = await self._judge.grade(request)
        if grade.failure is not None:
            self.failures["failed grade"] += 1
            return grade
        spent = Spent(calls=1, prompt_tokens=0, completion_tokens=0)
        await journal.put_reply(key, records.dumps(asdict(grade)), policy=self.identity, spent=spent)
        return grade

    def _key(self, request: GradeRequest) -> str:
        shown = request.prompt
        regions = [[region.label, region.mask.size, region.mask.counts] for region in shown.regions]
        depth = request.depth_image and hashlib.sha256(request.depth_image.encode()).hexdigest()
        parts = [self.identity, file_digest(shown.image), regions, shown.request, request.text, request.reference, depth]
        return hashlib.sha256(records.dumps(parts).encode()).hexdigest()
