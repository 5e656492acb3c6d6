"""Search trees and preference pairs of run folders, one question at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

from jinja2 import ChoiceLoader, PackageLoader

from spatialreasoner.core.errors import InputError
from spatialreasoner.core.types import Question
from spatialreasoner.report import examples
from spatialreasoner.report.images import MarkedImage, marked
from spatialreasoner.report.report import environment
from spatialreasoner.report.runs import Runs, find_runs
from spatialreasoner.rewards.combine import REWARDS

MAX_LABEL = 110
"""Characters of a question in the list."""


class Browser:
    """Run folders to browse.

    Args:
        folders: The run folders; their files are read once.

    Raises:
        InputError: If one is missing or broken, or holds neither a tree nor a pair.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self._runs = find_runs([Path(folder) for folder in folders])
        paired = {row.question_id for row in self._runs.pairs}
        self._questions = {q.id: q for q in self._runs.questions.values() if q.id in self._runs.trees or q.id in paired}
        if not self._questions:
            raise InputError(f"expected search trees or preference pairs in {', '.join(folders)}; found none")
        loaders = [PackageLoader("spatialreasoner.app"), PackageLoader("spatialreasoner.report")]
        self._template = environment().overlay(loader=ChoiceLoader(loaders)).get_template("question.html.j2")
        self._style = resources.files("spatialreasoner.report").joinpath("templates", "report.css").read_text("utf-8")

    def questions(self) -> list[tuple[str, str]]:
        """The questions as (label, id), in order of their ids."""
        return [(_label(self._questions[name]), name) for name in sorted(self._questions)]

    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
    """What a browser lets a page of `page` do: no script runs in it."""

    def page(self, question_id: str) -> str:
        """All that was made of a question, as a page of its own, so that its style stays inside.

        Raises:
            InputError: If the question does not exist.
        """
        if question_id not in self._questions:
            raise InputError("there is no such question in these runs")
        example = examples.build_examples(self._only(question_id), self._image, self._policies())[0]
        return self._template.render(
            example=example, beta_settings=examples.fdpo_settings(self._runs), rewards=REWARDS, style=self._style
        )

    def _only(self, question_id: str) -> Runs:
        runs = self._runs
        return replace(
            runs,
            questions={question_id: self._questions[question_id]},
            trees={name: tree for name, tree in runs.trees.items() if name == question_id},
            pairs=[row for row in runs.pairs if row.question_id == question_id],
        )

    def _image(self, question_id: str) -> MarkedImage | None:
        question = self._questions[question_id]
        try:
            return marked(self._runs.scenes[question.scene_id], question.region_ids)
        except (InputError, KeyError):
            return None

    def _policies(self) -> dict[str, int]:
        """A colour for each policy, by name."""
        names = {node.policy for tree in self._runs.trees.values() for node in tree.root.walk() if node.policy}
        return {name: 1 + place % 8 for place, name in enumerate(sorted(names))}


def _label(question: Question) -> str:
    text = f"{question.text} ({question.id})"
    return text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 1]}…"
