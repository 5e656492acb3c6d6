"""Two of twelve prompts meet a content filter: ten answers, two named refusals, exit 0; the same command sends nothing."""

import json
from random import Random

import pytest

from builders import build_scene, measured_balls
from inference.server.server import Server, completion, refuse
from spatialreasoner.cli import main
from spatialreasoner.core import records
from spatialreasoner.questions.generate import ask_about


@pytest.fixture
def asked(tmp_path):
    """A questions file of twelve, and the texts of its fourth and ninth question."""
    scene = build_scene(tmp_path / "scenes")
    line = json.loads(records.dumps(scene)) | {"image": "balls.png"}
    line["depth"] = {"path": "balls-depth.png", "units_per_metre": 5000.0}
    (tmp_path / "scenes/scenes.jsonl").write_text(json.dumps(line) + "\n")
    questions = ask_about(measured_balls(), Random(1), 12)
    records.write_jsonl(tmp_path / "scenes/questions.jsonl", [json.loads(records.dumps(question)) for question in questions])
    assert len({question.text for question in questions}) == 12
    return tmp_path / "scenes/questions.jsonl", questions


@pytest.fixture
def server(asked):
    filtered = [asked[1][place].text for place in (3, 8)]

    def respond(ask):
        said = ask.body["messages"][-1]["content"][-1]["text"]
        if any(text in said for text in filtered):
            words = (
                "The response was filtered due to the prompt triggering our policy. \ud800"  # half of a pair, as some cut texts
            )
            return refuse(400, words, code="content_filter")
        return completion(ask, f"{ask.rest()} {ask.body['seed']}")

    started = Server(respond).start()
    yield started
    started.stop()


def command(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def test_generate_answers_ten_and_names_two(asked, server, tmp_path, capfd):
    path, questions = asked
    generate = ["generate", path, "--model", f"api:m@{server.url}", "--out", tmp_path / "predictions.jsonl"]
    assert command(*generate) == 0
    rows = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert [row["question_id"] for row in rows if row.get("unanswered")] == [questions[3].id, questions[8].id]
    assert all("content filter" in row["unanswered"] for row in rows if row.get("unanswered"))
    assert sum(bool(row["pred"]) for row in rows) == 10
    assert "2 of 12 replies were filtered" in capfd.readouterr().err
    before, sent = (tmp_path / "predictions.jsonl").read_bytes(), len(server.asks)
    assert command(*generate) == 0
    assert (len(server.asks), (tmp_path / "predictions.jsonl").read_bytes()) == (sent, before)


def test_search_answers_ten_and_names_two(asked, server, tmp_path, capfd):
    path, questions = asked
    search = ["search", path, "--policy", f"api:m@{server.url}", "--rounds", 2, "--candidates", 2, "--out", tmp_path / "out"]
    assert command(*search) == 0
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    refused = {questions[3].id, questions[8].id}
    assert summary["unanswered"].keys() == refused
    assert all(list(*reasons.values()) == ["content filter"] for reasons in summary["unanswered"].values())
    answered = {json.loads(line)["question_id"] for line in (tmp_path / "out/trajectories.jsonl").read_text().splitlines()}
    assert answered == {question.id for question in questions} - refused
    said = capfd.readouterr().err
    assert "2 of 12 questions have no answer" in said
    assert all(f"{name} (content filter)" in said for name in refused)
    sent = len(server.asks)
    # a question's first three requests are sent side by side: its tree's, and a sample more than its refusal could save
    assert sum("filtered" in str(server.respond(ask).value) for ask in server.asks) <= 6
    assert command(*search) == 0
    assert len(server.asks) == sent
