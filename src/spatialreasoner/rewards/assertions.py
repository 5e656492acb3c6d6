"""Earlier path of `spatialreasoner.language.statements`."""

from spatialreasoner.language.statements import Assertion, extract

__all__ = ["Assertion", "extract"]
