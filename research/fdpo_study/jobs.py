"""The jobs of a study and their dependencies; a job is identified by its name alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from research.fdpo_study.arms import OWN_ANSWERS, Arm, learner, seeds_of
from research.fdpo_study.config import ONLINE_SCENES, ROUNDS, StudyConfig, rooms

Task = Literal["data", "base", "arm", "own", "pairs"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A piece of work for one core.

    Attributes:
        name: Its name, which is also its folder in the study.
        task: What is done.
        what: The part of the data, the arm or the set of pairs.
        run: The seed of the trainings; 0 if it has none.
        needs: Names of the jobs that come before it.
        seconds: About how long it takes on one core of a machine of 2026.
    """

    name: str
    task: Task
    what: str = ""
    run: int = 0
    needs: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class _Pace:
    """What one core does, each per second: measured with the nano, for the forecast alone."""

    start: float = 8.0
    questions: float = 20.0
    answers: float = 18.0
    sft_rows: float = 11.0
    pairs: float = 8.0


PACE = _Pace()


def plan(config: StudyConfig, arms: Sequence[Arm], seeds: int) -> list[Job]:
    """All jobs of a study, each after those that it needs."""
    return [*_data(config, arms), *(job for run in range(seeds) for job in _run(config, arms, run, seeds))]


def _data(config: StudyConfig, arms: Sequence[Arm]) -> Iterator[Job]:
    learned = {arm.part for arm in arms}
    for part in (*(each for each in ("sft", *OWN_ANSWERS) if each in learned), "test"):
        _, scenes, per_scene = rooms(config, part)
        yield Job(name=f"data/{part}", task="data", what=part, seconds=scenes * per_scene / PACE.questions)
    yield Job(name="base", task="base", needs=("data/test",), seconds=_answering(config))


def _run(config: StudyConfig, arms: Sequence[Arm], run: int, seeds: int) -> Iterator[Job]:
    chosen = [arm for arm in arms if run in seeds_of(arm, seeds)]
    for arm in chosen:
        if not arm.follows:
            yield _arm(config, arm, run, needs=("data/sft", "data/test"))
    for part, own in OWN_ANSWERS.items():
        learning = [arm for arm in chosen if arm.part == part]
        paired = [arm for arm in learning if not arm.online]
        sets = dict.fromkeys(arm.pairs for arm in paired)
        _, scenes, per_scene = rooms(config, part)
        samples = 1 if part == "exact" else 1 + config.own_samples
        if sets:
            yield Job(
                name=f"seed-{run}/{own}", task="own", what=part, run=run, needs=(f"seed-{run}/{learner(part)}", f"data/{part}"),
                seconds=scenes * per_scene * samples / PACE.answers,
            )  # fmt: skip
        for name in sets:
            yield Job(
                name=f"seed-{run}/pairs/{name}", task="pairs", what=name, run=run, needs=(f"seed-{run}/{own}",),
                seconds=PACE.start + scenes * per_scene / 100,
            )  # fmt: skip
        for arm in paired:
            yield _arm(config, arm, run, needs=(f"seed-{run}/pairs/{arm.pairs}", *_lender(arm, paired, run)))
        for arm in learning:
            if arm.online:
                yield _arm(config, arm, run, needs=(f"seed-{run}/{arm.start}", f"data/{part}", "data/test"))


def _lender(arm: Arm, learning: Sequence[Arm], run: int) -> list[str]:
    """The first of the arms that prefer among the same rooms' answers: it leaves the log-probabilities of the reference."""
    alike = [each for each in learning if each.prefers]
    return [f"seed-{run}/{alike[0].name}"] if arm in alike[1:] else []


def _arm(config: StudyConfig, arm: Arm, run: int, *, needs: tuple[str, ...]) -> Job:
    _, scenes, per_scene = rooms(config, arm.part)
    asked = (min(scenes, ONLINE_SCENES) if arm.group == "online" else scenes) * per_scene
    if arm.online:
        learning = ROUNDS * asked / PACE.pairs + config.own_samples * asked / PACE.answers
    else:
        learning = 0.9 * asked / PACE.sft_rows if arm.kind == "sft" else (1 + config.hard) * asked / PACE.pairs
    seconds = learning + _answering(config)
    return Job(name=f"seed-{run}/{arm.name}", task="arm", what=arm.name, run=run, needs=needs, seconds=seconds)


def _answering(config: StudyConfig) -> float:
    answers = config.test_scenes * config.test_per_scene + 3 * config.drift_answers
    return 2 * PACE.start + answers / PACE.answers


def marker(out: Path, job: Job) -> Path:
    """The file that says that a job is done."""
    return out / "jobs" / f"{job.name.replace('/', '.')}.json"


def log_of(out: Path, job: Job) -> Path:
    """What a job printed."""
    return marker(out, job).with_suffix(".log")
