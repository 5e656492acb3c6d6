"""The nano: a small vision-language model with region tokens that ships with the package and runs on any CPU; and its base.

Taking one of its classes from here registers them with the Auto classes of transformers; `WEIGHTS` is the folder to load from.
"""

from typing import TYPE_CHECKING, Any

from spatialreasoner.nano.shipped import NANO, NANO_BASE

if TYPE_CHECKING:
    from spatialreasoner.nano.configuration import NanoConfig
    from spatialreasoner.nano.modeling import NanoForConditionalGeneration, NanoModel
    from spatialreasoner.nano.processing import NanoProcessor

WEIGHTS = NANO.folder
"""The folder of the nano; that of its base is `NANO_BASE.folder`."""

__all__ = ["NANO", "NANO_BASE", "WEIGHTS", "NanoConfig", "NanoForConditionalGeneration", "NanoModel", "NanoProcessor"]


def __getattr__(name: str) -> Any:
    # Asking the nano in NumPy must not wait seconds for transformers.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from spatialreasoner.nano import registered

    return getattr(registered, name)
