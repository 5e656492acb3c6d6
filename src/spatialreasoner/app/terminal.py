"""The command `ask_in_terminal`: one question about one image, answered in the terminal while the model writes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spatialreasoner.app.asking import RegionQuestion, named_regions
from spatialreasoner.app.asking import prompt_with_regions as prepare
from spatialreasoner.app.regions import from_mask_image, from_numbers, is_numbers
from spatialreasoner.app.segments import pieces, settled
from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, SceneError, WorkError
from spatialreasoner.core.types import Region
from spatialreasoner.nano.shipped import NANO
from spatialreasoner.scenes.files import read_image

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
        image: The image.
        question: The question; `<region1>` is the first of `regions`.
        regions: Each a box `x0,y0,x1,y1`, a polygon `x,y x,y x,y`, or a mask image.
        model: The model's name.
        save_marked: Where to write the image with its numbered marks; nowhere if None.
        max_new_tokens: Longest answer of a local model, tokens.
        enable_thinking: Whether a model that can think before it answers does so; None as in `WritingConfig`.
        key_variable: Environment variable that holds the key of endpoints.
    """

    image: str
    question: str
    regions: tuple[str, ...] = ()
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

    image = read_image(config.image)
    shown = read_regions(config.regions, (image.height, image.width))
    named = named_regions(config.question)
    if len(shown) > max(named, default=0) and shown:
        raise ConfigError(
            f"expected a question that names each region, <region1> to <region{len(shown)}>; it names {_names(named)}"
        )
    asked = prepare(config.question, shown, str(config.image))
    if config.save_marked is not None:
        _save(image, shown, Path(config.save_marked))
    policy = _policy(config)
    console = Console() if console is None else console
    if heading:
        console.print(_plain(heading, "bold"), soft_wrap=True)
    if caution := caution_about(policy, config.image):
        console.print(caution, style="yellow", soft_wrap=True)
    return asyncio.run(_follow(policy, asked, console))


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
    """What to tell of a model that may be out of its depth with an image: any but a synthetic room, for the nano."""
    if getattr(policy, "model_type", None) != NANO.model_type or _ROOM.fullmatch(Path(image).stem):
        return None
    return (
        f"{policy.name} was trained on synthetic rooms alone, and this image is none that it knows of: expect the form of an "
        "answer, not the truth"
    )


def read_regions(texts: Sequence[str], size: tuple[int, int]) -> list[Region]:
    """The regions of `--region`, each told by its number in errors.

    Raises:
        InputError: If one is unusable.
    """
    found: list[Region] = []
    for number, text in enumerate(texts, start=1):
        try:
            region = from_numbers(text, size) if is_numbers(text) else from_mask_image(text, size)
        except SceneError as error:
            raise SceneError(f"region {number}: {error}") from None
        found.append(Region(id=f"region{number}", label=region.label, mask=region.mask))
    return found


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
    for piece in pieces(text):
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
            draw(image, regions).save(temporary)
    except (WorkError, ValueError) as error:
        raise WorkError(f"the marked image cannot be written to {path}: {error}; name a .png in a folder that exists") from None


def _names(numbers: Sequence[int]) -> str:
    return ", ".join(f"<region{number}>" for number in numbers) or "none"
