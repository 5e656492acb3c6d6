"""Visual consistency of a description, 0..4: the paper's four criteria (appendix A), each verified against the scene.

- existence: the share of the things it mentions that are there, and are what it calls them;
- attribute accuracy: how well its colours and sizes fit;
- completeness: the share of the question's regions that it tells what they are;
- appropriateness: the share of its sentences that are about the scene and not said before.

A criterion that nothing in the description bears on is unscored, and the others make up the reward: without any colour or
size there is not an attribute to be wrong about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spatialreasoner.core.types import Question
from spatialreasoner.language import colours
from spatialreasoner.language.native.making import record_maker
from spatialreasoner.language.vocabulary import ANYTHING
from spatialreasoner.rewards.description import DescriptionSentence, read_description
from spatialreasoner.rewards.known import SIZE_WORDS, Known
from spatialreasoner.rewards.spatial import FULL

VISUAL_CRITERIA = ("existence", "attributes", "completeness", "appropriateness")


@dataclass(frozen=True, kw_only=True, slots=True)
class Criteria:
    """The criteria of one reward.

    Attributes:
        parts: Score of each criterion, 0..1; None if nothing in the text bears on it.
        reasons: Why a criterion is unscored or lost points.
    """

    parts: Mapping[str, float | None]
    reasons: Mapping[str, str]

    @property
    def value(self) -> float | None:
        """The reward, 0..4: the mean of the scored criteria, times four; None if none is scored."""
        scored = [part for part in self.parts.values() if part is not None]
        return FULL * sum(scored) / len(scored) if scored else None


def grade_description(known: Known, question: Question, description: str) -> Criteria:
    """Grade one description.

    Args:
        known: The question's scene.
        question: Its regions are what a complete description tells.
        description: The text of the description segment.
    """
    if not description.strip():
        return Criteria(parts=dict.fromkeys(VISUAL_CRITERIA, 0.0), reasons={"existence": "there is no description"})
    sentences = read_description(known, description)
    own = {f"region{number}": region_id for number, region_id in enumerate(question.region_ids, start=1)}
    existence, wrong = _existence(known, own, sentences)
    attributes, misfits = _attributes(known, own, sentences)
    completeness, missing = _completeness(known, own, sentences)
    appropriateness, off_topic = _appropriateness(known, own, sentences)
    parts = {
        "existence": existence,
        "attributes": attributes,
        "completeness": completeness,
        "appropriateness": appropriateness,
    }
    complaints = {
        "existence": f"not there: {', '.join(wrong[:5])}" if wrong else "",
        "attributes": f"does not fit: {', '.join(misfits[:5])}" if misfits else "",
        "completeness": f"not told: {', '.join(missing)}" if missing else "",
        "appropriateness": f"superfluous: {off_topic[0][:80]!r}" if off_topic else "",
    }
    reasons = {name: text for name, text in complaints.items() if text}
    return record_maker(Criteria)(parts, reasons)


def _existence(known: Known, own: Mapping[str, str], sentences: Sequence[DescriptionSentence]) -> tuple[float, list[str]]:
    """Share of the distinct things mentioned that are there; what is not. 0 if nothing identifiable is mentioned."""
    found: dict[tuple[str, ...], bool] = {}
    called = {region for sentence in sentences for region, _ in sentence.calls}
    for sentence in sentences:
        named: list[str] = []
        for region, name in sentence.calls:
            named.append(name)
            found[region, name] = region in own and known.fits(own[region], name)
        for region, name in sentence.things:
            if region in called or name in named:
                continue
            there = region in own if region is not None else known.has(name or "")
            if there is not None:
                found[(region or name or "",)] = there
    wrong = [" = ".join(key) for key, there in found.items() if not there]
    return (sum(found.values()) / len(found) if found else 0.0), wrong


def _attributes(
    known: Known, own: Mapping[str, str], sentences: Sequence[DescriptionSentence]
) -> tuple[float | None, list[str]]:
    """Mean fit of the distinct colours and sizes; which do not fit. None if there are none to check."""
    scores: dict[tuple[str, str], float] = {}
    for sentence in sentences:
        for (region, name), word in sentence.attributes:
            region_id = own.get(region or "")
            regions = known.regions(name or "") if region_id is None else (region_id,)
            fits = [fit for region_id in regions if (fit := _attribute_score(known, region_id, word)) is not None]
            score = max(fits) if fits else None
            if score is not None:
                scores[region or name or "", word] = score
    misfits = [f"{word} {thing}" for (thing, word), score in scores.items() if score < 0.5]
    return (sum(scores.values()) / len(scores) if scores else None), misfits


def _attribute_score(known: Known, region_id: str, word: str) -> float | None:
    return known.size_score(region_id, word) if word in SIZE_WORDS else known.colour_score(region_id, word)


def _completeness(known: Known, own: Mapping[str, str], sentences: Sequence[DescriptionSentence]) -> tuple[float, list[str]]:
    """How well the question's regions are named: 1 for each by a fitting name, half for a bare tag or "object"."""
    called: dict[str, list[str]] = {}
    calls = set[str]()
    named, mentioned = dict[str, None](), set[str]()  # a dictionary keeps the order in which names are said
    for sentence in sentences:
        for region, name in sentence.calls:
            called.setdefault(region, []).append(name)
            calls.add(name)
        for thing, name in sentence.things:
            if thing:
                mentioned.add(thing)
            elif name:
                named[name] = None
    told, missing = 0.0, list[str]()
    for region, region_id in own.items():
        names = called.get(region, ())
        fitting = [name for name in names if known.fits(region_id, name)]
        share = 0.0  # what is called something else is not told
        if fitting or not names:
            fitting += [name for name in named if name not in calls and known.fits(region_id, name)]
            share = _told_by(known, fitting) if fitting else 0.5 if region in mentioned else 0.0
        if share < 1.0:
            missing.append(region)
        told += share
    return told / max(len(own), 1), missing


