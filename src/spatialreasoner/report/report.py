"""The report of a run: one HTML file that needs nothing else, neither network nor scripts.

Sections appear where their data is there. Everything that a model or a user wrote is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialreasoner import __version__
from spatialreasoner.core import records
from spatialreasoner.core.errors import InputError
from spatialreasoner.core.types import GROUPS
from spatialreasoner.evaluation.predictions import Prediction
from spatialreasoner.language.responses import conclusion
from spatialreasoner.report import charts, examples, summaries, tables
from spatialreasoner.report.changes import changes
from spatialreasoner.report.images import MarkedImage, marked
from spatialreasoner.report.published import published
from spatialreasoner.report.results import Results, results
from spatialreasoner.report.runs import Runs, Training, find_runs
from spatialreasoner.report.study import study_figures
from spatialreasoner.report.texts import rich
from spatialreasoner.rewards.combine import REWARDS

if TYPE_CHECKING:
    from jinja2 import Environment

    from spatialreasoner.evaluation.answers import Verdict

MAX_ERRORS = 8


def write_report(run_dirs: Sequence[Path], out: Path, *, title: str = "SpatialReasoner report") -> None:
    """Write the report of some run folders.

    Args:
        run_dirs: Folders with the outputs of stages, directly or a few folders down.
        out: The file: a page, or with the ending `.md` Markdown, or with `.tex` the table of results for LaTeX.
        title: Its title.

    Raises:
        MissingFileError: If a run folder is not there.
        InputError: If a file in one is broken, there is nothing to report, or no predictions to make a LaTeX table of.
        WorkError: If the report cannot be written.
    """
    runs = find_runs(run_dirs)
    text = {".md": _markdown, ".tex": _latex}.get(out.suffix.lower(), render_report)(runs, title)
    with records.atomic_write(out) as file:
        file.write(text)


def _markdown(runs: Runs, title: str) -> str:
    scored = results(runs.predictions)
    return tables.markdown(
        title, summaries.pipeline(runs), scored, summaries.search_overview(runs), summaries.pairs_overview(runs)
    )


def _latex(runs: Runs, title: str) -> str:
    scored = results(runs.predictions)
    if scored is None:
        raise InputError("expected predictions to make a table of; found none in the run folders; run 'generate' first")
    return f"% {' '.join(title.split())}\n{tables.latex(scored)}"


def render_report(runs: Runs, title: str) -> str:
    """The page as text."""
    images = _Images(runs)
    scored = results(runs.predictions)
    policies = _policies(runs)
    style, script = _asset("report.css"), _asset("report.js")
    context: dict[str, Any] = {
        "title": title,
        "version": __version__,
        "runs": runs,
        "pipeline": summaries.pipeline(runs),
        "search": summaries.search_overview(runs),
        "teachers": summaries.teachers(runs),
        "pairs": summaries.pairs_overview(runs),
        "results": scored,
        "published": published(),
        "published_beside": [row for row in published().rows if row.beside] if scored and scored.comparable else [],
        "radar": _radar(scored) if scored else None,
        "forest": _forest(scored) if scored else None,
        "steps": scored.steps() if scored else [],
        "study": study_figures() if any(run.stage == "demo" for run in runs.stages) else None,
        "scatters": _scatters(scored) if scored else [],
        "changes": changes(scored, images.of) if scored else [],
        "errors": _worst(scored, images) if scored else [],
        "training": _training_charts(runs),
        "examples": examples.build_examples(runs, images.of, policies),
        "beta_settings": examples.fdpo_settings(runs),
        "rewards": REWARDS,
        "policy": _policy(style, script),
        "style": style,
        "script": script,
    }
    return environment().get_template("report.html.j2").render(context)


@cache
def environment() -> Environment:
    """Templates with escaping on; a name that is not there is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    env = Environment(
        loader=PackageLoader("spatialreasoner.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    env.filters |= {"rich": rich, "percent": _percent, "signed": _signed}
    return env


def _policy(style: str, script: str) -> str:
    """What a browser may do with the page: run this very script, use this very style, and load nothing.

    Widths of bars are attributes, which no digest can name; an attribute of style runs nothing.
    """
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script))
    style_digest, script_digest = (f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; img-src data:; style-src-elem {style_digest}; style-src-attr 'unsafe-inline'; "
        f"script-src {script_digest}; base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return resources.files("spatialreasoner.report").joinpath("templates", name).read_text("utf-8")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


class _Images:
    """Marked images by question, each drawn once; an image that cannot be drawn is left out."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._made: dict[tuple[str, tuple[str, ...]], MarkedImage | None] = {}

    def of(self, question_id: str) -> MarkedImage | None:
        """The image of a question with its regions, or None."""
        question = self._runs.questions.get(question_id)
        if question is None or question.scene_id not in self._runs.scenes:
            return None
        key = (question.scene_id, question.region_ids)
        if key not in self._made:
            self._made[key] = self._draw(*key)
        return self._made[key]

    def _draw(self, scene_id: str, region_ids: tuple[str, ...]) -> MarkedImage | None:
        try:
            return marked(self._runs.scenes[scene_id], region_ids)
        except (InputError, KeyError):
            return None


def _policies(runs: Runs) -> dict[str, int]:
    """A colour for each policy, by name."""
    names = {node.policy for tree in runs.trees.values() for node in tree.root.walk() if node.policy}
    names |= {name for rows in runs.trajectories.values() for row in rows for name in row.policies}
    return {name: 1 + place % 8 for place, name in enumerate(sorted(names))}


def _series(scored: Results) -> list[charts.Series]:
    return [
        charts.Series(
            label=label,
            values=[tally.rate for tally in score.groups.values()],
            lows=[tally.interval and tally.interval.low for tally in score.groups.values()],
            highs=[tally.interval and tally.interval.high for tally in score.groups.values()],
        )
        for label, score in scored.scores.items()
    ]


def _radar(scored: Results) -> str:
    return charts.radar(list(GROUPS), _series(scored), title="success rate by category")


def _forest(scored: Results) -> str:
    return charts.forest(list(GROUPS), _series(scored), title="success rate by category with 95 % intervals")


def _scatters(scored: Results) -> list[str]:
    """Answered against true lengths, one chart per model."""
    drawn: list[str] = []
    for label, judged in scored.judged.items():
        points = [
            (verdict.gt_value, verdict.pred_value, verdict.success is True)
            for row, verdict in judged
            if verdict.gt_value is not None and verdict.pred_value is not None and row.qa_info.category.endswith("_data")
        ]
        if points:
            drawn.append(charts.scatter(points, title=label))
    return drawn


@dataclass(frozen=True, kw_only=True)
class WrongAnswer:
    """A wrong answer on the page."""

    prediction: Prediction
    verdict: Verdict
    image: MarkedImage | None
    said: str


def _worst(scored: Results, images: _Images) -> list[WrongAnswer]:
    """The last model's wrong answers: largest errors first, categories in turn."""
    wrong = [(row, verdict) for row, verdict in scored.judged[scored.last] if verdict.success is False]
    wrong.sort(key=lambda entry: (-(entry[1].error or 0.0), entry[0].question_id))
    turns: Counter[str] = Counter()
    ordered: list[tuple[int, int]] = []
    for place, (row, _) in enumerate(wrong):
        ordered.append((turns[row.qa_info.category], place))
        turns[row.qa_info.category] += 1
    return [
        WrongAnswer(
            prediction=wrong[place][0],
            verdict=wrong[place][1],
            image=images.of(wrong[place][0].question_id),
            said=conclusion(wrong[place][0].pred),
        )
        for _, place in sorted(ordered)[:MAX_ERRORS]
    ]


def _training_charts(runs: Runs) -> list[tuple[str, list[str]]]:
    """Learning curves by training run."""
    return [(training.label, shown) for training in runs.trainings if (shown := _curves(training))]


_CURVES = (
    ("loss", {"loss": "loss"}, False),
    ("margin by segment", {"rewards/margins/description": "description", "rewards/margins/reasoning": "reasoning"}, True),
    ("pairs ranked right", {"rewards/accuracies": "share"}, False),
    ("log-probability, chosen", {"logps/chosen/description": "description", "logps/chosen/reasoning": "reasoning"}, False),
    ("beta by segment", {"betas/description": "description", "betas/reasoning": "reasoning"}, False),
)  # fmt: skip


def _curves(training: Training) -> list[str]:
    drawn: list[str] = []
    for title, keys, zero in _CURVES:
        curves = [
            charts.Curve(label=label, points=_points(training, key), style=style)
            for style, (key, label) in enumerate(keys.items(), start=len(keys) > 1)
        ]
        if chart := charts.lines(curves, title=title, zero=zero):
            drawn.append(chart)
    return drawn


def _points(training: Training, key: str) -> list[tuple[float, float]]:
    return [
        (float(entry["step"]), float(entry[key]))
        for entry in training.entries
        if _finite(entry.get(key)) and _finite(entry.get("step"))
    ]


def _finite(value: object) -> bool:
    """Whether a logged value can be drawn; a loss may have become NaN."""
    return isinstance(value, int | float) and math.isfinite(value)
