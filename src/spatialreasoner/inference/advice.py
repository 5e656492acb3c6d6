"""The outcome of replies, in words: how many were not answers, why, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_TOKENS = "{max_tokens:,}"
_RAISE = "raise `max_new_tokens`, or lower `reasoning_effort`"
_FIXES: Mapping[str, str] = {
    "empty: cut off while thinking": f"the model used its {_TOKENS} tokens to think; {_RAISE}",
    "empty: cut off": f"the model was cut off at {_TOKENS} tokens before it wrote; {_RAISE}",
    "empty": "the model wrote nothing",
    "empty: only thinking": "all it wrote was thinking; lower `reasoning_effort`, or put thinking=off behind a ? in its name",
    "cut off": "the replies end at {max_tokens:,} tokens; raise `max_new_tokens`",
    "truncated": "the replies end at {max_tokens:,} tokens; raise `max_new_tokens`",
    "refusal": "the model declined",
    "content filter": "the endpoint's filter refused the question or its image",
    "prompt too long": "question, image and reply do not fit into the model's context, or a limit of tokens",
    "image too large": "the endpoint takes no image of this size",
    "image refused": "the endpoint could not read the image",
    "request refused": "the endpoint refused the request; the message says why",
    "unavailable": "no reply came, or a budget ended first; run the same again to ask for them",
}
_NAMES: Mapping[str, str] = {
    "empty: cut off while thinking": "empty",
    "empty: cut off": "empty",
    "empty: only thinking": "empty",
    "truncated": "cut off",
    "refusal": "refused",
    "content filter": "filtered",
    "unavailable": "missing",
}


def told(name: str, kinds: Mapping[str, int], total: int, *, max_tokens: int) -> Iterator[str]:
    """A line for every kind of reply that is not an answer.

    >>> list(told("m", {"answer": 8, "empty: cut off while thinking": 4}, 12, max_tokens=1024))[0][:60]
    'm: 4 of 12 replies were empty: the model used its 1,024 toke'

    Args:
        name: The model.
        kinds: Replies by kind; "answer" is left out.
        total: All replies.
        max_tokens: Maximum reply length that was requested.
    """
    for kind, count in sorted(kinds.items(), key=lambda pair: -pair[1]):
        if kind != "answer" and kind in _FIXES and count:
            were = "reply was" if total == 1 else "replies were"
            why = _FIXES[kind].format(max_tokens=max_tokens)
            yield f"{name}: {count} of {total} {were} {_NAMES.get(kind, kind)}: {why}"


def search_lines(
    by_policy: Mapping[str, Mapping[str, Any]],
    lessons: Mapping[str, Mapping[str, Any]],
    missing: Mapping[str, int],
    away: Mapping[str, str],
    *,
    max_tokens: int,
) -> Iterator[str]:
    """The outcome of a search for its policies.

    Args:
        by_policy: Counts of each policy, as in `summary.json`.
        lessons: What endpoints taught, by their names.
        missing: Replies that trees had to do without, by policy.
        away: Why policies could no longer be called, by their name.
        max_tokens: Maximum reply length that was requested.
    """
    for name, counts in by_policy.items():
        kinds = {kind: count for kind, count in counts["failures"].items() if kind != "unavailable"}
        total = counts["answers"] + sum(kinds.values())
        yield from told(name, kinds, total, max_tokens=max_tokens)
    for name, lesson in lessons.items():
        yield from learned(name, lesson)
    for name, count in missing.items():
        why = f": {away[name]}" if name in away else ""
        yield f"{name} was away: trees had to do without {count} of its replies{why}; the same command asks for them"


def judge_lines(by_judge: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A line for every reason for which a judge gave no grade.

    >>> list(judge_lines({"judge m": {"requests": 12, "failures": {"content filter": 2}}}))
    ['judge m: 2 of 12 grades failed, which leaves these answers unscored where geometry cannot tell: content filter']
    """
    for name, counts in by_judge.items():
        for why, count in sorted(counts["failures"].items(), key=lambda pair: -pair[1]):
            grades = "grade" if counts["requests"] == 1 else "grades"
            yield (
                f"{name}: {count} of {counts['requests']} {grades} failed, which leaves these answers unscored where geometry "
                f"cannot tell: {why}"
            )


def unanswered_lines(unanswered: Mapping[str, Mapping[str, Mapping[str, int]]], total: int) -> Iterator[str]:
    """A line that names questions without an answer, the first few of them, and why each has none.

    >>> list(unanswered_lines({"q3": {"m": {"content filter": 2}}}, 12))
    ['1 of 12 questions has no answer: q3 (content filter); `unanswered` in summary.json lists all']
    """
    if unanswered:
        named = ", ".join(f"{name} ({_reasons(by_policy)})" for name, by_policy in list(unanswered.items())[:5])
        more = ", ..." if len(unanswered) > 5 else ""
        have = "questions has" if len(unanswered) == 1 else "questions have"
        yield f"{len(unanswered)} of {total} {have} no answer: {named}{more}; `unanswered` in summary.json lists all"


def _reasons(by_policy: Mapping[str, Mapping[str, int]]) -> str:
    kinds = dict.fromkeys(kind for failures in by_policy.values() for kind in failures)
    return ", ".join(kinds) or "every path was pruned"


def learned(name: str, lessons: Mapping[str, Any]) -> Iterator[str]:
    """A line that says how an endpoint is asked differently from most, and one for each consequence."""
    if not lessons:
        return
    settings = "&".join(f"{key}={_text(value)}" for key, value in lessons.items() if key != "efforts")
    yield f"{name} needs other requests than most: {settings or lessons}; behind a ? in its name this holds from the start"
    if lessons.get("seed_param") == "none":
        yield f"{name} takes no seed: what it replied is kept, but the same seed elsewhere gives other replies"
    if lessons.get("temperature") is False:
        yield f"{name} takes no temperature: it samples in its own way"


def _text(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
