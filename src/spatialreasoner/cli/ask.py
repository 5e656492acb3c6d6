"""`spatialreasoner ask`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from spatialreasoner.cli.options import Key, NewTokens, Thinking


def ask(
    image: Annotated[Path, typer.Argument(help="An image.", show_default=False)],
    question: Annotated[str, typer.Argument(help="The question; <region1> is the first --region.", show_default=False)],
    region: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="A box x0,y0,x1,y1, an outline 'x,y x,y x,y', or a mask image. Repeat for each region."),
    ] = None,
    model: Annotated[str, typer.Option(help="nano, a folder or hf:REPO_OR_DIR, or api:MODEL@BASE_URL.")] = "nano",
    save_marked: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write the image with its numbered marks.", show_default=False),
    ] = None,
    max_new_tokens: NewTokens = 768,
    enable_thinking: Thinking = None,
    key_variable: Key = "OPENAI_API_KEY",
) -> None:
    """Ask one question about one image; the answer is streamed.

    Examples:
        spatialreasoner ask room.png 'Is <region1> taller than <region2>?' --region 20,30,60,90 --region mask.png
    """
    from spatialreasoner.app import terminal

    terminal.ask_in_terminal(
        terminal.AskConfig(
            image=str(image), question=question, regions=tuple(region or ()), model=model,
            save_marked=None if save_marked is None else str(save_marked), max_new_tokens=max_new_tokens,
            enable_thinking=enable_thinking, key_variable=key_variable,
        )
    )  # fmt: skip
