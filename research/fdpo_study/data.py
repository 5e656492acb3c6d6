"""The data of a study: rooms, questions, the teachers' search, and each seed's candidates as pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, groupby
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image
from research.fdpo_study.answering import ROOM_FOR_CALLS, answer_questions
from research.fdpo_study.arms import OWN_ANSWERS, AnsweredRooms, Arm, PairSet, Taught, learner, part_of
from research.fdpo_study.config import (
    EXACT_TEACHER,
    RELATIONS_PER_SCENE,
    SAMPLED,
    SEARCHING_TEACHERS,
    StudyConfig,
    rooms,
)
from research.fdpo_study.gaps import Gap
from research.fdpo_study.online import few_questions
from research.fdpo_study.pairing import closest, decisive, is_right_and_sound, nearest
from research.fdpo_study.rescoring import ASPECTS, by_factor, keep

from spatialreasoner.core import records
from spatialreasoner.core.types import CATEGORIES, Question, RewardBreakdown, Trajectory
from spatialreasoner.evaluation.predictions import read_predictions
from spatialreasoner.inference.registry import WritingConfig
from spatialreasoner.pipeline import build_pairs, search
from spatialreasoner.pipeline.inputs import read_inputs
from spatialreasoner.pipeline.scoring import ResponseRow, Scorer
from spatialreasoner.preferences.pairs import PairsConfig, write_pairs
from spatialreasoner.questions.generate import QuestionsConfig, write_questions
from spatialreasoner.scenes import synthetic
from spatialreasoner.search.m3cts import SearchConfig
from spatialreasoner.search.run import RunConfig

_GREY = (127, 127, 127)


def make_part(config: StudyConfig, part: str, out: Path) -> None:
    """Render the rooms of a part, ask about them, and let the teachers answer what is learned from."""
    seed, scenes, per_scene = rooms(config, part)
    folder = out / "data" / part
    synthetic.write_synthetic(synthetic.SyntheticConfig(count=scenes, seed=seed), folder / "scenes")
    questions = folder / "questions.jsonl"
    relations = RELATIONS_PER_SCENE.get(part)
    asked = per_scene if relations is None else len(CATEGORIES)
    write_questions(QuestionsConfig(scenes=str(folder / "scenes"), per_scene=asked, seed=seed), questions)
    if relations is not None:
        records.write_jsonl(questions, mostly_quantities(list(records.read_jsonl(questions, Question)), relations))
    if part == "test" or relations is not None:  # no teacher answers
        return
    if part == "exact":
        teachers, growth, samples = (EXACT_TEACHER,), SearchConfig(seed=config.seed, max_model_rounds=1), 1
    else:
        teachers, samples = SEARCHING_TEACHERS, config.per_source
        growth = SearchConfig(seed=config.seed, stop="budget", max_model_rounds=2 * len(SEARCHING_TEACHERS))
    run = RunConfig(search=growth, samples_per_policy=samples, candidates=0)
    search(questions, policies=teachers, out=folder / "search", config=run, scenes=folder / "scenes", writing=WritingConfig())
    if part == "sft":
        pairs = PairsConfig(regions="tokens", hard=0.0)
        build_pairs(folder / "search", out=folder / "pairs", config=pairs, scenes=folder / "scenes")


def mostly_quantities(questions: Sequence[Question], relations: int) -> list[Question]:
    """Of each room's questions those about quantities, and then a few about relations."""
    taken: list[Question] = []
    for _, group in groupby(questions, key=lambda question: question.scene_id):
        of_the_room = list(group)
        taken += [question for question in of_the_room if not question.qualitative]
        taken += [question for question in of_the_room if question.qualitative][:relations]
    return taken


def sample_own(config: StudyConfig, out: Path, run: int, part: AnsweredRooms) -> None:
    """Let a seed's model answer the questions of a part, sampling: several times, or once beside the exact teacher."""
    folder, model = out / "data" / part, str(out / f"seed-{run}" / learner(part))
    writing = WritingConfig(temperature=1.0, max_new_tokens=config.max_new_tokens, batch_size=32)
    if part == "exact":  # a search would ask the model twice per question
        questions = list(records.read_jsonl(folder / "questions.jsonl", Question))
        answer_questions(model, questions, folder / "scenes", out / f"seed-{run}" / f"{OWN_ANSWERS[part]}.jsonl", writing)
        return
    growth = SearchConfig(seed=run, max_model_rounds=1)
    search(
        folder / "questions.jsonl",
        policies=[model],
        out=out / f"seed-{run}" / OWN_ANSWERS[part],
        config=RunConfig(search=growth, samples_per_policy=config.own_samples, candidates=0),
        scenes=folder / "scenes",
        writing=writing,
        concurrency=ROOM_FOR_CALLS,
    )


