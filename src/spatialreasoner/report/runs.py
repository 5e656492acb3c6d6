"""What a report has to work with: the outputs of the stages, found by their names in run folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from spatialreasoner.core import records
from spatialreasoner.core.errors import InputError, MissingFileError, RecordError
from spatialreasoner.core.types import Question, Scene, Trajectory
from spatialreasoner.evaluation.predictions import Prediction, read_predictions

if TYPE_CHECKING:
    from spatialreasoner.search.tree import Tree

MAX_DEPTH = 3
"""Folders deeper than this beneath a run folder are not looked into."""

ORDER = ("base", "sft", "dpo", "fdpo")
"""The order in which models are shown; others come before them, by name."""


@dataclass(frozen=True, kw_only=True)
class PairRow:
    """A row of `pairs.jsonl`, as far as a report shows it."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "ignore", "allow_inf_nan": False}

    question_id: str
    chosen: tuple[Mapping[str, Any], ...]
    rejected: tuple[Mapping[str, Any], ...]
    gap_description: float | None = None
    gap_reasoning: float | None = None
    reward_chosen: float | None = None
    reward_rejected: float | None = None
    kind: str = "ranked"

    @property
    def texts(self) -> tuple[str, str]:
        """The chosen and the rejected answer."""
        return _answer(self.chosen), _answer(self.rejected)


def _answer(turns: Sequence[Mapping[str, Any]]) -> str:
    content = turns[-1].get("content", "") if turns else ""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict))


@dataclass(frozen=True, kw_only=True)
class NodeRow:
    """A node of a row of `trees.jsonl`; its parent comes before it."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "ignore", "allow_inf_nan": False}

    parent: int | None
    stage: str
    text: str
    policy: str
    reward: float
    visits: int
    value: float
    pruned: str | None
    success: bool | None
    expansions: int
    closed: bool
    ratings: Mapping[str, float]
    selections: tuple[tuple[int, float], ...]


@dataclass(frozen=True, kw_only=True)
class TreeRow:
    """A row of `trees.jsonl`, as the search writes it."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "ignore", "allow_inf_nan": False}

    question_id: str
    outcome: Literal["found", "budget", "exhausted"] | None
    rounds: int
    model_rounds: int
    nodes: tuple[NodeRow, ...]

    def __post_init__(self) -> None:
        parents = [node.parent for node in self.nodes]
        if parents[:1] != [None] or any(
            parent is None or not 0 <= parent < index for index, parent in enumerate(parents[1:], 1)
        ):
            raise ValueError("a tree has one root, first, and every other node comes after its parent")


@dataclass(frozen=True, kw_only=True)
class StageRun:
    """A stage's `config.json`.

    Attributes:
        stage: The stage.
        place: Its output, relative to the run folder.
        config: Its settings.
        versions: Versions of the libraries.
        commit: The commit of the source tree, or None.
    """

    stage: str
    place: str
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    commit: str | None = None


@dataclass(frozen=True, kw_only=True)
class Training:
    """The log of a training run: its label and one mapping per logged step."""

    label: str
    entries: Sequence[Mapping[str, Any]]


@dataclass(kw_only=True)
class Runs:
    """All that was found; every part may be empty."""

    stages: list[StageRun] = field(default_factory=list[StageRun])
    scenes: dict[str, Scene] = field(default_factory=dict[str, Scene])
    questions: dict[str, Question] = field(default_factory=dict[str, Question])
    trajectories: dict[str, list[Trajectory]] = field(default_factory=dict[str, list[Trajectory]])
    trees: dict[str, Tree] = field(default_factory=dict[str, "Tree"])
    pairs: list[PairRow] = field(default_factory=list[PairRow])
    trainings: list[Training] = field(default_factory=list[Training])
    predictions: dict[str, list[Prediction]] = field(default_factory=dict[str, list[Prediction]])


def find_runs(run_dirs: Sequence[Path]) -> Runs:
    """Read all outputs of stages in and beneath the run folders.

    Raises:
        MissingFileError: If a run folder is not there.
        InputError: If a file is broken, or nothing that a report shows was found at all.
    """
    runs = Runs()
    for run_dir in run_dirs:
        for path in _files(records.require_folder(run_dir)):
            _read(path, run_dir, runs)
    runs.predictions = dict(sorted(runs.predictions.items(), key=lambda item: _rank(item[0])))
    runs.trainings.sort(key=lambda training: _rank(training.label))
    if not (runs.scenes or runs.questions or runs.trajectories or runs.pairs or runs.trainings or runs.predictions):
        raise InputError(
            f"expected outputs of stages in {', '.join(map(str, run_dirs))} (scenes.jsonl, trajectories.jsonl, pairs.jsonl, "
            "metrics.jsonl, predictions.jsonl, ...); found none"
        )
    return runs


