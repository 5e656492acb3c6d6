"""One small app without a model for all tests that need no browser: a room whose depth is known, and visitors of it."""

from __future__ import annotations

import pytest

from spatialreasoner.app.config import AppConfig
from spatialreasoner.app.edits import apply_wish, wish_of
from spatialreasoner.app.service import App
from spatialreasoner.app.sessions import Session


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    config = AppConfig(models=("scripted:careful", "scripted:hasty"), asks_per_minute=3, max_images=8)
    return App(config, tmp_path_factory.mktemp("app"))


@pytest.fixture
def visitor(app):
    return app.begin()


def wish(app: App, session: Session, action: str, **said: object) -> None:
    """What the board would send."""
    apply_wish(session, wish_of({"action": action, **said}), app.opened(session).sight())


def drawn_box(*points: tuple[float, float]) -> dict[str, object]:
    """A box as the board sends it."""
    return {"tool": "box", "points": [list(point) for point in points]}
