"""A response read once: its segments, statements, conclusion, and what of it is not an answer.

The scorer, the four rewards, the app and the judges read this and nothing else, so they cannot disagree on what a text says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spatialreasoner.core.errors import ResponseError
from spatialreasoner.core.kept import kept
from spatialreasoner.core.types import Category
from spatialreasoner.language import refusals, responses
from spatialreasoner.language.conclusion import Conclusion, conclude
from spatialreasoner.language.quantities import fold
from spatialreasoner.language.question import question_asked
from spatialreasoner.language.scan import lazily
from spatialreasoner.language.statements import Assertion, extract

_SENTENCE = lazily(r"[^.!?\n]{1,2000}(?:[.!?]+|\n|$)")
_CJK = lazily(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
_TAG = lazily(r"</?(?:description|reasoning)>", re.IGNORECASE)
_HEADING = lazily(r"[#* \t]{0,12}in conclusion[:,.* \t]{0,8}\n?\Z", re.IGNORECASE)
_MAX_HEADING = 60
_FORM = lazily(r"<(?:description|reasoning)>|^#{1,4} |\bstep 1\b|step by step", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A run of text of one segment, "description", "reasoning" or "conclusion", without tags and blank ends."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class ParsedResponse:
    """What a response says. Each part is read when it is first asked for, and then kept: a scorer needs the conclusion alone.

    Attributes:
        text: The response.
        question: Category and text of what it answers; None if that is unknown.
        labels: What the question's regions are called, in order.
        others: What the scene's other regions are called.
    """

    text: str
    question: tuple[Category, str] | None = None
    labels: Sequence[str] = field(default=(), repr=False)
    others: Sequence[str] = field(default=(), repr=False)

    @kept
    def plain(self) -> bool:
        """Whether it has no form at all: no tags, headings or steps."""
        spans = self._spans
        return "conclusion" not in spans and spans["description"] == (0, 0) and _FORM.search(self.text) is None

    @kept
    def segments(self) -> Mapping[str, tuple[int, int]]:
        """Where "description", "reasoning" and "conclusion" are; an answer without any form is a conclusion."""
        if not self.plain:
            return self._spans
        whole = (refusals.thinking_end(self.text) or 0, len(self.text))
        return {"description": (0, 0), "reasoning": whole, "conclusion": whole}

    @kept
    def _spans(self) -> Mapping[str, tuple[int, int]]:
        return responses.spans(self.text)

    @kept
    def pieces(self) -> tuple[Piece, ...]:
        """Its segments as people read them, in order: each character once, without the conclusion's heading, none empty."""
        text, spans = self.text, self.segments
        concluded = spans.get("conclusion", (len(text), len(text)))[0]
        start = spans["reasoning"][0]
        heading = _HEADING.search(text, max(start, concluded - _MAX_HEADING), concluded)
        ends = {
            "description": spans["description"],
            "reasoning": (start, heading.start() if heading else concluded),
            "conclusion": (concluded, len(text)),
        }
        cut = (_trimmed(name, text, *span) for name, span in ends.items())
        return tuple(piece for piece in cut if piece.start < piece.end)

    @kept
    def statements(self) -> tuple[Assertion, ...]:
        """Its spatial statements, in order, each with its span."""
        return tuple(extract(self.text, self.labels, self.others))

    @kept
    def thinking(self) -> tuple[int, int]:
        """Where its thinking is; empty, (0, 0), where it shows none."""
        begin = refusals.thinking_end(self.text)
        return 0, begin if begin is not None else len(self.text)

    @kept
    def refusal(self) -> str:
        """Why it is not an answer, such as "refusal" or "thinking never ended"; empty if it may be one."""
        begin = refusals.thinking_end(self.text)
        return "thinking never ended" if begin is None else refusals.why_unanswered(fold(self.text[begin:])) or ""

    @property
    def cut_off(self) -> bool:
        """Whether it ends within a sentence."""
        return refusals.is_cut_off(self.text)

    @property
    def language(self) -> str:
        """The language: "en", or "other" where most letters are of another script."""
        head = self.text[:2000]
        return "other" if 2 * len(_CJK.findall(head)) > len(head.split()) + 2 else "en"

    @kept
    def sentences(self) -> list[tuple[int, int]]:
        """Where each sentence is, outside the thinking."""
        return [match.span() for match in _SENTENCE.finditer(self.text, self.thinking[1]) if match.group().strip()]

    @kept
    def conclusion(self) -> Conclusion | None:
        """What it answers to its question and how that was found; None if no question is known."""
        if self.question is None:
            return None
        return conclude(question_asked(*self.question), self.text)

    def within(self, segment: str) -> list[Assertion]:
        """The statements that begin in a segment; those of the conclusion are not of the reasoning."""
        begin, end = self.segments.get(segment, (0, 0))
        end = min(end, self.segments.get("conclusion", (end, end))[0]) if segment == "reasoning" else end
        return [statement for statement in self.statements if begin <= statement.span[0] < end]


