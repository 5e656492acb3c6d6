"""The models that may be asked, loaded once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from spatialreasoner.app.config import AppConfig
from spatialreasoner.core.errors import InputError
from spatialreasoner.core.protocols import Policy
from spatialreasoner.core.types import Prompt, Scene
from spatialreasoner.inference.streaming import stream
from spatialreasoner.nano.shipped import NANO

MAX_ANSWER_CHARACTERS = 20_000
"""Characters of an answer; a model that continues is stopped."""

ENDPOINT_SECONDS = 120.0
"""Timeout of an endpoint's complete answer, in seconds: visitors do not wait longer. `?timeout=` in a model's name
sets another."""

UPDATE = 0.08
"""Least time between two updates of the page, seconds."""


class Policies:
    """The models that may be asked.

    Args:
        config: Names them. All but the nano, which is whole as it ships and reads in a second, are loaded here, so that a
            wrong name shows when the app is started.

    Raises:
        ConfigError: If the model does not exist.
        MissingExtraError: If what a model needs is not installed.
    """

    def __init__(self, config: AppConfig) -> None:
        self._config = config
        self._loaded = {name: self._open(name) for name in config.models if name != NANO.name}

    def get(self, name: str, scene: Scene) -> Policy:
        """The model of a name.

        Raises:
            InputError: If the app was not started with it.
        """
        if name not in self._config.models:
            raise InputError(f"this app was not started with the model {name[:80]!r}")
        if name.startswith("scripted:"):  # simulated teachers know the truth of the scenes that they are given
            return self._open(name, scene)
        if name not in self._loaded:
            self._loaded[name] = self._open(name)
        return self._loaded[name]

    def _open(self, name: str, *scenes: Scene) -> Policy:
        from spatialreasoner.nano.numpy import LightNano, is_nano

        if is_nano(name):
            return LightNano(name, max_new_tokens=self._config.max_new_tokens)
        from spatialreasoner.inference.registry import WritingConfig, named_policy

        config = self._config
        writing = WritingConfig(
            max_new_tokens=config.max_new_tokens,
            enable_thinking=config.enable_thinking,
            key_variable=config.key_variable,
            timeout=ENDPOINT_SECONDS,
        )
        return named_policy(name, {scene.id: scene for scene in scenes}, writing)


async def together(policies: Sequence[Policy], prompt: Prompt) -> AsyncGenerator[list[str]]:
    """What each model has written so far, again and again, until all have ended.

    Raises:
        EndpointError: If one fails; the others are stopped.
    """
    texts, changed = [""] * len(policies), asyncio.Event()

    async def follow(place: int) -> None:
        async with aclosing(stream(policies[place], prompt)) as pieces:
            async for piece in pieces:
                texts[place] = (texts[place] + piece)[:MAX_ANSWER_CHARACTERS]
                changed.set()
                if len(texts[place]) == MAX_ANSWER_CHARACTERS:
                    break

    tasks = [asyncio.ensure_future(follow(place)) for place in range(len(policies))]
    writing = asyncio.gather(*tasks)
    writing.add_done_callback(lambda _: changed.set())
    shown = time.monotonic()
    try:
        while not writing.done():
            await changed.wait()
            await asyncio.sleep(max(0.0, shown + UPDATE - time.monotonic()))
            changed.clear()
            shown = time.monotonic()
            yield list(texts)
        await writing
        yield list(texts)
    finally:
        for task in tasks:
            task.cancel()
