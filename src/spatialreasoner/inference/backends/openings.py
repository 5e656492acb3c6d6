"""How questions are put to a local model: by its chat template, and by its tokenizer as tokens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from spatialreasoner.core.types import Prompt
from spatialreasoner.language.thinking import before_thought
from spatialreasoner.vlm.encoding import TextReader
from spatialreasoner.vlm.rendering import ChatTemplate

_REMEMBERED = 512
"""Questions that are kept in mind: the same few are asked about many images."""

_SHORT = 500
"""Characters of the longest that is kept."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What a model continues.

    Attributes:
        text: All of it, as text.
        follows: What may follow it (see `vlm.rendering.AnswerFrame`).
        prefix: The beginning of the answer in it.
        thought: The opening of a block of thinking at the end of the text, or "".
        tail: What the chat template writes between an answer and its end token, most often nothing.
    """

    text: str
    follows: tuple[str, ...]
    prefix: str
    thought: str
    tail: str

    def answer(self, text: str, *, ended: bool) -> str:
        """What a model wrote without the blanks, or words, that its chat template puts around an answer."""
        text = text if self.prefix else text.lstrip(" ")
        return text.removesuffix(self.tail) if ended else text


class Openings:
    """Puts questions to a model.

    Args:
        template: Its chat template.
        reader: Reads texts as it does.
    """

    def __init__(self, template: ChatTemplate, reader: TextReader) -> None:
        self._template, self._reader = template, reader
        self._known_opening, self._known_ids = lru_cache(_REMEMBERED)(self._opening), lru_cache(_REMEMBERED)(self._ids)

    def of(self, prompt: Prompt) -> Opening:
        """What is written for a prompt.

        Raises:
            InputError: If the chat template cannot write it.
        """
        asked = prompt.request, bool(prompt.image), prompt.prefix
        brief = len(prompt.request) + len(prompt.prefix) <= _SHORT
        return self._known_opening(*asked) if brief and self._template.lasting else self._opening(*asked)

    def ids(self, opening: Opening) -> tuple[int, ...]:
        """Its tokens, without those that any longer text would read otherwise."""
        return self._known_ids(opening.text) if len(opening.text) <= _SHORT else self._ids(opening.text)

    def _opening(self, request: str, image: bool, prefix: str) -> Opening:
        frame = self._template.frame([user_turn(request, image=image)])
        text, end = frame.continued(prefix), self._template.end(frame.tail)
        return Opening(
            text=text,
            follows=frame.follows(prefix),
            prefix=prefix,
            thought="" if prefix else text[len(before_thought(text)) :],
            tail=frame.tail if end is None else frame.tail.partition(end)[0],
        )

    def _ids(self, text: str) -> tuple[int, ...]:
        opened = self._reader.open_ended(text)
        ids = self._reader.encode(opened.text, special=self._reader.adds_special(opened.text)).ids
        return tuple(ids[: len(ids) - opened.surplus])


def user_turn(request: str, *, image: bool) -> dict[str, Any]:
    """A question as a turn of a chat, after its image if it has one."""
    return {"role": "user", "content": [*([{"type": "image"}] if image else []), {"type": "text", "text": request}]}