def _trimmed(name: str, text: str, start: int, end: int) -> Piece:
    """A piece without the tags and the blanks at its ends."""
    while start < end:
        tag = _TAG.match(text, start)
        if tag is None and not text[start].isspace():
            break
        start = tag.end() if tag else start + 1
    while start < end:
        opened = text.rfind("<", start, end)
        tag = _TAG.fullmatch(text, opened, end) if opened >= 0 and text[end - 1] == ">" else None
        if tag is None and not text[end - 1].isspace():
            break
        end = tag.start() if tag else end - 1
    return Piece(name=name, start=start, end=end)


def parse_response(
    text: str,
    *,
    category: Category | None = None,
    question: str = "",
    labels: Sequence[str] = (),
    others: Sequence[str] = (),
) -> ParsedResponse:
    """A response, to be read once.

    Args:
        text: The response.
        category: What its question asks; None if that is unknown.
        question: The question's text.
        labels: What the question's regions are called, in order.
        others: What the scene's other regions are called.

    Raises:
        ResponseError: If the text is longer than `responses.MAX_CHARACTERS`.
    """
    if len(text) > responses.MAX_CHARACTERS:
        raise ResponseError(f"a response has at most {responses.MAX_CHARACTERS} characters; got {len(text)}")
    asked = None if category is None else (category, question)
    return ParsedResponse(text=text, question=asked, labels=labels, others=others)


def explain_parse(text: str, *, category: Category | None = None, question: str = "", labels: Sequence[str] = ()) -> str:
    """Which rule matched which words of a response, line by line, for people.

    >>> print(explain_parse("<region1> is 1.5 m wide.", category="width_data", question="How wide is <region1>?"))
    segments: reasoning 0-24, conclusion 0-24
    language: en
    statement 0-23: width of region1 = 1.5 m: '<region1> is 1.5 m wide'
    conclusion 0-24: 1.5 (in the whole reply: states what is asked): '<region1> is 1.5 m wide.'
    """
    parsed = parse_response(text[: responses.MAX_CHARACTERS], category=category, question=question, labels=labels)
    lines = ["segments: " + ", ".join(f"{name} {a}-{b}" for name, (a, b) in parsed.segments.items() if b > a)]
    lines += [f"language: {parsed.language}"] + ["cut off at the end"] * parsed.cut_off
    if parsed.thinking[1]:
        lines.append(f"thinking {parsed.thinking[0]}-{parsed.thinking[1]}: not read for the answer")
    if parsed.refusal:
        lines.append(f"no answer: {parsed.refusal}")
    lines += [_statement_line(text, statement) for statement in parsed.statements]
    if (found := parsed.conclusion) is not None:
        lines.append(_conclusion_line(text, found))
    return "\n".join(lines)


def _statement_line(text: str, said: Assertion) -> str:
    value = "" if said.value is None else f" = {said.value:g}" + ("" if said.high is None else f" to {said.high:g}")
    marks = " (denied)" * said.negated + " (hedged)" * said.hedged
    unit = f" {said.unit}" if said.unit else ""
    begin, end = said.span
    return f"statement {begin}-{end}: {said.kind} of {', '.join(said.regions)}{value}{unit}{marks}: {text[begin:end]!r}"


def _conclusion_line(text: str, found: Conclusion) -> str:
    if found.value is None:
        return f"conclusion: none ({found.unscored})"
    begin, end = found.span
    clash = ", contradicts itself" * found.clashes
    return f"conclusion {begin}-{end}: {found.value:g} ({found.rule}{clash}): {text[begin:end]!r}"
