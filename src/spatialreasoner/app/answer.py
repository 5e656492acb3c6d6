"""An answer as HTML: segments, statements underlined and listed with claim and truth, rewards.

All that a model wrote is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from spatialreasoner.app.segments import pieces, settled
from spatialreasoner.core.types import RELATIONS
from spatialreasoner.questions.templates import RELATION_PHRASES
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

_CHIP = re.compile(r"&lt;region(\d{1,3})&gt;", re.IGNORECASE)
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
        for piece in pieces(shown, writing=writing)
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
    return Markup('<section class="sr-rewards"><h3>Rewards <span>{}</span></h3><dl>{}</dl></section>').format(said, rows)


def _bar(name: str, value: float | None, why: str) -> Markup:
    if value is None:
        meter, number = Markup(""), "not scored"
    else:
        label = f"{REWARD_TITLES[name]}, {value:.1f} of 4"
        meter = Markup('<meter min="0" max="4" value="{:.2f}" aria-label="{}"></meter>').format(value, label)
        number = f"{value:.1f} of 4"
    note = Markup('<small class="sr-soft">{}</small>').format(why) if why else Markup("")
    return Markup('<dt>{}</dt><dd><span class="sr-bar">{}</span>{}{}</dd>').format(REWARD_TITLES[name], meter, number, note)


def _why(graded: Graded, name: str) -> str:
    reasons = graded.reward.reasons.items()
    return "; ".join(f"{part.partition('.')[2] or part}: {said}" for part, said in reasons if part.split(".")[0] == name)[:500]


def checked(graded: Graded, numbers: Sequence[int]) -> Markup:
    """Every statement with what it claims, what was measured, how far it is off, and the verdict, one below the other."""
    verdicts = (*graded.description, *graded.reasoning)
    if not verdicts:
        return Markup('<p class="sr-soft">No statement about sizes, distances or places was found to check.</p>')
    rows = Markup("").join(_row(verdict, numbers) for verdict in verdicts)
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in ("claim", "measured", "error", "verdict"))
    return Markup(
        '<section class="sr-checked"><h3>Statement by statement <span>{}</span></h3><div class="sr-scroll" tabindex="0" '
        'role="region" aria-label="statements"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div></section>'
    ).format(_counts(verdicts), head, rows)


def _counts(verdicts: Sequence[StatementVerdict]) -> str:
    labels = [verdict.label for verdict in verdicts]
    return ", ".join(f"{labels.count(label)} {VERDICT_WORDS[label]}" for label in VERDICT_WORDS if label in labels)


def _row(verdict: StatementVerdict, numbers: Sequence[int]) -> Markup:
    return Markup(
        '<tr class="sr-row-{0}"><td>{1}</td><td>{2}</td><td>{3}</td><td><b class="sr-said sr-{0}">{4}</b></td></tr>'
    ).format(verdict.label, _claim(verdict, numbers), _truth(verdict), _error(verdict), VERDICT_WORDS[verdict.label])


def _truth(verdict: StatementVerdict) -> str:
    """What was measured, in the claim's terms; why nothing was, where that is so."""
    said, truth = verdict.assertion, verdict.truth
    if truth is None:
        return verdict.reason or "unknown"
    if said.kind in RELATIONS and said.unit != "times":
        unit = "m³" if said.kind in {"big", "small"} else "m"
        way = f"yes, by {truth:.2f} {unit}" if truth > 0 else f"the other way round, by {-truth:.2f} {unit}"
        return f"{way}: {verdict.reason.partition(' (')[0]}" if verdict.score is None else way
    told = verdict.reason.partition("measured: ")[2].partition(", error ")[0].rstrip(")") or f"{truth:.2f} m"
    return f"{told}: too uncertain to judge" if verdict.score is None and said.value is not None else told


def _error(verdict: StatementVerdict) -> str:
    """How far a stated number is off; nothing for what states none."""
    said, truth = verdict.assertion, verdict.truth
    if said.value is None or truth is None or (said.kind in RELATIONS and said.unit == "m"):
        return "–"
    middle = said.value if said.high is None else (said.value + said.high) / 2
    if said.unit == "hour":
        return f"{abs((middle - truth + 6) % 12 - 6):g} h"
    return f"{abs(middle - truth) / max(abs(truth), 1e-9):.0%}"


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
    """A statement underlined by its verdict; the table below it tells claim and truth."""
    worst = min(said, key=lambda verdict: _WORST[verdict.label])
    return Markup('<span class="sr-said sr-{}">{}<span class="sr-unseen"> ({})</span></span>').format(
        worst.label, html, VERDICT_WORDS[worst.label]
    )


def _claim(verdict: StatementVerdict, numbers: Sequence[int]) -> Markup:
    """What a statement claims, in short, with the numbers of its regions."""
    said = verdict.assertion
    denied = "not " if said.negated else ""
    number = "" if said.value is None else f"{said.value:.4g}" if said.high is None else f"{said.value:.4g} to {said.high:.4g}"
    unit = {"hour": "o’clock", "times": "times", "m": "m", None: ""}[said.unit] if number else ""
    chips = [_named(name, numbers) for name in said.regions]
    if said.kind in RELATIONS and len(chips) == 2:
        much = Markup(", {} {}" if unit == "times" else " by {} {}").format(number, unit) if number else ""
        return Markup("{} {}{} {}{}").format(chips[0], denied, RELATION_PHRASES[said.kind][0], chips[1], much)
    kind = denied + said.kind.replace("_", " ")
    return Markup("{} {} {} {}").format(Markup(" to ").join(chips), kind, number, unit)


def _named(name: str, numbers: Sequence[int]) -> Markup:
    own = re.fullmatch(r"region(\d{1,3})", name)
    return Markup(_chip(int(own[1]), numbers)) if own else Markup("{}").format(name)


def _rich(text: str, numbers: Sequence[int]) -> Markup:
    """Escaped text with regions as numbered chips, headings bold, and lines kept."""
    html = _CHIP.sub(lambda match: _chip(int(match[1]), numbers), str(escape(_BLANKS.sub("\n", text))))
    return Markup(_HEADING.sub(r"<b>\1</b>", html).replace("\n", "<br>"))


def _chip(number: int, numbers: Sequence[int]) -> str:
    """A region's number as it was drawn; one that was not asked about is said to be none."""
    if not 1 <= number <= len(numbers):
        return '<span class="sr-chip sr-nobody">no such region</span>'
    drawn = numbers[number - 1]
    return f'<span class="sr-chip sr-c{(drawn - 1) % len(MARK_COLOURS)}" title="region {drawn}">{drawn}</span>'
