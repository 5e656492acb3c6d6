r"""Where in a reply the answer is: `\boxed{}`, JSON fields, "Answer:", a conclusion.

Each place is a piece of the reply with the rule that found it, the most explicit first. Every pattern is bounded, and each runs
once over the text.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from spatialreasoner.language.scan import lazily, word_starts, words_in

MAX_PLACES = 3
"""Maximum number of places tried of each kind, the last first."""


class Place(NamedTuple):
    """A piece of a reply that may hold the answer.

    Attributes:
        text: What it says, folded, without emphasis.
        rule: How it was found, in words.
        span: Its place in the reply, (start, end) characters, end exclusive.
        explicit: Whether it is announced as the answer, so that one without any answer in it means that there is none.
        unit: The unit that a label or a key gives a bare number, "cm" of "Distance (cm): 125"; empty if none does.
        key: The JSON key of the value, where it comes from one.
    """

    text: str
    rule: str
    span: tuple[int, int]
    explicit: bool = False
    unit: str = ""
    key: str = ""


_EMPHASIS = lazily(
    r"\*(?:\*{0,2}(?! )|(?<! \*)\*{0,2})|_(?:(?<!\w_)_?(?=\w)|(?<=\w_)_?(?!\w))|``{0,2}|\\(?:[()\[\]]|(?:text"
    r"|mathrm|textbf|mathbf)(?=\{))|\$\$?"
)
_LATEX = lazily(r"[{}]|\\(?:text|mathrm)")
_BOXED = lazily(
    r"\\boxed ?\{(?P<said>(?:[^{}]|\{[^{}]{0,80}\}){0,200})\}|<(?:answer|conclusion)>(?P<tag>.{0,400}?)(?:</(?:answer"
    r"|conclusion)>|$)"
    r"|\\scalar ?\{(?P<scalar>[^{}]{1,20})\}(?:\s{0,3}\\distance_unit ?\{(?P<unit>[^{}]{1,20})\})?",
    re.DOTALL,
)
_BOXED_HINTS = words_in("\\boxed", "<answer>", "<conclusion>", "\\scalar")
_NAMES = (
    r"(?:answers?|(?<=correct )option|verdict|result|conclusion|selection|selected|choice|decision|response|reply"
    r"|final (?:estimate"
    r"|value|result|decision|verdict|choice))"
)
_MARKED = lazily(
    r"(?:^|(?<=[\s(>*_#\".,;:]))(?<!\blong )(?<!longer )(?<!detailed )(?:the |my |so the |so my |our )?(?:final |correct "
    r"|short |best |right "
    rf"|overall )?{_NAMES}\b(?! (?:region|the|a|an|which|each)\b)"
    r"(?: to (?:your|the|this) question| to this| for (?:region|the)[^:.\n]{0,30}| options?)?"
    r"[\"'*_ )]{0,4}(?::|=|->|=>|\bis\b(?! (?:determined|based|found|given|not (?:given|clear))\b)|\bwould be\b"
    r"|→)[\s\"'*_:]{0,6}(?:therefore |thus |clearly |then )?"
    r"|\b(?:in conclusion|to conclude|i(?:'d| would|'ll| will)? (?:conclude|choose|pick|select)(?: that)?|in summary"
    r"|to sum up|in the end(?=[,:])"
    r"|in short)\b[\s:,.*#]{0,8}"
    r"|(?:^|\n)[#*\s>]{0,8}(?:in |final )?(?:conclusion|answer|verdict)\b[\s:*#.]{0,8}(?=\n|\S)|^a: (?=\S)|\na: (?=\S)"
)
_SO = lazily(
    r"(?:^|(?<=[\s(*]))(?:therefore|thus|hence|consequently|overall|so|as a result|all in all|on balance"
    r"|this means(?: that)?|which means(?: that)?)\b[\s,:*]{1,6}"
)
_FIRMLY = lazily(r"(?:^|(?<=[.!?\n*] )|(?<=[\n*]))(?:therefore|thus|hence|consequently|so)\b[\s,:*]{1,6}")
_WHY = lazily(
    r"(?:^|\n)[\s#>*\d.-]{0,10}(?:explanation|reasoning|rationale|justification|analysis|why|here'?s (?:why|how"
    r"|my|the reasoning|a breakdown)|here is (?:why|how)|note|notes|confidence|"
    r"how i (?:determined|arrived|got|estimated|made)|this is because|because|the reason(?:ing|s)?)\b"
)
_BREAK = lazily(r"\n\s{0,8}\n|\n(?=[ >]{0,4}#)|</(?:reasoning|answer|description)>")
_STEPS = lazily(
    r"<(?:description|reasoning)>|# ?(?:description|rationale|step)\b|step by step|1(?<![^\n]1)\.[, ]|"
    + word_starts(
        r"step(?: 1|-by-step)\b",
        r"to (?:determine|estimate|find|calculate|compare|answer|figure|work)\b",
        r"let(?:'s| us| me)\b",
        r"first(?:(?<![^\n]first) |(?:ly)?,)",
    )
)


@lru_cache(maxsize=16)  # the whole of a reply is asked for several times
def without_emphasis(text: str) -> str:
    """A folded text without emphasis, math delimiters and code quotes."""
    if not ("*" in text or "`" in text or "_" in text or "\\" in text or "$" in text):
        return text
    plain = _EMPHASIS.sub("", text)
    return plain.replace("\\,", " ").replace("\\ ", " ") if "\\" in plain else plain


def announced_places(folded: str, begin: int = 0) -> Iterator[Place]:
    """The pieces of a folded reply that are announced as the answer, the likeliest first.

    Args:
        folded: The reply.
        begin: Where it begins behind the thinking.
    """
    yield from _boxed(folded, begin)
    yield from _fields(folded, begin)
    for mark in list(_MARKED.finditer(folded, begin))[: -MAX_PLACES - 1 : -1]:
        yield _behind(folded, mark, f"behind {mark.group().strip()!r}", explicit=True)


def drawn(folded: str, begin: int = 0, *, firmly: bool = False) -> Iterator[Place]:
    """The pieces behind "therefore" and its like, the last first; of them only those that begin a sentence where `firmly`."""
    for mark in list((_FIRMLY if firmly else _SO).finditer(folded, begin))[: -MAX_PLACES - 1 : -1]:
        yield _behind(folded, mark, f"behind {mark.group().strip()!r}", explicit=False)


def explained(folded: str, begin: int = 0, *, alone: bool = False) -> int:
    """Where the explanation of an answer begins that comes before it; the text's end where none does.

    Args:
        folded: The reply.
        begin: Where it begins behind the thinking.
        alone: Whether it is one, too, where nothing is in front of it.
    """
    why = _WHY.search(folded, begin)
    return why.start() if why and (alone or folded[begin : why.start()].strip(" \n*#-")) else len(folded)


def in_steps(folded: str, begin: int = 0) -> bool:
    """Whether a reply reasons first, so that its first sentence is not its answer."""
    return _STEPS.search(folded, begin) is not None


def _behind(folded: str, mark: re.Match[str], rule: str, *, explicit: bool) -> Place:
    start = mark.end()
    while start < len(folded) and folded[start] in ' \n\t*#:"':
        start += 1
    stop = _BREAK.search(folded, start)
    why = _WHY.search(folded, start)
    end = min((found.start() for found in (stop, why) if found), default=len(folded))
    return Place(text=without_emphasis(folded[start:end]), rule=rule, span=(start, end), explicit=explicit)


def _boxed(folded: str, begin: int) -> Iterator[Place]:
    if _BOXED_HINTS.search(folded) is None:
        return
    found = list(_BOXED.finditer(folded, begin))
    for match in found[: -MAX_PLACES - 1 : -1]:
        said = next(value for value in match.group("said", "tag", "scalar") if value is not None)
        inner = _LATEX.sub(" ", without_emphasis(said)).strip()
        unit = match["unit"] or _stated_unit(folded[max(0, match.start() - 80) : match.start()])
        yield Place(text=inner, rule="boxed", span=match.span(), explicit=True, unit=unit)


_UNIT_WORD = (
    r"(?:meters?|metres?|centimeters?|centimetres?|millimeters?|millimetres?|feet|foot|inches|inch|yards?|cm|mm|km|ft|in|m)"
)
_IN_UNIT = lazily(rf"(?:\bunits?\W{{1,6}}|[\[(](?:in )?|\bin |,? ?measured in )(?P<unit>{_UNIT_WORD})\b")
_LABELLED = lazily(
    r"(?:distance|width|height|length|answer|value|size|depth|separation|gap|estimate|result"
    rf"|dimension)[a-z _]{{0,30}}[(\[, _]{{1,3}}(?:in )?(?P<unit>{_UNIT_WORD})[)\]]? ?(?:is |:|=|\u2248|~)"
)
_UNIT_IS = lazily(rf"\bunits?\b[\s:=\"']{{1,6}}(?P<unit>{_UNIT_WORD})\b")


def _stated_unit(before: str) -> str:
    found = list(_IN_UNIT.finditer(before))
    return found[-1]["unit"] if found else ""


def unit_of(folded: str, begin: int = 0) -> str:
    """The unit that a label gives the numbers of a short reply: "Distance (cm): 125", "**Unit:** inches"."""
    plain_text = without_emphasis(folded[begin : begin + 400])
    labelled = _LABELLED.search(plain_text) or ("unit" in plain_text and _UNIT_IS.search(plain_text))
    return labelled["unit"] if labelled else ""


# JSON

ANSWER_KEYS = (
    "answer",
    "final_answer",
    "finalanswer",
    "prediction",
    "response",
    "result",
    "output",
    "conclusion",
    "verdict",
    "choice",
    "value",
    "estimate",
)
_TALK = lazily(
    r"reason|explan|thought|think|analysis|comment|description|rationale|label|bbox|box|confidence|unit|coord"
    r"|from|to|id$|question|image|note|name|type|mask|need|requir|example"
    r"|error|detail|status|missing|regions$|options"
)
_KEY_UNIT = lazily(
    r"(?:^|[_ (])(meters?|metres?|centimeters?|centimetres?|millimeters?|millimetres?|feet|foot|inches|inch|cm"
    r"|mm|km|ft|in|m)\)?$"
)


_KEY_KIND = lazily(
    r"(?P<width>width|breadth)|(?P<height>height(?![_ ]diff)|tall)|(?P<depth>depth)|(?P<horizontal>horizontal)"
    r"|(?P<vertical>vertical)|(?P<distance>distance|gap|separation)|(?P<direction>direction|clock|hour)"
)


def key_measures(key: str, category: str) -> bool:
    """Whether a JSON key may hold the quantity of a category: "width_m" does not hold a height."""
    named, kind = _KEY_KIND.search(key), category.partition("_")[0]
    return named is None or named.lastgroup == kind or (named.lastgroup == "distance" and kind in ("horizontal", "vertical"))


def _fields(folded: str, begin: int) -> Iterator[Place]:
    """The values of JSON fields that may be the answer; those called "answer" first, those of talk never."""
    opened = folded.find("{", begin)
    if opened < 0 or folded.find(":", opened) < 0:
        return
    found = _json(folded, opened)
    if found is None:
        return
    value, end = found
    named = list(_leaves(value, "", ""))[:64]
    named.sort(key=lambda leaf: ANSWER_KEYS.index(leaf[0]) if leaf[0] in ANSWER_KEYS else len(ANSWER_KEYS))
    for key, said, unit in named:
        yield Place(
            text=without_emphasis(said),
            rule=f"JSON field {key!r}",
            span=(opened, end),
            explicit=key in ANSWER_KEYS,
            unit=unit,
            key=key,
        )


def _json(folded: str, opened: int) -> tuple[object, int] | None:
    text = folded[opened : opened + 20_000]
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return _literal(text, opened)
    return value, opened + end


_LITERAL = lazily(r"\{[^{}]{1,2000}\}")
_CONSTANTS = lazily(r"\b(true|false|none)\b")


def _literal(text: str, opened: int) -> tuple[object, int] | None:
    """A dictionary as Python writes it: {'answer': 'Region 1'}."""
    match = _LITERAL.match(text)
    if match is None or "'" not in match.group():
        return None
    try:
        value = ast.literal_eval(_CONSTANTS.sub(lambda word: word.group().capitalize(), match.group()))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return (value, opened + match.end()) if isinstance(value, dict) else None  # type: ignore[return-value]


def _leaves(value: object, key: str, unit: str, depth: int = 0) -> Iterator[tuple[str, str, str]]:
    """(key, value, unit) of each field that is not talk, as texts."""
    if isinstance(value, Mapping) and depth < 4:
        own = {str(name).strip().lower(): inner for name, inner in value.items()}  # type: ignore[misc]
        given = next((str(own[name]) for name in ("unit", "units") if isinstance(own.get(name), str)), unit)
        for name, inner in own.items():
            if not _TALK.search(name):
                yield from _leaves(inner, key if name == "value" and key else name, given, depth + 1)
    elif isinstance(value, list) and depth < 4:
        for inner in value[:8]:  # type: ignore[misc]
            yield from _leaves(inner, key, unit, depth + 1)  # type: ignore[misc]
    elif isinstance(value, bool):
        yield key, "yes" if value else "no", unit
    elif isinstance(value, (int, float, str)):
        given = _KEY_UNIT.search(key)
        yield key, str(value), given[1] if given else unit
