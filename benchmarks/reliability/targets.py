"""What is fuzzed: readers of what strangers write, with the errors that they announce and the laws that they keep."""

from __future__ import annotations

import io
import json
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Attempt = Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        make: Imports what is read with, and returns a function that reads one input and checks what came.
        seeds: Good inputs to begin with.
    """

    make: Callable[[], Attempt]
    seeds: tuple[bytes, ...]

    def load(self) -> None:
        """Import what is read with, so that it can be watched."""
        _made(self)

    def attempt(self, data: bytes) -> None:
        """Read one input; raises where the reader breaks."""
        _made(self)(data)


@cache
def _made(target: Target) -> Attempt:
    return target.make()


def _text(data: bytes) -> str:
    """Bytes as the text of a model: anything may be in it, lone surrogates too."""
    try:
        return data.decode("utf-8", errors="surrogatepass")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _responses() -> Attempt:
    from spatialreasoner.core.errors import ResponseError
    from spatialreasoner.core.types import Completion
    from spatialreasoner.language.responses import parse, render, spans, steps
    from spatialreasoner.search.replies import continuation

    def attempt(data: bytes) -> None:
        said = _text(data)
        found = spans(said)
        assert all(0 <= start <= end <= len(said) for start, end in found.values())
        assert found["description"][1] <= found["reasoning"][0] or found["description"] == (0, 0)
        assert "".join(step.text for step in steps(said)) in {said, ""}
        with suppress(ResponseError):
            continuation("", Completion(text=said), whole=True, max_steps=20)
        try:
            response = parse(said)
            again = render(response)
        except ResponseError:
            return
        assert parse(again).description == response.description

    return attempt


def _answers() -> Attempt:
    from spatialreasoner.core.types import CATEGORIES
    from spatialreasoner.evaluation.answers import judge

    def attempt(data: bytes) -> None:
        category, said = CATEGORIES[data[0] % len(CATEGORIES)] if data else CATEGORIES[0], _text(data[1:])
        for truth, answer in (("It is 2 meters.", said), (said, "Yes, <region1> is 2 m at 3 o'clock.")):
            verdict = judge(category, "Which is it, <region1> or <region2>?", truth, answer)
            assert verdict.success in (True, False, None)
            assert verdict.error is None or 0 <= verdict.error < float("inf")

    return attempt


def _assertions() -> Attempt:
    from spatialreasoner.language import quantities
    from spatialreasoner.language.statements import extract

    def attempt(data: bytes) -> None:
        said = _text(data)
        for found in (*extract(said, ["box", "red chair"]), *quantities.find_quantities(said), *quantities.bare_numbers(said)):
            assert 0 <= found.span[0] <= found.span[1] <= len(said)
            assert found.value is None or 0 <= found.value < float("inf")

    return attempt


def _rewards() -> Attempt:
    from reliability import made
    from spatialreasoner.rewards import grade
    from spatialreasoner.scenes.measure import Measured

    scene, question = made.asked()
    measured = Measured(scene)

    def attempt(data: bytes) -> None:
        reward = grade(measured, question, _text(data)).reward
        four = (reward.visual, reward.spatial_description, reward.spatial_reasoning, reward.logical)
        assert all(score is None or 0 <= score <= 4 for score in four)
        assert all(part is None or 0 <= part <= 1 for part in reward.parts.values())

    return attempt


def _rle() -> Attempt:
    from spatialreasoner.core import records
    from spatialreasoner.core.errors import InputError
    from spatialreasoner.core.types import Rle
    from spatialreasoner.scenes.masks import decode, encode

    def attempt(data: bytes) -> None:
        try:
            rle = records.parse_record(data, Rle, where="a row")
            if rle.size[0] * rle.size[1] > 1_000_000:
                return  # one that is large and right takes its memory, and teaches nothing
            mask = decode(rle)
        except InputError:
            return
        assert (decode(encode(mask)) == mask).all()

    return attempt


def _scenes() -> Attempt:
    from spatialreasoner.core import records
    from spatialreasoner.core.errors import InputError
    from spatialreasoner.core.types import Question, Scene, Trajectory
    from spatialreasoner.scenes.files import load_scenes
    from spatialreasoner.scenes.rgbd import SceneFile

    folder = Path(_FOLDER.name)

    def attempt(data: bytes) -> None:
        for kind in (Scene, SceneFile, Question, Trajectory):
            try:
                record = records.parse_record(data, kind, where="a row")
                assert records.parse_record(records.dumps(record), kind, where="again") == record
            except InputError:
                continue
        (folder / "scenes.jsonl").write_bytes(data)
        try:
            assert all(Path(scene.image).resolve().is_relative_to(folder.resolve()) for scene in load_scenes(folder))
        except InputError:
            return

    return attempt


def _judges() -> Attempt:
    from spatialreasoner.evaluation.model_judge import read_verdict
    from spatialreasoner.judges.rewards import JUDGED_CRITERIA, fenced, parse_grade

    def attempt(data: bytes) -> None:
        said = _text(data)
        grade = parse_grade(said)
        assert grade.failure is None or not grade.scores
        assert all(name in JUDGED_CRITERIA and 0 <= score <= 1 for name, score in grade.scores.items())
        shown, fence = fenced(said)
        assert fence not in shown
        for category in ("width_data", "direction", "left_predicate"):
            try:
                assert read_verdict(category, said).success in (True, False, None)
            except ValueError:
                continue

    return attempt


def _journals() -> Attempt:
    import asyncio

    from reliability import made
    from spatialreasoner.inference.budget import Budget
    from spatialreasoner.inference.endpoint import Endpoint, identity, reply_key
    from spatialreasoner.inference.journal import Journal, Spent
    from spatialreasoner.pipeline.answering import GENERATE_LIMITS
    from spatialreasoner.questions.files import prompt
    from spatialreasoner.teachers import scripted

    scene, question = made.asked()
    policy, shown = scripted("careful", {scene.id: scene}), prompt(question, scene)
    path = Path(_FOLDER.name) / "journal.sqlite"
    expected = asyncio.run(policy.complete(shown, n=1, seed=1))
    key = reply_key(identity(policy), shown, n=1, seed=1)

    async def ask(value: str) -> Any:
        with Journal(path) as journal:
            await journal.put_reply(key, value, policy="x", spent=Spent(calls=1, prompt_tokens=1, completion_tokens=1))
            return await Endpoint(policy, journal=journal, budget=Budget(), limits=GENERATE_LIMITS).complete(shown, n=1, seed=1)

    def attempt(data: bytes) -> None:
        """A torn reply is asked again; one that can be read is taken."""
        try:
            completions = asyncio.run(ask(data.decode("utf-8", errors="replace")))
        except sqlite3.Error as error:
            raise AssertionError("the journal broke") from error
        assert all(isinstance(one.text, str) for one in completions)
        assert len(completions) == len(expected) or completions == ()

    return attempt


def _carried() -> Attempt:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    from spatialreasoner.core.errors import SceneError
    from spatialreasoner.scenes import carry

    def attempt(data: bytes) -> None:
        info, file = PngInfo(), io.BytesIO()
        info.add_text(carry.KEY, data.decode("latin-1"))
        Image.new("RGB", (6, 4)).save(file, "PNG", pnginfo=info)
        with Image.open(file) as image:
            image.load()
            try:
                masks = carry.attached(image)
            except SceneError:
                return
        assert all(mask.shape == (4, 6) for mask in masks)

    return attempt


def _images() -> Attempt:
    from spatialreasoner.core.errors import InputError
    from spatialreasoner.core.types import DepthMap
    from spatialreasoner.scenes.files import read_depth, read_image

    path = Path(_FOLDER.name) / "image"

    def attempt(data: bytes) -> None:
        path.write_bytes(data)
        try:
            assert read_image(path).mode == "RGB"
            assert read_depth(DepthMap(path=str(path), units_per_metre=1000.0)).ndim == 2
        except InputError:
            return

    return attempt


def _settings() -> Attempt:
    from spatialreasoner.core.errors import ConfigError
    from spatialreasoner.training.config import FDPOSettings, read_config

    path = Path(_FOLDER.name) / "settings.yaml"

    def attempt(data: bytes) -> None:
        path.write_bytes(data)
        try:
            read_config(FDPOSettings, path, ())
            read_config(FDPOSettings, None, [_text(data)])
        except ConfigError:
            return

    return attempt


_FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-")
_LONG = (
    b"<description>The <region1> is a red box, left of <region2>.</description>\n<reasoning>### Rationale\nMeasure both.\n"
    b"### Let's think step by step\n### Step 1\n<region1> is about 1.5 m wide; 1.5 m = 150 cm. 2 + 3 = 5.\n</reasoning>\n"
    b"### In Conclusion\nNo, <region1> is 5 ft 11 in from Region [1], at 3 o'clock."
)
_SCENE = json.dumps(
    {"id": "a", "image": "a.png", "regions": [{"id": "region1", "label": "box", "mask": {"size": [4, 6], "counts": [3, 21]}}],
     "intrinsics": {"fx": 1.0, "fy": 1.0, "cx": 0.0, "cy": 0.0}, "depth": {"path": "d.png", "units_per_metre": 1000.0}}
).encode()  # fmt: skip
_GRADE = b'{"criteria": {"visual.existence": {"score": 0.5, "reason": "so"}}}'


def _png() -> bytes:
    """An image that lies on its side; made without this package, whose imports are watched once a target is chosen."""
    from PIL import Image

    tags, file = Image.Exif(), io.BytesIO()
    tags[0x0112] = 6
    Image.linear_gradient("L").resize((6, 4)).save(file, "PNG", exif=tags.tobytes())
    return file.getvalue()


TARGETS: Mapping[str, Target] = {
    "responses": Target(_responses, (_LONG, b"The final answer is 2 m.")),
    "answers": Target(_answers, (b"\x00" + _LONG, b"\x12It is 2 and a half feet.", b"\x17Toward the 3 o'clock.")),
    "assertions": Target(_assertions, (_LONG, b"between 2 and 3 feet, three quarters of a metre")),
    "rewards": Target(_rewards, (_LONG,)),
    "rle": Target(_rle, (b'{"size": [3, 3], "counts": "013000"}', b'{"size": [4, 6], "counts": [3, 21]}')),
    "scenes": Target(_scenes, (_SCENE,)),
    "judges": Target(_judges, (_GRADE, b'{"reference": 2.0, "answer": 2.5}', b'{"mark": 1}')),
    "journals": Target(_journals, (b'[{"text": "a", "prompt_tokens": 1, "completion_tokens": 1, "finish": "stop"}]', b"[]")),
    "carried": Target(_carried, (b'[{"size": [4, 6], "counts": [3, 21]}]',)),
    "images": Target(_images, (_png(),)),
    "settings": Target(_settings, (b"num_train_epochs: 3\nbeta: 0.1\n", b"a: &a [1]\nb: *a\n")),
}
