"""The fine-grained reward of a response: four rewards from one reading of its text (paper, section 3.3)."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from spatialreasoner.core.errors import ResponseError
from spatialreasoner.core.filled import filled
from spatialreasoner.core.protocols import Grade
from spatialreasoner.core.types import Question, RewardBreakdown, Scene
from spatialreasoner.language import responses
from spatialreasoner.language.arithmetic import Check, checks
from spatialreasoner.language.native.making import record_maker
from spatialreasoner.language.parsed import ParsedResponse, parse_response
from spatialreasoner.rewards import logical, spatial, visual
from spatialreasoner.rewards.conclusion import cannot_tell, implied, read_claim, reference_claim
from spatialreasoner.rewards.known import Known, KnownScenes
from spatialreasoner.rewards.logical import Argument
from spatialreasoner.rewards.memory import see, verify_all, what_was_said
from spatialreasoner.rewards.names import NameMatcher
from spatialreasoner.rewards.spatial import FULL, SpatialScore, StatementVerdict, any_asked
from spatialreasoner.scenes.measure import Measured

REWARDS = ("visual", "spatial_description", "spatial_reasoning", "logical")
"""The four rewards, each 0..4."""


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What geometry and a judge say of the same response, each alone.

    Attributes:
        geometry: The reward by geometry.
        judge: The reward by the judge; nothing in it is scored where it failed.
        failure: Why the judge failed, if it did.
    """

    geometry: RewardBreakdown
    judge: RewardBreakdown
    failure: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Graded:
    """A reward and what it is based on.

    Attributes:
        reward: The fine-grained reward.
        description: The description's statements with verdict and truth.
        reasoning: Those of reasoning and conclusion.
        calculations: The calculations and unit conversions of reasoning and conclusion.
        judged: Which of the four rewards a judge scored, because geometry could not.
        opinion: Both ways beside one another; None if no judge was asked.
    """

    reward: RewardBreakdown
    description: tuple[StatementVerdict, ...] = ()
    reasoning: tuple[StatementVerdict, ...] = ()
    calculations: tuple[Check, ...] = ()
    judged: frozenset[str] = frozenset()
    opinion: Opinion | None = None

    @property
    def sources(self) -> Mapping[str, str]:
        """Who scored each of the four rewards, "geometry" or "judge"; those that were not scored are absent."""
        scored = (name for name in REWARDS if getattr(self.reward, name) is not None)
        return {name: "judge" if name in self.judged else "geometry" for name in scored}


def scores(reward: RewardBreakdown) -> dict[str, float | None]:
    """The seven numbers of a reward by name; None is unscored."""
    segments = {"description": reward.description, "reasoning": reward.reasoning, "total": reward.total}
    return {**{name: getattr(reward, name) for name in REWARDS}, **segments}


def score_response(scene: Scene | Measured | Known, question: Question, text: str) -> RewardBreakdown:
    """The fine-grained reward of a response, by geometry alone.

    Args:
        scene: The question's scene, paths resolved. A `Scene` is loaded, and kept for the next call while its files do not
            change; a `Measured` or `Known` is used as it is.
        question: What the response answers; `<region1>` in the text is `question.region_ids[0]`.
        text: The response. No text raises an error: one that cannot be read scores low.

    Raises:
        SceneError: If the scene's depth or image is unusable.
    """
    return grade(scene, question, text).reward


def grade(scene: Scene | Measured | Known, question: Question, text: str) -> Graded:
    """The fine-grained reward of a response with every statement's verdict; arguments as for `score_response`."""
    known = _known(scene)
    before = what_was_said(known, question)
    labels = before.labels
    try:
        parsed = parse_response(text, labels=labels, others=before.others)
    except ResponseError as error:
        return Graded(reward=_refused(str(error)))
    if responses.is_bare_form(text):
        return Graded(reward=_refused("no answer: empty"))
    if parsed.plain and parsed.refusal not in ("", "refusal"):
        return Graded(reward=_refused(f"no answer: {parsed.refusal}"))
    assertions, spans = parsed.statements, parsed.segments
    begin, end = spans["description"]
    start = spans["reasoning"][0]
    concluded = spans["conclusion"][0] if "conclusion" in spans else len(text)
    places = [assertion.span[0] for assertion in assertions]  # in order
    concluding = list(assertions[bisect_left(places, concluded) :])
    answer = text[concluded:]
    unsure = concluded < len(text) and cannot_tell(answer)
    claimed = read_claim(question, answer, concluding, labels) if concluded < len(text) and not unsure else None
    if claimed is not None and (claimed.clashes or not any_asked(question, concluding)):
        concluding.append(implied(question, claimed, (concluded, len(text))))
    if concluded < len(text) and claimed is None and not unsure and not any_asked(question, assertions):
        return Graded(reward=_refused("it answers another question, or none"))
    said = assertions[bisect_left(places, begin) : bisect_left(places, end)]
    reasoned = assertions[bisect_left(places, start) : bisect_left(places, concluded)]
    description = verify_all(known, before, question, said)
    premises = verify_all(known, before, question, reasoned)
    conclusion = verify_all(known, before, question, concluding)
    argued, calculations = (*premises, *conclusion), checks(text[start:])
    argument = Argument(
        text=text[start:concluded],
        premises=premises,
        concluding=conclusion,
        described=description,
        calculations=calculations,
        claim=claimed,
        reference=reference_claim(question, labels),
        unsure=unsure,
    )
    reward = _breakdown(
        see(known, before, question, text[begin:end]),
        logical.grade_reasoning(question, argument),
        spatial.spatial_reward(description),
        spatial.spatial_reward(argued),
    )
    return record_maker(Graded)(reward, description, argued, tuple(calculations), frozenset(), None)


