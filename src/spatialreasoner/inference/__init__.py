"""Calling models: names, endpoints with their limits and capabilities, budgets, the journal, and the backends."""

from typing import TYPE_CHECKING

from spatialreasoner.core.lazy import lazy

if TYPE_CHECKING:
    from spatialreasoner.inference.budget import Budget, BudgetError
    from spatialreasoner.inference.endpoint import Endpoint
    from spatialreasoner.inference.journal import Journal
    from spatialreasoner.inference.limits import Limits
    from spatialreasoner.inference.prices import Price
    from spatialreasoner.inference.registry import WritingConfig, named_policy

__all__ = ["Budget", "BudgetError", "Endpoint", "Journal", "Limits", "Price", "WritingConfig", "named_policy"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Budget": ".budget",
        "BudgetError": ".budget",
        "Endpoint": ".endpoint",
        "Journal": ".journal",
        "Limits": ".limits",
        "Price": ".prices",
        "WritingConfig": ".registry",
        "named_policy": ".registry",
    },
)
