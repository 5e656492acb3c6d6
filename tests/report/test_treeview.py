"""The drawing of a search tree: what is where, by hand."""

from __future__ import annotations

import re

from spatialreasoner.report.report import environment
from spatialreasoner.report.treeview import COLUMN, ROW, best_path, view
from spatialreasoner.search.tree import Tree, add


def grown() -> Tree:
    """Two descriptions by two policies; the first continues to a right and a wrong conclusion, the second is pruned."""
    tree = Tree(question_id="q", outcome="found")
    first = add(tree.root, step="description", text="A room.", policy="one", ratings={"visual": 0.5}, pruned=None)
    add(tree.root, step="description", text="<b>A field.</b>", policy="two", ratings={"visual": -1.0}, pruned="below 0")
    wrong = add(first, step="conclusion", text="Yes.", policy="one", ratings={"logical": 1.0}, pruned=None)
    right = add(first, step="conclusion", text="No.", policy="two", ratings={"logical": 0.25}, pruned=None)
    wrong.success, right.success = False, True
    first.selections.append((2, 0.8125))
    return tree


def test_best_path_prefers_a_right_answer_to_a_valued_one() -> None:
    assert [node.text for node in best_path(grown())] == ["A room.", "No."]
    assert best_path(Tree(question_id="q")) == []


def test_columns_by_depth_and_rows_by_leaf() -> None:
    shown = view(grown(), name="t", policies={"one": 1, "two": 2})
    places = {(node.node.text, node.node.policy): (node.x, node.y) for node in shown.nodes}
    assert places["Yes.", "one"] == (2 * COLUMN, 0)
    assert places["No.", "two"] == (2 * COLUMN, ROW)
    assert places["A room.", "one"] == (COLUMN, ROW / 2)
    assert places["<b>A field.</b>", "two"] == (COLUMN, 2 * ROW)
    assert places["", ""] == (0, (ROW / 2 + 2 * ROW) / 2)


def test_the_drawing_marks_policies_path_pruning_and_success() -> None:
    shown = view(grown(), name="t", policies={"one": 1, "two": 2, "three": 3})
    assert shown.policies == {"one": 1, "two": 2}
    nodes = dict(re.findall(r'<a class="node([^"]*)" href="#(t-\d)"', shown.drawing))
    assert sorted(nodes) == ["", " best", " cut"]
    assert shown.drawing.count("✓") == shown.drawing.count("✗") == 1
    assert "&lt;b&gt;A field." in shown.drawing
    assert shown.drawing.count('class="edge best"') == 2
    assert shown.default == next(node.anchor for node in shown.nodes if node.node.text == "No.")


def test_a_nodes_panel_tells_all_that_the_search_knew() -> None:
    shown = view(grown(), name="t", policies={"one": 1, "two": 2})
    macros = environment().get_template("macros.html.j2").module
    panels = {node.node.text: str(macros.node_panel(node, shown.default)) for node in shown.nodes}  # type: ignore[attr-defined]
    assert "selected in round 2 at UCB 0.812" in panels["A room."]
    assert "3 visits" in panels["A room."]
    assert "Pruned: below 0" in panels["<b>A field.</b>"]
    assert "visual" in panels["<b>A field.</b>"]
    assert "agrees with the reference" in panels["No."]
    assert "does not agree" in panels["Yes."]


def test_a_tree_that_never_grew() -> None:
    shown = view(Tree(question_id="q"), name="t", policies={})
    assert len(shown.nodes) == 1
    assert shown.default == "t-0"
