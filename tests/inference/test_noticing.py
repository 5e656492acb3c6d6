"""What servers do without a word is noticed: equal replies, ignored seeds, fewer choices than asked for."""

import asyncio

import pytest
from PIL import Image

from inference.server.server import Server, completion
from spatialreasoner.core.types import Prompt
from spatialreasoner.inference.backends.api import ApiConfig, ApiPolicy


@pytest.fixture
def ask(tmp_path):
    """Ask a server for replies to seeds 0, 1, 2, ...; what was noticed, and the requests."""
    Image.new("RGB", (8, 8)).save(tmp_path / "image.png")
    servers = []

    async def asked(policy, n, seeds):
        try:
            for seed in range(seeds):
                for _ in range(1 if policy.most_choices is None else n):
                    await policy.complete(
                        Prompt(image=str(tmp_path / "image.png"), regions=(), request="How wide?"),
                        n=1 if policy.most_choices else n, seed=seed,
                    )  # fmt: skip
        finally:
            await policy.aclose()

    def call(respond, *, n=1, seeds=6, temperature=0.9):
        servers.append(Server(respond).start())
        policy = ApiPolicy(f"api:m@{servers[-1].url}", ApiConfig(temperature=temperature))
        asyncio.run(asked(policy, n, seeds))
        return list(policy.noticing.lines("m")), servers[-1].asks

    yield call
    for server in servers:
        server.stop()


def seeded(ask):
    return completion(ask, f"{ask.rest()} {ask.body['seed']}")


def test_a_server_that_ignores_the_seed_is_told(ask):
    (line,), _ = ask(completion)
    assert "ignores seed and temperature" in line


def test_a_server_that_samples_is_not(ask):
    assert ask(seeded)[0] == []
    assert ask(completion, temperature=0.0)[0] == []  # equal replies are what was asked for


def test_equal_choices_of_one_request_are_told(ask):
    (line,), _ = ask(completion, n=3, seeds=1)
    assert "the replies to one request were all equal" in line


def test_where_one_choice_comes_for_three_they_are_asked_for_one_by_one(ask):
    lines, asks = ask(lambda asked: completion(asked, choices=1), n=3, seeds=3)
    assert "fewer replies than one request asks for" in lines[0]
    assert sum(asked.body.get("n", 1) > 1 for asked in asks) == 1
