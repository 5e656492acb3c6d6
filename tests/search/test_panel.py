import asyncio

import pytest

from spatialreasoner.core.errors import ConfigError, EndpointError
from spatialreasoner.judges.panel import Panel
from spatialreasoner.search.m3cts import SearchConfig, search


class Strict:
    """Finds every step that is rated below 1 bad."""

    async def rate(self, question, prefix, step):
        return {"visual": -1.0, "logical": -1.0} if "doubtful" in step else {"visual": 1.0}


class Broken:
    async def rate(self, question, prefix, step):
        raise EndpointError("no credit")


def test_the_mean_over_evaluators_and_criteria_decides(question, prompt, fixed, reward, make_answer):
    """Mild says 0.5, strict -1 and -1: the mean of the doubtful step is -0.5, and it is pruned."""
    answer = make_answer("A doubtful step.")
    panel = Panel({"mild": reward, "strict": Strict()})
    tree = asyncio.run(search(question, prompt, [fixed("a", answer)], panel, SearchConfig(max_model_rounds=1)))
    *_, step = tree.root.walk()
    assert step.ratings == {"mild: spatial": 0.5, "strict: visual": -1.0, "strict: logical": -1.0}
    assert step.reward == -0.5
    assert "strict: visual -1.00" in step.pruned
    alone = asyncio.run(search(question, prompt, [fixed("a", answer)], reward, SearchConfig(max_model_rounds=1)))
    assert alone.outcome == "found"


def test_an_evaluator_that_fails_is_left_out_and_all_failing_is_an_error(question, reward):
    rated = asyncio.run(Panel({"mild": reward, "broken": Broken()}).rate(question, "", "A step."))
    assert rated == {"mild: spatial": 0.5}
    with pytest.raises(EndpointError, match="no credit"):
        asyncio.run(Panel({"broken": Broken()}).rate(question, "", "A step."))
    with pytest.raises(ConfigError, match="at least one"):
        Panel({})


def test_scores_and_success_are_the_firsts(question, reward):
    panel = Panel({"mild": reward, "strict": Strict()})
    assert panel.succeeds(question, "It is 2 m") is True
    assert asyncio.run(panel.score(question, "It is 2 m")).total == 16.0
