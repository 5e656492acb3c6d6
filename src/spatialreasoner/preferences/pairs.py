"""Scored trajectories in, training data out: preference pairs with a gap for each segment, and SFT examples.

A ranked pair is the best and the worst of 8 scored candidates of a question (paper, section 4.1). A hard negative is
the best answer with the value or keyword of its conclusion altered. SFT takes the best successful answer. Rows load straight
into TRL; the extra columns carry what fDPO needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any, Literal

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, RecordError, ResponseError
from spatialreasoner.core.resume import hold
from spatialreasoner.core.types import PreferencePair, Question, RewardBreakdown, Scene, Trajectory
from spatialreasoner.language import quantities
from spatialreasoner.language.parsed import parse_response
from spatialreasoner.preferences.ratings import OwnRating, RatedAnswer
from spatialreasoner.scenes.carry import attach, png_info
from spatialreasoner.scenes.files import read_image
from spatialreasoner.scenes.marks import draw

ResponseScorer = Callable[[Question, str], RewardBreakdown]


@dataclass(frozen=True, kw_only=True)
class PairsConfig:
    """Settings of the stage `pairs`.

    Attributes:
        candidates: Number of scored answers to compare per question (the paper: 8).
        min_gap: Minimum difference in total reward (0..16), or in your own rating, within a pair.
        hard: Share of questions with an additional pair with a hard negative (the paper: 100K in addition to 400K ranked).
        seed: Seed of the altered conclusions of hard negatives.
        regions: How regions are shown. marks: drawn on the images (set-of-mark prompting), for any model. tokens: clean images
            with their regions as metadata, for models with region tokens.
        scale: The largest possible difference: in total reward, or infinite for your own ratings.
    """

    candidates: int = 8
    min_gap: float = 0.5
    hard: float = 0.25
    seed: int = 0
    regions: Literal["marks", "tokens"] = "marks"
    scale: float = 16.0

    def __post_init__(self) -> None:
        if self.candidates < 2:
            raise ConfigError(f"candidates must be at least 2, to have a best and a worst; got {self.candidates}")
        if not 0 <= self.min_gap <= self.scale:
            raise ConfigError(f"min_gap must be in 0..{self.scale:g}, the range of the total reward; got {self.min_gap}")
        if not 0 <= self.hard <= 1:
            raise ConfigError(f"hard must be a share, 0..1; got {self.hard}")


def choose(trajectories: Iterable[Trajectory], count: int) -> list[Trajectory]:
    """Up to `count` different, fully scored answers: paths of the search and plain samples in turn, best values first."""
    scored = {t.text: t for t in trajectories if t.reward.total is not None}
    found = sorted((t for t in scored.values() if t.origin == "search"), key=lambda t: (-t.value, t.index))
    samples = sorted((t for t in scored.values() if t.origin == "sample"), key=lambda t: t.index)
    half = max(count // 2, count - len(samples))
    return [*found[:half], *samples][:count]


def rank(question: Question, candidates: Sequence[Trajectory], config: PairsConfig) -> PreferencePair | None:
    """The best against the worst candidate, or None if their rewards differ by less than the minimum gap."""
    if len(candidates) < 2:
        return None
    best = max(candidates, key=lambda t: (t.reward.total or 0.0, t.success is True, -t.index))
    worst = min(candidates, key=lambda t: (t.reward.total or 0.0, t.success is True, t.index))
    pair = _pair(question, best.text, best.reward, worst.text, worst.reward, kind="ranked")
    if pair is None or pair.reward_chosen - pair.reward_rejected < config.min_gap:
        return None
    return replace(pair, kept={"chosen": _kept(best), "rejected": _kept(worst)})


def harden(question: Question, best: Trajectory, score: ResponseScorer, rng: Random) -> PreferencePair | None:
    """The best answer against itself with a false conclusion, or None if the change does not lower the reward."""
    altered = alter_conclusion(question, best.text, rng)
    if altered is None or altered == best.text:
        return None
    pair = _pair(question, best.text, best.reward, altered, score(question, altered), kind="hard")
    return None if pair is None else replace(pair, kept={"chosen": _kept(best)})


def _kept(answer: Trajectory) -> Mapping[str, Any]:
    return answer.kept if isinstance(answer, RatedAnswer) else {}


def _pair(
    question: Question, chosen: str, better: RewardBreakdown, rejected: str, worse: RewardBreakdown, *, kind: Any
) -> PreferencePair | None:
    total, lower = better.total, worse.total
    if chosen == rejected or total is None or lower is None or total <= lower:
        return None
    return PreferencePair(
        question_id=question.id, chosen=chosen, rejected=rejected, kind=kind,
        gap_description=_gap(better.description, worse.description), gap_reasoning=_gap(better.reasoning, worse.reasoning),
        reward_chosen=round(total, 6), reward_rejected=round(lower, 6), more_gaps=_more_gaps(better, worse),
    )  # fmt: skip


def _gap(better: float | None, worse: float | None) -> float | None:
    return None if better is None or worse is None else round(better - worse, 6)


def _more_gaps(better: RewardBreakdown, worse: RewardBreakdown) -> dict[str, float | None]:
    """Gaps of segments that only your own ratings have."""
    if not (isinstance(better, OwnRating) and isinstance(worse, OwnRating)):
        return {}
    names = [name for name in {**better.segments, **worse.segments} if name not in ("description", "reasoning")]
    return {name: _gap(better.segments.get(name), worse.segments.get(name)) for name in names}


_DIGITS = re.compile(r"\d{1,9}(?:\.\d{1,9})?")
_REGION = re.compile(r"<region([12])>")
_YES_NO = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
_ORDINALS = re.compile(r"\b(first|second|former|latter)\b")
_OPPOSITE = {"first": "second", "second": "first", "former": "latter", "latter": "former"}


def alter_conclusion(question: Question, text: str, rng: Random) -> str | None:
    """The same text with the value or the keyword of its conclusion made false, or None if there is none to alter.

    An answer without any form is a conclusion.

    Lengths change by more than the benchmark's tolerance of 25 %, hours by two or more; of relations and choices, the regions
    change places and yes becomes no.
    """
    try:
        start, end = parse_response(text).segments["conclusion"]
    except (KeyError, ResponseError):
        return None
    conclusion = text[start:end]
    altered = _flip(conclusion) if question.qualitative else _change_number(question, conclusion, rng)
    return None if altered == conclusion else text[:start] + altered


def _change_number(question: Question, conclusion: str, rng: Random) -> str:
    said = quantities.find_quantities(conclusion) or quantities.bare_numbers(conclusion)
    number = _DIGITS.search(conclusion, *said[-1].span) if said else None
    if number is None:
        return conclusion
    if question.category == "direction":
        altered = str((round(float(number.group())) + rng.randint(2, 10) - 1) % 12 + 1)
    else:
        decimals = len(number.group().partition(".")[2])
        altered = f"{float(number.group()) * rng.choice((0.4, 0.5, 0.6, 1.4, 1.6, 2.0)):.{decimals}f}"
    return conclusion[: number.start()] + altered + conclusion[number.end() :]


def _flip(conclusion: str) -> str:
    flipped = _REGION.sub(lambda match: f"<region{3 - int(match[1])}>", conclusion)
    flipped = _ORDINALS.sub(lambda match: _OPPOSITE[match[1]], flipped)
    return _YES_NO.sub(_opposite, flipped, count=1)


def _opposite(match: re.Match[str]) -> str:
    word = "no" if match[1].lower() == "yes" else "yes"
    return word.capitalize() if match[1][0].isupper() else word


def make_pairs(
    questions: Mapping[str, Question], trajectories: Iterable[Trajectory], score: ResponseScorer, config: PairsConfig
) -> Iterator[tuple[Question, Trajectory | None, list[PreferencePair]]]:
    """For each question its SFT example and its pairs.

    Args:
        questions: By id.
        trajectories: Grouped by question, as the search writes them.
        score: The reward of an altered answer.
        config: Settings.

    Yields:
        The question, the best successful trajectory or None, and its pairs, ranked and with a hard negative.
    """
    for question_id, group in groupby(trajectories, key=lambda t: t.question_id):
        question, candidates = questions[question_id], choose(group, config.candidates)
        right = [t for t in candidates if t.success]
        example = max(right, key=lambda t: (t.reward.total or 0.0, t.value, -t.index), default=None)
        rng = Random(f"pairs {config.seed} {question_id}")
        hard = example and rng.random() < config.hard and harden(question, example, score, rng)
        yield question, example, [pair for pair in (rank(question, candidates, config), hard or None) if pair]


@dataclass(frozen=True, kw_only=True)
class PairsSummary:
    """What the stage `pairs` made: questions, SFT examples, pairs ranked and with hard negatives, mean gaps of the ranked."""

    questions: int
    sft: int
    ranked: int
    hard: int
    mean_gap_description: float | None
    mean_gap_reasoning: float | None


def write_pairs(
    questions: Mapping[str, Question],
    scenes: Mapping[str, Scene],
    trajectories: Iterable[Trajectory],
    score: ResponseScorer,
    config: PairsConfig,
    out: Path,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> PairsSummary:
    """The stage `pairs`: writes `sft.jsonl`, `pairs.jsonl`, the images they name, and `summary.json`.

    Raises:
        RecordError: If a trajectory answers an unknown question, or no pair comes out at all.
        WorkError: If the output cannot be written.
    """
    made = list[tuple[Question, Trajectory | None, list[PreferencePair]]]()
    for each in make_pairs(questions, _known(trajectories, questions), score, config):  # all is read before anything is written
        made.append(each)
        progress(len(made))
    if not any(found for _, _, found in made):
        if not config.min_gap:
            raise RecordError(
                f"no pair came out of {len(made)} questions: no two different answers to a question have different ratings; "
                "add answers of another model, or ratings on a finer scale"
            )
        raise RecordError(
            f"no pair came out of {len(made)} questions: no two candidates differ by {config.min_gap} in total reward; "
            "search with more policies, add answers of another model, or lower `min_gap`"
        )
    sft, pairs, drawn = list[dict[str, Any]](), list[dict[str, Any]](), set[str]()
    with records.writing(out / "images"), hold(out / ".lock", out):
        for question, example, found in made:
            if example is not None or found:
                shown = _shown(question, scenes[question.scene_id], config, out, drawn)
                sft += [_sft_row(question, example, shown)] if example else []
                pairs += [_pair_row(question, pair, shown) for pair in found]
        records.write_jsonl(out / "sft.jsonl", sft)
        records.write_jsonl(out / "pairs.jsonl", pairs)
        summary = _summarise(len(made), sft, pairs)
        records.write_json(out / "summary.json", summary)
        kept = {name: value for name, value in asdict(config).items() if name != "scale"}  # as in files of earlier versions
        records.write_config(out, "pairs", kept)
    return summary


def _known(trajectories: Iterable[Trajectory], questions: Mapping[str, Question]) -> Iterator[Trajectory]:
    for trajectory in trajectories:
        if trajectory.question_id not in questions:
            raise RecordError(f"a trajectory answers question {trajectory.question_id!r}, which is not among the questions")
        yield trajectory


def _shown(question: Question, scene: Scene, config: PairsConfig, out: Path, drawn: set[str]) -> dict[str, Any]:
    """The columns that both kinds of row share; draws the image unless that is done: an earlier run's may be of another."""
    regions = [scene.region(region_id) for region_id in question.region_ids]
    name = f"images/{scene.id}-{'-'.join([*question.region_ids, config.regions])}.png"
    if name not in drawn:
        drawn.add(name)
        shown = (draw if config.regions == "marks" else attach)(read_image(scene.image), regions)
        with records.atomic_path(out / name) as temporary:
            shown.save(temporary, format="PNG", pnginfo=png_info(shown))
    return {
        "question_id": question.id,
        "category": question.category,
        "images": [name],
        "prompt": [{"role": "user", "content": question.text}],
        "regions": [{"label": r.label, "size": list(r.mask.size), "counts": r.mask.counts} for r in regions],
    }


