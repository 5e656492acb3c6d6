"""The nano: a small vision-language model with region tokens that ships with the package and runs on any CPU; and its base.

Taking a class or `WEIGHTS`, the folder to load from, from here registers the classes with the Auto classes of transformers.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialreasoner.nano.shipped import NANO, NANO_BASE

if TYPE_CHECKING:
    from spatialreasoner.nano.configuration import NanoConfig
    from spatialreasoner.nano.modeling import NanoForConditionalGeneration, NanoModel
    from spatialreasoner.nano.processing import NanoProcessor

    WEIGHTS: Path
    """The folder of the nano; that of its base is `NANO_BASE.folder`."""

__all__ = ["NANO", "NANO_BASE", "WEIGHTS", "NanoConfig", "NanoForConditionalGeneration", "NanoModel", "NanoProcessor"]


def __getattr__(name: str) -> Any:
    # Asking the nano in NumPy must not wait seconds for transformers.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from spatialreasoner.nano import registered

    return NANO.folder if name == "WEIGHTS" else getattr(registered, name)
