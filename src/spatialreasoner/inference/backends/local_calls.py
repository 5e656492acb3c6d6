"""What is asked of a local model: one completion of one prompt, with the chance that is its own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL.Image import Image

from spatialreasoner.core.types import Prompt, Rle
from spatialreasoner.scenes.carry import carrier_of


@dataclass(frozen=True, kw_only=True)
class LocalCall:
    """One completion that somebody waits for.

    Attributes:
        image: The image, with marks where the model has no tokens for regions; None for text alone.
        masks: Where it has, the regions, of the image's size; else None.
        text: What it continues.
        follows: What may follow it (see `vlm.rendering.AnswerFrame`).
        prefix: The beginning of the answer in it.
        thought: The opening of a block of thinking at the end of the text, or "".
        tail: What the chat template writes between an answer and its end token, most often nothing.
        key: A number of 63 bits that decides the completion's chance.
    """

    image: Image | None
    masks: tuple[Rle, ...] | None
    text: str
    follows: tuple[str, ...]
    prefix: str
    thought: str
    tail: str
    key: int

    @property
    def shown(self) -> Image | None:
        """The image as a processor takes it: it carries the regions (`scenes.carry`)."""
        return self.image if self.image is None or self.masks is None else carrier_of(self.image, self.masks)

    def answer(self, text: str, *, ended: bool) -> str:
        """What a model wrote without the blanks, or words, that its chat template puts around an answer."""
        text = text if self.prefix else text.lstrip(" ")
        return text.removesuffix(self.tail) if ended else text


def chance_of(prompt: Prompt, seed: int, index: int) -> int:
    """The key of a completion: of the prompt, the seed and the completion's number alone, whatever else is in its batch."""
    parts = (Path(prompt.image).name, prompt.request, prompt.prefix, str(seed), str(index))
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8], "big") >> 1


def user_turn(request: str, *, image: bool) -> dict[str, Any]:
    """A question as a turn of a chat, after its image if it has one."""
    return {"role": "user", "content": [*([{"type": "image"}] if image else []), {"type": "text", "text": request}]}
