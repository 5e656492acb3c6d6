"""The environment of `verifiers`; the last test evaluates it where that is installed (`make test-integrations`)."""

import asyncio
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from builders import build_scene
from spatialreasoner.core.errors import MissingExtraError
from spatialreasoner.core.types import Question
from spatialreasoner.questions.files import read_questions
from spatialreasoner.questions.generate import QuestionsConfig, write_questions
from spatialreasoner.rewards import score_response
from spatialreasoner.rewards.loops import ground_truth
from spatialreasoner.scenes.files import scene_index
from spatialreasoner.training.environment import load_environment, verified_share

RIGHT = (
    "<description><region1> is a ball, left of <region2>, a ball.</description><reasoning>### Rationale\n<region1> is to the "
    "left of <region2>.</reasoning>\n### In Conclusion\nYes, <region1> is to the left of <region2>."
)


class Turn:
    """A message as the library has it: an object that is no mapping."""

    def __init__(self, content):
        self.content = content

    def model_dump(self):
        return {"role": "assistant", "content": self.content}


@pytest.fixture
def question():
    return Question(
        id="q", scene_id="balls", category="left_predicate", text="Is <region1> to the left of <region2>?",
        region_ids=("region1", "region2"), answer="Yes, <region1> is to the left of <region2>.",
    )  # fmt: skip


@pytest.mark.parametrize("completion", [RIGHT, [{"role": "assistant", "content": RIGHT}], [Turn(RIGHT)]])
def test_the_reward_is_the_total_as_a_share(tmp_path, question, completion):
    scene = build_scene(tmp_path)
    total = score_response(scene, question, RIGHT).total
    found = verified_share(completion, {"ground_truth": ground_truth(question, scene)})
    assert found == pytest.approx(total / 16)
    assert found > 0.5


def test_without_the_library_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "verifiers", None)
    with pytest.raises(MissingExtraError, match="pip install verifiers"):
        load_environment(tmp_path / "questions.jsonl")


@pytest.fixture
def server():
    """A server that gives everybody the same answer, and keeps what it was asked."""

    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            message = {"role": "assistant", "content": RIGHT}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            sent = json.dumps(
                {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *args):
            pass

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found.server_address[1], asked
    found.shutdown()
    found.server_close()


def test_the_library_asks_with_images_and_rewards_as_the_scorer_does(tmp_path, server):
    vf = pytest.importorskip("verifiers")
    from openai import AsyncOpenAI

    build_scene(tmp_path)
    write_questions(QuestionsConfig(scenes=str(tmp_path), per_scene=4), tmp_path / "questions.jsonl")
    environment = vf.load_environment("spatialreasoner.training.environment", questions=str(tmp_path / "questions.jsonl"))
    port, asked = server
    client = vf.OpenAIChatCompletionsClient(AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none"))
    outputs = asyncio.run(environment.evaluate(client, model="m", num_examples=-1, rollouts_per_example=1))["outputs"]
    scenes = scene_index(tmp_path)
    expected = [score_response(scenes["balls"], each, RIGHT) for each in read_questions(tmp_path / "questions.jsonl", scenes)]
    assert sorted(each["reward"] for each in outputs) == pytest.approx(sorted(each.total / 16 for each in expected))
    image, text = asked[0]["messages"][0]["content"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert text.keys() == {"type", "text"}
