"""What an endpoint takes, learned from its refusals.

Each endpoint starts with what most accept. A refusal that names a parameter changes what is sent from then on: the parameter is
renamed, bounded or left out, the system text goes into the user's turn, a prefix is continued in words, images are made
smaller. No change is ever taken back, so an endpoint is asked a bounded number of times.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.inference.said import Said

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Efforts of reasoning that servers know, least first."""

LEAST_SIDE = 256
"""Images are not shrunk below this, pixels: small regions would vanish."""

LEAST_ROOM = 64
"""An answer needs at least so many tokens; where the context has no room for them, the prompt is too long."""

PROTOTYPE_SIDE = 1024
"""The side that a first refusal of an image's size is halved from where none was set."""


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
        efforts: The efforts of reasoning that it named; empty where it named none.
        least_temperature: Lowest temperature that it takes.
        most_temperature: Highest temperature that it takes.
        most_tokens: Longest reply that it allows, tokens; 0 where it named none.
        most_images: Most images of a request; 0 where it named none.
        most_side: Longest side of an image, pixels; 0 where it named none.
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
        """The effort of reasoning to send: the wanted one, or the nearest below that the endpoint knows."""
        if not self.efforts or wanted in self.efforts:
            return wanted
        known = [effort for effort in EFFORTS if effort in self.efforts]
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


