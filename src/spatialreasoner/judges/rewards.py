"""An LLM as judge: the second way to a reward, where geometry cannot tell, and for comparison.

Any OpenAI-compatible endpoint can judge. It sees the image with its regions marked, the image of its depth where there is
one, and the answer inside a fence that the answer cannot forge; it replies in JSON, which is validated. A judgement that fails
or is refused is unscored: it has a reason, and no scores.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spatialreasoner.core.errors import BusyError, ConfigError, EndpointError, SceneError
from spatialreasoner.core.old_names import importable_by_old_names
from spatialreasoner.core.protocols import Grade, GradeRequest, Judge
from spatialreasoner.core.types import Completion, Prompt, Question, Scene
from spatialreasoner.inference.backends.api import ApiConfig, ApiPolicy, adapting
from spatialreasoner.inference.backends.chat import data_url
from spatialreasoner.questions.files import prompt
from spatialreasoner.scenes.files import read_depth, read_image
from spatialreasoner.scenes.marks import draw

if TYPE_CHECKING:
    from jinja2 import Template
    from PIL import Image

JUDGED_CRITERIA: Mapping[str, str] = {
    "visual.existence": "description: the objects it mentions are really there and are what it calls them",
    "visual.attributes": "description: colours, sizes and shapes match the image",
    "visual.completeness": "description: it describes everything that the question needs",
    "visual.appropriateness": "description: it keeps to the topic, with nothing superfluous",
    "spatial_description": "description: its statements about places, sizes and distances are right; hedged ones count 0.8",
    "spatial_reasoning": "reasoning: its statements about places, sizes and distances are right; hedged ones count 0.8",
    "logical.factual": "reasoning: its premises agree with the image, the depth and the description",
    "logical.coherence": "reasoning: each step follows, and none contradicts another",
    "logical.rules": "reasoning: arithmetic, unit conversions and spatial rules are right",
    "logical.conclusion": "reasoning: the final answer follows from the steps and agrees with the reference, if there is one",
}
"""What a judge scores, 0..1 each, and how that is put to it."""

MAX_GRADED_CHARACTERS = 20_000
"""Of an answer, so much is shown to a judge."""

MAX_REPLY = 50_000
"""A longer reply of a judge is refused."""

MOST_TOKENS = 16_384
"""More than one request can take: two images of a thousand pixels, the prompts, the answer and the reply."""

MOST_WAIT = 30.0
"""A judge that is asked outside of a run is waited for so long before the next try, seconds."""

FAILURE_THRESHOLD = 8
"""The circuit breaker: after this many failed requests in a row, this process does not call the endpoint again."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class _Score(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    score: Annotated[float, Field(ge=0, le=1)] | None
    reason: Annotated[str, Field(max_length=2000)] = ""


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")

    criteria: dict[str, _Score]


