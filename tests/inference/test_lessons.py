"""What is made of servers' words: over two hundred refusals, as they are quoted in documentation and reports."""

import json

import pytest

from inference.server.refusals import REFUSALS
from spatialreasoner.inference.capabilities import Capabilities
from spatialreasoner.inference.failures import judge_failure
from spatialreasoner.inference.lessons import learn, suspect
from spatialreasoner.inference.retry_after import retry_after
from spatialreasoner.inference.said import read_said

SENT = {"model", "messages", "max_tokens", "temperature", "top_p", "seed", "n", "reasoning_effort", "system", "images"}
ALSO = {"": set(), "prefill": {"prefill", "continue_final_message"}, "stream": {"stream", "stream_options"}}


def made_of(said, known, sent):
    """The lesson in a refusal, or whose it is."""
    failure = judge_failure(said, waits=retry_after(said, {}, now=0.0) is not None)
    changed = learn(known, said, sent)
    if changed is None and not failure.certain:
        changed = suspect(known, said, sent)
    return changed.changes(known) if changed else f"{failure.owner}: {failure.kind}"


@pytest.mark.parametrize(("status", "body", "expected", "also"), REFUSALS, ids=range(len(REFUSALS)))
def test_a_refusal_is_understood(status, body, expected, also):
    text = json.dumps(body if isinstance(body, dict | list) else {"error": {"message": body, "type": "invalid_request_error"}})
    known = Capabilities(stream=also == "stream")
    assert made_of(read_said(status, text), known, SENT | ALSO[also]) == expected


@pytest.mark.parametrize("sent", [set(), {"images"}, {"temperature"}], ids=["nothing new", "images", "temperature"])
def test_what_was_accepted_before_is_not_suspected(sent):
    """The third prompt is refused for a reason of its own, whose words happen to name a parameter."""
    said = read_said(400, '{"error": {"message": "seed 7 of the system prompt in this stream is odd"}}')
    assert suspect(Capabilities(), said, sent) is None