def _files(folder: Path) -> Iterator[Path]:
    """The files of a run in a fixed order, hidden ones and training checkpoints left out."""
    for place, folders, names in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        hidden = (".", "checkpoint-")
        folders[:] = sorted(name for name in folders if depth < MAX_DEPTH and not name.startswith(hidden))
        yield from (Path(place) / name for name in sorted(names) if not name.startswith("."))


def _read(path: Path, run_dir: Path, runs: Runs) -> None:
    """Read a file if its name is one that a stage writes; one without a byte belongs to a stage that has just begun."""
    if path.stat().st_size == 0:
        return
    for pattern, reader in _READERS.items():
        if fnmatchcase(path.name, pattern):
            reader(path, run_dir, runs)
            return


def _read_scenes(path: Path, run_dir: Path, runs: Runs) -> None:
    from spatialreasoner.scenes.files import load_scenes

    for scene in load_scenes(path.parent):
        known = runs.scenes.setdefault(scene.id, scene)
        if known.regions != scene.regions:
            raise RecordError(f"{path}: another scene is also called {scene.id!r}; report on these runs one at a time")


def _read_questions(path: Path, run_dir: Path, runs: Runs) -> None:
    """Questions, and the scenes they ask about where those lie elsewhere."""
    from spatialreasoner.questions.files import scenes_folder

    questions = list(records.read_jsonl(path, Question))
    for question in questions:
        if runs.questions.setdefault(question.id, question) != question:
            raise RecordError(f"{path}: another question is also called {question.id!r}; report on these runs one at a time")
    if any(question.scene_id not in runs.scenes for question in questions):
        try:
            _read_scenes(scenes_folder(path) / "scenes.jsonl", run_dir, runs)
        except MissingFileError:
            return  # shown without images


def _read_stage(path: Path, run_dir: Path, runs: Runs) -> None:
    """A stage's settings; model folders have a `config.json` of another kind, which is ignored."""
    value = records.read_json(path, object)
    if isinstance(value, dict) and isinstance(value.get("stage"), str) and isinstance(value.get("config"), dict):
        runs.stages.append(
            StageRun(
                stage=value["stage"],
                place=str(path.relative_to(run_dir)).removesuffix("/config.json"),
                config=value["config"],
                versions=versions if isinstance(versions := value.get("versions"), dict) else {},
                commit=str(value.get("commit") or "") or None,
            )
        )


def _read_trees(path: Path, run_dir: Path, runs: Runs) -> None:
    from spatialreasoner.search.tree import from_json

    for row in records.read_jsonl(path, TreeRow):
        runs.trees[row.question_id] = from_json({**asdict(row), "usage": {}})


def _read_trajectories(path: Path, run_dir: Path, runs: Runs) -> None:
    for trajectory in records.read_jsonl(path, Trajectory):
        runs.trajectories.setdefault(trajectory.question_id, []).append(trajectory)


def _read_pairs(path: Path, run_dir: Path, runs: Runs) -> None:
    runs.pairs += records.read_jsonl(path, PairRow)


def _read_metrics(path: Path, run_dir: Path, runs: Runs) -> None:
    runs.trainings.append(Training(label=path.parent.name, entries=list(records.read_jsonl(path, dict[str, Any]))))


def _read_predictions(path: Path, run_dir: Path, runs: Runs) -> None:
    runs.predictions[_label(path, run_dir, runs.predictions)] = read_predictions(path)


_READERS: Mapping[str, Callable[[Path, Path, Runs], None]] = {
    "scenes.jsonl": _read_scenes,
    "*config.json": _read_stage,
    "training.json": _read_stage,
    "demo.json": _read_stage,
    "metrics.jsonl": _read_metrics,
    "trajectories.jsonl": _read_trajectories,
    "trees.jsonl": _read_trees,
    "pairs.jsonl": _read_pairs,
    "*predictions*.jsonl": _read_predictions,
    "*questions*.jsonl": _read_questions,
}
"""What reads which file, by the pattern of its name."""


def _label(path: Path, run_dir: Path, taken: Mapping[str, object]) -> str:
    """What to call a model: the file's own words, or its folder's, made unique."""
    words = path.stem.replace("predictions", "").strip("-_. ")
    label = words or (path.parent.name if path.parent != run_dir else run_dir.resolve().name)
    return label if label not in taken else str(path.parent.relative_to(run_dir) / path.stem)


def _rank(label: str) -> tuple[int, str]:
    """Known stages in their order, whatever surrounds their names."""
    lowered = label.lower()
    known = [place for place, name in enumerate(ORDER) if name in lowered]
    return (max(known, default=-1), lowered)
