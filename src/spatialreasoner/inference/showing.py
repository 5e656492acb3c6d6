"""How a model is shown the regions of a question, by name, so that a score can say which way was taken."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.protocols import Policy
from spatialreasoner.core.types import Completion, Prompt, Region
from spatialreasoner.scenes.files import read_image
from spatialreasoner.scenes.marks import draw
from spatialreasoner.scenes.masks import box_of, decode

Showing = Literal["own", "marks", "boxes", "boxes-1000", "tokens"]
"""own: the model's own way, region tokens where it has them and else marks. marks: numbered, coloured masks drawn on the
image. boxes: pixel boxes written into the question. boxes-1000: the same in thousandths of width and height. tokens: region
tokens, refused for a model without them."""


@contextmanager
def showing(policy: Policy, how: Showing) -> Generator[Policy]:
    """The same model, shown regions in a certain way, as long as the context lasts.

    Raises:
        ConfigError: If region tokens are asked of a model that has none (no true attribute `region_tokens`).
    """
    if how == "tokens" and not getattr(policy, "region_tokens", False):
        raise ConfigError(f"expected a model with region tokens; {policy.name} has none; show it marks or boxes")
    if how in {"own", "tokens"}:
        yield policy
    elif how == "marks":
        with TemporaryDirectory(prefix="spatialreasoner-") as folder:
            yield _Shown(policy, how, lambda prompt: _marked(prompt, Path(folder)))
    else:
        yield _Shown(policy, how, lambda prompt: boxed(prompt, thousandths=how == "boxes-1000"))


_Attempt = Callable[..., Awaitable[Sequence[Completion]]]


class _Shown:
    """A policy behind a change of its prompts."""

    def __init__(self, policy: Policy, how: Showing, change: Callable[[Prompt], Prompt]) -> None:
        self.name = policy.name
        self.identity = f"{getattr(policy, 'identity', policy.name)} shown {how}"
        self._policy, self._change = policy, change

    async def complete(self, prompt: Prompt, *, n: int, seed: int) -> Sequence[Completion]:
        return await self._policy.complete(self._change(prompt), n=n, seed=seed)

    def __getattr__(self, name: str) -> Any:
        """What else the policy can do: send one request, tell what it learned, close its connections."""
        found = getattr(self._policy, name)
        return self._changed(found) if name == "attempt" else found

    def _changed(self, attempt: _Attempt) -> _Attempt:
        return lambda prompt, **asked: attempt(self._change(prompt), **asked)


def _marked(prompt: Prompt, folder: Path) -> Prompt:
    """The prompt with its regions drawn on the image and nowhere else."""
    digest = hashlib.sha256(repr((prompt.image, prompt.regions)).encode()).hexdigest()[:24]
    path = folder / f"{digest}.png"
    if not path.exists():
        draw(read_image(prompt.image), prompt.regions).save(path)
    return replace(prompt, image=str(path), regions=())


_NAME = re.compile(r"<region(\d{1,3})>")


def boxed(prompt: Prompt, *, thousandths: bool) -> Prompt:
    """The prompt with each region's box behind its first name, in pixels or thousandths, and no regions beside."""
    told: set[int] = set()

    def name(match: re.Match[str]) -> str:
        number = int(match[1])
        if number in told or not 1 <= number <= len(prompt.regions):
            return match[0]
        told.add(number)
        return f"{match[0]} {_box(prompt.regions[number - 1], thousandths=thousandths)}"

    unit = "thousandths of the image's width and height" if thousandths else "pixels"
    request = f"{_NAME.sub(name, prompt.request)}\nBoxes are [left, top, right, bottom] in {unit}."
    return replace(prompt, request=request, regions=())


def _box(region: Region, *, thousandths: bool) -> list[int]:
    box = box_of(decode(region.mask))
    if not thousandths:
        return list(box)
    height, width = region.mask.size
    return [round(1000 * edge / side) for edge, side in zip(box, (width, height, width, height), strict=True)]
