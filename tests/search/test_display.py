import asyncio
import contextlib
import io
import os
import pty

import pytest

from spatialreasoner.core.errors import EndpointError
from spatialreasoner.core.types import Prompt
from spatialreasoner.inference.budget import Budget, Price
from spatialreasoner.inference.endpoint import Endpoint, Limits
from spatialreasoner.inference.journal import Journal
from spatialreasoner.search.display import display
from spatialreasoner.search.run import Progress


class Refusing:
    name = "api:[m]@http://x"

    async def complete(self, prompt, *, n, seed):
        raise EndpointError("the key is refused")


@pytest.fixture
def progress(tmp_path):
    async def refused(journal):
        made = Endpoint(Refusing(), journal=journal, budget=budget, limits=Limits(price=Price(completion=1)))
        with pytest.raises(EndpointError):
            await made.complete(Prompt(image="", regions=(), request="?"), n=1, seed=0)
        return made

    budget = Budget(max_calls=500, calls=122, tokens=4567, cost=0.5)
    with Journal(tmp_path / "journal.sqlite") as journal:
        made = asyncio.run(refused(journal))
        made.failures["rate limit"] = 7
        yield Progress(
            questions=10, finished=4, found=3, trajectories=32, right=20, budget=budget, endpoints=[made], unfinished={}
        )


def test_plain_lines_are_few_and_the_last_one_is_there(progress):
    stream = io.StringIO()
    with display(stream, seconds=100) as show:
        for finished in (4, 5, 10):
            progress.finished = finished
            show(progress)
    lines = stream.getvalue().splitlines()
    assert [line.split(" · ")[0] for line in lines] == ["search 4/10", "search 10/10"]
    assert "found 3 (75%) · 32 trajectories, 20 right · 123 of 500 calls · 4,567 tokens" in lines[0]
    assert "cost 0.5000, 0.0250 per correct trajectory" in lines[0]


def read_all(descriptor):
    pieces = []
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(descriptor, 65_536):
            pieces.append(piece)
    return b"".join(pieces).decode()


def test_a_terminal_shows_every_policy_with_what_stopped_it(progress):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        os.set_blocking(ours, False)
        with display(terminal) as show:
            show(progress)
        terminal.flush()
        shown = read_all(ours)
    os.close(ours)
    for words in ("api:[m]@http://x", "7 rate limit", "the key is refused", "search 4/10"):
        assert words in shown
