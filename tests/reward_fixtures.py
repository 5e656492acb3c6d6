"""A scene and questions for the rewards' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from builders import measured_balls
from judging import Endpoint
from spatialreasoner.core.types import Question
from spatialreasoner.rewards.known import Known


@pytest.fixture(scope="session")
def known() -> Known:
    return Known(measured_balls())


@pytest.fixture
def question() -> Question:
    return Question(
        id="q",
        scene_id="balls",
        category="left_predicate",
        text="Is <region1> to the left of <region2>?",
        region_ids=("region1", "region2"),
        answer="Yes, <region1> is to the left of <region2>.",
    )


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-test")
    found = Endpoint()
    yield found
    found.server.shutdown()
    found.server.server_close()
