"""A study in Markdown: claim by claim, the paper's number beside the measured one with its interval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from research.fdpo_study.analysis import ArmSummary, StudyResult
from research.fdpo_study.arms import ALPHAS, LAMS
from research.fdpo_study.claims import COMPARISONS, SUCCESS_BY_ALPHA, SUCCESS_BY_LAMBDA, mean_quantitative, printed
from research.fdpo_study.effects import LENGTHS, Estimate
from research.fdpo_study.work import FACTOR

AVERAGES = ("qualitative", "quantitative")
HOLDS = {"above": "holds", "below": "the opposite holds", "open": "not shown"}
"""What an interval says of the claim that the second arm is better."""


def study_markdown(result: StudyResult, *, made_by: str, figures: str = "figures") -> str:
    """All tables of a study.

    Args:
        result: The study.
        made_by: One sentence on what was run.
        figures: Where the figures lie, from the file.
    """
    sections = (
        f"{made_by} {result.questions} questions about {result.rooms} rooms that no training has seen. Success in percent by "
        "the rules of SpatialRGPT-Bench, with 95 % intervals from resampling rooms and, where there are several, seeds.",
        "### Claims\n\n" + claims(result),
        "### Arms\n\n" + arms(result),
        f"![success of the arms with intervals]({figures}/arms.svg)",
        "### By category\n\n" + categories(result),
        "### How long things are said to be\n\n" + lengths(result),
        *_curves(result),
        *_matched(result, figures),
        "### What training did\n\n" + trainings(result),
        f"![learning curves of the first seed]({figures}/curves.svg)",
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def claims(result: StudyResult) -> str:
    """Each comparison on the two averages."""
    rows: list[Sequence[str]] = []
    for comparison in result.comparisons:
        title = COMPARISONS[comparison.first, comparison.second]
        for side in AVERAGES:
            if effect := comparison.effects.get(side):
                paper = printed(comparison.first, comparison.second, side)
                said = f"{paper.large:+.1f} / {paper.small:+.1f}" if paper else "–"
                seeds = str(comparison.seeds)
                rows.append((title, side, said, _difference(effect), seeds, HOLDS[effect.verdict]))
    head = ("claim", "questions", "paper, 8B / 4B, points", "here, points", "seeds", "verdict")
    return _table(head, rows)


def arms(result: StudyResult) -> str:
    """Each arm's success, divergence and lengths."""
    rows = [
        (
            name,
            summary.title,
            str(summary.seeds),
            *(_share(summary.rates.get(side)) for side in AVERAGES),
            _spread(summary),
            _number(summary.drift.get("total")),
            f"{summary.words['description']:.0f} + {summary.words['reasoning']:.0f}",
        )
        for name, summary in result.arms.items()
    ]
    head = ("arm", "what it is", "seeds", *AVERAGES, "sd over seeds", "KL from SFT, nats", "words")
    return _table(head, rows)


def _spread(summary: ArmSummary) -> str:
    return " / ".join(f"{100 * value:.1f}" for value in summary.spread.values()) or "–"


def categories(result: StudyResult) -> str:
    """The main comparisons by category."""
    shown = [name for name in ("base", "sft", "dpo", "fdpo", "fdpo-exact", "sft-blind") if name in result.arms]
    main = [c for c in result.comparisons if {c.first, c.second} <= set(shown)]
    columns = [column for column in next(iter(result.arms.values())).rates if column not in AVERAGES]
    rows = [
        (
            column,
            *(_share(result.arms[name].rates[column]) for name in shown),
            *(_difference(comparison.effects[column]) for comparison in main if column in comparison.effects),
        )
        for column in columns
    ]
    return _table(("category", *shown, *(f"{c.second} − {c.first}" for c in main)), rows)


def lengths(result: StudyResult) -> str:
    """By kind of length, how large, how far off and how well scored answers are, and what training changed."""
    changes = [c for c in result.comparisons if c.first == "sft" or (c.first, c.second) == ("fdpo-own", "fdpo-factor")]
    start = result.arms.get("sft")
    rows = [
        *((f"{name}: answer ÷ truth", *_factors(summary.ratios)) for name, summary in result.arms.items() if name in _TOLD),
        *((f"{c.second} ÷ {c.first}", *_factors(c.ratios)) for c in changes),
        *([("sft: factor of error", *_factors(start.errors))] if start else ()),
        *((f"error of {c.second} ÷ {c.first}", *_factors(c.errors)) for c in changes),
        *([("sft: score", *_scores(start.scores))] if start else ()),
        *((f"score of {c.second} − {c.first}", *_scores(c.scores, sign="+")) for c in changes),
    ]
    note = (
        "Geometric means over the questions. Below 1, things are said to be shorter than they are, or shorter than before. The "
        f"error is the ratio of the larger to the smaller of answer and truth, {FACTOR:g} at most. The score is what the "
        "spatial reward gives such a length, 0 to 1, by its relative error: the mean over the questions."
    )
    return f"{_table(('', *LENGTHS), rows)}\n\n{note}"


