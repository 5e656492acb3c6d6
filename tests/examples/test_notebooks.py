"""The notebooks run from top to bottom in a real kernel, and hold the outputs that a run gives."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples" / "notebooks").glob("*.ipynb"))


PRETRAINED = "named_segments_smollm2"
"""Run by `test_smollm2`, with the model from where it can be had."""


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path.stem != PRETRAINED], ids=lambda path: path.stem)
def test_the_notebook_runs(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert all(cell.outputs for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code" and cell.outputs)


def test_there_are_four():
    assert [path.stem for path in NOTEBOOKS] == ["fdpo_on_own_pairs", PRETRAINED, "score_an_answer", "small_search_to_report"]
