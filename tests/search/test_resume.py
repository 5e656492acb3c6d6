"""Kill -9 at random moments: what was on disk is never asked again, and the end is the same to the byte."""

import asyncio
import os
import signal
import sqlite3
import time
from random import Random

import pytest

from builders import build_scene, measured_balls
from children import begin
from spatialreasoner.core.types import RewardBreakdown
from spatialreasoner.inference.endpoint import Limits, reply_key
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.search.run import RunConfig, run_search
from spatialreasoner.teachers import scripted

FILES = ("trajectories.jsonl", "trees.jsonl", "summary.json", "config.json")
KILLS = 20


class LengthReward:
    """Rates by nothing but the text, so that trees branch: a step of an odd number of characters is poor."""

    async def rate(self, question, prefix, step):
        return {"spatial": 0.5 if len(step) % 3 else -0.5}

    async def score(self, question, text):
        return RewardBreakdown(visual=1.0, spatial_description=1.0, spatial_reasoning=1.0, logical=len(text) % 5 / 2)

    def succeeds(self, question, text):
        return len(text) % 4 == 0


class Logged:
    """A teacher that takes its time and notes every request in a file before it answers."""

    def __init__(self, teacher, log, seconds):
        self.teacher, self.log, self.seconds = teacher, log, seconds
        self.name, self.identity = teacher.name, teacher.identity

    async def complete(self, prompt, *, n, seed):
        with self.log.open("a") as file:
            file.write(reply_key(self.identity, prompt, n=n, seed=seed) + "\n")
        await asyncio.sleep(self.seconds * (seed % 100) / 50)
        return await self.teacher.complete(prompt, n=n, seed=seed)


@pytest.fixture
def job(tmp_path):
    scene = build_scene(tmp_path / "scenes")
    scenes = {scene.id: scene}
    teachers = [scripted(name, scenes) for name in ("careful", "vague")]
    policies = [Logged(teacher, tmp_path / "requests.log", 0.0) for teacher in teachers]
    limits = {policy.name: Limits(concurrency=2) for policy in policies}
    return {
        "questions": ask_about(measured_balls(), Random(1), 10),
        "scenes": scenes,
        "policies": policies,
        "reward": LengthReward(),
        "config": RunConfig(limits=limits, trees_in_flight=4),
        "inputs": {},
    }


def start(job, out):
    """The run in a child process."""
    return begin(lambda: run_search(**job, out=out))


def wait_for_requests(log, child):
    """Until the child has asked something new, or is done."""
    deadline = time.monotonic() + 5
    while not log.read_text() and time.monotonic() < deadline:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return
        time.sleep(0.005)


def committed(journal):
    """The keys of the replies on disk; none where the process was killed before there was a table."""
    connection = sqlite3.connect(journal)
    try:
        return {key for (key,) in connection.execute("SELECT key FROM replies")}
    except sqlite3.OperationalError:
        return set()
    finally:
        connection.close()


def test_sigkill_at_any_moment_loses_nothing_and_pays_nothing_twice(job, tmp_path):
    run_search(**job, out=tmp_path / "unbroken")
    log, out, rng = tmp_path / "requests.log", tmp_path / "killed", Random(4)
    unbroken = log.read_text().split()
    for policy in job["policies"]:
        policy.seconds = 0.03
    on_disk, sent, interrupted = set(), 0, 0
    for kill in range(KILLS):
        log.write_text("")
        child = start(job, out)
        if kill % 4:  # every fourth is killed while it starts
            wait_for_requests(log, child)
        time.sleep(rng.uniform(0.0, 0.1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        asked = log.read_text().split()
        assert on_disk.isdisjoint(asked)
        sent += len(asked)
        interrupted += bool(asked)
        on_disk = committed(out / "journal.sqlite") if (out / "journal.sqlite").exists() else on_disk
    log.write_text("")
    for policy in job["policies"]:
        policy.seconds = 0.0
    assert os.waitpid(start(job, out), 0)[1] == 0
    asked = log.read_text().split()
    assert on_disk.isdisjoint(asked)
    assert committed(out / "journal.sqlite") == set(unbroken)
    in_flight = sum(limits.concurrency for limits in job["config"].limits.values())
    assert sent + len(asked) <= len(unbroken) + KILLS * in_flight * 2  # in flight, or answered and not yet on disk
    assert interrupted > KILLS / 4
    for name in FILES:
        assert (out / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes(), name
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in (tmp_path / "unbroken").iterdir())


def test_an_interrupt_ends_the_run_at_once_and_in_order(job, tmp_path):
    for policy in job["policies"]:
        policy.seconds = 60.0
    (tmp_path / "requests.log").write_text("")
    child = start(job, tmp_path / "out")
    wait_for_requests(tmp_path / "requests.log", child)
    began = time.monotonic()
    os.kill(child, signal.SIGINT)
    while time.monotonic() - began < 40 and (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        time.sleep(0.01)
    if ended == (0, 0):
        os.kill(child, signal.SIGKILL)
    assert ended[0] == child
    assert ended[1] != 0


def test_torn_rows_are_asked_again(job, tmp_path):
    run_search(**job, out=tmp_path / "out")
    expected = (tmp_path / "out" / "trajectories.jsonl").read_bytes()
    connection = sqlite3.connect(tmp_path / "out" / "journal.sqlite")
    connection.execute("UPDATE questions SET value = substr(value, 1, 400)")
    connection.execute("UPDATE replies SET value = substr(value, 1, 40) WHERE rowid % 3 = 0")
    connection.execute("UPDATE replies SET value = '[{\"text\": 3}]' WHERE rowid % 3 = 1")
    connection.commit()
    connection.close()
    (tmp_path / "requests.log").write_text("")
    run_search(**job, out=tmp_path / "out")
    assert (tmp_path / "out" / "trajectories.jsonl").read_bytes() == expected
    asked, total = (tmp_path / "requests.log").read_text().split(), len(committed(tmp_path / "out" / "journal.sqlite"))
    assert abs(len(asked) - total * 2 / 3) <= 1


def test_two_processes_never_share_a_folder(job, tmp_path):
    for policy in job["policies"]:
        policy.seconds = 0.1
    child = start(job, tmp_path / "out")
    while not (tmp_path / "out" / "journal.sqlite").exists():
        time.sleep(0.01)
    time.sleep(0.05)
    with pytest.raises(Exception, match="another process works in"):
        run_search(**job, out=tmp_path / "out")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
