import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialreasoner.search.tree import Node, Tree, Usage, add, backup, close, from_json, mean_rating, select, tree_to_json, ucb


def grow(parent, reward, *, text="x", pruned=None, step="step 1"):
    return add(parent, step=step, text=text, policy="p", ratings={"r": reward}, pruned=pruned)


def test_ucb_by_hand():
    parent = Node(visits=10, value=0.2)
    child = Node(visits=3, value=0.4, parent=parent)
    # log 10 = 2.302585; 2.302585 / (1 + 3) = 0.575646; its root 0.758713; half of it 0.379357
    assert ucb(child, exploration=0.5) == pytest.approx(0.4 + 0.379357, abs=1e-6)


def test_ucb_without_exploration_is_the_value():
    parent = Node(visits=10)
    assert ucb(Node(visits=3, value=-0.25, parent=parent), exploration=0) == -0.25


@pytest.mark.parametrize("visits", [0, 1])
def test_ucb_under_a_parent_without_visits_has_no_second_term(visits):
    assert ucb(Node(visits=0, value=0.3, parent=Node(visits=visits)), exploration=2.0) == 0.3


def test_backup_of_two_children_up_the_path():
    root = Node(visits=4, value=0.25)
    middle = Node(visits=2, value=0.5, parent=root)
    backup(middle, [1.0, 0.0])
    assert (middle.visits, middle.value) == (4, 0.5)  # (2 * 0.5 + 1 + 0) / 4
    assert (root.visits, root.value) == (6, pytest.approx(2 / 6))  # (4 * 0.25 + 1 + 0) / 6


def test_backup_of_nothing_changes_nothing():
    root = Node(visits=4, value=0.25)
    backup(root, [])
    assert (root.visits, root.value) == (4, 0.25)


def test_a_chain_by_hand():
    root = Node()
    first = grow(root, 1.0)
    second = grow(first, 0.5)
    third = grow(second, 0.0)
    assert [(n.visits, n.value) for n in (third, second, first, root)] == [(1, 0.0), (2, 0.25), (3, 0.5), (3, 0.5)]


def test_a_pruned_step_counts_nothing():
    root = Node()
    grow(root, 1.0)
    bad = grow(root, -1.0, pruned="rated -1.00, below 0")
    assert (root.visits, root.value) == (1, 1.0)
    assert (bad.visits, bad.value, bad.reward) == (0, 0.0, -1.0)


def test_select_prefers_value_then_the_unvisited():
    """Two siblings: first by value; once the better one has been visited enough, the other by its second term."""
    root = Node()
    good, poor = grow(root, 0.6, text="good"), grow(root, 0.2, text="poor")
    # N(root) = 2: both 0.5 * sqrt(log 2 / 2) = 0.294; 0.6 + 0.294 > 0.2 + 0.294
    assert select(root, exploration=0.5) is good
    for _ in range(8):
        backup(good, [0.3])
    # good: N = 9, V = (0.6 + 8 * 0.3) / 9 = 0.3333; N(root) = 10; bonus 0.5 * sqrt(2.3026 / 10) = 0.2399 -> 0.5733
    # poor: N = 1, V = 0.2; bonus 0.5 * sqrt(2.3026 / 2) = 0.5365 -> 0.7365
    assert ucb(good, exploration=0.5) == pytest.approx(0.5733, abs=1e-4)
    assert ucb(poor, exploration=0.5) == pytest.approx(0.7365, abs=1e-4)
    assert select(root, exploration=0.5) is poor


def test_select_walks_to_a_leaf_and_takes_the_first_of_equals():
    root = Node()
    left = grow(root, 0.5, text="a")
    grow(root, 0.5, text="b")
    assert select(root, exploration=0.5) is left
    deep = grow(left, 0.5, text="c")
    # left: N = 2, V = 0.5, smaller bonus than its twin
    assert select(root, exploration=0.0) is deep


def test_select_passes_over_pruned_and_closed_children():
    root = Node()
    grow(root, 1.0, text="a", pruned="bad")
    done = grow(root, 0.9, text="b")
    done.closed = True
    poor = grow(root, 0.1, text="c")
    assert select(root, exploration=0.5) is poor
    poor.closed = True
    assert select(root, exploration=0.5) is root


def test_close_climbs_while_everything_above_is_done():
    root = Node(expansions=1)
    step = grow(root, 0.5)
    end = grow(step, 0.5, step="conclusion")
    step.expansions = 1
    close(end, max_expansions=1)
    assert (end.closed, step.closed, root.closed) == (True, True, True)


def test_close_stops_at_a_node_that_may_be_expanded_again():
    root = Node(expansions=1)
    step = grow(root, 0.5)
    end = grow(step, 0.5, step="conclusion")
    close(end, max_expansions=2)
    assert (end.closed, step.closed, root.closed) == (True, False, False)


def test_mean_rating():
    assert mean_rating({"visual": 1.0, "spatial": -0.5}) == 0.25
    assert mean_rating({}) == 0.0


shapes = st.lists(st.tuples(st.integers(0, 30), st.floats(-1, 1), st.booleans()), max_size=40)


@given(shapes)
def test_visits_and_values_are_those_of_the_kept_subtree(shape):
    """N counts the kept nodes of a subtree and V is their mean reward, however the tree grew."""
    root, kept = Node(), [Node()]
    kept = [root]
    for place, reward, prune in shape:
        node = grow(kept[place % len(kept)], reward, pruned="bad" if prune else None)
        if not prune:
            kept.append(node)
    for node in kept:
        rewards = [n.reward for n in node.walk() if n.pruned is None and n is not root]
        assert node.visits == len(rewards)
        assert node.value == pytest.approx(math.fsum(rewards) / len(rewards) if rewards else 0.0, abs=1e-9)


@given(shapes)
def test_json_round_trip(shape):
    root, kept = Node(), []
    kept = [root]
    for place, reward, prune in shape:
        node = grow(kept[place % len(kept)], reward, pruned="bad" if prune else None)
        node.selections.append((place, reward))
        if not prune:
            kept.append(node)
    tree = Tree(question_id="q", root=root, outcome="budget", rounds=3, model_rounds=9, usage={"p": Usage(calls=9)})
    stored = json.loads(json.dumps(tree_to_json(tree)))
    read = from_json(stored)
    assert json.loads(json.dumps(tree_to_json(read))) == stored
    assert [n.prefix() for n in read.root.walk()] == [n.prefix() for n in root.walk()]


def test_paths_of_a_tree():
    root = Node()
    step = grow(root, 0.5, text="Step. ")
    end = grow(step, 0.5, text="End.", step="conclusion")
    grow(step, -0.5, text="Bad.", step="conclusion", pruned="bad")
    tree = Tree(question_id="q", root=root)
    assert tree.complete_paths() == [end]
    assert end.prefix() == "Step. End."
    assert end.path() == [step, end]
