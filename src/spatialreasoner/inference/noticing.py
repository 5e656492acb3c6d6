"""What a server does not say but its replies show: choices that are all the same, seeds that change nothing."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spatialreasoner.core.types import Completion

ENOUGH = 4
"""This many replies to other seeds, all equal to the first, are not an accident."""

MOST_REMEMBERED = 512
"""Prompts whose first reply is remembered."""


class Noticing:
    """Compares what was asked for with what came."""

    def __init__(self) -> None:
        self._first: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self._fewer = self._equal_choices = self._other_choices = self._equal_seeds = self._other_seeds = 0

    def see(self, chat: Sequence[Mapping[str, Any]], *, n: int, seed: int, completions: Sequence[Completion]) -> None:
        """Take note of a reply that was sampled.

        Args:
            chat: What was asked, whatever the seed.
            n: Replies that were asked for.
            seed: Sampling seed.
            completions: Those that came.
        """
        texts = [completion.text for completion in completions if completion.text.strip()]
        self._fewer += len(completions) < n
        if len(texts) > 1:
            self._equal_choices += len(set(texts)) == 1
            self._other_choices += len(set(texts)) > 1
        if not texts:
            return
        key = _digest(chat)
        before = self._first.setdefault(key, (seed, texts[0]))
        if before[0] != seed:
            self._equal_seeds += before[1] == texts[0]
            self._other_seeds += before[1] != texts[0]
        while len(self._first) > MOST_REMEMBERED:
            self._first.popitem(last=False)

    @property
    def fewer_choices(self) -> bool:
        """Whether a request for several replies came back with less of them."""
        return self._fewer > 0

    def lines(self, name: str) -> Iterator[str]:
        """What was noticed, one per line.

        Args:
            name: The model.
        """
        if self._fewer:
            yield f"{name} gives fewer replies than one request asks for (n); it is asked for one at a time"
        if self._equal_choices and not self._other_choices:
            yield f"{name}: the replies to one request were all equal; it does not sample, whatever temperature it is asked for"
        if self._equal_seeds >= ENOUGH and not self._other_seeds:
            yield (
                f"{name}: {self._equal_seeds} replies to other seeds were equal to the first; it ignores seed and temperature "
                "(transformers serve does unless the model's generation_config.json says do_sample): candidates do not differ"
            )


def _digest(chat: Sequence[Mapping[str, Any]]) -> str:
    """A digest of a chat's texts, and of the length and the end of its images, which are long."""
    digest = hashlib.sha256()
    for message in chat:
        content = message["content"]
        parts: Sequence[Mapping[str, Any]] = [{"text": content}] if isinstance(content, str) else content
        for part in parts:
            url = part.get("image_url", {}).get("url", "")
            digest.update(f"{message['role']} {part.get('text', '')} {len(url)} {url[-80:]}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
