"""`python -m research.fdpo_study.sight QUESTIONS`: how many lengths the nano's vision part alone would tell right.

The decoder reads its lengths off what the region encoder estimates (`nano.vision.ESTIMATES`). So this is where reading ends:
what a model with the same vision part misses beyond it, a better reader would not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from research.nano_pretraining.beliefs import believe

from spatialreasoner.cli import run
from spatialreasoner.core.types import Category, Question, Scene
from spatialreasoner.evaluation.answers import judge
from spatialreasoner.pipeline.inputs import read_inputs
from spatialreasoner.scenes.carry import attach
from spatialreasoner.scenes.files import read_image
from spatialreasoner.teachers.perception import Belief
from spatialreasoner.vlm.loading import load_vlm
from spatialreasoner.vlm.sources import source_of

_BATCH = 32


def believed_length(category: Category, belief: Belief) -> float:
    """What a belief says of a question that asks for a length, metres."""
    lengths: Mapping[str, float] = {
        "width_data": belief.sizes[0][0],
        "height_data": belief.sizes[0][1],
        "horizontal_distance_data": abs(belief.middle[0]),
        "vertical_distance_data": abs(belief.middle[1]),
        "distance_data": belief.direct,
    }
    return lengths[category]


def beliefs(model: Any, processor: Any, questions: Sequence[Question], scenes: Mapping[str, Scene]) -> Iterator[Belief]:
    """What the vision part of a nano believes of the regions of each question."""
    import torch

    for start in range(0, len(questions), _BATCH):
        batch = questions[start : start + _BATCH]
        carriers = [
            attach(read_image(scene.image), [scene.region(name) for name in question.region_ids])
            for question in batch
            for scene in [scenes[question.scene_id]]
        ]
        encoded = processor(images=carriers)
        with torch.inference_mode():
            _, found = model.model.look(encoded["pixel_values"], encoded["region_masks"])
        for question, estimates, offsets in zip(batch, found.estimates.tolist(), found.offsets.tolist(), strict=True):
            count = len(question.region_ids)
            yield believe(estimates[:count], offsets[1] if count > 1 else None)


def main(
    questions: Annotated[Path, typer.Argument(help="Questions, such as STUDY/data/test/questions.jsonl.")],
    model: Annotated[str, typer.Option(help="A nano: its name or its folder.")] = "nano-base",
) -> None:
    """Print how many of the lengths that are asked for the vision part alone tells right, by category."""
    asked = read_inputs(questions)
    lengths = [question for question in asked.questions if question.category.endswith("_data")]
    loaded, processor = load_vlm(source_of(model), precision="float32")
    right: dict[str, list[bool]] = {}
    for question, belief in zip(lengths, beliefs(loaded.eval(), processor, lengths, asked.scenes), strict=True):
        verdict = judge(
            question.category, question.text, question.answer, f"{believed_length(question.category, belief):.3g} meters."
        )
        right.setdefault(question.category, []).append(verdict.success is True)
    for category, each in right.items():
        typer.echo(f"{category}: {sum(each)} of {len(each)}, {sum(each) / len(each):.1%}")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    run(app)
