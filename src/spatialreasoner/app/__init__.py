"""The app: draw regions on an image, ask, and read the answer with its statements checked, in a browser or a terminal."""

from typing import TYPE_CHECKING

from spatialreasoner.core.lazy import lazy

if TYPE_CHECKING:
    from spatialreasoner.app.config import AppConfig
    from spatialreasoner.app.serve import serve

__all__ = ["AppConfig", "serve"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "AppConfig": ".config",
        "serve": ".serve",
    },
)
