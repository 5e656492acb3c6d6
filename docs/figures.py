"""The images of `method.md`: a real search, a real pair and a real reward, drawn by what the app and the report draw with.

`python docs/figures.py [FOLDER]` makes them again in `docs/images`; the same version of the project makes the same files. The
stages' own files go into FOLDER, where another call finds them again.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tempfile
import textwrap
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from spatialreasoner.app import answer
from spatialreasoner.core import records
from spatialreasoner.core.types import Question, Scene, Trajectory
from spatialreasoner.inference.registry import WritingConfig
from spatialreasoner.pipeline import build_pairs, search
from spatialreasoner.pipeline.inputs import read_inputs
from spatialreasoner.preferences.pairs import PairsConfig
from spatialreasoner.questions.generate import QuestionsConfig, write_questions
from spatialreasoner.report import treeview
from spatialreasoner.report.texts import rich
from spatialreasoner.rewards import grade
from spatialreasoner.rewards.combine import Graded
from spatialreasoner.scenes import synthetic
from spatialreasoner.scenes.files import read_image
from spatialreasoner.scenes.marks import draw
from spatialreasoner.search.m3cts import SearchConfig
from spatialreasoner.search.run import RunConfig
from spatialreasoner.search.tree import Tree, from_json

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
HIDDEN_ROOMS = {"__main__", "(scene)", "(responses)"}
"""What the map leaves out: the start of the command line, and earlier paths."""

TEACHERS = ("scripted:careful", "scripted:shallow", "scripted:hasty")
SHOWN = 20
"""Which of the pairs is shown: one whose rejected answer errs in a way that is quickly seen."""

Gaps = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Example:
    """One question: tree, answers, who wrote the rejected one; the gaps (description, reasoning) of it and of all pairs."""

    scene: Scene
    question: Question
    tree: Tree
    chosen: str
    rejected: str
    author: str
    gap: Gaps
    gaps: Sequence[Gaps]


def main(folder: Path) -> None:
    """Make every image."""
    shown = example(folder)
    draw_room(shown, IMAGES / "room.png")
    write(IMAGES / "tree.html", tree(shown))
    write(IMAGES / "reward.html", reward(shown))
    write(IMAGES / "pair.html", pair(shown))
    draw_betas(shown, IMAGES / "betas.svg")
    draw_rooms(IMAGES / "rooms.svg")


def example(folder: Path) -> Example:
    """Make rooms, ask, search, pair: the stages of the command line, at a small size."""
    synthetic.write_synthetic(synthetic.SyntheticConfig(count=12, seed=1, width=480, height=360), folder / "scenes")
    questions = folder / "questions.jsonl"
    write_questions(QuestionsConfig(scenes=str(folder / "scenes"), per_scene=2, seed=1), questions)
    config = RunConfig(search=SearchConfig(stop="budget", max_model_rounds=4 * len(TEACHERS)))
    search(questions, policies=TEACHERS, out=folder / "search", config=config, writing=WritingConfig())
    build_pairs(folder / "search", out=folder / "pairs", config=PairsConfig(hard=0))
    return read_example(folder)


def read_example(folder: Path) -> Example:
    """The example of a folder in which the stages are done."""
    asked = read_inputs(folder / "questions.jsonl")
    rows: list[dict[str, Any]] = list(records.read_jsonl(folder / "pairs" / "pairs.jsonl", dict[str, Any]))
    row, question_id = rows[SHOWN], rows[SHOWN]["question_id"]
    question = next(question for question in asked.questions if question.id == question_id)
    trees = map(json.loads, (folder / "search" / "trees.jsonl").read_text("utf-8").splitlines())
    written = records.read_jsonl(folder / "search" / "trajectories.jsonl", Trajectory)
    rejected = next(t for t in written if t.question_id == question_id and t.text == row["rejected"][0]["content"])
    gaps = [(row["gap_description"], row["gap_reasoning"]) for row in rows]
    return Example(
        scene=asked.scenes[question.scene_id],
        question=question,
        tree=from_json(next(tree for tree in trees if tree["question_id"] == question_id)),
        chosen=row["chosen"][0]["content"],
        rejected=rejected.text,
        author=", ".join(dict.fromkeys(rejected.policies)),
        gap=gaps[SHOWN],
        gaps=gaps,
    )


def draw_room(shown: Example, path: Path) -> None:
    """The image with the question's regions as marks."""
    regions = [shown.scene.region(name) for name in shown.question.region_ids]
    draw(read_image(shown.scene.image), regions).quantize(128).save(path, optimize=True)


def tree(shown: Example) -> Markup:
    """The search tree as the report draws it, without the report's links, and who wrote what."""
    colours = {name: number for number, name in enumerate(TEACHERS, start=1)}
    view = treeview.view(shown.tree, name="tree", policies=colours)
    drawing = re.sub(r'<(/?)a\b(?: (class="[^"]*") href="[^"]*")?', lambda link: f"<{link[1]}g {link[2] or ''}", view.drawing)
    key = Markup("").join(Markup('<li><i class="p{}"></i>{}</li>').format(style, name) for name, style in colours.items())
    return Markup('<div class="sr-tree">{}</div><ul class="sr-key">{}</ul>').format(Markup(drawing), key)


