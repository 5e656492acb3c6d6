"""What an endpoint takes: what most accept at first, then what it was set to by hand or taught (`lessons`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from spatialreasoner.core.errors import ConfigError

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Efforts of reasoning that servers know, least first."""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What is sent to an endpoint, and how.

    Attributes:
        max_tokens_param: The name of the limit of a reply's tokens; "none" leaves it out.
        system: Who says the instructions: "system", "developer", or "user" where there is no such role.
        seed_param: The name of the seed ("random_seed" at Mistral's); "none" leaves it out.
        temperature: Whether a temperature is sent.
        top_p: Whether top_p is sent.
        n: Whether several replies may be asked for at once.
        prefill: Whether a begun message can be continued.
        reasoning_effort: Whether an effort of reasoning is sent.
        thinking_switch: Whether `chat_template_kwargs` may switch thinking on or off.
        stream: Whether replies must be streamed.
        stream_usage: Whether a streamed reply may be asked to tell its tokens.
        efforts: The efforts of reasoning that it named; empty if it named none.
        least_temperature: Lowest temperature that it takes.
        most_temperature: Highest temperature that it takes.
        most_tokens: Maximum length of a reply that it allows, tokens; 0 if it named none.
        most_images: Maximum number of images per request; 0 if it named none.
        most_side: Longest side of an image, pixels; 0 if it named none.
    """

    max_tokens_param: Literal["max_tokens", "max_completion_tokens", "none"] = "max_tokens"
    system: Literal["system", "developer", "user"] = "system"
    seed_param: Literal["seed", "random_seed", "none"] = "seed"
    temperature: bool = True
    top_p: bool = True
    n: bool = True
    prefill: bool = True
    reasoning_effort: bool = True
    thinking_switch: bool = True
    stream: bool = False
    stream_usage: bool = True
    efforts: tuple[str, ...] = ()
    least_temperature: float = 0.0
    most_temperature: float = 2.0
    most_tokens: int = 0
    most_images: int = 0
    most_side: int = 0

    def changes(self, since: Capabilities) -> dict[str, Any]:
        """What differs from another state, by name: what was learned."""
        names = [field.name for field in fields(self) if getattr(self, field.name) != getattr(since, field.name)]
        return {name: list(value) if isinstance(value := getattr(self, name), tuple) else value for name in names}

    def effort(self, wanted: str) -> str:
        """The effort of reasoning to send: the wanted one, or the nearest below that the endpoint knows; "" for its own.

        >>> Capabilities(efforts=("low", "high")).effort("medium"), Capabilities(efforts=("none",)).effort("high")
        ('low', '')
        """
        if not self.efforts or wanted in self.efforts:
            return wanted
        known = [effort for effort in EFFORTS if effort in self.efforts]
        if known == ["none"]:  # all that it names beside its own is not to think, which was not asked for
            return ""
        below = [effort for effort in known if EFFORTS.index(effort) < EFFORTS.index(wanted)]
        return below[-1] if below else known[0]


def with_settings(capabilities: Capabilities, settings: Mapping[str, str]) -> Capabilities:
    """Capabilities set by hand, from texts, as in a name's query.

    >>> with_settings(Capabilities(), {"max_tokens_param": "max_completion_tokens", "system": "user"}).system
    'user'

    Raises:
        ConfigError: If there is no such setting, or it has no such value. Values are not repeated: they may be secrets.
    """
    return replace(capabilities, **{name: _setting(name, value) for name, value in settings.items()})


def is_setting(name: str) -> bool:
    """Whether a name is that of a capability."""
    return name in _KINDS


_KINDS: dict[str, tuple[str, ...] | type] = {
    "max_tokens_param": ("max_tokens", "max_completion_tokens", "none"),
    "system": ("system", "developer", "user"),
    "seed_param": ("seed", "random_seed", "none"),
    **dict.fromkeys(
        ("temperature", "top_p", "n", "prefill", "reasoning_effort", "thinking_switch", "stream", "stream_usage"), bool
    ),
    **dict.fromkeys(("least_temperature", "most_temperature"), float),
    **dict.fromkeys(("most_tokens", "most_images", "most_side"), int),
}
_FLAGS = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}


def _setting(name: str, value: str) -> Any:
    kind = _KINDS.get(name)
    if kind is None:
        raise ConfigError(f"expected a setting of an endpoint, one of {', '.join(_KINDS)}; got {name[:40]!r}")
    try:
        if isinstance(kind, tuple):
            return kind[kind.index(value)]
        found = _FLAGS[value.lower()] if kind is bool else kind(value)
    except (ValueError, KeyError):
        wanted = " or ".join(kind) if isinstance(kind, tuple) else "yes or no" if kind is bool else "a number"
        raise ConfigError(f"the endpoint's setting {name} must be {wanted}") from None
    if not 0 <= found <= 1e7:
        raise ConfigError(f"the endpoint's setting {name} must be a number from 0 to 10,000,000")
    return found


def learned_from(value: Any, base: Capabilities) -> Capabilities:
    """Capabilities with the changes that an earlier process learned; what cannot be read is not taken over."""
    if not isinstance(value, Mapping):
        return base
    return replace(base, **dict(_readable(value)))


def _readable(value: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for name, found in value.items():
        if name == "efforts" and isinstance(found, list) and set(map(str, found)) <= set(EFFORTS):
            yield name, tuple(found)
        elif name in _KINDS and isinstance(found, str | int | float):
            try:
                yield name, _setting(name, str(found))
            except ConfigError:
                continue
