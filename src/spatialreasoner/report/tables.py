"""The results as text for papers and pull requests: Markdown, and a LaTeX table for `booktabs`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from spatialreasoner.evaluation.score import ModelComparison, Tally
from spatialreasoner.report.published import published
from spatialreasoner.report.results import Line, Results
from spatialreasoner.report.summaries import PairsOverview, SearchSummary


def markdown(
    title: str,
    pipeline: Sequence[tuple[int, str]],
    results: Results | None,
    search: SearchSummary | None = None,
    pairs: PairsOverview | None = None,
) -> str:
    """A report in Markdown: what was made, the table of results, and the steps from model to model."""
    blocks = [f"# {_plain(title)}", ", ".join(f"{count} {what}" for count, what in pipeline)]
    if results is not None:
        blocks += ["## Results", _results(results), _source(results), *_unscored(results)]
        if steps := results.steps():
            blocks += ["## Step by step", _steps(steps)]
    if search is not None:
        ends = ", ".join(f"{name}: {count}" for name, count in search.outcomes.items())
        blocks += ["## Search", f"{search.trees} trees ({ends}), {search.nodes} steps, {search.pruned} of them pruned."]
    if pairs is not None:
        blocks += ["## Pairs", _pairs(pairs)]
    return "\n\n".join(blocks) + "\n"


def _results(results: Results) -> str:
    beside = [row for row in published().rows if row.beside]
    head = ["category", "questions", *map(_plain, results.scores), *(f"{row.model} (published)" for row in beside)]
    rows = [
        [line.name, str(line.items), *_cells(line, bold="**{}**".format), *(_percent(row.percent[line.name]) for row in beside)]
        for line in results.lines()
    ]
    return _table(head, rows)


def _cells(line: Line, *, bold: Callable[[str], str]) -> list[str]:
    return [_cell(tally, line, bold if index in line.best else str) for index, tally in enumerate(line.tallies)]


def _cell(tally: Tally, line: Line, mark: Callable[[str], str]) -> str:
    """A share in percent with its interval; a total with too many unscored answers as a range."""
    if tally.rate is None or tally.upper is None:
        return "–"
    if line.total and tally.headline is None:
        return f"{100 * tally.rate:.1f} to {100 * tally.upper:.1f}"
    interval = tally.interval
    between = f" ({100 * interval.low:.0f}–{100 * interval.high:.0f})" if interval is not None else ""
    return mark(f"{100 * tally.rate:.1f}") + between


def _percent(value: float | None) -> str:
    return "/" if value is None else f"{value:.1f}"


def _unscored(results: Results) -> list[str]:
    found: list[str] = []
    for label, score in results.scores.items():
        missing = {name: tally for name, tally in score.totals.items() if tally.unscored}
        found += [
            f"- {_plain(label)}, {name}: {tally.unscored} of {tally.items} answers could not be read and count as wrong."
            for name, tally in missing.items()
        ]
    return ["\n".join(found)] if found else []


def _steps(steps: Sequence[ModelComparison]) -> str:
    rows: list[list[str]] = []
    for step in steps:
        for name, change in step.totals.items():
            if change.difference is not None:
                interval = change.interval
                between = "–" if interval is None else f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}"
                rows.append([
                    f"{_plain(step.second)} over {_plain(step.first)}, {name}", str(change.items),
                    f"{100 * change.difference:+.1f}", between, str(change.gained), str(change.lost), f"{change.p_value:.2g}",
                ])  # fmt: skip
    return _table(["comparison", "questions", "difference", "95 % interval", "gained", "lost", "p (McNemar)"], rows)


def _pairs(pairs: PairsOverview) -> str:
    text = f"{pairs.ranked} ranked pairs, {pairs.hard} with hard negatives."
    if pairs.gap_description is not None and pairs.gap_reasoning is not None:
        text += f" Mean gap {pairs.gap_description:+.2f} in the description, {pairs.gap_reasoning:+.2f} in the reasoning."
    return text


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def _source(results: Results) -> str:
    """Where the published rows come from, and whether they may be compared."""
    beware = "" if results.comparable else " They were measured on another test set and cannot be compared."
    return f"Published rows: {published().source}.{beware}"


_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|!&~])")


def _plain(text: str) -> str:
    """A text from outside as one line that Markdown does not interpret."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))[:200]


def latex(results: Results) -> str:
    """The paper's Table 1 with this run's models, their intervals, and the published ones, for `booktabs`."""
    names = [line.name for line in results.lines()]
    columns = "l" + "r" * len(names)
    head = " & ".join(["model", *(_escape(name) for name in names)])
    measured_rows = [
        " & ".join([_escape(label), *(_latex_cell(line, index) for line in results.lines())])
        for index, label in enumerate(results.scores)
    ]
    published_rows = [
        " & ".join([_escape(row.model), *(_percent(row.percent[name]) for name in names)])
        for row in published().rows
        if row.beside
    ]
    rows = [*(f"{row} \\\\" for row in measured_rows), "\\midrule", *(f"{row} \\\\" for row in published_rows)]
    return "\n".join([
        f"% {_source(results)}", f"\\begin{{tabular}}{{{columns}}}",
        "\\toprule", f"{head} \\\\", "\\midrule", *rows, "\\bottomrule", "\\end{tabular}", "",
    ])  # fmt: skip


def _latex_cell(line: Line, index: int) -> str:
    tally = line.tallies[index]
    if tally.rate is None or tally.upper is None:
        return "--"
    if line.total and tally.headline is None:
        return f"{100 * tally.rate:.1f}--{100 * tally.upper:.1f}"
    number = f"{100 * tally.rate:.1f}"
    interval = tally.interval
    between = "" if interval is None else f" {{\\tiny[{100 * interval.low:.0f}, {100 * interval.high:.0f}]}}"
    return (f"\\textbf{{{number}}}" if index in line.best else number) + between


_LATEX: Mapping[str, str] = {
    "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "&": "\\&", "%": "\\%", "$": "\\$", "#": "\\#", "_": "\\_",
    "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
}  # fmt: skip


def _escape(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))[:400]
