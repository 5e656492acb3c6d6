"""Policies and a reward whose every reply is known, so that searches can be worked out by hand."""

import asyncio

import pytest

from spatialreasoner.core.types import Completion, Prompt, Question, RewardBreakdown
from spatialreasoner.language.responses import steps


def answer(*steps, conclusion="2 m", description="A box."):
    """A LongCoT answer with the given steps, every step on lines of its own."""
    numbered = "".join(f"### Step {number}\n{step}\n" for number, step in enumerate(steps, start=1))
    return (
        f"<description>{description}</description>\n<reasoning>### Rationale\nPlan.\n"
        f"{numbered}</reasoning>\n### In Conclusion\n{conclusion}"
    )


class FixedPolicy:
    """Writes the given answers in turn, each without the steps that the prefix holds already."""

    def __init__(self, name, *answers, delay=0.0):
        self.name = name
        self.answers = answers
        self.delay = delay
        self.prompts = []

    async def complete(self, prompt, *, n, seed):
        self.prompts.append((prompt.prefix, n, seed))
        await asyncio.sleep(self.delay)
        return [self.next(prompt.prefix) for _ in range(n)]

    def next(self, prefix):
        text = self.answers[(len(self.prompts) - 1) % len(self.answers)]
        if isinstance(text, Completion):
            return text
        rest = steps(text)[len(steps(prefix)) :] if prefix else steps(text)
        return Completion(text="".join(step.text for step in rest), prompt_tokens=10, completion_tokens=20)


class WordReward:
    """Rates a step by words in it: "bad" -1, "poor" 0.1, else 0.5; an answer is right if it ends with "2 m"."""

    def __init__(self):
        self.rated = []

    async def rate(self, question, prefix, step):
        self.rated.append(step)
        return {"spatial": -1.0 if "bad" in step else 0.1 if "poor" in step else 0.5}

    async def score(self, question, text):
        score = 0.0 if "bad" in text else 4.0
        return RewardBreakdown(visual=score, spatial_description=score, spatial_reasoning=score, logical=score)

    def succeeds(self, question, text):
        return text.endswith("2 m")


@pytest.fixture
def question():
    return Question(
        id="q1",
        scene_id="s1",
        category="width_data",
        text="How wide is <region1>?",
        region_ids=("region1",),
        answer="2 m",
        value=2.0,
        unit="m",
    )


@pytest.fixture
def prompt(question):
    return Prompt(image="unused.png", regions=(), request=question.text)


@pytest.fixture
def make_answer():
    return answer


@pytest.fixture
def fixed():
    return FixedPolicy


@pytest.fixture
def reward():
    return WordReward()
