"""Asking before a run that may be expensive."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from spatialreasoner.core.errors import ConfigError

if TYPE_CHECKING:
    from spatialreasoner.search.run import Forecast

COST_WITHOUT_ASKING = 1.0
"""Dollars. Runs that may cost more are confirmed first."""


def confirm(yes: bool, forecast: Forecast) -> bool:
    """Show what a search or judging may take, and ask if it may be expensive.

    Args:
        yes: Do not ask.
        forecast: The least and the most that it may take.

    Raises:
        ConfigError: If it may be expensive and there is no terminal to ask in.
    """
    typer.echo(
        f"at least {forecast.least_calls}, at most {forecast.most_calls} calls, {forecast.most_tokens} tokens, "
        f"{forecast.most_cost:.2f} dollars",
        err=True,
    )
    if forecast.unknown_prices:
        names = ", ".join(forecast.unknown_prices)
        hint = "?price=READ/WRITTEN in the name gives it"
        typer.echo(f"not included in these dollars, because the price is unknown: {names}; {hint}", err=True)
    if yes or forecast.most_cost <= COST_WITHOUT_ASKING:
        return True
    if not sys.stdin.isatty():
        raise ConfigError(f"this may cost {forecast.most_cost:.2f} dollars; pass --yes to agree, or set --max-cost")
    return typer.confirm("Continue?", err=True)