@dataclass(frozen=True, kw_only=True)
class ApiJudgeConfig:
    """Settings of requests to a judge.

    Attributes:
        timeout: Timeout of a request, in seconds.
        retries: Maximum number of retries of a request that failed for a transient reason (busy, no connection).
        max_tokens: Maximum length of a reply in tokens.
        max_side: Maximum side of an image, pixels; larger ones are shrunk.
        key_variable: Environment variable that holds the API key.
    """

    timeout: float = 120.0
    retries: int = 3
    max_tokens: int = 1500
    max_side: int = 1024
    key_variable: str = "OPENAI_API_KEY"

    def __post_init__(self) -> None:
        for name in ("timeout", "max_tokens", "max_side"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be positive; got {getattr(self, name)}")
        if self.retries < 0:
            raise ConfigError(f"retries must be at least 0; got {self.retries}")


class ApiJudge:
    """A model at an OpenAI-compatible endpoint, as a `Judge`.

    Args:
        name: `api:MODEL@BASE_URL`; settings may follow, as in `?system=user`.
        config: How it is asked.

    Raises:
        ConfigError: If the name has another form.
        MissingExtraError: If the `httpx2` package is not installed.
    """

    def __init__(self, name: str, config: ApiJudgeConfig | None = None) -> None:
        self._config = config or ApiJudgeConfig()
        self._policy = ApiPolicy(
            name,
            ApiConfig(
                temperature=0.0,
                max_tokens=self._config.max_tokens,
                timeout=self._config.timeout,
                key_variable=self._config.key_variable,
                max_side=self._config.max_side,
            ),
        )
        self._failed_in_a_row = 0
        self.name = self._policy.name

    @property
    def identity(self) -> str:
        """All that decides a grade beside the request: the model, the prompts, the size of images and reply."""
        return f"{self.name} prompts {_prompts()} at most {self._config.max_side} pixels, {self._config.max_tokens} tokens"

    @property
    def depends(self) -> dict[str, str]:
        """The same part by part."""
        return {"prompts": _prompts(), "max_side": str(self._config.max_side), "max_tokens": str(self._config.max_tokens)}

    @property
    def learned(self) -> Mapping[str, Any]:
        """What was learned about how to send requests to the endpoint."""
        return self._policy.learned

    def restore(self, learned: Any) -> None:
        """Take over what an earlier process learned of the same endpoint."""
        self._policy.restore(learned)

    async def attempt(self, request: GradeRequest) -> Grade:
        """Ask for a grade in one request; a reply that is not a grade becomes a `Grade` with `failure`.

        Raises:
            SceneError: If the image cannot be shown, such as one with a region without a pixel.
            EndpointError: If there is no reply, as `ApiPolicy.chat` does.
        """
        chats: dict[int, list[dict[str, Any]]] = {}
        chats[self._config.max_side] = await asyncio.to_thread(grade_messages, request, self._config.max_side)

        def make(side: int, prefill: bool) -> list[dict[str, Any]]:
            if side not in chats:
                chats[side] = grade_messages(request, side)
            return chats[side]

        completion, *_ = await self._policy.chat(make, n=1, seed=0)
        return read_completion(completion)

    async def grade(self, request: GradeRequest) -> Grade:
        """Grade one answer. Whatever goes wrong with the endpoint or its reply is a `Grade` with `failure`."""
        if self._failed_in_a_row >= FAILURE_THRESHOLD:
            return Grade(failure=f"{self.name} is no longer called: {FAILURE_THRESHOLD} requests in a row failed")
        failure = EndpointError(f"{self.name} was not asked")
        for retry in range(self._config.retries + 1):
            try:
                grade = await adapting(lambda: self.attempt(request))
            except SceneError as error:
                return Grade(failure=f"the image cannot be shown: {error}")
            except BusyError as error:
                failure = error
                if retry < self._config.retries:
                    await asyncio.sleep(min(MOST_WAIT, error.retry_after or 0.5 * 2**retry))
            except EndpointError as error:
                failure = error
                break
            else:
                self._failed_in_a_row = 0
                return grade
        self._failed_in_a_row += 1
        return Grade(failure=str(failure)[:400])

    async def aclose(self) -> None:
        """Close the connections."""
        await self._policy.aclose()


class JudgePanel:
    """Several judges as one: each criterion is the mean over those that score it. It fails only where all of them fail.

    Args:
        judges: The judges by name.
    """

    def __init__(self, judges: Mapping[str, Judge]) -> None:
        self._judges = judges
        self.identity = "; ".join(getattr(judge, "identity", name) for name, judge in judges.items())

    async def grade(self, request: GradeRequest) -> Grade:
        """Ask all of them at once; each reason names its judge."""
        grades = dict(
            zip(self._judges, await asyncio.gather(*(judge.grade(request) for judge in self._judges.values())), strict=True)
        )
        scores = {
            part: [grade.scores[part] for grade in grades.values() if part in grade.scores]
            for part in dict.fromkeys(part for grade in grades.values() for part in grade.scores)
        }
        reasons = {
            part: "; ".join(f"{name}: {grade.reasons[part]}" for name, grade in grades.items() if part in grade.reasons)
            for part in dict.fromkeys(part for grade in grades.values() for part in grade.reasons)
        }
        failures = [grade.failure for grade in grades.values() if grade.failure is not None]
        return Grade(
            scores={part: sum(found) / len(found) for part, found in scores.items()},
            reasons=reasons,
            failure="; ".join(failures) if len(failures) == len(grades) else None,
        )


def read_completion(completion: Completion) -> Grade:
    """The grade in a judge's reply, with the tokens it took."""
    return replace(
        _grade_in(completion),
        prompt_tokens=completion.prompt_tokens,
        completion_tokens=completion.completion_tokens,
        cached_tokens=completion.cached_tokens,
    )


def _grade_in(completion: Completion) -> Grade:
    if completion.finish == "refusal":
        return Grade(failure="the judge refused")
    if not completion.text.strip():
        more = "it used all its tokens to think; ?max_new_tokens=4000 behind its name gives more"
        cut = f": {more}" if completion.finish == "length" else ""
        return Grade(failure=f"the judge's reply is empty{cut}")
    return parse_grade(completion.text)


def parse_grade(text: str) -> Grade:
    """The grade in a judge's words: one JSON object, bare or in a code fence.

    >>> parse_grade("I would say 10 out of 10.").failure
    'expected one JSON object; got "I would say 10 out of 10."'
    """
    begin, end = text.find("{"), text.rfind("}")
    if begin < 0 or end < begin or len(text) > MAX_REPLY:
        return Grade(failure=f"expected one JSON object; got {json.dumps(text[:80])}")
    try:
        scores = _Reply.model_validate_json(text[begin : end + 1]).criteria
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return Grade(failure=f"{'.'.join(map(str, first['loc'])) or 'the reply'}: {first['msg']}")
    if set(scores) != set(JUDGED_CRITERIA):
        odd = sorted(set(scores) ^ set(JUDGED_CRITERIA))
        return Grade(failure=f"expected every criterion once and no other; missing or unknown: {', '.join(odd)[:200]}")
    return Grade(
        scores={name: found.score for name, found in scores.items() if found.score is not None},
        reasons={name: found.reason for name, found in scores.items() if found.reason},
    )


def grade_messages(request: GradeRequest, max_side: int = 1024) -> list[dict[str, Any]]:
    """The chat that asks for a grade: instructions, images, and the answer inside its fence.

    Args:
        request: What is graded.
        max_side: Maximum side of an image, pixels; larger ones are shrunk.
    """
    text, fence = fenced(request.text[:MAX_GRADED_CHARACTERS])
    asked = {
        "criteria": JUDGED_CRITERIA,
        "fence": fence,
        "depth": request.depth_image is not None,
        "question": request.prompt.request,
        "reference": request.reference,
        "text": text,
    }
    images = [_marked(request.prompt, max_side)] + ([request.depth_image] if request.depth_image is not None else [])
    content = [{"type": "image_url", "image_url": {"url": image}} for image in images]
    return [
        {"role": "system", "content": _template("judge_system").render(asked)},
        {"role": "user", "content": [*content, {"type": "text", "text": _template("judge_request").render(asked)}]},
    ]


def fenced(text: str) -> tuple[str, str]:
    """A text that a stranger wrote, without control characters, and a fence that it cannot hold."""
    text = _CONTROL.sub("\ufffd", text)
    return text, f"=== {hashlib.sha256(text.encode()).hexdigest()[:24]}"  # a text cannot hold its own hash


def grade_request(scene: Scene, question: Question, text: str) -> GradeRequest:
    """What a judge is shown of a response; the depth as a colour image in a data URL, where the scene has depth."""
    return GradeRequest(
        prompt=prompt(question, scene),
        text=text,
        reference=question.answer or None,
        depth_image=_depth_image(scene),
    )


def grader(judge: Judge) -> Callable[[Scene, Question, str], Awaitable[Grade]]:
    """A judge as `GeometricReward` asks it: of a scene, a question and a response."""

    async def grade(scene: Scene, question: Question, text: str) -> Grade:
        return await judge.grade(grade_request(scene, question, text))

    return grade


def colourise(depth: Float[np.ndarray, "h w"]) -> Image.Image:
    """An image of depth: near is bright, far is dark, what was not measured is black. Brightness goes with 1 / depth."""
    from matplotlib import colormaps
    from PIL import Image

    nearness = np.where(np.isfinite(depth) & (depth > 0), 1 / np.where(depth > 0, depth, 1.0), np.nan)
    if not np.isfinite(nearness).any():
        return Image.fromarray(np.zeros((*depth.shape, 3), dtype=np.uint8))
    low, high = np.nanquantile(nearness, (0.02, 0.98))
    share = np.clip((nearness - low) / max(high - low, 1e-9), 0, 1)
    colours = colormaps["inferno"](0.1 + 0.9 * np.nan_to_num(share))[..., :3]
    colours[~np.isfinite(nearness)] = 0
    return Image.fromarray((255 * colours).astype(np.uint8))


@cache
def _prompts() -> str:
    """A digest of the prompts and of what they ask for."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).with_name("prompts").glob("*.j2"))]
    return hashlib.sha256(json.dumps([texts, JUDGED_CRITERIA]).encode()).hexdigest()[:12]


def _template(name: str) -> Template:
    return template(Path(__file__).with_name("prompts") / f"{name}.j2")


@cache
def template(path: Path) -> Template:
    """A prompt's template, in Jinja's sandbox."""
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    loader = FileSystemLoader(path.parent)
    # The prompts are text for a model, not HTML: escaping would show it other words than were written.
    environment = SandboxedEnvironment(loader=loader, undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    return environment.get_template(path.name)


@lru_cache(maxsize=64)
def _marked(shown: Prompt, max_side: int) -> str:
    return data_url(draw(read_image(shown.image), shown.regions), max_side)


@lru_cache(maxsize=64)
def _depth_image(scene: Scene) -> str | None:
    if scene.depth is None:
        return None
    return data_url(colourise(read_depth(scene.depth)), 1024)


__getattr__ = importable_by_old_names(__name__, {"JudgeConfig": "ApiJudgeConfig"})
