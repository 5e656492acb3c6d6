"""`spatialreasoner ask`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from spatialreasoner.cli.options import Key, NewTokens, Thinking


def ask(
    image: Annotated[Path, typer.Argument(help="An image, an RGB-D folder, or any capture.", show_default=False)],
    question: Annotated[str, typer.Argument(help="The question; <region1> is the first --region.", show_default=False)],
    region: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="A box x0,y0,x1,y1, an outline 'x,y x,y x,y', or a mask image. Repeat for each region."),
    ] = None,
    depth: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="The image's depth: a 16-bit PNG of millimetres, .npy, .exr or .pfm.", show_default=False),
    ] = None,
    intrinsics: Annotated[
        str, typer.Option(help="The camera, FX,FY,CX,CY in pixels, if the files do not include it.", show_default=False)
    ] = "",
    kind: Annotated[str, typer.Option("--from", help="Kind of capture; 'auto' detects it from the files.")] = "auto",
    frame: Annotated[int, typer.Option(help="Which image to use if there are several, from 0.", min=0)] = 0,
    keep_boxes: Annotated[
        bool, typer.Option("--keep-boxes", help="Use everything inside a box, not only the object cut out by depth and colour.")
    ] = False,
    model: Annotated[str, typer.Option(help="nano, a folder or hf:REPO_OR_DIR, or api:MODEL@BASE_URL.")] = "nano",
    save_marked: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write the image with its numbered marks.", show_default=False),
    ] = None,
    max_new_tokens: NewTokens = 768,
    enable_thinking: Thinking = None,
    key_variable: Key = "OPENAI_API_KEY",
) -> None:
    """Ask one question about one image; the answer is streamed, and checked where there is depth.

    Examples:
        spatialreasoner ask room.png 'Is <region1> taller than <region2>?' --region 20,30,60,90 --region mask.png
        spatialreasoner ask kitchen.r3d 'How wide is <region1>?' --region 40,60,200,300
    """
    from spatialreasoner.app import terminal

    terminal.ask_in_terminal(
        terminal.AskConfig(
            image=str(image), question=question, regions=tuple(region or ()),
            depth=None if depth is None else str(depth), intrinsics=intrinsics, kind=kind, frame=frame, keep_boxes=keep_boxes,
            model=model,
            save_marked=None if save_marked is None else str(save_marked), max_new_tokens=max_new_tokens,
            enable_thinking=enable_thinking, key_variable=key_variable,
        )
    )  # fmt: skip