def _told_by(known: Known, names: Sequence[str]) -> float:
    """1 where one of some names is more than a word for anything, else half."""
    for name in names:
        if ANYTHING not in known.vocabulary.kinds.get(name, ()):
            return 1.0
    return 0.5


def _appropriateness(known: Known, own: Mapping[str, str], sentences: Sequence[DescriptionSentence]) -> tuple[float, list[str]]:
    """Mean relevance of the sentences, and those without any; what was said before is superfluous."""
    seen: set[tuple[str, ...]] = set()
    total, off_topic = 0.0, list[str]()
    for sentence in sentences:
        relevance = 0.0 if sentence.words in seen else _relevance(known, own, sentence)
        seen.add(sentence.words)
        total += relevance
        if relevance == 0.0:
            off_topic.append(" ".join(sentence.words))
    return total / max(len(sentences), 1), off_topic


def _relevance(known: Known, own: Mapping[str, str], sentence: DescriptionSentence) -> float:
    """1 for a sentence about the scene's things, half for one about its surroundings or about nothing named, else 0."""
    for region, name in sentence.things:
        if region in own or (name and region is None and known.has(name)):
            return 1.0
    around = any(known.vocabulary.is_background(thing.name or "") for thing in sentence.things)
    if sentence.sets_scene:
        return 1.0 if around else 0.5
    return 0.5 if around or _continues(sentence) else 0.0


def _continues(sentence: DescriptionSentence) -> bool:
    """Whether a sentence continues about what others named, as "It is white" does."""
    return sentence.words[0] in {"it", "they", "both", "this", "that", "these"} and any(
        word in {"left", "right", "front", "behind", "above", "below", "tall", "wide", "taller", "wider", "larger", "smaller"}
        or word in SIZE_WORDS
        or word in colours.COLOUR_WORDS
        for word in sentence.words
    )
