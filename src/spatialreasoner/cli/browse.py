"""`spatialreasoner app`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from spatialreasoner.cli.options import Key, NewTokens, Thinking
from spatialreasoner.core.errors import ConfigError


def browse(
    model: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Model that visitors may ask, or 'none'. Repeat for each model.", show_default="nano"),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; by default only this machine can connect.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free port.", min=0, max=65535)] = 7860,
    allowed_hosts: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--allowed-host", help="Host name under which the app may be reached, or '*' for any. Repeat for each name."
        ),
    ] = None,
    depth: Annotated[Optional[str], typer.Option(help="A depth-estimation model of transformers.")] = None,  # noqa: UP045
    masks: Annotated[Optional[str], typer.Option(help="A SAM model of transformers: regions to click on.")] = None,  # noqa: UP045
    field_of_view: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--fov", help="Horizontal field of view in degrees, for photos without a focal length in EXIF."),
    ] = None,
    photos: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="RGB-D folder, scenes folder, or folder of RGB-D folders, to show as examples. Repeat for each."),
    ] = None,
    folders: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option("--open", help="Folder from which visitors may open captures by their path. Repeat for each folder."),
    ] = None,
    saved: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder for saved sessions; by default they last as long as the app runs.", show_default=False),
    ] = None,
    runs: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="Run folder whose search trees and preference pairs can be browsed. Repeat for each folder."),
    ] = None,
    share: Annotated[bool, typer.Option("--share", hidden=True)] = False,
    max_new_tokens: NewTokens = 768,
    enable_thinking: Thinking = None,
    key_variable: Key = "OPENAI_API_KEY",
) -> None:
    """Measure things in images with depth, and ask models about them, in a browser. Measuring needs no model.

    Examples:
        spatialreasoner app
        spatialreasoner app --model none --open captures
        spatialreasoner app --host 0.0.0.0 --allowed-host measure.example.org
        spatialreasoner app --model nano --model hf:Qwen/Qwen2.5-VL-3B-Instruct --runs runs/demo
    """
    from spatialreasoner.app.config import AppConfig
    from spatialreasoner.app.serve import serve

    if share:
        raise ConfigError("--share and its public tunnel were removed: set up your own tunnel to --port, such as ssh -R")
    serve(
        AppConfig(
            models=_models(model), host=host, port=port, allowed_hosts=tuple(allowed_hosts or ()),
            depth=depth, masks=masks, field_of_view=field_of_view,
            photos=tuple(map(str, photos or ())), folders=tuple(map(str, folders or ())),
            saved=None if saved is None else str(saved), runs=tuple(map(str, runs or ())), max_new_tokens=max_new_tokens,
            enable_thinking=enable_thinking, key_variable=key_variable,
        )
    )  # fmt: skip


def _models(named: list[str] | None) -> tuple[str, ...]:
    return () if named == ["none"] else tuple(named or ["nano"])
