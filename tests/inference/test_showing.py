"""How regions are shown to a model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.types import Completion, Prompt, Scene
from spatialreasoner.inference.showing import Showing, showing


class Seer:
    """A model that keeps what it was shown."""

    name = "seer"

    def __init__(self, *, region_tokens: bool = False) -> None:
        self.region_tokens = region_tokens
        self.image: np.ndarray | None = None

    async def complete(self, prompt: Prompt, *, n: int, seed: int) -> Sequence[Completion]:
        self.prompt, self.image = prompt, np.asarray(Image.open(prompt.image))
        return [Completion(text="seen")] * n


def show(scene: Scene, how: Showing) -> Seer:
    seer = Seer(region_tokens=True)
    prompt = Prompt(image=scene.image, regions=scene.regions[1::-1], request="Is <region1> left of <region2>, <region1>?")
    with showing(seer, how) as shown:
        assert asyncio.run(shown.complete(prompt, n=1, seed=0))[0].text == "seen"
    return seer


def test_own_and_tokens_leave_the_prompt_alone(scene: Scene) -> None:
    for how in ("own", "tokens"):
        assert show(scene, how).prompt.regions == scene.regions[1::-1]


def test_marks_are_drawn_on_the_image(scene: Scene) -> None:
    seer = show(scene, "marks")
    assert seer.prompt.regions == ()
    assert seer.image is not None
    assert (seer.image != np.asarray(Image.open(scene.image))).any()


def test_boxes_stand_behind_the_first_name(scene: Scene) -> None:
    seer = show(scene, "boxes")
    first, second = seer.prompt.request.split("[")[1:3]
    assert seer.prompt.request.count("[") == 3  # two boxes, and what they mean
    assert seer.prompt.request.endswith("[left, top, right, bottom] in pixels.")
    left, top, right, bottom = (int(edge) for edge in first.split("]")[0].split(", "))
    red = [int(edge) for edge in second.split("]")[0].split(", ")]
    assert pytest.approx((left + right) / 2, abs=2.5) == 159 + 300 * 0.5 / 3  # the blue ball's middle, by the pinhole model
    assert pytest.approx((top + bottom) / 2, abs=2.5) == 119.5 - 300 * 0.2 / 3
    assert red[2] <= 159
    assert (seer.image == np.asarray(Image.open(scene.image))).all()


def test_thousandths_of_the_image(scene: Scene) -> None:
    pixels, thousandths = (show(scene, how).prompt.request for how in ("boxes", "boxes-1000"))
    left = int(pixels.split("[")[1].split(",")[0])
    assert int(thousandths.split("[")[1].split(",")[0]) == round(1000 * left / 320)


def test_tokens_are_refused_for_a_model_without_them() -> None:
    with pytest.raises(ConfigError, match="seer has none"), showing(Seer(), "tokens"):
        pass