def _sft_row(question: Question, example: Trajectory, shown: dict[str, Any]) -> dict[str, Any]:
    messages = [*shown["prompt"], {"role": "assistant", "content": example.text}]
    shared = {key: value for key, value in shown.items() if key != "prompt"}
    return {**shared, "messages": messages, "reward": example.reward.total, "policies": list(example.policies)}


def _pair_row(question: Question, pair: PreferencePair, shown: dict[str, Any]) -> dict[str, Any]:
    ours = {"description": pair.gap_description, "reasoning": pair.gap_reasoning}  # not of ratings of other segments
    return {
        **shown,
        "chosen": [{"role": "assistant", "content": pair.chosen}],
        "rejected": [{"role": "assistant", "content": pair.rejected}],
        **{f"gap_{name}": gap for name, gap in ours.items() if gap is not None or not pair.more_gaps},
        **{f"gap_{name}": gap for name, gap in pair.more_gaps.items()},
        "reward_chosen": pair.reward_chosen,
        "reward_rejected": pair.reward_rejected,
        "kind": pair.kind,
        **{f"{side}_row": dict(kept) for side, kept in pair.kept.items() if kept},
    }


def _summarise(seen: int, sft: list[dict[str, Any]], pairs: list[dict[str, Any]]) -> PairsSummary:
    ranked = [pair for pair in pairs if pair["kind"] == "ranked"]

    def mean(key: str) -> float | None:
        gaps = [pair[key] for pair in ranked if pair.get(key) is not None]
        return round(sum(gaps) / len(gaps), 4) if gaps else None

    return PairsSummary(
        questions=seen, sft=len(sft), ranked=len(ranked), hard=len(pairs) - len(ranked),
        mean_gap_description=mean("gap_description"), mean_gap_reasoning=mean("gap_reasoning"),
    )  # fmt: skip
