"""A simulated teacher as a `Policy`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from random import Random

from spatialreasoner.core.errors import ConfigError, EndpointError
from spatialreasoner.core.types import Completion, Prompt, Region, Scene
from spatialreasoner.language.responses import steps
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.teachers.facts import Facts, gather
from spatialreasoner.teachers.perception import Belief, perceive
from spatialreasoner.teachers.profiles import PROFILES, Profile
from spatialreasoner.teachers.reading import adopt
from spatialreasoner.teachers.requests import understand
from spatialreasoner.teachers.writer import Step, Writer

EDITION = 2
"""Of the wording: answers of another edition are not taken for this one's."""

IMAGE_TOKENS = 256
"""How many tokens an image is counted as."""


def open_teacher(name: str, scenes: Mapping[str, Scene], writing: object) -> ScriptedTeacher:
    """A simulated teacher by its whole name, `scripted:careful`; how models write does not touch it.

    Raises:
        ConfigError: If there is no such profile.
    """
    return scripted(name.partition(":")[2], scenes)


def scripted(name: str, scenes: Mapping[str, Scene]) -> ScriptedTeacher:
    """A simulated teacher.

    Args:
        name: One of `PROFILES`, such as "careful".
        scenes: The scenes by id, paths resolved; the teacher knows a scene by the path of its image.

    Raises:
        ConfigError: If there is no such profile.
    """
    if name not in PROFILES:
        raise ConfigError(f"expected scripted:NAME with NAME one of {', '.join(PROFILES)}; got {name!r}")
    return ScriptedTeacher(name, PROFILES[name], {scene.image: scene for scene in scenes.values()})


class ScriptedTeacher:
    """Writes answers by the rules of a profile: the same prompt and seed give the same words in every process.

    Args:
        name: The profile's name.
        profile: Its error model.
        scenes: The scenes by the path of their image.

    Attributes:
        knows_scenes: That its answers depend on a scene's geometry, and not on what is shown alone.
    """

    knows_scenes = True

    def __init__(self, name: str, profile: Profile, scenes: Mapping[str, Scene]) -> None:
        self.name = f"scripted:{name}"
        self.identity = f"scripted:{name} {profile}, edition {EDITION}"
        self._profile = profile
        self._scenes = scenes
        self._facts = lru_cache(maxsize=4096)(self._gather)

    async def complete(self, prompt: Prompt, *, n: int, seed: int) -> Sequence[Completion]:
        """Continue `prompt.prefix` to the end of the answer, `n` times.

        Raises:
            EndpointError: If the image belongs to no known scene, or no region is named.
        """
        return [self.write(prompt, seed=seed, sample=sample) for sample in range(n)]

    def write(self, prompt: Prompt, *, seed: int, sample: int = 0) -> Completion:
        """One continuation; `complete` without the waiting."""
        facts = self._facts(prompt.image, tuple(region.id for region in prompt.regions), prompt.regions)
        asked = [self.name, self._scenes[prompt.image].id, [region.id for region in prompt.regions]]
        own = Random(_digest([*asked, prompt.request, prompt.prefix, seed, sample]))
        text = write_answer(prompt, facts, self._profile, own, question=Random(_digest(asked)))
        read = IMAGE_TOKENS + (len(prompt.request) + len(prompt.prefix)) // 4
        return Completion(text=text, prompt_tokens=read, completion_tokens=len(text) // 4)

    def _gather(self, image: str, _ids: tuple[str, ...], regions: tuple[Region, ...]) -> Facts:
        if image not in self._scenes:
            raise EndpointError(f"{self.name} knows scenes, not images; none of its scenes has the image {image}")
        if not regions:
            raise EndpointError(f"{self.name} answers questions about one or two regions; this one names none")
        return gather(_measured(self._scenes[image]), regions[:2])


def write_answer(prompt: Prompt, facts: Facts, profile: Profile, rng: Random, *, question: Random | None = None) -> str:
    """Continue `prompt.prefix` to the end of the answer.

    Args:
        prompt: What is asked, and what is written already.
        facts: What is true of its regions.
        profile: Who writes.
        rng: Source of this answer's choices and errors.
        question: Source of the errors that every answer to this question shares; by default `rng`.
    """
    view = perceive(facts, profile, question or rng, rng)
    noticed = bool(prompt.prefix) and adopt(view, prompt.prefix, profile, rng)
    written = [step.name for step in steps(prompt.prefix)] if prompt.prefix else []
    done = sum(name.startswith("step ") for name in written)
    writer = Writer(understand(prompt.request), facts, view, profile, rng, done=done)
    return _opening(writer, written) + _ending(writer, prompt.prefix, done, noticed)


def write_believed(request: str, facts: Facts, view: Belief, profile: Profile, rng: Random) -> str:
    """A whole answer, from what is believed.

    Args:
        request: What is asked.
        facts: What its regions are called.
        view: What is believed of them.
        profile: Who writes.
        rng: Source of this answer's choices and slips.
    """
    writer = Writer(understand(request), facts, view, profile, rng, done=0)
    return _opening(writer, ()) + _ending(writer, "", 0, noticed=False)


@lru_cache(maxsize=32)
def _measured(scene: Scene) -> Measured:
    """A scene with its depth; all teachers look at the same one."""
    return Measured(scene)


def _opening(writer: Writer, written: Sequence[str]) -> str:
    """Description and rationale, as far as they are not written yet."""
    parts: list[str] = []
    if not written:
        parts.append(f"<description>{writer.description()}</description>\n")
    if len(written) < 2:
        parts.append(f"<reasoning>### Rationale\n{writer.rationale()}\n### Let's think step by step\n")
    return "".join(parts)


def _ending(writer: Writer, prefix: str, done: int, noticed: bool) -> str:
    """The steps that are left, and the conclusion; what was noticed is corrected in the first of them, or in one more."""
    steps, conclusion = writer.plan()
    end = f"### In Conclusion\n{conclusion}"
    if "</reasoning>" in prefix:
        return end
    rest = steps[done:] if done < len(steps) or not noticed else [steps[min(writer.core, len(steps) - 1)]]
    if noticed:
        rest[0] = replace(rest[0], body=f"{writer.correction()} {rest[0].body}")
    numbered = [_numbered(number, step, writer.titled) for number, step in enumerate(rest, start=done + 1)]
    return "".join([*numbered, "</reasoning>\n", end])


def _numbered(number: int, step: Step, titled: bool) -> str:
    heading = f"### Step {number}: {step.title}\n" if titled else f"### Step {number}\n"
    return f"{heading}{step.body}\n"


def _digest(parts: Sequence[object]) -> int:
    return int.from_bytes(hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).digest(), "big")
