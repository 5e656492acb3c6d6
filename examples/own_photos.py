"""A folder of photos in; questions with answers from depth, a model's replies and its score out.

    python examples/own_photos.py photos --out own --fov 65                              # Depth Anything and SAM from the Hub
    python examples/own_photos.py photos --out own --fov 65 --masks annotations.json     # regions of yours: COCO, CVAT, ...
    python examples/own_photos.py photos --out own --model hf:Qwen/Qwen2.5-VL-3B-Instruct --show 5

Give it again after a crash and it goes on where it was. Change what you like: each step is one call of the library.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from spatialreasoner.core.errors import SpatialReasonerError
from spatialreasoner.evaluation.predictions import read_predictions
from spatialreasoner.evaluation.score import run_score
from spatialreasoner.inference.registry import WritingConfig
from spatialreasoner.pipeline import stages
from spatialreasoner.questions.generate import QuestionsConfig, write_questions
from spatialreasoner.report import terminal
from spatialreasoner.scenes import images
from spatialreasoner.scenes.annotations.finder import AnnotatedRegions, is_annotations

DEPTH = "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf"
MASKS = "facebook/sam-vit-base"


def make_scenes(photos: str, out: Path, *, depth: str, masks: str, fov: float | None) -> Path:
    """Depth and masks of every photo. A label tool's regions have names; a mask model's are called "object"."""
    from spatialreasoner.inference.backends.depth import TransformersDepth
    from spatialreasoner.inference.backends.masks import TransformersMasks

    config = images.ImagesConfig(folder=photos, depth=depth, masks=masks, field_of_view=fov)
    finder = AnnotatedRegions(masks, photos=photos) if is_annotations(masks) else TransformersMasks(masks)
    count = images.write_photos(config, out, TransformersDepth(depth), finder)
    print(f"{count} photos with depth and regions in {out}")
    return out


def make_questions(scenes: Path, out: Path, *, per_scene: int) -> None:
    """Questions whose true answers follow from the depth."""
    kinds = write_questions(QuestionsConfig(scenes=str(scenes), per_scene=per_scene), out)
    print(f"{kinds.total()} questions of {len(kinds)} kinds in {out}")


def answer(questions: Path, out: Path, *, model: str, max_new_tokens: int) -> None:
    """The model's answer to every question; it is shown the photos with numbered marks unless it has a way of its own."""
    writing = WritingConfig(max_new_tokens=max_new_tokens)
    stages.generate(questions, model, out, scenes=None, seed=0, regions="own", writing=writing)


def show(predictions: Path, count: int) -> None:
    """Some answers beside the truth."""
    for row in read_predictions(predictions)[:count]:
        print(f"\n{row.question}\n  truth: {row.gt}\n  {row.model_id}: {row.pred.strip()[-300:]}")


def main() -> None:
    """Photos to a score."""
    parser = argparse.ArgumentParser(description="ask a model about photos of one's own")
    parser.add_argument("photos", help="a folder of photos")
    parser.add_argument("--out", type=Path, required=True, help="where everything goes")
    parser.add_argument("--depth", default=DEPTH, help="a depth-estimation model: a folder or a repository")
    parser.add_argument("--masks", default=MASKS, help="a SAM model, or a COCO .json of regions")
    parser.add_argument("--fov", type=float, help="field of view of photos whose EXIF data do not tell, degrees")
    parser.add_argument("--per-scene", type=int, default=10, help="questions a photo")
    parser.add_argument("--model", default="nano", help="nano, a folder, hf:REPO, or api:MODEL@BASE_URL")
    parser.add_argument("--max-new-tokens", type=int, default=768, help="longest answer")
    parser.add_argument("--show", type=int, default=3, help="so many answers are printed")
    given = parser.parse_args()
    try:
        scenes = make_scenes(given.photos, given.out / "scenes", depth=given.depth, masks=given.masks, fov=given.fov)
        questions, predictions = given.out / "questions.jsonl", given.out / "predictions.jsonl"
        make_questions(scenes, questions, per_scene=given.per_scene)
        answer(questions, predictions, model=given.model, max_new_tokens=given.max_new_tokens)
        show(predictions, given.show)
        terminal.show_score(run_score(predictions, given.out / "score.json"))
    except SpatialReasonerError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
