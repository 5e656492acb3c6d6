"""What is learned from an endpoint's refusals.

A refusal that names a parameter changes what is sent from then on: the parameter is renamed, bounded or left out, the system
text goes into the user's turn, a prefix is continued in words, images are made smaller. No change is ever taken back, so an
endpoint is asked a bounded number of times.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from spatialreasoner.inference.capabilities import EFFORTS, Capabilities
from spatialreasoner.inference.said import Said

LEAST_SIDE = 256
"""Images are not shrunk below this, pixels: small regions would vanish."""

LEAST_ROOM = 64
"""Minimum number of tokens that an answer needs; if the context has no room for them, the prompt is too long."""

PROTOTYPE_SIDE = 1024
"""The side that a first refusal of an image's size is halved from where none was set."""


def learn(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    """What a refusal teaches.

    Args:
        known: What was known when the request was sent.
        said: The refusal.
        sent: The names of what was sent: keys of the request, and "system", "prefill", "images".

    Returns:
        The capabilities to continue with, or None if it teaches nothing that could be changed.
    """
    if said.status in {401, 402, 403, 429} or leaves_no_room(said):
        return None
    for rule in (_streaming, _roles, _prefix, _room, _limits, _images, _effort, _dropped):
        changed = rule(known, said, sent)
        if changed is not None and changed != known:
            return changed
    return None


def suspect(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    """What to try where a refusal has no known reason: without what it names, if that was sent.

    Args:
        known: What was known when the request was sent.
        said: The refusal.
        sent: As in `learn`, without what the endpoint has accepted before.

    Returns:
        The capabilities to continue with, or None if it names nothing that was sent.
    """
    words = said.words
    if re.search(r"\b(?:non-)?stream", words) and "model" in sent and "stream" not in sent:
        return replace(known, stream=True)
    if "reasoning_effort" in sent and re.fullmatch(r"request contains an invalid argument\.?", words):  # Gemini's, of "none"
        return replace(known, reasoning_effort=False)
    if "prefill" in sent and re.search(r"assistant|(?:last|final) message|\bend with", words):
        return replace(known, prefill=False)
    if "system" in sent and re.search(r"\brole\b|\bsystem\b|(?:first message|start with).{0,20} user", words):
        return replace(known, system="user")
    if {"max_tokens", "max_completion_tokens"} & set(sent) and _speaks_of_length(said):
        room = min((int(number) for number in re.findall(r"\b\d{2,8}\b", words) if int(number) >= LEAST_ROOM), default=0)
        if room and room < (known.most_tokens or 10**9):
            return replace(known, most_tokens=room)
    return _first_named(known, said, sent)


def leaves_no_room(said: Said) -> bool:
    """Whether the prompt alone fills the context, so that no shorter reply would help."""
    room = _room_left(said.words)
    return room is not None and room < LEAST_ROOM


# The rules. Each reads a refusal's words, and returns what is to be changed, or None.


def _streaming(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    words = said.words
    wanted = re.search(
        r"non-streaming calls|stream ?= ?'?false|only supports? stream|streaming (?:is )?(?:strongly )?required"
        r"|must (?:have|set|use) stream",
        words,
    )
    return replace(known, stream=True) if wanted and "stream" not in sent else None


def _roles(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    if "system" not in sent:
        return None
    words = said.words
    if (
        re.search(r"use '?developer'? instead|'developer' role|use (?:the )?(?:role )?'?developer", words)
        and known.system == "system"
    ):
        return replace(known, system="developer")
    refused = re.search(
        r"(?:system|developer)'? (?:role|message|instruction|prompt)s? (?:is |are )?(?:not|isn't|un)"
        r"|(?:support|allow|accept)s? (?:the )?'?(?:system|developer)'?"
        r"|roles must alternate|(?:system|developer) instruction is not enabled|only user and assistant roles"
        r"|input should be 'user'|only supports? (?:the )?'?user'?|unexpected role '(?:system|developer)|use a valid role",
        words,
    )
    named = any(re.fullmatch(r"(?:body\.)?messages[.\[]0\]?\.role", name) for name in said.params)
    return replace(known, system="user") if refused or named else None


def _prefix(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    if "prefill" not in sent:
        return None
    refused = re.search(
        r"prefill|continue_final_message|add_generation_prompt|reasoning_content|(?:end|ends) with a user message"
        r"|last message (?:of \S{1,60} )?(?:must|should|cannot)|final turn (?:is|must|should)"
        r"|last (?:message )?role|final (?:message )?.{0,20}assistant|roles must alternate",
        said.words,
    )
    named = said.params & {"body.continue_final_message", "continue_final_message", "add_generation_prompt"}
    return replace(known, prefill=False) if refused or named else None


def _room(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    """A context that is too short for prompt and reply together has room for a shorter reply."""
    room = _room_left(said.words) or _half_of_it(said.words)
    if room is None or room < LEAST_ROOM or 0 < known.most_tokens <= room:
        return None
    return replace(known, most_tokens=room)


_CONTEXT = re.compile(
    r"(?:maximum )?context (?:length|window)(?: of| is| only|:)* [('?]?(\d{2,8})|must be <= ?(\d{2,8})"
    r"|max_total_tokens[^\d]{1,20}(\d{2,8})"
)
_READ = re.compile(
    r"\((\d{1,8}) (?:tokens )?(?:in|of|from) (?:the |your )?(?:messages|prompt|text|input)|has (\d{1,8}) input tokens"
    r"|(\d{1,8}) `?inputs`? tokens|given: (\d{1,8}) |prompt contains (?:at least )?(\d{1,8})"
    r"|(\d{1,8}) tokens from the input|input tokens \((\d{1,8})\)|you passed (\d{1,8}) input tokens"
)
_SUM = re.compile(r"(\d{1,8}) \+ \d{1,8} > (\d{2,8})")


def _half_of_it(words: str) -> int | None:
    """Half of the context, where the server weighed the reply alone: it did not count the prompt's tokens."""
    found = re.search(r"input characters and requested (\d{1,8}) output tokens\b.{0,60}context length is only (\d{2,8})", words)
    return int(found.group(2)) // 2 if found and 2 * int(found.group(1)) > int(found.group(2)) else None


def _room_left(words: str) -> int | None:
    if added := _SUM.search(words):
        return int(added.group(2)) - int(added.group(1)) - 1
    context, read = _CONTEXT.search(words), _READ.search(words)
    if context is None or read is None:
        return None
    most, taken = (next(int(group) for group in found.groups() if group) for found in (context, read))
    return most - taken - 1


_NUMBER = r"(\d{1,8}(?:\.\d{1,4})?)"
_MOST = re.compile(
    r"(?:at most|less (?:than )?or equal to|<= ?|maximum (?:value )?(?:is|of|allowed)|up to|must not exceed"
    r"|exceeds? (?:the )?(?:model'?s? )?(?:maximum|limit)[^\d]{0,30}|no more than"
    r"|(?:above|over|beyond) the (?:limit|maximum) of"
    r"|(?:cannot|can't|must not|may not|should not) be (?:greater|larger|more|higher) than[^\d]{0,30}"
    rf"|range of valid \w+ (?:is|=)|\d{{1,8}} > ?)[^\d]{{0,12}}{_NUMBER}"
    rf"|(?:between |[\[(]|from |range: )\d{{1,4}}(?:\.\d{{1,4}})? ?(?:and|to|,|~|\.\.|\(inclusive\) to) ?{_NUMBER}"
)
_OF_REPLIES = re.compile(r"max(?:imum)?[ _]?(?:output|new|completion)?[ _]?tokens")
_LEAST = re.compile(r"(?:strictly positive|greater than 0|> ?0(?!\d)|must be positive|not be 0|cannot be 0|non-zero)")


def _limits(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    """Bounds that the server names: of the reply's length, of the temperature, and of how many replies a request has."""
    most = _most(said.words)
    if most is not None and {"max_completion_tokens", "max_tokens"} & set(sent) and _speaks_of_length(said):
        room = int(most)
        if room >= LEAST_ROOM and (not known.most_tokens or room < known.most_tokens):
            return replace(known, most_tokens=room)
    if "temperature" in sent and _names(said, "temperature"):
        if most is not None and 0 < most < known.most_temperature:
            return replace(known, most_temperature=most)
        if _LEAST.search(said.words) and known.least_temperature == 0:
            return replace(known, least_temperature=0.01)
    return replace(known, n=False) if most is not None and "n" in sent and _names(said, "n") else None


def _most(words: str) -> float | None:
    """The upper bound that a refusal names."""
    found = _MOST.search(words)
    if found is None:
        return None
    most = float(found.group(1) or found.group(2))
    if words.startswith("(exclusive)", found.end() + 1):
        most -= 1 if most.is_integer() else 0.0001
    return most


def _speaks_of_length(said: Said) -> bool:
    return _names(said, "max_tokens") or _names(said, "max_completion_tokens") or bool(_OF_REPLIES.search(said.words))


def _images(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    if "images" not in sent:
        return None
    words = said.words
    count = re.search(
        r"at most (\d{1,3}) image|maximum (?:number )?of (\d{1,3}) images|(?:supports?|only) (?:only )?(\d{1,3}|one) image"
        r"|you set '?image'?=(\d{1,3})",
        words,
    )
    if count:
        number = next(group for group in count.groups() if group)
        most = 1 if number == "one" else int(number)
        return replace(known, most_images=most) if most and (not known.most_images or most < known.most_images) else None
    if re.search(r"context|token", words) or (said.status != 413 and not _TOO_LARGE.search(words)):
        return None
    if said.status >= 500 and not re.search(r"image|pixel|resolution|dimension", words):  # a queue is full, not a picture large
        return None
    side = re.search(r"(\d{3,5}) ?(?:px|pixels)|(\d{3,5}) ?x ?\d{3,5}", words)
    told = min(int(next(group for group in side.groups() if group)), known.most_side or 10**6) if side else 0
    new = told if told and told != known.most_side and told < (known.most_side or PROTOTYPE_SIDE) else _halved(known.most_side)
    return replace(known, most_side=new) if new >= LEAST_SIDE else None


_TOO_LARGE = re.compile(
    r"(?:image|payload|request(?!s)|body|content|pixels|resolution|dimension)\S*(?: (?!rate|time|queue|quota)\S+){0,6}"
    r" (?:too (?:large|big|high|many pixels)|exceeds?|larger than|over the limit)|max bytes per"
    r"|image size must be (?:less|smaller) than"
)


def _halved(side: int) -> int:
    return (side or PROTOTYPE_SIDE) // 2


def _effort(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    """Efforts that the server names instead of the one that it refuses."""
    spoken_of = _names(said, "reasoning_effort") or re.search(r"think|'(?:none|minimal|xhigh|max)'", said.words)
    if "reasoning_effort" not in sent or not spoken_of:
        return None
    named = re.search(r"(?:values? are|one of|expected|must be|should be|either)(.{0,200})", said.words)
    efforts = tuple(effort for effort in EFFORTS if named and re.search(rf"\b{effort}\b", named.group(1)))
    return replace(known, efforts=efforts) if efforts and efforts != known.efforts else None


_REFUSED = re.compile(
    r"support|unknown|unrecogni[sz]ed|unexpected|not permitted|not allowed|forbidden|extra (?:inputs|fields"
    r"|parameter)|cannot|can't"
    r"|no longer|deprecated|incompatible|invalid|not available|not enabled|only (?:the )?(?:default|one)"
    r"|must be (?:1\b|set to 1|left)"
    r"|must be at most 1\b|at most 1\b|ignored|additional properties|no endpoints found|one completion|not a valid|must not be"
    r"|非法|不支持|无效"
)
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "max_tokens": ("max_tokens", "maxtokens", "max_output_tokens"),
    "max_completion_tokens": ("max_completion_tokens", "maxcompletiontokens"),
    "temperature": ("temperature",),
    "top_p": ("top_p", "topp"),
    "seed": ("seed",),
    "random_seed": ("random_seed",),
    "n": (
        "n",
        "candidatecount",
        "candidate_count",
        "multiple candidates",
        "completion choice",
        "number of completions",
        "number of choices",
        "num_choices",
        "n_cmpl",
    ),
    "reasoning_effort": (
        "reasoning_effort",
        "reasoningeffort",
        "reasoning.effort",
        "effort parameter",
        "think value",
        "thinking_level",
        "thinkinglevel",
        "thinking",
        "reasoning",
    ),
    "stream_options": ("stream_options", "include_usage"),
    "chat_template_kwargs": ("chat_template_kwargs", "enable_thinking"),
}


def _dropped(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    """A parameter that is refused by name is renamed or left out; of two that exclude one another, the second."""
    if "can handle the requested parameters" in said.words:  # a gateway that does not say which
        named = (name for name in _SPARE if name in sent)
        return next((_without(known, name, "") for name in named), None)
    if not (_REFUSED.search(said.words) or said.codes & _UNSUPPORTED):
        return None
    return _first_named(known, said, sent)


def _first_named(known: Capabilities, said: Said, sent: Collection[str]) -> Capabilities | None:
    """Capabilities without the first parameter that an error names and that can be left out or renamed."""
    named = [name for name in _ALIASES if name in sent and _names(said, name)]
    if {"temperature", "top_p"} <= set(named):
        return replace(known, top_p=False)
    for name in named:
        changed = _without(known, name, said.words)
        if changed != known:
            return changed
    return None


_SPARE = ("seed", "n", "reasoning_effort", "chat_template_kwargs", "top_p", "temperature")
"""What can be left out, that which the fewest endpoints take first."""

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
    if name == "stream_options":
        return replace(known, stream_usage=False)
    changes: dict[str, Any] = {name: False}
    return replace(known, **changes)


def _names(said: Said, name: str) -> bool:
    """Whether an error speaks of a parameter: by `param`, or in its words, where a short name must be in quotes."""
    wanted = _ALIASES[name]
    for param in said.params:
        if _plain(param.rpartition(".")[2]) in map(_plain, wanted):
            return True
    return any(_mentions(said.words, alias) for alias in wanted)


def _mentions(words: str, alias: str) -> bool:
    if len(alias) == 1:
        said = rf"'{alias}'|\b{alias} ?(?:=|>|must|should|is |can|greater|: invalid)|(?:parameter|range of|value of) {alias}\b"
        return re.search(said, words) is not None
    return re.search(rf"(?<![a-z_]){re.escape(alias)}(?![a-z_])", words) is not None


def _plain(name: str) -> str:
    return name.lower().replace("_", "").strip("'[]0123456789 ")
