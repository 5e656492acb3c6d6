"""The search on a local Ray cluster of two workers. Needs Ray; without it only the dealing is tested."""

import json
import os
import signal
import sys
from dataclasses import replace
from random import Random
from types import SimpleNamespace

import pytest

from builders import build_scene
from judging import Endpoint
from spatialreasoner.core.errors import ConfigError, WorkError
from spatialreasoner.inference.endpoint import Limits
from spatialreasoner.inference.registry import WritingConfig
from spatialreasoner.pipeline.inputs import succeeds
from spatialreasoner.pipeline.workforce import Workforce, judge_limits
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.rewards import GeometricReward
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.search.cluster import deal, run_cluster
from spatialreasoner.search.run import RunConfig, forecast, run_search
from spatialreasoner.teachers import scripted

FILES = ("trajectories.jsonl", "trees.jsonl", "summary.json", "config.json")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folders = [tmp_path_factory.mktemp("scenes") for _ in range(3)]
    scenes = {name: build_scene(folder, name=name) for name, folder in zip("xyz", folders, strict=True)}
    return scenes, [question for scene in scenes.values() for question in ask_about(Measured(scene), Random(1), 4)]


def test_dealing_keeps_scenes_together_and_divides_limits(world, tmp_path):
    scenes, questions = world
    judging = {"j": Limits(concurrency=8)}
    config = RunConfig(limits={"a": Limits(concurrency=7, per_minute=60)}, judge_limits=judging, max_calls=101, max_cost=3.0)
    shards = deal(questions, scenes, config, tmp_path, 2)
    assert [sorted(shard.scenes) for shard in shards] == [["x", "z"], ["y"]]
    assert sorted(q.id for shard in shards for q in shard.questions) == sorted(q.id for q in questions)
    share = shards[0].config
    assert (share.limits["a"].concurrency, share.limits["a"].per_minute) == (3, 30)
    assert share.judge_limits["j"].concurrency == 4
    assert (share.max_calls, share.max_tokens, share.max_cost) == (50, None, 1.5)
    with pytest.raises(ConfigError, match="at least 1 per shard"):
        deal(questions, scenes, config, tmp_path, 8)
    with pytest.raises(ConfigError, match="at least 1; got 0"):
        deal(questions, scenes, config, tmp_path, 0)


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_two_workers_one_of_which_dies_write_what_one_process_writes(world, tmp_path):
    pytest.importorskip("ray", reason="the search on a cluster needs Ray")
    scenes, questions = world
    died = tmp_path / "died"

    class Mortal:
        """A teacher whose process is killed once, at its tenth request."""

        def __init__(self, teacher, path):
            self.teacher, self.died, self.asked = teacher, path, 0
            self.name, self.identity = teacher.name, teacher.identity

        async def complete(self, prompt, *, n, seed):
            self.asked += 1
            if self.asked == 10 and self.died is not None and not self.died.exists():
                self.died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return await self.teacher.complete(prompt, n=n, seed=seed)

    def workforce(path=died):
        teachers = [scripted(name, scenes) for name in ("careful", "shallow")]
        return [Mortal(teacher, path) for teacher in teachers], GeometricReward(scenes, succeeds=succeeds)

    policies, reward = workforce(None)
    common = {"questions": questions, "scenes": scenes, "config": RunConfig(), "inputs": {}}
    run_search(**common, policies=policies, reward=reward, out=tmp_path / "one")
    seen = []
    result = run_cluster(**common, workforce=workforce, out=tmp_path / "two", num_shards=2, progress=seen.append)
    assert died.exists()
    assert (result.unfinished, result.stopped) == ({}, None)
    assert seen[-1] == len(questions)
    for name in FILES:
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes(), name


def test_no_questions_come_to_what_they_come_to_in_one_process(world, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())  # has no use
    scenes, _ = world

    def workforce():
        return [scripted("careful", scenes)], GeometricReward(scenes, succeeds=succeeds)

    common = {"questions": [], "scenes": scenes, "config": RunConfig(), "inputs": {}}
    policies, reward = workforce()
    one = run_search(**common, policies=policies, reward=reward, out=tmp_path / "one")
    two = run_cluster(**common, workforce=workforce, out=tmp_path / "two", num_shards=2)
    assert (two.summary, two.unfinished, two.stopped) == (one.summary, {}, None)
    for name in FILES:
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes(), name


@pytest.fixture
def judge():
    found = Endpoint()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_judges_of_two_workers_keep_to_the_journal_the_budget_and_the_forecast(judge, tmp_path):
    """Stopped by the budget and continued, two workers send what one process sends, and none of it twice."""
    pytest.importorskip("ray", reason="the search on a cluster needs Ray")
    measured = {name: build_scene(tmp_path / name, name=name) for name in "xyz"}
    questions = [question for scene in measured.values() for question in ask_about(Measured(scene), Random(1), 3)]
    scenes = {name: replace(scene, depth=None) for name, scene in measured.items()}
    workforce = Workforce(policies=("scripted:careful",), judges=(judge.name,), scenes=scenes, writing=WritingConfig())
    policies, reward, judges = workforce()
    common = {"questions": questions, "scenes": scenes, "inputs": {}}
    run_search(**common, policies=policies, reward=reward, judges=judges, config=RunConfig(), out=tmp_path / "one")
    alone = sorted(map(json.dumps, judge.requests))
    assert len(alone) == len(set(alone)) >= len(questions) == 9

    total = sum(json.loads((tmp_path / "one" / "timing.json").read_text())["requests"].values()) + len(alone)
    judge.requests.clear()
    on_two = {**common, "workforce": workforce, "out": tmp_path / "two", "num_shards": 2}
    stopped = run_cluster(**on_two, config=RunConfig(max_calls=total * 2 // 3))
    assert "max_calls" in stopped.stopped
    first = len(judge.requests)
    assert 0 < first < len(alone)
    result = run_cluster(**on_two, config=RunConfig())
    assert (result.stopped, result.unfinished) == (None, {})
    assert sorted(map(json.dumps, judge.requests)) == alone
    shards = json.loads((tmp_path / "two" / "timing.json").read_text())["shards"]
    assert sum(sent["requests"] for shard in shards for sent in shard["judges"].values()) == len(alone) - first
    most = forecast(len(questions), ["scripted:careful"], RunConfig(), [judge_limits(judge.name)]).most_calls
    assert sum(sum(shard["requests"].values()) for shard in shards) + len(alone) <= most
    for name in FILES:
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("address", "what"),
    [(None, "did not start on this machine"), ("10.0.0.1:6379", "no Ray cluster answered at 10.0.0.1:6379")],
)
def test_a_cluster_that_does_not_come_is_said_in_a_sentence(world, tmp_path, monkeypatch, address, what):
    def init(**_):
        raise Exception("timed out during startup")  # as Ray does

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    scenes, questions = world
    common = {"questions": questions, "scenes": scenes, "config": RunConfig(), "inputs": {}}

    def workforce():
        return [scripted("careful", scenes)], GeometricReward(scenes, succeeds=succeeds)

    with pytest.raises(WorkError, match=f"{what}: timed out"):
        run_cluster(**common, workforce=workforce, out=tmp_path, num_shards=1, address=address)