def pair_candidates(config: StudyConfig, out: Path, run: int, name: PairSet) -> None:
    """Pair the candidates of a seed: those of the set's sources, as the set's reward ranks them."""
    folder = out / "data" / part_of(name)
    asked = read_inputs(folder / "questions.jsonl", folder / "scenes")
    questions = {question.id: question for question in asked.questions}
    scorer, aspect = Scorer(asked.questions, asked.scenes), ASPECTS.get(name)

    def score(question: Question, text: str) -> RewardBreakdown:
        graded = scorer.grade(ResponseRow(question_id=question.id, text=text))
        if name == "factor":
            return by_factor(graded)
        return graded.reward if aspect is None else keep(aspect, graded.reward)

    if name == "exact":
        found = _against_own(folder / "search", out / f"seed-{run}" / f"{OWN_ANSWERS['exact']}.jsonl", questions, score)
    elif name == "extremes":
        few = {question.id for question in few_questions(asked.questions)}
        written = _trajectories(out / f"seed-{run}" / OWN_ANSWERS["numbers"])
        found = (each for each in written if each.origin == "sample" and each.question_id in few)
    elif name in ("numbers", "second"):
        written = groupby(_trajectories(out / f"seed-{run}" / OWN_ANSWERS[name]), key=lambda trajectory: trajectory.question_id)
        if name == "numbers":
            found = chain.from_iterable(closest(list(group), is_right_and_sound) for _, group in written)
        else:
            found = chain.from_iterable(decisive(questions[question_id], list(group)) for question_id, group in written)
    else:
        found = candidates(folder / "search", out / f"seed-{run}" / "own", name, config)
    if name == "factor":  # what was stored has no statements to score again
        found = (replace(each, reward=score(questions[each.question_id], each.text)) for each in found)
    elif aspect is not None:
        found = (replace(each, reward=keep(aspect, each.reward)) for each in found)
    hard, min_gap = (
        (config.hard, 0.5) if part_of(name) == "preference" else (0.0, 0.5 if name in ("exact", "extremes") else 0.0)
    )
    pairing = PairsConfig(candidates=4 * config.per_source, min_gap=min_gap, hard=hard, seed=config.seed, regions="tokens")
    write_pairs(questions, asked.scenes, found, score, pairing, out / f"seed-{run}" / "pairs" / name)


def candidates(searched: Path, own: Path, name: PairSet, config: StudyConfig) -> Iterator[Trajectory]:
    """The candidates of each question: of the four sources, of search and teachers, or of own samples alone."""
    by_question = {
        question_id: list(group)
        for question_id, group in groupby(_trajectories(own), key=lambda trajectory: trajectory.question_id)
    }
    for question_id, group in groupby(_trajectories(searched), key=lambda trajectory: trajectory.question_id):
        taught, written = list(group), by_question.get(question_id, [])
        sampled = [each for each in written if each.origin == "sample"]
        if name in {"own", "factor"}:
            yield from sampled
        elif name == "nearest":
            yield from nearest(written)
        elif name == "sound":
            yield from (each for each in sampled if is_right_and_sound(each))
        else:
            count = config.per_source
            yield from chain(_from_teachers(taught, count), () if name == "teachers" else sampled[:count])


def _against_own(
    searched: Path, own: Path, questions: Mapping[str, Question], score: Callable[[Question, str], RewardBreakdown]
) -> Iterator[Trajectory]:
    """Each answer of the exact teacher and a model's own to the same question, where that one earns less."""
    sampled = {each.question_id: each.pred for each in read_predictions(own)}
    for taught in _trajectories(searched):
        if taught.origin == "sample":
            text = sampled[taught.question_id]
            reward = score(questions[taught.question_id], text)
            if (reward.total or 0.0) < (taught.reward.total or 0.0):
                yield taught
                yield replace(taught, index=taught.index + 1, text=text, policies=("sft",), reward=reward, success=None)


