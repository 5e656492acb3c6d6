"""`spatialreasoner app`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from spatialreasoner.cli.options import Key, NewTokens, Thinking


def browse(
    model: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Model that visitors may ask. Repeat for each model.", show_default="nano"),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; by default only this machine can connect.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free port.", min=0, max=65535)] = 7860,
    depth: Annotated[Optional[str], typer.Option(help="A depth-estimation model of transformers.")] = None,  # noqa: UP045
    masks: Annotated[Optional[str], typer.Option(help="A SAM model of transformers: regions to click on.")] = None,  # noqa: UP045
    fov: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Horizontal field of view in degrees, for photos without a focal length in EXIF."),
    ] = None,
    photos: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="RGB-D folder, or a folder of them, to show as examples. Repeat for each folder."),
    ] = None,
    runs: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="Run folder whose search trees and preference pairs can be browsed. Repeat for each folder."),
    ] = None,
    share: Annotated[bool, typer.Option("--share", help="Open a public tunnel: anyone with the address can ask.")] = False,
    max_new_tokens: NewTokens = 768,
    enable_thinking: Thinking = None,
    key_variable: Key = "OPENAI_API_KEY",
) -> None:
    """Draw regions on an image and ask about them in a browser.

    Examples:
        spatialreasoner app
        spatialreasoner app --model nano --model hf:Qwen/Qwen2.5-VL-3B-Instruct --runs runs/demo
    """
    from spatialreasoner.app.config import AppConfig
    from spatialreasoner.app.serve import serve

    serve(
        AppConfig(
            models=tuple(model or ["nano"]), host=host, port=port, share=share, depth=depth, masks=masks, field_of_view=fov,
            photos=tuple(map(str, photos or ())), runs=tuple(map(str, runs or ())), max_new_tokens=max_new_tokens,
            enable_thinking=enable_thinking, key_variable=key_variable,
        )
    )  # fmt: skip
