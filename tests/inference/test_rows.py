"""Answers of a model that writes each at its own pace are handed to the event loop in bundles, and none is held back."""

import asyncio
from collections import deque
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from spatialreasoner.core.errors import EndpointError
from spatialreasoner.core.types import Completion
from spatialreasoner.inference.backends import rows
from spatialreasoner.inference.backends.rows import RowWriting
from spatialreasoner.vlm.writing import Manner, WantedAnswer, Written

HOW = Manner(temperature=0.0, most=1)


class Writer:
    """Writes `at_once` answers at a time, in their order."""

    def __init__(self, at_once, seen=lambda: None):
        self.at_once, self.seen = at_once, seen

    @contextmanager
    def lent(self):
        yield self

    def write(self, take, how):
        begun = list(take(self.at_once))
        while begun:
            self.seen()
            yield Written(wanted=begun.pop(0), ids=[1])
            begun += take(self.at_once - len(begun))


def told(count, writer, completion=lambda written: Completion(text=str(written.wanted.seed))):
    """The answers or errors of so many calls, and of how many the event loop was told each time."""
    times = []

    async def go():
        loop = asyncio.get_running_loop()
        waiting = deque((WantedAnswer(ids=[1], image=None, seed=seed), loop.create_future()) for seed in range(count))
        answers = [answer for _, answer in waiting]
        heard = SimpleNamespace(call_soon_threadsafe=lambda call, results: (times.append(len(results)), call(results)))
        writing = RowWriting(writer, completion, lambda error: EndpointError(str(error)))
        await asyncio.to_thread(writing.write, waiting, lambda: 1, heard, HOW)
        return await asyncio.wait_for(asyncio.gather(*answers, return_exceptions=True), 5)

    return asyncio.run(go()), times


def test_answers_are_handed_on_in_bundles_while_others_wait_and_at_once_where_none_does(monkeypatch):
    monkeypatch.setattr(rows, "_LATEST", 60.0)
    answers, times = told(40, Writer(3))
    assert [each.text for each in answers] == list(map(str, range(40)))
    assert times == [16, 16, 5, 1, 1, 1]  # the last three were begun when nothing waited any more


def test_no_answer_waits_long(monkeypatch):
    monkeypatch.setattr(rows, "_LATEST", 0.0)
    assert told(9, Writer(3))[1] == [1] * 9


def test_an_answer_that_cannot_be_read_fails_all_who_wait_for_this_writer():
    def completion(written):
        if written.wanted.seed == 2:
            raise ValueError("no text")
        return Completion(text=str(written.wanted.seed))

    answers, _ = told(5, Writer(5), completion)
    assert [each.text for each in answers[:2]] == ["0", "1"]
    assert [str(each) for each in answers[2:]] == ["no text"] * 3


@pytest.mark.parametrize("kind", [RuntimeError, OSError])
def test_a_writer_that_fails_leaves_nobody_waiting_whom_it_had_begun(kind):
    turns = iter(range(9))

    def fail():
        if next(turns) == 1:
            raise kind("broken")

    first, *others = told(3, Writer(3, fail))[0]
    assert first.text == "0"
    assert [str(each) for each in others] == ["broken"] * 2