def _from_teachers(trajectories: Sequence[Trajectory], count: int) -> Iterator[Trajectory]:
    """The best paths of the search, and plain samples of two teachers."""
    paths = [each for each in trajectories if each.origin == "search"]
    yield from sorted(paths, key=lambda each: (-each.value, each.index))[:count]
    for teacher in SAMPLED:
        yield from [each for each in trajectories if each.origin == "sample" and each.policies == (teacher,)][:count]


def _trajectories(folder: Path) -> Iterator[Trajectory]:
    """Scored answers; none where a model that has learned nothing yet wrote not one that is whole."""
    path = folder / "trajectories.jsonl"
    return records.read_jsonl(path, Trajectory) if path.stat().st_size else iter(())


def training_rows(arm: Arm, out: Path, run: int) -> Path:
    """What an arm learns from."""
    if arm.prefers:
        return preference_rows(arm, out, run)
    if arm.kind == "grpo":
        return out / "data" / arm.part / "questions.jsonl"
    if arm.answers == "best":
        return _pairs_of(arm, out, run).with_name("sft.jsonl")
    return chosen_rows(arm, out, run) if arm.answers == "chosen" else sft_rows(arm.answers, out)


def _pairs_of(arm: Arm, out: Path, run: int) -> Path:
    return out / f"seed-{run}" / "pairs" / arm.pairs / "pairs.jsonl"


def preference_rows(arm: Arm, out: Path, run: int) -> Path:
    """The pairs of an arm, in a file beside the set that they are of; its gaps by the arm's rule."""
    source = _pairs_of(arm, out, run)
    rows = [row for row in _rows(source) if arm.hard or row["kind"] == "ranked"]
    gaps: list[Gap] = [(row["gap_description"], row["gap_reasoning"]) for row in rows]
    changed = arm.rule(gaps, Random(f"gaps {run}"))
    path = source.with_name(f"pairs-{arm.name}.jsonl")
    records.write_jsonl(
        path,
        (
            {**row, "gap_description": description, "gap_reasoning": reasoning}
            for row, (description, reasoning) in zip(rows, changed, strict=True)
        ),
    )
    return path


def chosen_rows(arm: Arm, out: Path, run: int) -> Path:
    """The chosen answers of an arm's pairs, for SFT, in a file beside the set that they are of."""
    source = _pairs_of(arm, out, run)
    path = source.with_name(f"sft-{arm.name}.jsonl")
    records.write_jsonl(path, (_as_sft(row) for row in _rows(source)))
    return path


def _as_sft(row: Mapping[str, Any]) -> dict[str, Any]:
    shared = ("question_id", "category", "images", "regions")
    return {**{key: row[key] for key in shared}, "messages": [*row["prompt"], *row["chosen"]]}


def sft_rows(answers: Taught, out: Path) -> Path:
    """What SFT learns, in a file beside the search's picks."""
    source = out / "data" / "sft" / "pairs" / "sft.jsonl"
    if answers == "reasoned":
        return source
    path = source.with_name(f"sft-{answers}.jsonl")
    if answers == "short":
        questions = records.read_jsonl(out / "data" / "sft" / "questions.jsonl", Question)
        references = {question.id: question.answer for question in questions}
        records.write_jsonl(path, (_shortened(row, references[row["question_id"]]) for row in _rows(source)))
    else:
        blank = grey(path.with_name("grey.png"))
        records.write_jsonl(path, ({**row, "images": [blank.name], "regions": []} for row in _rows(source)))
    return path


def _shortened(row: Mapping[str, Any], answer: str) -> dict[str, Any]:
    return {**row, "messages": [*row["messages"][:-1], {"role": "assistant", "content": answer}]}


def grey(path: Path) -> Path:
    """An image that shows nothing; returns its path."""
    if not path.is_file():
        with records.atomic_path(path) as temporary:  # several seeds may draw it at once
            Image.new("RGB", (128, 128), _GREY).save(temporary, format="PNG")
    return path


def drift_questions(config: StudyConfig, out: Path) -> list[Question]:
    """The test questions from whose sampled answers the divergence is estimated: the first ones of all rooms in turn."""
    questions = list(records.read_jsonl(out / "data" / "test" / "questions.jsonl", Question))
    rank = {question.id: place % config.test_per_scene for place, question in enumerate(questions)}
    return sorted(questions, key=lambda question: rank[question.id])[: config.drift_answers]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    return records.read_jsonl(path, dict[str, Any])
