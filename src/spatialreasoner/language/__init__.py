"""What a text says: forms of responses, quantities, statements about regions, arithmetic."""

from typing import TYPE_CHECKING

from spatialreasoner.core.lazy import lazy

if TYPE_CHECKING:
    from spatialreasoner.language.responses import parse, render, spans
    from spatialreasoner.language.statements import Assertion, extract

__all__ = ["Assertion", "extract", "parse", "render", "spans"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Assertion": ".statements",
        "extract": ".statements",
        "parse": ".responses",
        "render": ".responses",
        "spans": ".responses",
    },
)
