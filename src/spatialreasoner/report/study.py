"""What the study measured of the whole method (`study.json`), for the demo's report: its own run is too small to tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from spatialreasoner.core.records import parse_record
from spatialreasoner.core.types import Record

STUDY_FILE = "study.json"


@dataclass(frozen=True, kw_only=True)
class MeanWithInterval(Record):
    """A mean over trainings with its 95 % interval, percent or percent points."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class StudyRow(Record):
    """A model of the study, or two of them compared.

    Attributes:
        title: What it is.
        seeds: How many trainings.
        qualitative: Success, or its difference.
        quantitative: The same of the questions that ask for numbers.
    """

    title: str
    seeds: int
    qualitative: MeanWithInterval
    quantitative: MeanWithInterval


@dataclass(frozen=True, kw_only=True)
class StudyFigures(Record):
    """The file.

    Attributes:
        command: What printed them.
        settings: What was trained on what.
        questions: How many questions each model answered.
        rooms: About how many rooms, which no training saw.
        models: Success, percent.
        differences: Of the same questions and seeds, percent points.
    """

    command: str
    settings: str
    questions: int
    rooms: int
    models: Sequence[StudyRow]
    differences: Sequence[StudyRow]


@cache
def study_figures() -> StudyFigures:
    """What ships with the package."""
    text = resources.files("spatialreasoner.report").joinpath(STUDY_FILE).read_text("utf-8")
    return parse_record(text, StudyFigures, where=STUDY_FILE)