def reward(shown: Example) -> Markup:
    """The rejected answer with its statements underlined, the four rewards, and a table of statements."""
    graded = grade(shown.scene, shown.question, shown.rejected)
    rows = [_statement(shown.rejected, graded, index) for index in range(len((*graded.description, *graded.reasoning)))]
    head = Markup("<tr>{}</tr>").format(Markup("").join(Markup("<th>{}</th>").format(name) for name in _COLUMNS))
    return Markup('<div class="sr-sides">{}{}</div><div class="sr-scroll"><table>{}{}</table></div>').format(
        _answer(shown.author, shown.rejected, graded), answer.rewards(graded), head, Markup("").join(rows)
    )


_COLUMNS = ("statement", "verdict", "r", "W_u · W_c", "truth")


def _statement(text: str, graded: Graded, index: int) -> Markup:
    verdict = (*graded.description, *graded.reasoning)[index]
    score = "unscored" if verdict.score is None else f"{verdict.score:.2f}"
    said = rich(text[slice(*verdict.assertion.span)])
    said = Markup(str(said).replace('class="chip c', 'class="sr-chip sr-c'))
    cells = said, answer.VERDICT_WORDS[verdict.label], score, f"{verdict.weight:.2f}", verdict.reason
    return Markup('<tr class="sr-{}">{}</tr>').format(
        verdict.label, Markup("").join(Markup("<td>{}</td>").format(cell) for cell in cells)
    )


def pair(shown: Example) -> Markup:
    """Chosen and rejected side by side, their segments in colours, and what the gaps make of beta."""
    from torch import tensor

    from spatialreasoner.training.loss import segment_betas

    sides = [
        _answer(name, text, grade(shown.scene, shown.question, text))
        for name, text in (("chosen", shown.chosen), ("rejected", shown.rejected))
    ]
    betas = segment_betas(tensor([shown.gap]))[0].tolist()
    names = ("description", "reasoning")
    said = "; ".join(f"{name}: gap {gap:+.2f}, β {beta:.3f}" for name, gap, beta in zip(names, shown.gap, betas, strict=True))
    return Markup('<div class="sr-sides">{}{}</div><p class="sr-gaps">{}</p>').format(*sides, said)


def _answer(name: str, text: str, graded: Graded) -> Markup:
    return answer.answer(name, text, range(1, 3), graded)


def curves(*, lam: float, alpha: float = 0.3, beta: float = 0.1, most: float = 6.0) -> tuple[Any, Any, Any]:
    """Both betas against the difference of the gaps, reasoning minus description, -most..most."""
    import torch

    from spatialreasoner.training.loss import segment_betas

    differences = torch.linspace(-most, most, 121)
    betas = segment_betas(torch.stack([torch.zeros_like(differences), differences], dim=-1), beta=beta, alpha=alpha, lam=lam)
    return differences.numpy(), betas[:, 0].numpy(), betas[:, 1].numpy()


def draw_betas(shown: Example, path: Path) -> None:
    """Both betas against the gaps, for some sensitivities, with the pairs of the run as dots."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "betas", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        axes: Any = figure.subplots()
        for lam, style in ((0.2, ":"), (0.6, "-"), (2.0, "--")):
            x, description, reasoning = curves(lam=lam)
            axes.plot(x, reasoning, style, color="#c77700", label=f"β of reasoning, λ = {lam:g}")
            axes.plot(x, description, style, color="#0072b2", label=f"β of description, λ = {lam:g}")
        dots = np.array([reasoning - description for description, reasoning in shown.gaps])
        axes.plot(dots, np.full_like(dots, 0.0665), "|", color="#555", markersize=9, label="pairs of this run")
        axes.axhline(0.1, color="#888", linewidth=0.8)
        axes.set(xlabel="gap of reasoning − gap of description", ylabel="β of the segment", ylim=(0.065, 0.135))
        axes.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
        figure.savefig(path, metadata={"Date": None})


def draw_rooms(path: Path) -> None:
    """The rooms in their layers, as the import contract lists them, each with the first sentence of its docstring."""
    import matplotlib.pyplot as plt

    contract = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"][0]
    layers = [[room for room in layer.split(" | ") if room not in HIDDEN_ROOMS] for layer in contract["layers"]]
    layers = [layer for layer in layers if layer]
    style = {"svg.hashsalt": "rooms", "svg.fonttype": "none", "font.family": "sans-serif"}
    with plt.rc_context(style):
        figure, axes = plt.subplots(figsize=(12, 1.02 * len(layers)))
        for row, layer in enumerate(layers):
            width = 1 / len(layer)
            for column, room in enumerate(layer):
                corner = (column * width + 0.005, -row - 0.42)
                axes.add_patch(plt.Rectangle(corner, width - 0.01, 0.84, fc="#eef2fb", ec="#5b6ea8"))
                axes.text((column + 0.5) * width, -row + 0.17, room, ha="center", va="center", weight="bold", size=11)
                words = textwrap.fill(_sentence(room), round(128 * width), max_lines=2, placeholder=" ...")
                axes.text((column + 0.5) * width, -row - 0.17, words, ha="center", va="center", size=7.5)
        axes.set(xlim=(0, 1), ylim=(-len(layers) + 0.4, 0.6))
        axes.axis("off")
        figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
        plt.close(figure)


def _sentence(room: str) -> str:
    """The first sentence of a room's docstring."""
    place = ROOT / "src" / "spatialreasoner" / room
    source = (place / "__init__.py" if place.is_dir() else place.with_suffix(".py")).read_text("utf-8")
    words = " ".join((ast.get_docstring(ast.parse(source)) or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.])\s", words)[0].rstrip(".").replace("`", "")


def write(path: Path, html: Markup) -> None:
    """One fragment that Markdown passes on whole: no line is blank."""
    path.write_text("\n".join(line for line in str(html).splitlines() if line.strip()) + "\n", "utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
