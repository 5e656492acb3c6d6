"""What hosted models cost: by the size of each request, under the names that gateways give them, less for cached input.

The prices are those that the package `genai-prices` ships. A model that it does not know has no price, which is reported before
anything is sent; `price=1.25/10` in an endpoint's settings gives one by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from spatialreasoner.core.errors import ConfigError, MissingExtraError

MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Tier:
    """The price of tokens in requests with more prompt tokens than a threshold.

    Attributes:
        above: Prompt tokens above which this price applies to the whole request.
        prompt: Price per million prompt tokens.
        completion: Price per million completion tokens.
        cached: Price per million prompt tokens from the server's cache; None for the price of other prompt tokens.
    """

    above: int
    prompt: float
    completion: float
    cached: float | None = None


@dataclass(frozen=True, kw_only=True)
class Price:
    """The price of a policy's tokens, per million.

    Attributes:
        prompt: Price of prompt tokens.
        completion: Price of completion tokens, thinking included.
        cached: Price of prompt tokens from the server's cache; None for the price of other prompt tokens.
        tiers: Higher prices of long requests, by increasing length.
        known: False if the price is unknown: cost is not counted then, and no cost limit can be enforced.
    """

    prompt: float = 0.0
    completion: float = 0.0
    cached: float | None = None
    tiers: tuple[Tier, ...] = ()
    known: bool = True

    def cost(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """The cost of one request; `cached_tokens` are among the prompt tokens.

        >>> gemini = Price(prompt=1.25, completion=10.0, tiers=(Tier(above=200_000, prompt=2.5, completion=15.0),))
        >>> gemini.cost(100_000, 1_000), gemini.cost(300_000, 1_000)
        (0.135, 0.765)
        """
        at = self._at(prompt_tokens)
        cached = min(cached_tokens, prompt_tokens)
        each = at.prompt if at.cached is None else at.cached
        return ((prompt_tokens - cached) * at.prompt + cached * each + completion_tokens * at.completion) / MILLION

    def most(self, tokens: int) -> float:
        """The maximum cost of one request of `tokens` tokens."""
        at = self._at(tokens)
        return tokens * max(at.prompt, at.completion) / MILLION

    def in_batches(self) -> Price:
        """The same model's price through a batch API: half, as the hosted ones publish it.

        >>> Price(prompt=2.5, completion=10.0).in_batches()
        Price(prompt=1.25, completion=5.0, cached=None, tiers=(), known=True)
        """
        return self._times(0.5)

    def at_once(self) -> Price:
        """The price outside of batches of a model whose price in batches this is."""
        return self._times(2)

    def _times(self, factor: float) -> Price:
        tiers = tuple(replace(tier, **_scaled(tier, factor)) for tier in self.tiers)
        return replace(self, **_scaled(self, factor), tiers=tiers)

    def _at(self, prompt_tokens: int) -> Tier | Price:
        reached = [tier for tier in self.tiers if prompt_tokens > tier.above]
        return reached[-1] if reached else self


def _scaled(price: Price | Tier, factor: float) -> dict[str, Any]:
    cached = None if price.cached is None else price.cached * factor
    return {"prompt": price.prompt * factor, "completion": price.completion * factor, "cached": cached}


UNKNOWN_PRICE = Price(known=False)
"""The price of a model without a known one."""


def find_price(model: str, url: str = "") -> Price:
    """The price of a hosted model; `UNKNOWN_PRICE` where `genai-prices` does not know it.

    Args:
        model: Its name, as the endpoint calls it: "gpt-4o", "google/gemini-2.5-pro", "meta-llama/llama-4-maverick:free".
        url: Where it is served: a gateway's prices are its own.

    Raises:
        MissingExtraError: If the `genai-prices` package is not installed.
    """
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        raise MissingExtraError("prices of hosted models need genai-prices: pip install 'spatialreasoner[api]'") from None
    if model.endswith(":free"):
        return Price()
    for name, where in _spellings(model, url):
        try:
            found = calc_price(Usage(input_tokens=1, output_tokens=1), model_ref=name, **where)
        except LookupError:
            continue
        return _price(found.model_price)
    return UNKNOWN_PRICE


def given_price(text: str) -> Price:
    """A price given by hand: per million prompt and completion tokens, and prompt tokens from the cache if these are cheaper.

    >>> given_price("1.25/10"), given_price("1.25/10/0.125").cached
    (Price(prompt=1.25, completion=10.0, cached=None, tiers=(), known=True), 0.125)

    Raises:
        ConfigError: If it has another form.
    """
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)/(\d{1,6}(?:\.\d{1,6})?)(?:/(\d{1,6}(?:\.\d{1,6})?))?", text)
    if found is None:
        raise ConfigError("expected a price as READ/WRITTEN or READ/WRITTEN/CACHED, money per million tokens, such as 1.25/10")
    prompt, completion, cached = found.groups()
    return Price(prompt=float(prompt), completion=float(completion), cached=None if cached is None else float(cached))


def _spellings(model: str, url: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The names under which a model's price may be found: the gateway's own, then the maker's."""
    bare = re.sub(r":(?:thinking|nitro|floor|online|extended|beta|exacto)\Z", "", model)
    if url:
        yield bare, {"provider_api_url": url}
    yield bare, {}
    maker, cut, last = bare.rpartition("/")
    if cut:
        if bare.islower():  # a gateway's name; weights from the Hub, which people serve themselves, have capitals
            yield bare, {"provider_id": "openrouter"}
        maker = maker.rpartition("/")[2]
        yield last, {"provider_id": maker}
        yield last, {}
        yield last.replace(".", "-"), {}
    bedrock = re.fullmatch(r"(?:[a-z]{2,6}\.)?([a-z0-9]{2,20})\.(.{1,100})", bare)
    if bedrock:
        yield bare, {"provider_id": "aws"}
        yield re.sub(r"-v\d(?::\d)?\Z", "", bedrock[2]), {}


def _price(found: Any) -> Price:
    prompt, completion, cached = (
        _tiers(getattr(found, name, None)) for name in ("input_mtok", "output_mtok", "cache_read_mtok")
    )
    starts = sorted({start for tiers in (prompt, completion, cached) for start in tiers} - {0})

    def at(start: int) -> tuple[float, float, float | None]:
        return _upto(prompt, start) or 0.0, _upto(completion, start) or 0.0, _upto(cached, start)

    tiers = (Tier(above=start, prompt=p, completion=c, cached=k) for start in starts for p, c, k in [at(start)])
    base = at(0)
    return Price(prompt=base[0], completion=base[1], cached=base[2], tiers=tuple(tiers))


def _tiers(price: Any) -> dict[int, float]:
    """Prices by the tokens from which on they hold, the first from 0; empty if there is none."""
    if price is None:
        return {}
    base = getattr(price, "base", None)
    if base is None:
        return {0: float(price)}
    return {0: float(base), **{int(tier.start): float(tier.price) for tier in price.tiers}}


def _upto(tiers: dict[int, float], start: int) -> float | None:
    reached = [begin for begin in tiers if begin <= start]
    return tiers[max(reached)] if reached else None
