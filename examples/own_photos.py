"""A folder of photos in; questions with answers from depth, a model's replies and its score out.

    python examples/own_photos.py photos --out own --fov 65                              # Depth Anything and SAM from the Hub
    python examples/own_photos.py photos --out own --fov 65 --masks annotations.json     # regions of yours: COCO, CVAT, ...
    python examples/own_photos.py photos --out own --model hf:Qwen/Qwen2.5-VL-3B-Instruct --show 5

Give it again after a crash and it continues where it stopped. Change what you like: each step is one call of the library.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from spatialreasoner import WritingConfig, evaluate, generate, make_questions
from spatialreasoner.core.errors import SpatialReasonerError
from spatialreasoner.evaluation.predictions import read_predictions
from spatialreasoner.pipeline import read_photos
from spatialreasoner.report import terminal

DEPTH = "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf"
MASKS = "facebook/sam-vit-base"


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
    parser.add_argument("--per-scene", type=int, default=10, help="questions per photo")
    parser.add_argument("--model", default="nano", help="nano, a folder, hf:REPO, or api:MODEL@BASE_URL")
    parser.add_argument("--max-new-tokens", type=int, default=768, help="longest answer")
    parser.add_argument("--show", type=int, default=3, help="so many answers are printed")
    given = parser.parse_args()
    try:
        scenes = read_photos(
            given.photos, out=given.out / "scenes", depth=given.depth, masks=given.masks, field_of_view=given.fov
        )
        print(f"{scenes.count} photos with depth and regions in {scenes.out}")
        questions = make_questions(scenes, out=given.out / "questions.jsonl", per_scene=given.per_scene)
        writing = WritingConfig(max_new_tokens=given.max_new_tokens)
        predictions = generate(questions, model=given.model, out=given.out / "predictions.jsonl", writing=writing)
        show(Path(predictions), given.show)
        terminal.show_score(evaluate(predictions, out=given.out / "score.json").details.score)
    except SpatialReasonerError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
