import asyncio
import json
from random import Random

import pytest

from builders import build_scene, measured_balls
from spatialreasoner.core.errors import PromptError
from spatialreasoner.core.protocols import Grade, GradeRequest
from spatialreasoner.core.types import RewardBreakdown
from spatialreasoner.inference.budget import Budget, BudgetError, Price
from spatialreasoner.inference.endpoint import Limits
from spatialreasoner.inference.journal import Journal, Spent
from spatialreasoner.judges.journalled import JournalledJudge
from spatialreasoner.questions.files import prompt
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.search.run import RunConfig, forecast, run_search
from spatialreasoner.teachers import scripted


class Counting:
    """Grades by the length of the text, and fails on every tenth answer."""

    name = "counting"

    def __init__(self):
        self.asked = 0

    async def grade(self, request):
        self.asked += 1
        await asyncio.sleep(0)
        if len(request.text) % 10 == 0:
            return Grade(failure="the judge refused")
        return Grade(scores={"visual": len(request.text) % 7 / 7}, reasons={"visual": "so it is"})


class Judged:
    """A reward that leaves the visual part to a judge."""

    def __init__(self, judge, shown):
        self.judge, self.shown = judge, shown

    async def rate(self, question, prefix, step):
        return {"spatial": 0.5}

    async def score(self, question, text):
        grade = await self.judge.grade(GradeRequest(prompt=self.shown[question.id], text=text))
        visual = None if grade.failure else grade.scores["visual"]
        return RewardBreakdown(visual=visual, spatial_description=1.0, spatial_reasoning=1.0, logical=1.0)

    def succeeds(self, question, text):
        return True


@pytest.fixture
def job(tmp_path):
    scene = build_scene(tmp_path / "scenes")
    questions = ask_about(measured_balls(), Random(1), 6)
    shown = {question.id: prompt(question, scene) for question in questions}
    return {
        "questions": questions,
        "scenes": {scene.id: scene},
        "policies": [scripted("careful", {scene.id: scene})],
        "reward": lambda judges: Judged(judges["counting"], shown),
        "judges": {"counting": Counting()},
        "config": RunConfig(),
        "inputs": {},
        "out": tmp_path / "out",
    }


def test_no_grade_is_paid_for_twice(job):
    job["config"] = RunConfig(max_calls=70)
    stopped = run_search(**job)
    judge = job["judges"]["counting"]
    first = judge.asked
    assert "max_calls" in stopped.stopped
    assert first > 8
    job["config"] = RunConfig()
    result = run_search(**job)
    timing = json.loads((job["out"] / "timing.json").read_text())["judges"]["judge counting"]
    assert result.stopped is None
    assert timing["failures"]["failed grade"] > 0
    assert timing["requests"] == judge.asked - first
    assert judge.asked <= result.summary["trajectories"] + timing["failures"]["failed grade"]
    asked = judge.asked
    run_search(**job)
    assert judge.asked == asked


def test_a_forecast_counts_the_judge_and_a_run_stays_within_it(job):
    config, judging = job["config"], Limits(max_tokens=1000, price=Price(prompt=1.0, completion=2.0))
    count = len(job["questions"])
    alone, judged = (forecast(count, ["scripted:careful"], config, judges) for judges in ([], [judging]))
    assert judged.most_calls > alone.most_calls
    assert judged.most_cost == pytest.approx((judged.most_calls - alone.most_calls) * judging.price.most(1000))
    run_search(**job)
    timing = json.loads((job["out"] / "timing.json").read_text())
    sent = timing["judges"]["judge counting"]["requests"] + sum(timing["requests"].values())
    assert 0 < timing["judges"]["judge counting"]["requests"] <= judged.most_calls - alone.most_calls
    assert sent <= judged.most_calls


def test_a_judge_s_tokens_count(job, tmp_path):
    class Costly(Counting):
        async def grade(self, request):
            return Grade(scores={"visual": 0.5}, prompt_tokens=900, completion_tokens=100)

    limits = Limits(max_tokens=1500, price=Price(prompt=1.0, completion=2.0))
    shown = next(iter(job["reward"]({"counting": None}).shown.values()))
    budget = Budget(max_tokens=2600)
    with Journal(tmp_path / "journal.sqlite") as journal:
        judge = JournalledJudge(Costly(), journal=journal, budget=budget, limits=limits)
        for text in ("a", "b", "a"):
            asyncio.run(judge.grade(GradeRequest(prompt=shown, text=text)))
        assert (budget.calls, budget.tokens, budget.cost) == (2, 2000, pytest.approx(0.0022))
        with pytest.raises(BudgetError, match="max_tokens"):
            asyncio.run(judge.grade(GradeRequest(prompt=shown, text="c")))
        assert dict(journal.spent())[judge.identity] == Spent(calls=2, prompt_tokens=1800, completion_tokens=200)


class Filtered(Counting):
    """Declines every answer of an even length, as an endpoint's filter does, and fails on every tenth."""

    async def grade(self, request):
        if len(request.text) % 10 and len(request.text) % 2 == 0:
            self.asked += 1
            raise PromptError("counting: content filter (status 400)", kind="content filter")
        return await super().grade(request)


def test_what_a_judge_took_and_why_it_failed_is_in_the_summary_and_told(job):
    """A prompt that was refused is not missing: the same command has nothing to ask for."""
    judge = job["judges"]["counting"] = Filtered()
    result = run_search(**job)
    told = result.summary["by_judge"]["judge counting"]
    assert told["requests"] == judge.asked == told["calls"] + told["failures"]["content filter"]
    assert told["failures"].keys() == {"content filter", "the judge refused"}
    assert result.missing == {}
    lines = [line for line in result.lines(100) if line.startswith("judge counting")]
    assert [line.rpartition(": ")[2] for line in lines] == ["content filter", "the judge refused"]
    assert all(f"of {judge.asked} grades failed" in line for line in lines)
    asked, bytes_before = judge.asked, (job["out"] / "summary.json").read_bytes()
    again = run_search(**job)
    assert (judge.asked, (job["out"] / "summary.json").read_bytes()) == (asked, bytes_before)
    assert not any("same command" in line for line in again.lines(100))


def test_the_cost_of_a_search_holds_its_judges(job):
    class Costly(Counting):
        async def grade(self, request):
            return Grade(scores={"visual": 0.5}, prompt_tokens=900, completion_tokens=100)

    job["judges"] = {"counting": Costly()}
    job["config"] = RunConfig(judge_limits={"counting": Limits(price=Price(prompt=1.0, completion=2.0))})
    summary = run_search(**job).summary
    told = summary["by_judge"]["judge counting"]
    assert told["cost"] == summary["cost"] == pytest.approx(told["calls"] * 0.0011)
    assert summary["calls"] == told["calls"] + sum(policy["calls"] for policy in summary["by_policy"].values())
