"""The verbs in a real Jupyter kernel, whose event loop runs: synchronous ones at once, asynchronous ones awaited."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

SYNC = [
    "from spatialreasoner import build_pairs, evaluate, generate, judge_answer, make_questions, make_scenes\n"
    "from spatialreasoner import report, reward, search",
    "scenes = make_scenes(out='scenes', count=2, seed=1, progress=None)",
    "questions = make_questions(scenes, out='questions.jsonl', per_scene=2, progress=None)",
    "found = search(questions, policies=['scripted:careful', 'scripted:hasty'], out='search', progress=None)",
    "pairs = build_pairs(found, out='pairs', progress=None)",
    "answers = generate(questions, model='scripted:careful', out='predictions.jsonl', progress=None)",
]

ASYNC = [
    "from spatialreasoner import build_pairs_async, evaluate_async, generate_async, judge_answer_async\n"
    "from spatialreasoner import make_questions_async, make_scenes_async, report_async, reward_async, search_async",
    "scenes = await make_scenes_async(out='scenes', count=2, seed=1, progress=None)",
    "questions = await make_questions_async(scenes, out='questions.jsonl', per_scene=2, progress=None)",
    "found = await search_async(\n"
    "    questions, policies=['scripted:careful', 'scripted:hasty'], out='search', progress=None\n)",
    "pairs = await build_pairs_async(found, out='pairs', progress=None)",
    "answers = await generate_async(questions, model='scripted:careful', out='predictions.jsonl', progress=None)",
]

RESPONSES = """
import json
rows = [json.loads(line) for line in open('predictions.jsonl')]
with open('responses.jsonl', 'w') as file:
    file.writelines(json.dumps({'question_id': row['question_id'], 'text': row['pred']}) + '\\n' for row in rows)
"""

SYNC_REST = [
    RESPONSES,
    "rewards = reward(questions, 'responses.jsonl', out='rewards.jsonl', progress=None)",
    "score = evaluate(answers, out='score.json', progress=None)",
    "page = report('.', out='report.html', progress=None)",
    "verdict = judge_answer('width_data', 'How wide is <region1>?', '2 m', 'It is 2.1 m wide.')",
]

ASYNC_REST = [
    RESPONSES,
    "rewards = await reward_async(questions, 'responses.jsonl', out='rewards.jsonl', progress=None)",
    "score = await evaluate_async(answers, out='score.json', progress=None)",
    "page = await report_async('.', out='report.html', progress=None)",
    "verdict = await judge_answer_async('width_data', 'How wide is <region1>?', '2 m', 'It is 2.1 m wide.')",
]

SUMMARY = """
import json
print(json.dumps([scenes.count, questions.count, found.complete, answers.count, rewards.count, verdict.success]))
"""
FILES = (
    "questions.jsonl",
    "search/trajectories.jsonl",
    "pairs/pairs.jsonl",
    "predictions.jsonl",
    "rewards.jsonl",
    "score.json",
)


def execute(cells: list[str], folder: Path) -> list[object]:
    """Run the cells in a kernel that works in the folder; what the last one prints, as JSON."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    printed = [output["text"] for output in notebook.cells[-1]["outputs"] if output["output_type"] == "stream"]
    return json.loads("".join(printed))


@pytest.mark.filterwarnings("ignore")  # of the notebook's own libraries
def test_every_verb_works_in_a_notebook_and_both_kinds_write_the_same(tmp_path: Path) -> None:
    for name, cells in (("sync", [*SYNC, *SYNC_REST]), ("async", [*ASYNC, *ASYNC_REST])):
        (tmp_path / name).mkdir()
        assert execute([*cells, SUMMARY], tmp_path / name) == [2, 4, True, 4, 4, True]
        assert "<html" in (tmp_path / name / "report.html").read_text("utf-8")
    for name in FILES:
        assert (tmp_path / "sync" / name).read_bytes() == (tmp_path / "async" / name).read_bytes(), name
