import json
from dataclasses import replace
from random import Random

import pytest

from builders import build_scene, measured_balls
from spatialreasoner.core import records
from spatialreasoner.core.errors import BusyError, ConfigError, EndpointError
from spatialreasoner.core.protocols import Grade, GradeRequest
from spatialreasoner.core.types import METRES_PER, RewardBreakdown, Trajectory
from spatialreasoner.inference.budget import Price
from spatialreasoner.inference.endpoint import Limits
from spatialreasoner.language import quantities
from spatialreasoner.questions.files import prompt
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.search.m3cts import SearchConfig
from spatialreasoner.search.run import RunConfig, forecast, run_search
from spatialreasoner.search.tree import from_json
from spatialreasoner.teachers import scripted

FILES = ("trajectories.jsonl", "trees.jsonl", "summary.json", "config.json")


class ConclusionReward:
    """Right is what the benchmark calls right; a wrong conclusion is pruned, every other step is fair."""

    async def rate(self, question, prefix, step):
        if "In Conclusion" not in step:
            return {"spatial": 0.2}
        return {"spatial": 1.0 if self.succeeds(question, prefix + step) else -1.0}

    async def score(self, question, text):
        score = 4.0 if self.succeeds(question, text) else 1.0
        return RewardBreakdown(visual=4.0, spatial_description=2.0, spatial_reasoning=score, logical=score)

    def succeeds(self, question, text):
        conclusion = text.rpartition("### In Conclusion\n")[2]
        if question.value is None:
            return conclusion.split()[0].strip(",.") in question.answer or None
        found = quantities.find_quantities(conclusion)
        true = question.value * METRES_PER.get(question.unit, 1)
        return bool(found) and 0.75 * true <= found[-1].value <= 1.25 * true


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    scene = build_scene(tmp_path_factory.mktemp("scenes"))
    scenes = {scene.id: scene}
    policies = [scripted(name, scenes) for name in ("careful", "shallow", "habitual")]
    return {"questions": ask_about(measured_balls(), Random(1), 12), "scenes": scenes, "policies": policies}


@pytest.fixture
def job(world, tmp_path):
    """All that `run_search` needs: 12 questions, three teachers."""
    inputs = {"questions": "questions.jsonl", "scenes": "scenes"}
    return {**world, "reward": ConclusionReward(), "config": RunConfig(), "inputs": inputs, "out": tmp_path / "out"}


