"""The LongCoT text format: render, parse, the character spans of segments, and the steps that a tree search adds.

The form (paper, figure 1 and appendix B)::

    <description>What the image shows.</description>
    <reasoning>### Rationale
    The plan.
    ### Let's think step by step
    ### Step 1
    ...</reasoning>
    ### In Conclusion
    The answer.

Read, but never written, are the plain forms of the paper's figures: headings or nothing in place of tags, "Let's think
step by step", and "The final answer is". Every function is linear in the length of the text.
"""

import re
from typing import NamedTuple

from spatialreasoner.core.errors import ResponseError
from spatialreasoner.core.types import Response
from spatialreasoner.language.scan import lazily
from spatialreasoner.language.thinking import find_thought

MAX_CHARACTERS = 100_000
"""Longer texts are refused by `parse`: no model answer is that long, and readers downstream stay fast."""

_TAG = lazily(r"</?(?:description|reasoning)>", re.IGNORECASE)
_CONCLUSION = lazily(
    r"^[ \t]{0,8}#{0,4}[ \t]{0,8}\*{0,2}in conclusion\b\*{0,2}[:,.]?\*{0,2}[ \t]{0,8}\n?"
    r"|\bin conclusion[:,][ \t]{0,8}|(?=\bthe final answer is\b)",
    re.IGNORECASE | re.MULTILINE,
)
_CONCLUDES = lazily(r"[cCfF](?i:(?<=in c)onclusion|(?<=the f)inal answer)")
"""Every conclusion holds these words; searching for them first spares most texts the whole pattern. It begins with a set of
rare characters, which a search skips to."""
_REASONING = lazily(
    r"^[ \t]{0,8}#{1,4}[ \t]{0,8}\*{0,2}(?:rationales?|reasoning|let['’]s think step by step|step 1)\b"
    r"|\blet['’]s think step by step\b|^[ \t]{0,8}\*{0,2}step 1\b",
    re.IGNORECASE | re.MULTILINE,
)
_DESCRIPTION = lazily(r"\s{0,8}#{1,4}[ \t]{0,8}\*{0,2}(?:image )?description\*{0,2}[:.]?\*{0,2}[ \t]{0,8}\n?", re.IGNORECASE)
_FORM = lazily(
    r"^[ \t#*]{0,8}(?:(?:image )?description|rationale|reasoning|let['’]s think step by step|step \d{1,4}|in conclusion)\b",
    re.IGNORECASE | re.MULTILINE,
)
_MAX_FORM = 600
"""Characters of the longest text that may be nothing but headings."""
_STAGE = lazily(
    r"(?:<reasoning>\s{0,8})?#{2,4}[ \t]{0,8}(?P<name>rationale|step (?P<number>\d{1,4})|in conclusion)\b[:.]?[ \t]{0,8}",
    re.IGNORECASE,
)


def render(response: Response) -> str:
    """The text of a response.

    Raises:
        ResponseError: If a field holds a tag or a heading of the form itself, so that the text could not be read back.
    """
    for name in ("description", "reasoning", "answer"):
        text: str = getattr(response, name)
        if _TAG.search(text) or (name != "answer" and _CONCLUSION.search(text)):
            raise ResponseError(f"{name} must be plain text without segment tags or a conclusion heading; got {text[:80]!r}")
    return (
        f"<description>{response.description.strip()}</description>\n"
        f"<reasoning>{response.reasoning.strip()}</reasoning>\n"
        f"### In Conclusion\n{response.answer.strip()}"
    )


def is_bare_form(text: str) -> bool:
    """Whether a text is nothing but the tags and headings of the form.

    >>> is_bare_form("<description></description><reasoning>### Step 1</reasoning>"), is_bare_form("### Step 1 No.")
    (True, False)
    """
    return len(text) <= _MAX_FORM and not any(map(str.isalnum, _FORM.sub("", _TAG.sub("\n", text))))


def parse(text: str) -> Response:
    """Read a response, tagged or plain.

    Raises:
        ResponseError: If the text has no conclusion, or is longer than `MAX_CHARACTERS`.
    """
    found, heading = _cut(text)
    if heading is None:
        raise ResponseError(
            f"a response ends with '### In Conclusion' (or 'The final answer is ...') and the answer; got {text[-80:]!r}"
        )
    description, reasoning, answer = (found[name] for name in ("description", "reasoning", "conclusion"))
    inner = _TAG.sub("", text[reasoning[0] : heading])
    return Response(
        description=text[slice(*description)].strip(),
        reasoning=inner.strip(),
        answer=_TAG.sub("", text[slice(*answer)]).strip(),
    )


