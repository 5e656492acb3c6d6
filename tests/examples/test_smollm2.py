"""The README's five lines and the notebook on a pretrained model, SmolLM2-135M-Instruct, where its package is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from research.named_segments import smollm2
from research.named_segments.task import pairs, problems, score

from pages import ROOT, blocks

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore:.*(gradient_checkpointing|pin_memory)")

HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"
QUICK = 'max_steps=1, save_strategy="no", per_device_train_batch_size=2, gradient_checkpointing=False, logging_steps=1, '


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = ROOT / ".venv" / "smollm2"
    if (made / "tokenizer.json").is_file():
        return made
    if smollm2.installed() is None:
        pytest.skip(f"SmolLM2 is not installed: make setup, or {smollm2.HINT}")
    return smollm2.convert_smollm2(tmp_path_factory.mktemp("model"))


def test_the_readmes_five_lines_train_it(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = [block for block in blocks(ROOT / "README.md") if HUB in block.text]
    assert len([line for line in block.text.splitlines() if line.strip()]) == 5
    rows = pairs(2, 0, {"answer": 1.0})
    (tmp_path / "plans.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    code = block.text.replace(HUB, str(model)).replace('FDPOConfig("fdpo", ', f'FDPOConfig("fdpo", {QUICK}')
    code = code.replace('FDPOTrainer("', 'trainer = FDPOTrainer("').replace(").train()", ")\ntrainer.train()")
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    logged = names["trainer"].state.log_history[0]
    assert logged["betas/plan"] == pytest.approx(0.07049, abs=1e-5)  # the plans are equal, the answers 8 points apart
    assert logged["betas/answer"] == pytest.approx(0.12951, abs=1e-5)
    assert names["trainer"].model.config.num_hidden_layers == 30


def test_the_notebook_runs(model: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(ROOT / "examples" / "notebooks" / "named_segments_smollm2.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace(HUB, str(model)).replace('"max_steps": 3', '"max_steps": 1')
    NotebookClient(notebook, timeout=280, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert "rewards/margins/plan" in str(notebook.cells[-1].outputs)


def test_gaps_are_what_the_task_says() -> None:
    rows = pairs(8, 3, {"both": 0.25, "answer": 0.25, "conflict": 0.5})
    assert sorted((row["gap_plan"], row["gap_answer"]) for row in rows) == [(-4, 8)] * 4 + [(0, 8)] * 2 + [(4, 8)] * 2


def test_right_and_wrong_segments_are_told_apart() -> None:
    for problem in problems(30, 5):
        assert score(problem, problem.say()) == {"plan": 4.0, "answer": 8.0}
        assert score(problem, problem.say(plan=False, answer=False)) == {"plan": 0.0, "answer": 0.0}
        assert problem.wrong_answer != problem.answer
        assert eval(problem.plan) == int(problem.answer)