Grader = Callable[[Scene, Question, str], Awaitable[Grade]]
"""Who scores a response that geometry cannot score: `judges.rewards.grader` makes one of a judge."""


async def complete(
    graded: Graded, scene: Scene, question: Question, text: str, grader: Grader, *, always: bool = False
) -> Graded:
    """Let a judge score what geometry could not.

    Args:
        graded: What geometry scored.
        scene: The question's scene.
        question: What the response answers.
        text: The response.
        grader: Who is asked.
        always: Ask also where there is nothing left to score, to compare the two.
    """
    if not always and all(getattr(graded.reward, name) is not None for name in REWARDS):
        return graded
    return merge(graded, await grader(scene, question, text))


def merge(graded: Graded, grade: Grade) -> Graded:
    """Geometry's reward where it has one, the judge's where it has not; of a failed grade nothing is taken.

    Args:
        graded: What geometry scored.
        grade: What the judge scored, by the names of the parts.
    """
    judge = judged(grade)
    values = {name: getattr(graded.reward, name) for name in REWARDS}
    parts, reasons = dict(graded.reward.parts), dict(graded.reward.reasons)
    missing = [name for name in REWARDS if values[name] is None]
    for name in missing:
        values[name] = getattr(judge, name)
        why = reasons.get(name, "unscored by geometry")
        if values[name] is not None:
            parts |= {part: score for part, score in judge.parts.items() if _belongs(part, name)}
            said = [f"judge: {reason}" for part, reason in judge.reasons.items() if _belongs(part, name)]
            reasons[name] = "; ".join([why, *said])
        elif grade.failure is not None:
            reasons[name] = f"{why}; the judge failed: {grade.failure}"
    return replace(
        graded,
        reward=replace(graded.reward, **values, parts=parts, reasons=reasons),
        judged=frozenset(name for name in missing if values[name] is not None),
        opinion=Opinion(geometry=graded.reward, judge=judge, failure=grade.failure),
    )


def judged(grade: Grade) -> RewardBreakdown:
    """The reward by a judge alone: each of the four is the mean of its criteria that the judge scored, times four."""
    values: dict[str, float | None] = {}
    for name in REWARDS:
        found = [score for part, score in grade.scores.items() if _belongs(part, name)]
        values[name] = FULL * sum(found) / len(found) if found else None
    parts = {part: score for part, score in grade.scores.items() if part not in REWARDS}
    return RewardBreakdown(**values, parts=parts, reasons=dict(grade.reasons))


def _belongs(part: str, name: str) -> bool:
    return part == name or part.startswith(f"{name}.")


_VISUAL = {name: f"visual.{name}" for name in visual.VISUAL_CRITERIA}
_LOGICAL = {name: f"logical.{name}" for name in logical.LOGICAL_CRITERIA}


def _breakdown(
    seen: visual.Criteria, argued: visual.Criteria, described: SpatialScore, reasoned: SpatialScore
) -> RewardBreakdown:
    parts = {_VISUAL[name]: part for name, part in seen.parts.items()}
    reasons = {_VISUAL[name]: reason for name, reason in seen.reasons.items()}
    for name, part in argued.parts.items():
        parts[_LOGICAL[name]] = part
    for name, reason in argued.reasons.items():
        reasons[_LOGICAL[name]] = reason
    for name, score in (("spatial_description", described), ("spatial_reasoning", reasoned)):
        if score.reason:
            reasons[name] = score.reason
    return filled(
        RewardBreakdown,
        visual=seen.value,
        spatial_description=described.value,
        spatial_reasoning=reasoned.value,
        logical=argued.value,
        parts=parts,
        reasons=reasons,
    )


