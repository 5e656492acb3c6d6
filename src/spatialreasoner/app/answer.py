"""An answer as HTML: segments, statements underlined by verdict, rewards as bars. All that a model wrote is escaped."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from spatialreasoner.app.segments import pieces, settled
from spatialreasoner.rewards.combine import REWARDS, Graded
from spatialreasoner.rewards.spatial import StatementVerdict
from spatialreasoner.scenes.marks import MARK_COLOURS

TITLES: Mapping[str, str] = {"description": "Description", "reasoning": "Reasoning", "conclusion": "Conclusion"}

REWARD_TITLES: Mapping[str, str] = {
    "visual": "visual",
    "spatial_description": "spatial, description",
    "spatial_reasoning": "spatial, reasoning",
    "logical": "logical",
}

VERDICT_WORDS: Mapping[str, str] = {
    "true": "holds", "partial": "partly holds", "false": "does not hold", "unscored": "cannot be told",
}  # fmt: skip
"""What a verdict means, for people."""

_WORST: Mapping[str, int] = {"false": 0, "partial": 1, "true": 2, "unscored": 3}
"""Of statements that share words, the worst verdict is shown."""

_CHIP = re.compile(r"&lt;region(\d{1,3})&gt;")
_HEADING = re.compile(r"^#{1,4}[ \t]{0,8}(.{1,80})$", re.MULTILINE)
_BLANKS = re.compile(r"\n{2,}")


def answer(name: str, text: str, numbers: Sequence[int], graded: Graded | None = None, *, writing: bool = False) -> Markup:
    """An answer, whole or being written.

    Args:
        name: The model's name.
        text: What it has written.
        numbers: The drawn number of each region of the text.
        graded: The verdicts, where there are any.
        writing: Whether more is to come.
    """
    verdicts = () if graded is None else (*graded.description, *graded.reasoning)
    shown = settled(text) if writing else text
    body = Markup("").join(
        Markup('<section class="sr-segment sr-{0}"><h3>{1}</h3><p>{2}</p></section>').format(
            piece.name, TITLES[piece.name], _body(shown, piece.start, piece.end, verdicts, numbers)
        )
        for piece in pieces(shown)
    )
    state = Markup('<p class="sr-wait" role="status">writing …</p>') if writing else Markup("")
    return Markup('<article class="sr-answer" aria-busy="{}"><h2>{}</h2>{}{}</article>').format(
        str(writing).lower(), name, body, state
    )


def rewards(graded: Graded) -> Markup:
    """The four rewards as bars, each with why."""
    rows = Markup("").join(_bar(name, getattr(graded.reward, name), _why(graded, name)) for name in REWARDS)
    total = graded.reward.total
    said = "" if total is None else f"{total:.1f} of 16 in all"
    return Markup('<section class="sr-rewards"><h3>Checked by geometry <span>{}</span></h3><dl>{}</dl>{}</section>').format(
        said, rows, _counts((*graded.description, *graded.reasoning))
    )


def _bar(name: str, value: float | None, why: str) -> Markup:
    if value is None:
        meter, number = Markup(""), "not scored"
    else:
        meter, number = Markup('<i style="width:{:.0f}%"></i>').format(25 * value), f"{value:.1f} of 4"
    return Markup('<dt>{}</dt><dd title="{}"><span class="sr-bar" aria-hidden="true">{}</span>{}</dd>').format(
        REWARD_TITLES[name], why, meter, number
    )


def _why(graded: Graded, name: str) -> str:
    reasons = graded.reward.reasons.items()
    return "; ".join(f"{part.partition('.')[2] or part}: {said}" for part, said in reasons if part.split(".")[0] == name)[:500]


def _counts(verdicts: Sequence[StatementVerdict]) -> Markup:
    """How many statements have which verdict: also the legend of the underlines."""
    labels = [verdict.label for verdict in verdicts]
    return Markup('<p class="sr-legend">{}</p>').format(
        Markup(" ").join(
            Markup('<span class="sr-said sr-{}">{}: {}</span>').format(label, VERDICT_WORDS[label], labels.count(label))
            for label in VERDICT_WORDS
            if label in labels
        )
        or "no spatial statement was found"
    )


def _body(text: str, start: int, end: int, verdicts: Sequence[StatementVerdict], numbers: Sequence[int]) -> Markup:
    """A stretch of text with its statements underlined."""
    html: list[Markup] = []
    at = start
    for begin, stop, said in _statements(verdicts, start, end):
        html += [_rich(text[at:begin], numbers), _underlined(_rich(text[begin:stop], numbers), said)]
        at = stop
    return Markup("").join([*html, _rich(text[at:end], numbers)])


def _statements(verdicts: Sequence[StatementVerdict], start: int, end: int) -> list[tuple[int, int, list[StatementVerdict]]]:
    """The statements of a stretch of text; those that overlap become one."""
    inside = sorted(
        (verdict for verdict in verdicts if start <= verdict.assertion.span[0] < end), key=lambda v: v.assertion.span
    )
    found: list[tuple[int, int, list[StatementVerdict]]] = []
    for verdict in inside:
        begin, stop = verdict.assertion.span[0], min(verdict.assertion.span[1], end)
        if found and begin < found[-1][1]:
            first, last, said = found[-1]
            found[-1] = (first, max(last, stop), [*said, verdict])
        else:
            found.append((begin, stop, [verdict]))
    return found


def _underlined(html: Markup, said: Sequence[StatementVerdict]) -> Markup:
    """A statement with its verdict, and truth beside claim on hover, focus or tap."""
    worst = min(said, key=lambda verdict: _WORST[verdict.label])
    hint = "; ".join(f"{_claim(verdict)} {VERDICT_WORDS[verdict.label]}: {verdict.reason or 'as measured'}" for verdict in said)
    return Markup('<span class="sr-said sr-{}" tabindex="0" data-truth="{}" aria-description="{}">{}</span>').format(
        worst.label, hint, hint, html
    )


def _claim(verdict: StatementVerdict) -> str:
    """What a statement claims, in short."""
    said = verdict.assertion
    kind = ("not " if said.negated else "") + said.kind.replace("_", " ")
    if said.value is None:
        return kind
    number = f"{said.value:g}" if said.high is None else f"{said.value:g} to {said.high:g}"
    return f"{kind} {number} {'o’clock' if said.unit == 'hour' else said.unit}"


def _rich(text: str, numbers: Sequence[int]) -> Markup:
    """Escaped text with regions as numbered chips, headings bold, and lines kept."""
    html = _CHIP.sub(lambda match: _chip(int(match[1]), numbers), str(escape(_BLANKS.sub("\n", text))))
    return Markup(_HEADING.sub(r"<b>\1</b>", html).replace("\n", "<br>"))


def _chip(number: int, numbers: Sequence[int]) -> str:
    drawn = numbers[number - 1] if 1 <= number <= len(numbers) else number
    return f'<span class="sr-chip sr-c{(drawn - 1) % len(MARK_COLOURS)}" title="region {drawn}">{drawn}</span>'