_TOLD = ("base", "sft", "dpo", "fdpo", "fdpo-own", "fdpo-factor", "sft-chosen")
"""Arms whose lengths are shown."""


def _factors(found: Mapping[str, Estimate]) -> Iterator[str]:
    for column in LENGTHS:
        yield _factor(found[column]) if column in found else "–"


def _factor(found: Estimate) -> str:
    value, low, high = (math.exp(each) for each in (found.value, found.low, found.high))
    return f"{value:.2f} ({low:.2f}–{high:.2f})"


def _scores(found: Mapping[str, Estimate], sign: str = "") -> Iterator[str]:
    for column in LENGTHS:
        each = found.get(column)
        yield f"{each.value:{sign}.2f} ({each.low:{sign}.2f} to {each.high:{sign}.2f})" if each else "–"


def _curves(result: StudyResult) -> Iterator[str]:
    """Success by alpha and by lambda."""
    for name, values, default, paper in (("alpha", ALPHAS, 0.3, SUCCESS_BY_ALPHA), ("lam", LAMS, 0.6, SUCCESS_BY_LAMBDA)):
        arms = {value: f"fdpo-{name}-{value:g}" for value in values} | {default: "fdpo"}
        if name == "alpha":
            arms[0.0] = "dpo"
        rows = [
            (
                f"{value:g}",
                f"{mean_quantitative(paper[value]):.1f}" if value in paper else "–",
                *(_share(result.arms[arm].rates.get(side)) for side in AVERAGES),
                str(result.arms[arm].seeds),
            )
            for value, arm in sorted(arms.items())
            if arm in result.arms
        ]
        if sum(arm in result.arms for arm in arms.values()) > 2:
            head = ({"alpha": "alpha (0 is DPO)", "lam": "lambda"}[name], "paper 4B, quantitative", *AVERAGES, "seeds")
            yield f"### Success by {'alpha' if name == 'alpha' else 'lambda'}\n\n" + _table(head, rows)


def _matched(result: StudyResult, figures: str) -> Iterator[str]:
    if result.matched is None:
        return
    effects = "; ".join(f"{side} {_difference(result.matched.effects[side])}" for side in AVERAGES)
    yield (
        "### At the same divergence\n\n"
        f"fDPO may only act as another beta. Against DPO whose divergence from the reference is fDPO's own "
        f"({result.matched.first}, {result.matched.seeds} seeds), fDPO gains, in points: {effects}."
    )
    yield f"![success by divergence, with intervals of DPO and fDPO]({figures}/divergence.svg)"


def trainings(result: StudyResult) -> str:
    """Where the preference trainings end: margins and displacement by segment, and their pairs' gaps."""
    rows = [
        (
            name,
            _number(summary.gaps.get("pairs"), 0),
            _pair(summary.gaps, "description", "reasoning"),
            _pair(summary.ends, "betas/description", "betas/reasoning", 3),
            _pair(summary.ends, "rewards/margins/description", "rewards/margins/reasoning", 3),
            _pair(summary.ends, "chosen logratio/description", "chosen logratio/reasoning"),
            _pair(summary.drift, "description", "reasoning"),
        )
        for name, summary in result.arms.items()
        if summary.gaps
    ]
    head = (
        "arm", "pairs", "mean gap", "mean beta at the end", "margin at the end", "log-ratio of the chosen, nats", "KL, nats",
    )  # fmt: skip
    note = "Each cell: description / reasoning. A negative log-ratio means that training made the chosen answers less likely."
    return f"{_table(head, rows)}\n\n{note}"


def _pair(values: Mapping[str, float], first: str, second: str, digits: int = 2) -> str:
    return f"{_number(values.get(first), digits)} / {_number(values.get(second), digits)}"


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _share(found: Estimate | None) -> str:
    return "–" if found is None else f"{100 * found.value:.1f} ({100 * found.low:.1f}–{100 * found.high:.1f})"


def _difference(found: Estimate) -> str:
    return f"{100 * found.value:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


TABLES_BEGIN, TABLES_END = "<!-- study: begin -->", "<!-- study: end -->"


def between_markers(text: str, tables: str) -> str | None:
    r"""A text with the tables between its two markers, or None if it has none.

    >>> between_markers(f"a {TABLES_BEGIN} old {TABLES_END} b", "new")
    'a <!-- study: begin -->\n\nnew\n<!-- study: end --> b'
    """
    before, begin, rest = text.partition(TABLES_BEGIN)
    _, end, after = rest.partition(TABLES_END)
    return f"{before}{TABLES_BEGIN}\n\n{tables}\n{TABLES_END}{after}" if begin and end else None
