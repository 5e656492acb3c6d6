"""The figures of a study, as SVG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from research.fdpo_study.analysis import SWEEP, ArmSummary, StudyResult
from research.fdpo_study.effects import Estimate

from spatialreasoner.core import records

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDES = ("qualitative", "quantitative")
_COLOURS = {"description": "#1b7f79", "reasoning": "#b4532a", "all": "#3b4a6b"}


def draw_figures(result: StudyResult, folder: Path) -> None:
    """Draw what there is to draw: arms, divergence, learning curves."""
    import matplotlib as mpl

    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(
        {"svg.hashsalt": "study", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "backend": "svg"}
    ):
        _arms(result, folder / "arms.svg")
        if result.matched is not None:
            _divergence(result, folder / "divergence.svg")
        if any(arm.gaps for arm in result.arms.values()):
            _curves(result, folder / "curves.svg")


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot

    with records.atomic_path(path) as temporary:
        figure.savefig(
            temporary, format="svg", metadata={"Date": None}, bbox_inches="tight"
        )  # the same figures, the same bytes
    pyplot.close(figure)


def _arms(result: StudyResult, path: Path) -> None:
    """Each arm's success with its interval, both averages."""
    from matplotlib import pyplot

    names = list(result.arms)[::-1]
    figure, axes = pyplot.subplots(1, 2, sharey=True, figsize=(9, 0.9 + 0.24 * len(names)))
    for axis, side in zip(axes, SIDES, strict=True):
        for place, name in enumerate(names):
            if rate := result.arms[name].rates.get(side):
                _dot(axis, place, rate)
        axis.set_title(side)
        axis.set_xlabel("success, %")
        axis.grid(axis="x", color="#dddddd", linewidth=0.6)
        axis.set_yticks(range(len(names)), names)
    _save(figure, path)


def _dot(axis: Axes, place: float, rate: Estimate) -> None:
    axis.errorbar(100 * rate.value, place, xerr=_reach([rate]), fmt="o", markersize=4, color=_COLOURS["all"], elinewidth=1)


def _reach(rates: Sequence[Estimate]) -> list[list[float]]:
    """How far intervals reach to either side, points."""
    return [[100 * (rate.value - rate.low) for rate in rates], [100 * (rate.high - rate.value) for rate in rates]]


def _divergence(result: StudyResult, path: Path) -> None:
    """Success by divergence from the reference: whether fDPO lies above DPO's curve."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.8))
    for axis, side in zip(axes, SIDES, strict=True):
        measured = {name: arm for name, arm in result.arms.items() if "total" in arm.drift and side in arm.rates}
        others = [measured[name] for name in measured if name not in (*SWEEP, "fdpo")]
        sweep = sorted((measured[name] for name in SWEEP if name in measured), key=_strayed)
        axis.plot(*_points(others, side), "o", markersize=3, color=_COLOURS["all"], label="other arms")
        _with_intervals(axis, sweep, side, fmt="o-", color=_COLOURS["description"], label="DPO at several betas")
        if fine := measured.get("fdpo"):
            hollow = {"fmt": "s", "markerfacecolor": "none", "markersize": 8}
            _with_intervals(axis, [fine], side, color=_COLOURS["reasoning"], label="fDPO", **hollow)
        axis.set_title(side)
        axis.set_xlabel("KL from SFT, nats per answer")
        axis.set_ylabel("success, %")
        axis.grid(color="#dddddd", linewidth=0.6)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncols=3, frameon=False)
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    _save(figure, path)


def _strayed(arm: ArmSummary) -> float:
    return arm.drift["total"]


def _points(arms: Sequence[ArmSummary], side: str) -> tuple[list[float], list[float]]:
    return [_strayed(arm) for arm in arms], [100 * arm.rates[side].value for arm in arms]


def _with_intervals(axis: Axes, arms: Sequence[ArmSummary], side: str, **style: Any) -> None:
    options: dict[str, Any] = {"markersize": 5, "linewidth": 1, "elinewidth": 1} | style
    axis.errorbar(*_points(arms, side), yerr=_reach([arm.rates[side] for arm in arms]), **options)


def _curves(result: StudyResult, path: Path) -> None:
    """Margins and log-ratios of the chosen over training, by segment, of the main preference arms (first seed)."""
    from matplotlib import pyplot

    shown = [name for name in ("dpo", "fdpo", "fdpo-inverse") if name in result.arms] or [
        name for name, arm in result.arms.items() if arm.gaps
    ][:1]
    kinds = (("rewards/margins", "implicit reward margin"), ("rewards/chosen", "implicit reward of the chosen"))
    figure, axes = pyplot.subplots(
        len(kinds), len(shown), sharex=True, sharey="row", figsize=(3.1 * len(shown), 4.6), squeeze=False
    )
    for row, (key, title) in enumerate(kinds):
        for column, name in enumerate(shown):
            axis = axes[row][column]
            for segment in ("description", "reasoning"):
                curve = result.arms[name].curves.get(f"{key}/{segment}", ())
                axis.plot([x for x, _ in curve], [y for _, y in curve], color=_COLOURS[segment], label=segment)
            axis.axhline(0, color="#bbbbbb", linewidth=0.6)
            axis.set_title(name if row == 0 else "")
            axis.set_ylabel(title if column == 0 else "")
            axis.set_xlabel("step" if row == len(kinds) - 1 else "")
    axes[0][0].legend(frameon=False)
    figure.tight_layout()
    _save(figure, path)
