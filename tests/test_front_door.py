"""The front door: what `import spatialreasoner` gives, and that it stays the same."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import grimp
import networkx
import pytest

import spatialreasoner

PUBLIC = [
    "AnswerJudgeConfig",
    "BatchConfig",
    "ClusterConfig",
    "FDPOConfig",
    "FDPOTrainer",
    "FrameOptions",
    "OnlineConfig",
    "PairsConfig",
    "Question",
    "Region",
    "Response",
    "Result",
    "RewardJudgesConfig",
    "RunConfig",
    "Scene",
    "SearchConfig",
    "Verdict",
    "WritingConfig",
    "__version__",
    "build_pairs",
    "build_pairs_async",
    "convert_model",
    "convert_model_async",
    "evaluate",
    "evaluate_async",
    "explain",
    "explain_async",
    "explain_text",
    "explain_text_async",
    "fdpo_loss",
    "generate",
    "generate_async",
    "judge_answer",
    "judge_answer_async",
    "load_scenes",
    "load_vlm",
    "make_questions",
    "make_questions_async",
    "make_scenes",
    "make_scenes_async",
    "measure",
    "measure_async",
    "read_benchmark",
    "read_benchmark_async",
    "read_capture",
    "read_capture_async",
    "read_photos",
    "read_photos_async",
    "read_rgbd",
    "read_rgbd_async",
    "report",
    "report_async",
    "reward",
    "reward_async",
    "score_response",
    "search",
    "search_async",
    "train",
    "train_async",
    "train_online",
    "train_online_async",
]

VERBS = [name for name in PUBLIC if f"{name}_async" in PUBLIC]


def test_the_list_of_public_names() -> None:
    assert sorted(spatialreasoner.__all__) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_can_be_taken(name: str) -> None:
    assert getattr(spatialreasoner, name) is not None
    assert name in dir(spatialreasoner)


def test_editors_see_the_same_names() -> None:
    stub = ast.parse(Path(spatialreasoner.__file__).with_suffix(".pyi").read_text("utf-8"))
    homes = {alias.name: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert {*homes, "__version__"} == set(PUBLIC)
    for name, home in homes.items():
        there = getattr(importlib.import_module(home), name)
        if name in ("report", "search"):  # rooms too, hence callable packages
            assert inspect.signature(getattr(spatialreasoner, name)) == inspect.signature(there)
        else:
            assert getattr(spatialreasoner, name) is there


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_takes_its_input_first_and_the_rest_by_keyword(name: str) -> None:
    verb, later = getattr(spatialreasoner, name), getattr(spatialreasoner, f"{name}_async")
    assert inspect.iscoroutinefunction(later)
    assert not inspect.iscoroutinefunction(verb)
    parameters = list(inspect.signature(verb).parameters.values())
    assert parameters == list(inspect.signature(later).parameters.values())
    by_place = [p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert len(by_place) <= {"reward": 2, "explain": 3, "judge_answer": 4}.get(name, 1)


@pytest.mark.parametrize("first", ["spatialreasoner", "spatialreasoner.search.tree", "spatialreasoner.report.report"])
def test_a_room_and_its_verb_share_a_name(first: str) -> None:
    """Whatever is imported first, `search` is callable, and a package whose modules can be reached."""
    code = f"""
import inspect, {first}
import spatialreasoner
from spatialreasoner import report, search
assert list(inspect.signature(search).parameters)[:2] == ["questions", "policies"]
assert list(inspect.signature(report).parameters)[:2] == ["runs", "out"]
import spatialreasoner.search.tree as tree
assert spatialreasoner.search.tree.Node is tree.Node
from spatialreasoner.search import search as one_tree
assert list(inspect.signature(one_tree).parameters)[:2] == ["question", "prompt"]
try:
    search("no-such-file", policies=["nano"], out="x", progress=None)
except spatialreasoner.core.errors.MissingFileError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "no-such-file" in run.stdout


def test_taking_data_types_and_verbs_imports_nothing_heavy() -> None:
    names = [name for name in PUBLIC if not name.lower().startswith("fdpo")]
    code = f"import sys\nfrom spatialreasoner import {', '.join(names)}\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "trl", "uvicorn", "ray"} & set(loaded)


ROOMS = ["core", "language", "scenes", "questions", "rewards", "inference", "teachers", "judges", "search", "preferences",
         "vlm", "nano", "training", "evaluation", "report", "pipeline", "app", "testing", "cli"]  # fmt: skip


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_says_what_it_offers(room: str) -> None:
    package = importlib.import_module(f"spatialreasoner.{room}")
    assert package.__all__
    for name in package.__all__:
        assert getattr(package, name) is not None


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Inside of rooms, too, and wherever in a module the import is; those for type checkers alone do not run."""
    graph = grimp.build_graph("spatialreasoner", exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    circles = [sorted(group) for group in networkx.strongly_connected_components(networkx.DiGraph(imports)) if len(group) > 1]
    assert circles == []


def test_no_module_is_longer_than_400_lines() -> None:
    root = Path(spatialreasoner.__file__).parent
    lengths = {str(path.relative_to(root)): len(path.read_text("utf-8").splitlines()) for path in root.rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > 400} == {}
