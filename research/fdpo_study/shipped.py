"""The study's main figures, as the demo's report shows them (`spatialreasoner.report.study`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from research.fdpo_study.analysis import StudyResult
from research.fdpo_study.claims import COMPARISONS
from research.fdpo_study.effects import Estimate

from spatialreasoner import report
from spatialreasoner.core import records
from spatialreasoner.report.study import STUDY_FILE, MeanWithInterval, StudyFigures, StudyRow

SHIPPED = Path(report.__file__).parent / STUDY_FILE
"""Where the package has them."""

SHIPPED_ARMS = ("base", "sft", "sft-best", "dpo-nearest", "fdpo-nearest", "grpo")
"""The arms that are shown, where there are results of them."""

_COMMAND = "python -m research.fdpo_study --out study --arms {}"


def main_figures(result: StudyResult, settings: str) -> StudyFigures:
    """What of a study is shown.

    Args:
        result: The study.
        settings: A sentence on what was trained on what.
    """
    differences = [each for each in result.comparisons if {each.first, each.second} <= set(SHIPPED_ARMS)]
    return StudyFigures(
        command=_COMMAND.format(",".join(name for name in result.arms if name in SHIPPED_ARMS[1:])),
        settings=settings,
        questions=result.questions,
        rooms=result.rooms,
        models=[_row(arm.title, arm.seeds, arm.rates) for name, arm in result.arms.items() if name in SHIPPED_ARMS],
        differences=[_row(COMPARISONS[each.first, each.second], each.seeds, each.effects) for each in differences],
    )


def ship_figures(found: StudyFigures, path: Path = SHIPPED) -> None:
    """Write them where the package has them."""
    records.write_json(path, found)


def _row(title: str, seeds: int, rates: Mapping[str, Estimate]) -> StudyRow:
    shares = {side: _percent(rates[side]) for side in ("qualitative", "quantitative")}
    return StudyRow(title=title, seeds=seeds, **shares)


def _percent(share: Estimate) -> MeanWithInterval:
    value, low, high = (round(100 * each, 4) for each in (share.value, share.low, share.high))
    return MeanWithInterval(value=value, low=low, high=high)
