"""The models of the app: how long a visitor waits for an endpoint."""

import asyncio
import socket
import time

import pytest

from builders import build_scene
from spatialreasoner.app import policies
from spatialreasoner.app.config import AppConfig
from spatialreasoner.core.errors import BusyError
from spatialreasoner.core.types import Prompt
from spatialreasoner.inference.streaming import stream


@pytest.mark.parametrize(("setting", "seconds"), [("", 0.2), ("?timeout=0.4", 0.4)])
def test_an_endpoint_that_says_nothing_is_not_waited_for(tmp_path, monkeypatch, setting, seconds):
    monkeypatch.setattr(policies, "ENDPOINT_SECONDS", 0.2)
    scene = build_scene(tmp_path)
    shown = Prompt(request="How wide is <region1>?", image=scene.image, regions=scene.regions[:1])

    async def asked(name: str) -> None:
        async for _ in stream(policies.Policies(AppConfig(models=(name,))).get(name, scene), shown):
            pass

    begun = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(BusyError, match=r"in time|within") as failed:
        asyncio.run(asyncio.wait_for(asked(f"api:m@http://127.0.0.1:{silent.getsockname()[1]}/v1{setting}"), 10))
    assert failed.value.kind == "timeout"
    assert time.monotonic() - begun >= seconds
