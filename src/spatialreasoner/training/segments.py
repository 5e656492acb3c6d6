"""How segments are found in an answer: by tags, by headings, or by your own regular expression."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from spatialreasoner.core.errors import ConfigError, InputError
from spatialreasoner.language import responses
from spatialreasoner.language.thinking import find_thought

SEGMENTS = ("description", "reasoning")
"""The segments of the LongCoT form; the conclusion belongs to the reasoning (docs/papers.md 1.3)."""

THINKING = "thinking"
"""The segment of what is thought before an answer, where it is named among the segments."""

Spans = Callable[[str], Mapping[str, tuple[int, int]]]
"""Where the segments of an answer stand, by their names: characters, end exclusive."""

SegmentsBy = Literal["auto", "tags", "headings", "pattern"]

_SECONDS = 1.0
"""A regular expression that takes longer over one answer is refused: it would hold training up, or never end."""


def check_segments(segments: Sequence[str], gap_columns: Sequence[str]) -> None:
    """Refuse segments that cannot be told apart, and columns that are not theirs.

    Raises:
        ConfigError: If there are any.
    """
    if isinstance(segments, str):
        raise ConfigError(f"expected a list of the segments' names; got the text {segments!r}. Write {segments.split(',')}")
    if not segments or len(set(segments)) < len(segments):
        raise ConfigError(f"expected at least one segment, each named once; got {list(segments)}")
    if gap_columns and len(set(gap_columns)) != len(segments):
        raise ConfigError(f"expected one of gap_columns for each of {', '.join(segments)}; got {', '.join(gap_columns)}")


def check_finder(how: SegmentsBy, segments: Sequence[str], pattern: str) -> None:
    """Refuse a way of finding segments that cannot work.

    Raises:
        ConfigError: If the pattern is missing, is not a regular expression, or has no group for a segment.
    """
    if bool(pattern) != (how == "pattern"):
        raise ConfigError(
            f"segments_by=pattern and segment_pattern go together; got segments_by={how} and segment_pattern={pattern[:80]!r}"
        )
    if not pattern:
        return
    try:
        groups = re.compile(pattern, re.DOTALL).groupindex
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError(f"segment_pattern is not a regular expression: {error}; got {pattern[:80]!r}") from None
    missing = [name for name in segments if name not in groups and name != THINKING]
    if missing:
        raise ConfigError(
            f"expected a group (?P<{missing[0]}>...) in segment_pattern; its groups are {', '.join(groups) or 'none'}"
        )


def finder(how: SegmentsBy, segments: Sequence[str], pattern: str = "") -> Spans:
    """The function that finds segments in an answer.

    Args:
        how: `auto` is the LongCoT form for description and reasoning, otherwise tags.
        segments: Names of the segments.
        pattern: The regular expression of `pattern`.
    """
    if how == "headings":
        return heading_spans(segments)
    if how == "pattern":
        return pattern_spans(pattern, segments)
    return tag_spans(segments) if how == "tags" else default_spans(segments)


def tag_spans(segments: Sequence[str]) -> Spans:
    """Spans of segments in tags of their own names, ``<name>...</name>``; the first of each counts.

    Thinking before the answer is read as no other segment, and is one itself under the name `thinking`.

    >>> tag_spans(["a", "b"])("<a>x</a><b>yz</b>")
    {'a': (3, 4), 'b': (11, 13)}
    >>> tag_spans(["thinking", "a"])("<think>Not <a>y</a>.</think><a>x</a>")
    {'thinking': (7, 20), 'a': (31, 32)}
    """

    def spans(text: str) -> Mapping[str, tuple[int, int]]:
        found, begin = _thought(text)
        for name in segments:
            start = text.find(f"<{name}>", begin)
            end = text.find(f"</{name}>", start)
            if 0 <= start < end:
                found[name] = (start + len(name) + 2, end)
        return found

    return spans


def _thought(text: str) -> tuple[dict[str, tuple[int, int]], int]:
    """Where an answer's thinking is, if it has any, as a segment; and where what is said after it begins."""
    thought = find_thought(text)
    return ({}, 0) if thought is None else ({THINKING: thought.span}, thought.end)


def default_spans(segments: Sequence[str]) -> Spans:
    """How segments are found unless the caller says: the LongCoT form for its two segments, else tags."""
    own = tuple(name for name in segments if name != THINKING)
    return responses.spans if own == SEGMENTS else tag_spans(segments)


def heading_spans(segments: Sequence[str]) -> Spans:
    r"""Spans of segments that begin after headings of their names, and end where the next one of them begins.

    A heading is the name at the start of a line, in any case, marked by `#`, by asterisks, or by a colon after it. Of several
    with one name the first counts. Thinking before the answer is read as by `tag_spans`.

    >>> text = "### Plan\nAdd both.\n**Answer:** 7"
    >>> {name: text[slice(*span)] for name, span in heading_spans(["plan", "answer"])(text).items()}
    {'plan': 'Add both.', 'answer': '7'}
    """
    names = "|".join(re.escape(name).replace("_", r"[ _]") for name in segments)
    heading = re.compile(
        rf"^[ \t]{{0,8}}(?:#{{1,6}}[ \t]{{0,8}}\*{{0,2}}(?P<marked>{names})\b[:*]{{0,3}}"
        rf"|\*{{2}}(?P<bold>{names})(?::\*{{2}}|\*{{2}}:?)|(?P<named>{names})[ \t]{{0,8}}:)[ \t]{{0,8}}\n?",
        re.IGNORECASE | re.MULTILINE,
    )
    known = {name.lower().replace("_", " "): name for name in segments}

    def spans(text: str) -> Mapping[str, tuple[int, int]]:
        found, begin = _thought(text)
        matches = list(heading.finditer(text, begin))
        ends = [*(each.start() for each in matches), len(text)][1:]
        for match, after in zip(matches, ends, strict=True):
            said = next(group for group in match.groups() if group is not None)
            body = text[match.end() : after].rstrip()
            found.setdefault(known[said.lower().replace("_", " ")], (match.end(), match.end() + len(body)))
        return found

    return spans


def pattern_spans(pattern: str, segments: Sequence[str]) -> Spans:
    r"""Spans of the named groups of a regular expression that is searched for in the answer; a dot matches line ends.

    Thinking before the answer is not searched, and is itself the segment `thinking`, unless the expression has a group for it.

    >>> text = "Add both. So: 7"
    >>> pattern_spans(r"(?P<plan>.*?)\s*So: (?P<answer>.*)", ["plan", "answer"])(text)
    {'plan': (0, 9), 'answer': (14, 15)}
    """
    import regex

    compiled = regex.compile(pattern, regex.DOTALL)

    def spans(text: str) -> Mapping[str, tuple[int, int]]:
        found, begin = ({}, 0) if THINKING in compiled.groupindex else _thought(text)
        try:
            match = compiled.search(text[begin:], timeout=_SECONDS)
        except TimeoutError:
            raise InputError(
                f"segment_pattern took more than {_SECONDS:g} s over an answer of {len(text)} characters; write it without "
                "repetitions inside repetitions"
            ) from None
        if match is None:
            return found
        named = [name for name in segments if name in compiled.groupindex and match.start(name) >= 0]
        return found | {name: (begin + match.start(name), begin + match.end(name)) for name in named}

    return spans