def files(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


def test_a_run_end_to_end(job):
    seen = []
    result = run_search(**job, progress=lambda progress: seen.append(progress.finished))
    assert (result.unfinished, result.stopped) == ({}, None)
    assert seen[-1] == 12
    trajectories = list(records.read_jsonl(job["out"] / "trajectories.jsonl", Trajectory))
    for question in job["questions"]:
        rows = [t for t in trajectories if t.question_id == question.id]
        assert [t.index for t in rows] == list(range(len(rows)))
        assert len(rows) >= 8
        assert len({t.text for t in rows}) == len(rows)
        assert sum(t.origin == "sample" for t in rows) >= 6
    trees = [from_json(json.loads(line)) for line in (job["out"] / "trees.jsonl").read_text().splitlines()]
    assert [tree.question_id for tree in trees] == [question.id for question in job["questions"]]
    found = sum(tree.outcome == "found" for tree in trees)
    assert result.summary["found"] == found >= 6
    assert result.summary == json.loads((job["out"] / "summary.json").read_text())
    assert json.loads((job["out"] / "config.json").read_text())["config"]["inputs"] == job["inputs"]


def test_the_same_command_again_asks_nothing_and_writes_the_same(job):
    run_search(**job)
    first = files(job["out"])
    again = run_search(**job)
    assert files(job["out"]) == first
    assert set(json.loads((job["out"] / "timing.json").read_text())["requests"].values()) == {0}
    assert again.summary["questions"] == 12


def test_other_settings_in_the_same_folder_reuse_what_replies_they_can(job):
    run_search(**job)
    run_search(**{**job, "config": RunConfig(samples_per_policy=2, search=SearchConfig(exploration=0.1))})
    timing = json.loads((job["out"] / "timing.json").read_text())
    summary = json.loads((job["out"] / "summary.json").read_text())
    assert sum(timing["requests"].values()) < summary["calls"] / 2


def test_a_call_budget_is_kept_to_the_call_and_a_larger_one_goes_on(job, tmp_path):
    limited = run_search(**{**job, "config": RunConfig(max_calls=50, trees_in_flight=3)})
    assert "max_calls" in limited.stopped
    assert sum(json.loads((job["out"] / "timing.json").read_text())["requests"].values()) == 50
    assert 0 < limited.summary["questions"] < 12
    run_search(**{**job, "config": RunConfig()})
    resumed = files(job["out"])
    run_search(**{**job, "out": tmp_path / "unbroken"})
    assert resumed == files(tmp_path / "unbroken")


@pytest.mark.parametrize("limit", [{"max_tokens": 30_000}, {"max_cost": 0.1}])
def test_token_and_cost_budgets_are_never_exceeded(job, limit):
    prices = {p.name: Limits(max_tokens=1000, price=Price(prompt=1, completion=4)) for p in job["policies"]}
    result = run_search(**{**job, "config": RunConfig(limits=prices, trees_in_flight=2, **limit)})
    assert result.stopped is not None
    assert result.summary["tokens"] <= limit.get("max_tokens", 10**9)
    assert 0 < result.summary["cost"] <= limit.get("max_cost", 10**9)


class Flaky:
    """A teacher behind a bad line: every other request fails, as the error says."""

    def __init__(self, teacher, error, every=2):
        self.teacher, self.error, self.every, self.asked = teacher, error, every, 0
        self.name, self.identity = teacher.name, teacher.identity

    async def complete(self, prompt, *, n, seed):
        self.asked += 1
        if self.asked % self.every == 0:
            raise self.error
        return await self.teacher.complete(prompt, n=n, seed=seed)


def test_failures_that_pass_change_nothing_but_the_number_of_requests(job, tmp_path):
    run_search(**job)
    busy = BusyError("too many requests", kind="rate limit", retry_after=0.001)
    flaky = [Flaky(teacher, busy) for teacher in job["policies"]]
    limits = {teacher.name: Limits(attempts=20) for teacher in flaky}
    run_search(**{**job, "policies": flaky, "config": RunConfig(limits=limits), "out": tmp_path / "flaky"})
    for name in FILES[:3]:
        assert (tmp_path / "flaky" / name).read_bytes() == (job["out"] / name).read_bytes()
    timing = json.loads((tmp_path / "flaky" / "timing.json").read_text())
    assert all(failed["rate limit"] > 10 for failed in timing["failures"].values())


def test_a_policy_that_cannot_be_used_is_stopped_at_once_and_the_others_go_on(job):
    dead = Flaky(job["policies"][0], EndpointError("the key is refused; set OPENAI_API_KEY"), every=1)
    result = run_search(**{**job, "policies": [dead, *job["policies"][1:]]})
    timing = json.loads((job["out"] / "timing.json").read_text())
    assert result.unfinished == {}
    assert "OPENAI_API_KEY" in timing["stopped_endpoints"][dead.name]
    assert dead.asked <= Limits().concurrency
    assert result.summary["by_policy"][dead.name]["failures"]["unavailable"] > 12


def test_a_policy_that_keeps_failing_opens_the_circuit_breaker(job):
    hung = Flaky(job["policies"][0], BusyError("no route", kind="connection", retry_after=0), every=1)
    limits = {hung.name: Limits(attempts=2, failure_threshold=3, concurrency=1)}
    run_search(**{**job, "policies": [hung, *job["policies"][1:]], "config": RunConfig(limits=limits)})
    timing = json.loads((job["out"] / "timing.json").read_text())
    assert "circuit breaker" in timing["stopped_endpoints"][hung.name]
    assert hung.asked <= 12 * 3 + 3  # what was under way when the third request failed for good


def test_without_any_usable_policy_every_question_says_why(job):
    dead = Flaky(job["policies"][0], EndpointError("no credit"), every=1)
    result = run_search(**{**job, "policies": [dead]})
    assert len(result.unfinished) == 12
    assert "no credit" in next(iter(result.unfinished.values()))
    assert result.summary["questions"] == 0


def test_a_forecast_bounds_what_a_run_takes(job):
    limits = {p.name: Limits(max_tokens=2000, price=Price(prompt=1, completion=4)) for p in job["policies"]}
    config = RunConfig(limits=limits)
    ahead = forecast(12, list(limits), config)
    result = run_search(**{**job, "config": config})
    assert ahead.least_calls == 12 * (3 + 6)
    assert ahead.most_calls == 12 * (20 + 6 + 16)
    assert ahead.most_cost == 12 * (20 + 6 + 16) * 2000 * 4 / 1e6
    assert ahead.least_calls <= result.summary["calls"] <= ahead.most_calls
    assert result.summary["tokens"] <= ahead.most_tokens
    assert result.summary["cost"] <= ahead.most_cost


def test_names_must_differ_and_limits_must_be_used(job):
    with pytest.raises(ConfigError, match="different names"):
        run_search(**{**job, "policies": job["policies"][:1] * 2})
    with pytest.raises(ConfigError, match="nobody"):
        run_search(**{**job, "config": RunConfig(limits={"nobody": Limits()})})
    with pytest.raises(ConfigError, match="max_calls"):
        run_search(**{**job, "config": RunConfig(max_calls=0)})


def test_a_question_whose_image_is_gone_is_given_up_and_the_others_are_done(job, tmp_path):
    gone = {name: replace(scene, id="gone", image=str(tmp_path / "gone.png")) for name, scene in job["scenes"].items()}
    scenes = {**job["scenes"], "gone": gone["balls"]}
    questions = [*job["questions"][:3], replace(job["questions"][3], scene_id="gone")]
    result = run_search(**{**job, "scenes": scenes, "questions": questions})
    assert list(result.unfinished) == [questions[3].id]
    assert "gone.png" in result.unfinished[questions[3].id]
    assert result.summary["questions"] == 3


class Judged(ConclusionReward):
    """Scores by what a judge says."""

    def __init__(self, judge, scenes):
        self.judge, self.scenes = judge, scenes

    async def score(self, question, text):
        shown = prompt(question, self.scenes[question.scene_id])
        grade = await self.judge.grade(GradeRequest(prompt=shown, text=text))
        return RewardBreakdown(visual=grade.scores.get("fair"), spatial_description=2.0, spatial_reasoning=1.0, logical=1.0)


class Grader:
    """A judge who may be away."""

    name = "j"

    def __init__(self, *, away):
        self.away, self.asked = away, 0

    async def grade(self, request):
        self.asked += 1
        if self.away:
            raise EndpointError("the key was refused")
        return Grade(scores={"fair": 4.0})


def test_trees_that_lacked_a_judge_are_told_and_grown_again_by_the_same_command(job):
    def run(judge, out):
        reward = lambda judges: Judged(judges["j"], job["scenes"])  # noqa: E731
        return run_search(**{**job, "reward": reward, "out": out}, judges={"j": judge})

    broken = run(Grader(away=True), job["out"])
    assert broken.missing["judge j"] > 0
    assert any("judge j was away" in line and "key was refused" in line for line in broken.lines(100))
    judge = Grader(away=False)
    whole = run(judge, job["out"])
    assert (whole.missing, whole.away) == ({}, {})
    assert judge.asked > 0
    run(Grader(away=False), job["out"].with_name("healthy"))
    assert files(job["out"]) == files(job["out"].with_name("healthy"))