def _refused(reason: str) -> RewardBreakdown:
    """What a text earns that is not a response at all."""
    return RewardBreakdown(
        visual=0.0, spatial_description=0.0, spatial_reasoning=0.0, logical=0.0, reasons={"response": reason}
    )


def _known(scene: Scene | Measured | Known) -> Known:
    if isinstance(scene, Known):
        return scene
    if isinstance(scene, Measured):
        return _known_of(scene)
    files = [scene.image] + ([scene.depth.path] if scene.depth is not None else [])
    return _load(scene, tuple(_version(path) for path in files))


@lru_cache(maxsize=8)
def _known_of(measured: Measured) -> Known:
    return Known(measured)


@lru_cache(maxsize=8)
def _load(scene: Scene, versions: tuple[tuple[int, int] | None, ...]) -> Known:
    return Known(Measured(scene))


def _version(path: str) -> tuple[int, int] | None:
    """What changes when a file does: time and size; None if there is none."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size


class GeometricReward:
    """The reward of the tree search: verified by geometry, the same every time, and free of charge unless a judge helps.

    Args:
        scenes: The scenes by id, paths resolved.
        succeeds: Whether the conclusion of a text agrees with a question's reference; None if it cannot be told.
        grader: Who scores what geometry cannot; None leaves it unscored.
        naming: What things may be called; None for the curated table alone.
        kept: How many scenes stay loaded at once.
    """

    def __init__(
        self,
        scenes: Mapping[str, Scene],
        *,
        succeeds: Callable[[Question, str], bool | None],
        grader: Grader | None = None,
        naming: NameMatcher | None = None,
        kept: int = 256,
    ) -> None:
        self._scenes = KnownScenes(scenes, naming=naming, kept=kept)
        self._succeeds = succeeds
        self._grader = grader

    async def rate(self, question: Question, prefix: str, step: str) -> Mapping[str, float]:
        """Rate one new step, -1..1 per criterion; only what the step itself says counts.

        `visual` is the description's visual consistency, `spatial` the weighted correctness of the step's statements,
        `logical` its agreement with what was said before, its calculations, and for a conclusion its validity. A criterion
        that says nothing about the step is absent.
        """
        known = self._scenes.get(question.scene_id)
        first = next(iter(responses.steps(step)), None)
        name = first.name if first is not None else "description"
        heard = what_was_said(known, question)
        text, labels = prefix + step, heard.labels
        try:
            parsed = parse_response(text, labels=labels, others=heard.others)
        except ResponseError:
            return {"logical": -1.0}
        assertions = parsed.statements
        before = verify_all(known, heard, question, [a for a in assertions if a.span[0] < len(prefix)])
        said = [a for a in assertions if a.span[0] >= len(prefix)]
        claimed = read_claim(question, _after_heading(step), said, labels) if name == "conclusion" else None
        if claimed is not None and not any_asked(question, said):
            said.append(implied(question, claimed, (len(prefix), len(text))))
        new = verify_all(known, heard, question, said)
        score = spatial.spatial_reward(new).value if any(verdict.score is not None for verdict in new) else None
        ratings = {"spatial": None if score is None else score / FULL}
        if name == "description" and not prefix.strip():
            seen = visual.grade_description(known, question, _described(parsed))
            ratings["visual"] = None if seen.value is None else seen.value / FULL
        else:
            argument = Argument(
                text=prefix,
                premises=before,
                concluding=new,
                described=(),
                calculations=checks(step),
                claim=claimed,
                reference=reference_claim(question, labels),
            )
            ratings["logical"] = logical.rate(question, argument, step, concludes=name == "conclusion")
        return {name: 2.0 * rating - 1.0 for name, rating in ratings.items() if rating is not None}

    async def score(self, question: Question, text: str) -> RewardBreakdown:
        """The fine-grained reward of a complete answer."""
        known = self._scenes.get(question.scene_id)
        graded = grade(known, question, text)
        if self._grader is not None:
            graded = await complete(graded, known.scene, question, text, self._grader)
        return graded.reward

    def succeeds(self, question: Question, text: str) -> bool | None:
        """Whether the conclusion agrees with the reference; None if it cannot be told."""
        return self._succeeds(question, text)


def _after_heading(step: str) -> str:
    """The words of a conclusion without its heading."""
    return step[parse_response(step).segments.get("conclusion", (0, 0))[0] :]


def _described(parsed: ParsedResponse) -> str:
    """The words of a description without its tags."""
    begin, end = parsed.segments["description"]
    text = parsed.text
    return text[begin:end] if end > begin else text.replace("<description>", "").replace("</description>", "")
