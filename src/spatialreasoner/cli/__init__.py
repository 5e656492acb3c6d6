"""The command line: one module per command; each maps its options onto a function of the pipeline.

A new command is a module here, with a function of the module's name, and a line of `COMMANDS`. Help, examples and all, is the
function's docstring. Heavy libraries are imported inside the functions, so that `--help` answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from spatialreasoner import __version__
from spatialreasoner.cli.options import CarefulCommand
from spatialreasoner.cli.running import run

__all__ = ["COMMANDS", "SCENES", "app", "main", "run"]

COMMANDS: Mapping[str, Mapping[str, str]] = {
    "Start here": {
        "demo": "demo",
        "ask": "ask",
        "app": "browse",
    },
    "Scenes and questions": {
        "scenes": "",  # a group of its own, below
        "measure": "measure",
        "questions": "questions",
    },
    "Preference data": {
        "search": "search",
        "reward": "reward",
        "explain": "explain",
        "pairs": "pairs",
    },
    "Training": {
        "convert": "convert",
        "train": "train",
    },
    "Evaluation": {
        "generate": "generate",
        "score": "score",
        "report": "report",
        "study": "study",
    },
}
"""Every command by its group in `--help`, with its module in this package."""

SCENES: Mapping[str, str] = {
    "synthetic": "scenes_synthetic",
    "rgbd": "scenes_rgbd",
    "import": "scenes_import",
    "images": "scenes_images",
    "benchmark": "scenes_benchmark",
}
"""The commands under `scenes`, with their modules."""


class _InOrder(TyperGroup):
    """Commands in the order of the table; typer would put groups last."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for commands in COMMANDS.values() for name in commands]


app = typer.Typer(
    name="spatialreasoner",
    cls=_InOrder,
    help="Spatial reasoning for vision-language models: verified rewards, multi-model tree search, fine-grained DPO.\n\n"
    "The stages, in order: scenes, questions, search, pairs, train, generate, score, report. 'demo' runs them all.\n\n"
    "Examples:\n"
    "    spatialreasoner demo --out demo-out\n"
    "    spatialreasoner scenes synthetic --count 20 --out scenes\n"
    "    spatialreasoner questions scenes --out questions.jsonl\n"
    "    spatialreasoner search questions.jsonl --policy nano --out search",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
scenes_app = typer.Typer(
    no_args_is_help=True,
    help="Make a scenes folder: images, regions, depth and cameras.\n\n"
    "Examples:\n"
    "    spatialreasoner scenes synthetic --count 20 --out scenes\n"
    "    spatialreasoner scenes import capture.r3d --out scenes",
)


def _add(group: typer.Typer, name: str, module: str, panel: str | None = None) -> None:
    """Register the function of a module; its `OPTIONS`, if it has any, are those of typer's `command`."""
    found = import_module(f"{__name__}.{module}")
    options: dict[str, Any] = {"cls": CarefulCommand, **getattr(found, "OPTIONS", {})}
    group.command(name, rich_help_panel=panel, **options)(getattr(found, module))


for _name, _module in SCENES.items():
    _add(scenes_app, _name, _module)
for _panel, _commands in COMMANDS.items():
    for _name, _module in _commands.items():
        if _module:
            _add(app, _name, _module, _panel)
        else:
            app.add_typer(scenes_app, name=_name, rich_help_panel=_panel)


def _version(show: bool) -> None:
    if show:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    run(app, arguments)
