"""Corrupting one number of a right response lowers exactly the parts that the number belongs to."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

import pytest

from spatialreasoner.core.types import Question, RewardBreakdown
from spatialreasoner.rewards import grade
from spatialreasoner.rewards.known import Known

NUM_RESPONSES = 500
PARTS = (
    "visual.existence", "visual.attributes", "visual.completeness", "visual.appropriateness", "spatial_description",
    "spatial_reasoning", "logical.factual", "logical.coherence", "logical.rules", "logical.conclusion",
)  # fmt: skip
UNITS = {"m": 1.0, "cm": 0.01, "feet": 0.3048, "inches": 0.0254}


@dataclass(frozen=True)
class Slot:
    """A number of a response, how to write it, and the parts it belongs to."""

    value: float
    unit: str
    parts: frozenset[str]

    def write(self, factor: float) -> str:
        if self.unit == "o'clock":
            return f"{(int(self.value) + 5) % 12 + 1 if factor != 1 else int(self.value)} o'clock"
        return f"{self.value / UNITS[self.unit] * factor:.2f} {self.unit}"


def slots(known: Known, rng: Random, question: Question) -> dict[str, Slot]:
    """The numbers of one response to a question for the width of region 1."""
    measured = known.measured

    def slot(quantity: str, *regions: str, parts: tuple[str, ...]) -> Slot:
        value = measured.quantity(quantity, *(f"region{r}" for r in regions)).value  # type: ignore[arg-type]
        assert value is not None
        return Slot(value, "o'clock" if quantity == "direction" else rng.choice(sorted(UNITS)), frozenset(parts))

    part = Slot(rng.choice([0.31, 0.87, 1.9]), "m", frozenset({"logical.rules"}))
    return {
        "described": slot("height", "2", parts=("spatial_description",)),
        "premise": slot("camera_distance", "2", parts=("spatial_reasoning", "logical.factual")),
        "hour": slot("direction", "1", "2", parts=("spatial_reasoning", "logical.factual")),
        "addend": part,
        "step": slot("width", "1", parts=("spatial_reasoning", "logical.factual", "logical.coherence", "logical.conclusion")),
        "concluded": slot("width", "1", parts=("spatial_reasoning", "logical.coherence", "logical.conclusion")),
    }


FORMS = (
    "<description>{a} is a red ball and {b} is a blue ball. {b} is {described} tall.</description>\n"
    "<reasoning>### Step 1\n{b} is {premise} away from the camera and at {hour} from {a}.\n"
    "### Step 2\nTwo halves make it whole: {addend} + {half} = {whole}.\n### Step 3\n{a} is {step} wide.</reasoning>\n"
    "### In Conclusion\n{a} is {concluded} wide.",
    "The image shows a red ball ({a}) and a blue ball ({b}). The height of {b} is {described}.\nLet's think step by step.\n"
    "Step 1: From {a}, {b} is at {hour}.\nStep 2: The distance from the camera to {b} is {premise}.\n"
    "Step 3: {addend} + {half} = {whole}.\nStep 4: The width of {a} is {step}.\nThe final answer is {concluded}.",
)


def render(form: str, names: dict[str, str], found: dict[str, Slot], corrupt: str | None, factor: float) -> str:
    numbers = {name: slot.write(factor if name == corrupt else 1.0) for name, slot in found.items()}
    part = found["addend"].value
    return form.format(**names, **numbers, half=f"{part:.2f} m", whole=f"{part * 2:.2f} m")


def scores(reward: RewardBreakdown) -> dict[str, float | None]:
    spatial = {"spatial_description": reward.spatial_description, "spatial_reasoning": reward.spatial_reasoning}
    return {name: spatial[name] if name in spatial else reward.parts[name] for name in PARTS}


def cases() -> Iterator[tuple[int, Random]]:
    for seed in range(NUM_RESPONSES):
        yield seed, Random(seed)


def test_a_corrupted_number_lowers_exactly_its_parts(known: Known, question: Question):
    width = known.measured.quantity("width", "region1").value
    asked = replace(question, category="width_data", text="How wide is <region1>?", value=width, unit="m")
    for seed, rng in cases():
        found = slots(known, rng, asked)
        form = rng.choice(FORMS)
        names = rng.choice([{"a": "<region1>", "b": "<region2>"}, {"a": "Region [0]", "b": "Region [1]"}])
        corrupt = rng.choice(sorted(found))
        factor = rng.choice([0.3, 0.55, 1.6, 3.0])
        right = scores(grade(known, asked, render(form, names, found, None, 1.0)).reward)
        wrong = scores(grade(known, asked, render(form, names, found, corrupt, factor)).reward)
        lowered = {name for name in PARTS if (wrong[name] or 0.0) < (right[name] or 0.0) - 1e-9}
        changed = {name for name in PARTS if wrong[name] != pytest.approx(right[name])}
        assert all(right[name] in (None, 1.0) for name in PARTS if "." in name), (seed, right)
        assert lowered == changed == found[corrupt].parts, (seed, corrupt, factor, render(form, names, found, corrupt, factor))
