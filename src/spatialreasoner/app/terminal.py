"""The command `ask_in_terminal`: one question about one image, answered in the terminal while the model writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from spatialreasoner.app.asked_scene import asked_regions, asked_scene
from spatialreasoner.app.asking import RegionQuestion, check_answer, named_regions
from spatialreasoner.app.asking import prompt_with_regions as prepare
from spatialreasoner.app.segments import pieces, settled
from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, WorkError
from spatialreasoner.core.loops import run_in_new_loop
from spatialreasoner.core.progress import wording
from spatialreasoner.core.types import Region, Scene
from spatialreasoner.nano.shipped import NANO
from spatialreasoner.scenes.files import read_image
from spatialreasoner.scenes.masks import decode

if TYPE_CHECKING:
    from PIL import Image
    from rich.console import Console
    from rich.text import Text

    from spatialreasoner.core.protocols import Policy

SEGMENT_STYLES = {"description": "blue", "reasoning": "yellow", "conclusion": "bold green"}
"""How segments are coloured, as on the page."""

_ROOM = re.compile(r"synthetic-\d{1,20}-\d{6}")
"""How images of `spatialreasoner scenes synthetic` are called."""


@dataclass(frozen=True, kw_only=True)
class AskConfig:
    """One question about one image.

    Attributes:
        image: An image, an RGB-D folder, a scenes folder, or any capture that can be imported.
        question: The question; `<region1>` is the first of `regions`.
        regions: Each a box `x0,y0,x1,y1`, a polygon `x,y x,y x,y`, or a mask image.
        depth: The depth of the image, if it is a separate file.
        intrinsics: The camera, FX,FY,CX,CY in pixels, if the files do not include it.
        kind: Kind of capture, or "auto".
        frame: Which image to use if there are several, from 0.
        keep_boxes: Use everything inside a box, not only the object cut out by depth and colour.
        model: The model's name.
        save_marked: Path to which the image with its numbered marks is written, or None.
        max_new_tokens: Maximum length of a local model's answer in tokens.
        enable_thinking: Let a model think before it answers, if it can; None as in `WritingConfig`.
        key_variable: Environment variable that holds the API key of endpoints.
    """

    image: str
    question: str
    regions: tuple[str, ...] = ()
    depth: str | None = None
    intrinsics: str = ""
    kind: str = "auto"
    frame: int = 0
    keep_boxes: bool = False
    model: str = "nano"
    save_marked: str | None = None
    max_new_tokens: int = 768
    enable_thinking: bool | None = None
    key_variable: str = "OPENAI_API_KEY"


def ask_in_terminal(config: AskConfig, *, heading: str = "", console: Console | None = None) -> str:
    """Answer in the terminal, segment by segment; returns the whole answer.

    Args:
        config: What is asked, and of whom.
        heading: A line above the answer; none if empty.
        console: The terminal; by default standard output.

    Raises:
        InputError: If the image, a region, the question or the model's name is wrong.
        EndpointError: If the model fails.
        WorkError: If the marked image cannot be written.
    """
    from rich.console import Console

    with TemporaryDirectory(prefix="spatialreasoner-ask-") as folder:
        scene = asked_scene(
            Path(config.image), Path(folder), depth=config.depth, kind=config.kind, frame=config.frame, camera=config.intrinsics
        )
        return _ask(config, scene, heading, Console() if console is None else console)


def _ask(config: AskConfig, scene: Scene, heading: str, console: Console) -> str:
    shown = asked_regions(config.regions, scene, keep_boxes=config.keep_boxes)
    named = named_regions(config.question)
    if config.regions and len(shown) > max(named, default=0):
        raise ConfigError(
            f"expected a question that names each region, <region1> to <region{len(shown)}>; it names {_names(named)}"
        )
    asked = prepare(config.question, shown, scene.image)
    if config.save_marked is not None:
        _save(read_image(scene.image), shown, Path(config.save_marked))
    policy = _policy(config)
    if heading:
        console.print(_plain(heading, "bold"), soft_wrap=True)
    if caution := caution_about(policy, scene.image):
        console.print(caution, style="yellow", soft_wrap=True)
    if told := _told_regions(shown):
        console.print(_plain(told, ""), soft_wrap=True)
    text = run_in_new_loop(_follow(policy, asked, console))
    if scene.depth is not None:
        _tell_checked(console, scene, asked, text)
    return text


def _policy(config: AskConfig) -> Policy:
    """The model; a nano without torch, which takes longer to import than the answer to write."""
    from spatialreasoner.nano.numpy import LightNano, is_nano

    if is_nano(config.model):
        return LightNano(config.model, max_new_tokens=config.max_new_tokens)
    from spatialreasoner.inference.registry import WritingConfig, named_policy

    writing = WritingConfig(
        max_new_tokens=config.max_new_tokens, enable_thinking=config.enable_thinking, key_variable=config.key_variable
    )
    return named_policy(config.model, {}, writing)


def caution_about(policy: Policy, image: str) -> str | None:
    """A caution about a model that may be out of its depth with an image: any but a synthetic room, for the nano."""
    if getattr(policy, "model_type", None) != NANO.model_type or _ROOM.fullmatch(Path(image).stem):
        return None
    return (
        f"{policy.name} was trained on synthetic rooms alone, and this image is none that it knows of: expect the form of an "
        "answer, not the truth"
    )


def _told_regions(regions: Sequence[Region]) -> str:
    """Which regions were cut out of boxes, and how much of them is left; nothing where none was."""
    cut = [
        f"<region{number}> is {int(decode(region.mask).sum())} pixels: {region.region_source}"
        for number, region in enumerate(regions, start=1)
        if "cut out" in (region.region_source or "")
    ]
    return "; ".join(cut) + (wording.get()(" (`keep_boxes` keeps all of a box)") if cut else "")


def _tell_checked(console: Console, scene: Scene, asked: RegionQuestion, text: str) -> None:
    """Every statement of the answer with what was measured, below it."""
    from spatialreasoner.app.answer import VERDICT_WORDS

    graded = check_answer(scene, asked, text)
    if graded is None:
        return
    console.print("\n[dim]checked against the depth[/dim]")
    for verdict in (*graded.description, *graded.reasoning):
        start, end = verdict.assertion.span
        said = " ".join(asked.as_drawn(text[start:end]).split())
        console.print(_plain(f"{VERDICT_WORDS[verdict.label]}: {said} ({verdict.reason or 'as measured'})", ""), soft_wrap=True)


async def _follow(policy: Policy, asked: RegionQuestion, console: Console) -> str:
    """Print an answer while it is written."""
    from spatialreasoner.inference.streaming import stream

    text, shown = "", 0
    async with aclosing(stream(policy, asked.prompt)) as written:
        async for piece in written:
            text += piece
            shown = _show(console, asked.as_drawn(settled(text)), shown)
    text = asked.as_drawn(text)
    _show(console, text, shown)
    console.print()
    if not text.strip():
        raise WorkError(f"{policy.name} wrote nothing; try another question or model")
    return text


def _show(console: Console, text: str, shown: int) -> int:
    """Print what comes after `shown`, each segment under its name and in its colour; returns what is shown then."""
    for piece in pieces(text, writing=True):  # a name that is printed stays
        if piece.end <= shown:
            continue
        if piece.start >= shown:
            console.print(f"\n[dim]{piece.name}[/dim]")
        console.print(_plain(text[max(piece.start, shown) : piece.end], SEGMENT_STYLES[piece.name]), end="", soft_wrap=True)
        shown = piece.end
    return shown


def _plain(text: str, style: str) -> Text:
    """A model's words for a terminal: control characters are shown, not sent."""
    from rich.text import Text

    return Text("".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text), style=style)


def _save(image: Image.Image, regions: Sequence[Region], path: Path) -> None:
    from spatialreasoner.scenes.marks import draw

    try:
        with records.atomic_path(path) as temporary:
            draw(image, regions).save(temporary, compress_level=1)  # that of a PNG: time counts for more than kilobytes
    except (WorkError, ValueError) as error:
        raise WorkError(f"the marked image cannot be written to {path}: {error}; name a .png in a folder that exists") from None


def _names(numbers: Sequence[int]) -> str:
    return ", ".join(f"<region{number}>" for number in numbers) or "none"