def learn(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    """What a refusal teaches.

    Args:
        known: What was known when the request was sent.
        said: The refusal.
        sent: The names of what was sent: keys of the request, and "system", "prefill", "images".

    Returns:
        The capabilities to continue with, or None where it teaches nothing that could be changed.
    """
    if said.status in {401, 402, 403, 429}:
        return None
    for rule in (_streaming, _roles, _prefix, _room, _limits, _images, _effort, _dropped):
        changed = rule(known, said, sent)
        if changed is not None and changed != known:
            return changed
    return None


def leaves_no_room(said: Said) -> bool:
    """Whether the prompt alone fills the context, so that no shorter reply would help."""
    room = _room_left(said.words)
    return room is not None and room < LEAST_ROOM


_KINDS: dict[str, tuple[str, ...] | type] = {
    "max_tokens_param": ("max_tokens", "max_completion_tokens", "none"),
    "system": ("system", "developer", "user"),
    "seed_param": ("seed", "random_seed", "none"),
    **dict.fromkeys(("temperature", "top_p", "n", "prefill", "reasoning_effort", "thinking_switch", "stream"), bool),
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


# The rules. Each reads a refusal's words, and returns what is to be changed, or None.


def _streaming(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    words = said.words
    wanted = re.search(
        r"non-streaming calls|stream ?= ?'?false|only supports? stream|streaming (?:is )?(?:strongly )?required", words
    )
    return replace(known, stream=True) if wanted and "stream" not in sent else None


def _roles(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    if "system" not in sent:
        return None
    words = said.words
    if re.search(r"use '?developer'? instead|'developer' role", words) and known.system == "system":
        return replace(known, system="developer")
    refused = re.search(
        r"(?:system|developer)'? (?:role|message|instruction|prompt)s? (?:is |are )?(?:not|isn't|un)"
        r"|(?:support|allow|accept)s? (?:the )?'?(?:system|developer)'?"
        r"|roles must alternate|(?:system|developer) instruction is not enabled|only user and assistant roles"
        r"|input should be 'user'|only supports? (?:the )?'?user'?",
        words,
    )
    named = any(re.fullmatch(r"(?:body\.)?messages[.\[]0\]?\.role", name) for name in said.params)
    return replace(known, system="user") if refused or named else None


def _prefix(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    if "prefill" not in sent:
        return None
    refused = re.search(
        r"prefill|continue_final_message|add_generation_prompt|(?:end|ends) with a user message|last message (?:must"
        r"|should|cannot)"
        r"|last (?:message )?role|final (?:message )?.{0,20}assistant|roles must alternate",
        said.words,
    )
    named = said.params & {"body.continue_final_message", "continue_final_message", "add_generation_prompt"}
    return replace(known, prefill=False) if refused or named else None


def _room(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    """A context that is too short for prompt and reply together has room for a shorter reply."""
    room = _room_left(said.words)
    if room is None or room < LEAST_ROOM or 0 < known.most_tokens <= room:
        return None
    return replace(known, most_tokens=room)


_CONTEXT = re.compile(
    r"(?:maximum )?context (?:length|window)(?: of| is|:)* '?(\d{2,8})|must be <= ?(\d{2,8})"
    r"|max_total_tokens[^\d]{1,20}(\d{2,8})"
)
_READ = re.compile(
    r"\((\d{1,8}) (?:tokens )?(?:in|of|from) (?:the |your )?(?:messages|prompt|text|input)|has (\d{1,8}) input tokens"
    r"|(\d{1,8}) `?inputs`? tokens|given: (\d{1,8}) |prompt contains (?:at least )?(\d{1,8})"
)


def _room_left(words: str) -> int | None:
    context, read = _CONTEXT.search(words), _READ.search(words)
    if context is None or read is None:
        return None
    most, taken = (next(int(group) for group in found.groups() if group) for found in (context, read))
    return most - taken - 1


_MOST = re.compile(
    r"(?:at most|less than or equal to|<= ?|maximum (?:value )?(?:is|of|allowed)|up to|must not exceed"
    r"|exceeds? (?:the )?(?:maximum|limit)[^\d]{0,30}"
    r"|(?:cannot|can't|must not|may not|should not) be (?:greater|larger|more|higher) than[^\d]{0,30}"
    r"|between \d{1,4}(?:\.\d{1,4})? (?:and|to) "
    r"|range of valid \w+ (?:is|=)[^\d]{0,4}\[?\d{0,4},? ?|in the range \[?\d{1,3}, ?)[^\d]{0,12}(\d{1,8}(?:\.\d{1,4})?)"
)
_LEAST = re.compile(r"(?:strictly positive|greater than 0|> ?0(?!\d)|must be positive|not be 0|cannot be 0|non-zero)")


def _limits(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    """Bounds that the server names: of the reply's length, of the temperature, and of how many replies a request has."""
    words = said.words
    most = _MOST.search(words)
    for name in ("max_completion_tokens", "max_tokens"):
        if most and name in sent and _names(said, name) and "." not in most.group(1):
            room = int(most.group(1))
            if room >= LEAST_ROOM and (not known.most_tokens or room < known.most_tokens):
                return replace(known, most_tokens=room)
    if "temperature" in sent and _names(said, "temperature"):
        if most and 0 < float(most.group(1)) < known.most_temperature:
            return replace(known, most_temperature=float(most.group(1)))
        if _LEAST.search(words) and known.least_temperature == 0:
            return replace(known, least_temperature=0.01)
    return replace(known, n=False) if most and "n" in sent and _names(said, "n") else None


def _images(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    if "images" not in sent:
        return None
    words = said.words
    count = re.search(
        r"at most (\d{1,3}) image|maximum (?:number )?of (\d{1,3}) images|(?:supports?|only) (?:only )?(\d{1,3}|one) image",
        words,
    )
    if count:
        number = next(group for group in count.groups() if group)
        most = 1 if number == "one" else int(number)
        return replace(known, most_images=most) if most and (not known.most_images or most < known.most_images) else None
    if re.search(r"context|tokens", words):
        return None
    if said.status != 413 and not re.search(
        r"(?:image|payload|request|body|content)\S*(?: \S+){0,6} (?:too (?:large|big|many pixels)|exceeds?"
        r"|larger than|over the limit)",
        words,
    ):
        return None
    side = re.search(r"(\d{3,5}) ?(?:px|pixels)|(\d{3,5}) ?x ?\d{3,5}", words)
    told = min(int(next(group for group in side.groups() if group)), known.most_side or 10**6) if side else 0
    new = told if told and told != known.most_side and told < (known.most_side or PROTOTYPE_SIDE) else _halved(known.most_side)
    return replace(known, most_side=new) if new >= LEAST_SIDE else None


def _halved(side: int) -> int:
    return (side or PROTOTYPE_SIDE) // 2


def _effort(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    """Efforts that the server names instead of the one that it refuses."""
    if "reasoning_effort" not in sent or not re.search(r"effort|'(?:none|minimal|xhigh|max)'", said.words):
        return None
    _, cut, named = said.words.partition("support")
    named = re.search(r"(?:values? are|one of|expected|must be|either)(.{0,200})", said.words)
    efforts = tuple(effort for effort in EFFORTS if named and re.search(rf"\b{effort}\b", named.group(1)))
    return replace(known, efforts=efforts) if cut and efforts and efforts != known.efforts else None


_REFUSED = re.compile(
    r"support|unknown|unrecogni[sz]ed|unexpected|not permitted|not allowed|forbidden|extra (?:inputs|fields"
    r"|parameter)|cannot|can't"
    r"|no longer|deprecated|incompatible|invalid|not available|not enabled|only (?:the )?(?:default|one)"
    r"|must be (?:1\b|set to 1|left)"
    r"|must be at most 1\b|at most 1\b|ignored|additional properties|no endpoints found|one completion|not a valid|must not be"
)
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "max_tokens": ("max_tokens", "maxtokens", "max_output_tokens"),
    "max_completion_tokens": ("max_completion_tokens", "maxcompletiontokens"),
    "temperature": ("temperature",),
    "top_p": ("top_p", "topp"),
    "seed": ("seed",),
    "random_seed": ("random_seed",),
    "n": ("n", "candidatecount", "candidate_count", "completion choice", "number of completions", "num_choices"),
    "reasoning_effort": ("reasoning_effort", "reasoningeffort", "reasoning.effort", "thinking_level", "thinkinglevel"),
    "chat_template_kwargs": ("chat_template_kwargs", "enable_thinking"),
}


def _dropped(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    """A parameter that is refused by name is renamed or left out; of two that exclude one another, the second."""
    if not (_REFUSED.search(said.words) or said.codes & _UNSUPPORTED):
        return None
    named = [name for name in _ALIASES if name in sent and _names(said, name)]
    if {"temperature", "top_p"} <= set(named) and "both" in said.words:
        return replace(known, top_p=False)
    for name in named:
        changed = _without(known, name, said.words)
        if changed != known:
            return changed
    return None


_UNSUPPORTED = frozenset(
    {"unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden", "unrecognized_keys"}
)


def _without(known: Capabilities, name: str, words: str) -> Capabilities:
    """Capabilities with one parameter less, or with its other name."""
    if name == "max_tokens":  # the other name is tried, unless the server spoke of it and refused it too
        return replace(known, max_tokens_param="max_completion_tokens")
    if name == "max_completion_tokens":
        return replace(known, max_tokens_param="none")
    if name == "seed" and "random_seed" in words:
        return replace(known, seed_param="random_seed")
    if name in {"seed", "random_seed"}:
        return replace(known, seed_param="none")
    if name == "chat_template_kwargs":
        return replace(known, thinking_switch=False)
    changes: dict[str, Any] = {name: False}
    return replace(known, **changes)


def _names(said: Said, name: str) -> bool:
    """Whether an error speaks of a parameter: by `param`, or in its words, where a short name must stand in quotes."""
    wanted = _ALIASES[name]
    for param in said.params:
        if _plain(param.rpartition(".")[2]) in map(_plain, wanted):
            return True
    return any(_mentions(said.words, alias) for alias in wanted)


def _mentions(words: str, alias: str) -> bool:
    if len(alias) == 1:
        return re.search(rf"'{alias}'|\b{alias} ?(?:=|>|must|should|is |can)", words) is not None
    return re.search(rf"(?<![a-z_]){re.escape(alias)}(?![a-z_])", words) is not None


def _plain(name: str) -> str:
    return name.lower().replace("_", "").strip("'[]0123456789 ")


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
