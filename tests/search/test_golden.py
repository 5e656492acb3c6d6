"""Whole searches with recorded replies and ratings, replayed through the public API and compared with the recorded trees.

A case holds the settings, what each policy wrote each time it was asked, and how each step is rated, by its text. To record a
case again after a change that is meant to change trees: `python tests/search/test_golden.py`.
"""

import asyncio
import json
from pathlib import Path

import pytest

from spatialreasoner.core.types import Completion, Prompt, Question, RewardBreakdown
from spatialreasoner.search.m3cts import SearchConfig, search
from spatialreasoner.search.tree import from_json, tree_to_json

CASES = sorted((Path(__file__).parents[1] / "data" / "trees").glob("*.json"))


class Recorded:
    """Writes what was recorded, in its order, and nothing after that."""

    def __init__(self, name, replies):
        self.name, self.replies = name, iter(replies)

    async def complete(self, prompt, *, n, seed):
        return [Completion(text=next(self.replies, ""), prompt_tokens=100, completion_tokens=10) for _ in range(n)]


class Ratings:
    """Rates a step by the first recorded phrase that it holds; right is what says so."""

    def __init__(self, ratings, right):
        self.ratings, self.right = ratings, right

    async def rate(self, question, prefix, step):
        return next((ratings for phrase, ratings in self.ratings.items() if phrase in step), {})

    async def score(self, question, text):
        return RewardBreakdown(visual=None, spatial_description=None, spatial_reasoning=None, logical=None)

    def succeeds(self, question, text):
        return self.right in text


def replay(case):
    question = Question(
        id=case["question"], scene_id="s", category="width_data", text="How wide?", region_ids=("region1",), answer="2 m"
    )
    policies = [Recorded(name, replies) for name, replies in case["replies"].items()]
    reward, config = Ratings(case["ratings"], case["right"]), SearchConfig(**case["config"])
    shown = Prompt(image="none.png", regions=(), request=question.text)
    return json.loads(json.dumps(tree_to_json(asyncio.run(search(question, shown, policies, reward, config)))))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_recorded_search_grows_the_recorded_tree(path):
    case = json.loads(path.read_text())
    grown = replay(case)
    assert grown == case["tree"]
    assert json.loads(json.dumps(tree_to_json(from_json(grown)))) == grown


def test_there_are_recorded_searches():
    assert len(CASES) >= 4


if __name__ == "__main__":
    for case_path in CASES:
        recorded = json.loads(case_path.read_text())
        case_path.write_text(json.dumps({**recorded, "tree": replay(recorded)}, indent=1) + "\n")
