"""A search tree as one SVG: steps from left to right, one row per leaf, each node a link to its details on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from spatialreasoner.search.tree import Node, Tree

COLUMN, ROW, BOX_WIDTH, BOX_HEIGHT = 124, 44, 104, 36
"""Distances of the drawing, in its own pixels."""


@dataclass(frozen=True, kw_only=True)
class NodeView:
    """A node as the page shows it.

    Attributes:
        anchor: Its id on the page.
        node: The node.
        policy_style: Number of its policy's colour.
        best: Whether it lies on the best path.
        x: Left edge of its box.
        y: Top edge of its box.
    """

    anchor: str
    node: Node
    policy_style: int
    best: bool
    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class TreeView:
    """A tree as the page shows it: the drawing, its nodes in the drawing's order, and what each policy's colour is."""

    tree: Tree
    drawing: Markup
    nodes: Sequence[NodeView]
    policies: Mapping[str, int]
    default: str


def view(tree: Tree, *, name: str, policies: Mapping[str, int]) -> TreeView:
    """Lay a tree out.

    Args:
        tree: The tree.
        name: A prefix of its nodes' ids, unique on the page.
        policies: The colour of each policy.
    """
    best = best_path(tree)
    on_path = {id(node) for node in best}
    places = _layout(tree.root)
    nodes = [
        NodeView(
            anchor=f"{name}-{number}",
            node=node,
            policy_style=policies.get(node.policy, 0),
            best=id(node) in on_path or node.parent is None,
            x=places[id(node)][0],
            y=places[id(node)][1],
        )
        for number, node in enumerate(tree.root.walk())
    ]
    last = best[-1] if best else tree.root
    default = next(shown.anchor for shown in nodes if shown.node is last)
    used = {node.node.policy for node in nodes}
    return TreeView(
        tree=tree,
        drawing=_draw(nodes),
        nodes=nodes,
        policies={policy: style for policy, style in policies.items() if policy in used},
        default=default,
    )


def best_path(tree: Tree) -> list[Node]:
    """The nodes of the best whole answer: a right one if there is any, then the highest value, then the most visits."""
    conclusions = tree.complete_paths()
    if not conclusions:
        return []
    return max(conclusions, key=lambda node: (node.success is True, node.value, node.visits)).path()


def _layout(root: Node) -> dict[int, tuple[float, float]]:
    """Left and top of each node: columns by depth, a parent in the middle of its first and last child."""
    places: dict[int, tuple[float, float]] = {}
    rows = 0
    depth = {id(root): 0}
    order = list(root.walk())
    for node in order:
        for child in node.children:
            depth[id(child)] = depth[id(node)] + 1
    for node in order:
        if not node.children:
            places[id(node)] = (depth[id(node)] * COLUMN, rows * ROW)
            rows += 1
    for node in reversed(order):
        if node.children:
            tops = [places[id(child)][1] for child in node.children]
            places[id(node)] = (depth[id(node)] * COLUMN, (min(tops) + max(tops)) / 2)
    return places


def _draw(nodes: Sequence[NodeView]) -> Markup:
    width = max(node.x for node in nodes) + BOX_WIDTH + 4
    height = max(node.y for node in nodes) + BOX_HEIGHT + 4
    places = {id(shown.node): shown for shown in nodes}
    edges = [_edge(places[id(shown.node.parent)], shown) for shown in nodes if shown.node.parent is not None]
    edges.sort(key=lambda edge: "best" in edge)  # the best path is drawn over the others
    body = "".join([*edges, *(_box(shown) for shown in nodes)])
    return Markup(  # every text in `body` was escaped where it was written
        f'<svg class="tree" viewBox="-2 -2 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'role="group" aria-label="search tree">{body}</svg>'
    )


def _edge(parent: NodeView, child: NodeView) -> str:
    x0, y0 = parent.x + BOX_WIDTH, parent.y + BOX_HEIGHT / 2
    x1, y1 = child.x, child.y + BOX_HEIGHT / 2
    middle = (x0 + x1) / 2
    kind = "edge best" if child.best else ("edge cut" if child.node.pruned else "edge")
    return f'<path class="{kind}" d="M{x0:.0f},{y0:.1f}C{middle:.0f},{y0:.1f} {middle:.0f},{y1:.1f} {x1:.0f},{y1:.1f}"/>'


def _box(shown: NodeView) -> str:
    node = shown.node
    state = " best" * shown.best + " cut" * (node.pruned is not None)
    mark = {True: "✓", False: "✗", None: ""}[node.success]
    name = node.step.capitalize() or "Question"
    numbers = f"pruned, R {node.reward:+.2f}" if node.pruned else f"V {node.value:+.2f} · N {node.visits}"
    numbers = numbers.replace("-", "−")
    verdict = f'<text class="{"right" if node.success else "wrong"}" x="{BOX_WIDTH - 8}" y="29" text-anchor="end">{mark}</text>'
    return (
        f'<a class="node{state}" href="#{shown.anchor}" transform="translate({shown.x:.0f},{shown.y:.1f})" '
        f'aria-label="{escape(name)}: {escape(numbers)}">'
        f"<title>{escape(_hint(node))}</title>"
        f'<rect class="box" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="5"/>'
        f'<rect class="p{shown.policy_style}" width="5" height="{BOX_HEIGHT}" rx="2.5"/>'
        f'<text class="step" x="13" y="15">{escape(name)}</text>'
        f'<text class="numbers" x="13" y="29">{escape(numbers)}</text>'
        f"{verdict if mark else ''}</a>"
    )


def _hint(node: Node) -> str:
    if node.parent is None:
        return "the question"
    said = " ".join(node.text.split())
    return f"{node.policy}: {said[:160]}{'…' if len(said) > 160 else ''}"
