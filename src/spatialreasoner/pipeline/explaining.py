"""How a response is read, in words."""

from __future__ import annotations

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.loops import asynchronous
from spatialreasoner.core.types import CATEGORIES, Category


def require_category(name: str) -> Category:
    """The name, if it is one of SpatialRGPT-Bench's 24 categories.

    Raises:
        ConfigError: If it is not.
    """
    if name not in CATEGORIES:
        raise ConfigError(f"expected one of the categories {', '.join(CATEGORIES)}; got {name!r}")
    return name


def explain_text(text: str, *, question: str = "", category: str | None = None) -> str:
    """Show how a response is read: its segments, statements and answer, each with the rule and the words.

    Args:
        text: The response.
        question: The question that it answers.
        category: The question's category, one of SpatialRGPT-Bench's 24; None if unknown.

    Raises:
        ConfigError: If the category is unknown.
    """
    known = require_category(category) if category else None
    from spatialreasoner.language.parsed import explain_parse

    return explain_parse(text, category=known, question=question)


explain_text_async = asynchronous(explain_text)
