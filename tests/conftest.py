"""Fixtures that tests share."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from builders import build_scene
from spatialreasoner.core.types import Scene

# Before torch is imported, here and in processes that tests start: tensors are tiny, and threads would only wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that runs the tests in the background ignores interrupts, and so would every process that tests start and interrupt
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes is a matter of what else the machine does
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

collect_ignore_glob = ["data/*"]
"""Scripts that made the data there need what the project does not install."""

pytest_plugins = ["reward_fixtures", "run_fixtures"]

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def pytest_collection_finish() -> None:
    """What collecting imported stays: a trainer collects garbage at each start, and need not look through half of PyTorch."""
    gc.freeze()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Three balls: red in front at the left, blue behind at the right and larger, green at the back and low."""
    return build_scene(tmp_path / "scenes")


@pytest.fixture
def make_scene(tmp_path: Path) -> Callable[..., Scene]:
    """`build_scene` in a folder of its own."""
    counter = iter(range(1000))
    return lambda *args, **changes: build_scene(tmp_path / f"made-{next(counter)}", *args, **changes)


@pytest.fixture(scope="session")
def rgbd_folders() -> list[Path]:
    """Real photos with measured depth; the test is skipped where they are not present."""
    folders = sorted(SHARED.glob("rgbd/*/"))
    if not folders:
        pytest.skip("no real photos beside this checkout (../shared/data/rgbd)")
    return folders