def spans(text: str) -> dict[str, tuple[int, int]]:
    """Where each segment is in the text, as (start, end) character offsets, end exclusive.

    `description` and `reasoning` are the two segments of fDPO; they do not overlap. `reasoning` reaches to the end of the
    conclusion (docs/papers.md 1.3: the conclusion belongs to it), and `conclusion`, where there is one, lies inside it. Opening
    tags and the description's closing tag lie outside every span. A text without a detectable boundary is all reasoning:
    its description is empty, at (0, 0). Thinking before the answer (`language.thinking`) lies before both, at `thinking`.

    Raises:
        ResponseError: If the text is longer than `MAX_CHARACTERS`.
    """
    return _cut(text)[0]


def _cut(text: str) -> tuple[dict[str, tuple[int, int]], int | None]:
    """The spans, and where the conclusion's heading begins, if there is one: the reasoning proper ends there."""
    if len(text) > MAX_CHARACTERS:
        raise ResponseError(f"a response has at most {MAX_CHARACTERS} characters; got {len(text)}")
    thought = find_thought(text)
    if thought is None:
        return _cut_plain(text)
    found, heading = _cut_plain(text[thought.end :])
    after = {name: (start + thought.end, end + thought.end) for name, (start, end) in found.items()}
    return {"thinking": thought.span, **after}, None if heading is None else heading + thought.end


def _cut_plain(text: str) -> tuple[dict[str, tuple[int, int]], int | None]:
    """The same of a text without thinking."""
    description, start = _description(text)
    found = {"description": description, "reasoning": (start, len(text))}
    conclusion = _conclusion(text, start)
    if conclusion is None:
        return found, None
    return found | {"conclusion": (conclusion[1], len(text))}, conclusion[0]


def _description(text: str) -> tuple[tuple[int, int], int]:
    """The description's span, and where the reasoning begins."""
    tags: dict[str, re.Match[str]] = {}
    for match in _TAG.finditer(text):
        tags.setdefault(match[0].lower(), match)
    opened, closed = tags.get("<description>"), tags.get("</description>")
    begins = tags.get("<reasoning>")
    if opened and closed and opened.end() <= closed.start():
        after = begins.end() if begins and begins.start() >= closed.end() else closed.end()
        return (opened.end(), closed.start()), after
    heading = _DESCRIPTION.match(text)
    start = heading.end() if heading else 0
    boundary = begins or _REASONING.search(text, start)
    if boundary is None:
        return (0, 0), 0
    return (start, boundary.start()), boundary.end() if begins else boundary.start()


def _conclusion(text: str, start: int) -> tuple[int, int] | None:
    """Where the heading of the last conclusion begins, and where its words do; or None."""
    said = _CONCLUDES.search(text, start)
    if said is None:
        return None
    last = None
    for match in _CONCLUSION.finditer(text, max(start, text.rfind("\n", 0, said.start()) + 1)):
        if last is None or match.end() > last.end():  # "in conclusion, the final answer is": one heading
            last = match
    return None if last is None else last.span()


class ResponseStep(NamedTuple):
    """One node's worth of a response: `description`, `rationale`, `step 1`, ..., `conclusion`, and its exact text."""

    name: str
    text: str


def steps(text: str) -> list[ResponseStep]:
    r"""Cut a tagged response into its steps; their texts joined are the whole text, so any prefix can be continued.

    A step runs from its heading to the next one: closing tags and "Let's think step by step" stay with the step before.

    >>> [step.name for step in steps(render(Response(description="A.", reasoning="### Rationale\nB.", answer="C.")))]
    ['description', 'rationale', 'conclusion']
    """
    matches = list(_STAGE.finditer(text[:MAX_CHARACTERS]))
    starts = [match.start() for match in matches] + [len(text)]
    names = ["conclusion" if m["name"].lower() == "in conclusion" else m["name"].lower() for m in matches]
    head = [ResponseStep(name="description", text=text[: starts[0]])] if text[: starts[0]].strip() else []
    if not head and matches:
        starts[0] = 0
    return head + [
        ResponseStep(name=name, text=text[begin:end]) for name, begin, end in zip(names, starts, starts[1:], strict=False)
    ]


def conclusion(text: str) -> str:
    """The last words of an answer: its conclusion, or the end of a text without one."""
    text = text[:MAX_CHARACTERS]
    start, end = spans(text).get("conclusion", (max(0, len(text) - 300), len(text)))
    return _TAG.sub("", text[start:end]).strip()
