"""Mask generation models of transformers, such as SAM: everything that stands out in an image, without names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.types import Rle
from spatialreasoner.inference.backends.pipelines import load_pipeline
from spatialreasoner.scenes.files import read_image
from spatialreasoner.scenes.finding import Found
from spatialreasoner.scenes.masks import decode, encode, require_size

if TYPE_CHECKING:
    from jaxtyping import Bool

FOUND_LABEL = "object"
"""What a mask is called that a model found: it does not know what it shows."""


MAX_OVERLAP = 0.7
"""Of two masks that share more than this (intersection over union), the better one is kept."""


@dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """How masks are found.

    Attributes:
        points: Points per side of the grid at which the model is asked for a mask.
        least_quality: Masks whose overlap with the truth the model itself expects to be lower are dropped, 0..1.
        least_stability: Masks that change more than this when the model's threshold moves are dropped, 0..1.

    Raises:
        ConfigError: If a number is out of its range.
    """

    points: int = 16
    least_quality: float = 0.88
    least_stability: float = 0.92

    def __post_init__(self) -> None:
        if not 1 <= self.points <= 128:
            raise ConfigError(f"the grid has 1 to 128 points per side; got {self.points}")
        for name in ("least_quality", "least_stability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be from 0 to 1; got {getattr(self, name)}")


class TransformersMasks:
    """A mask model; a `scenes.finding.RegionFinder`."""

    def __init__(self, source: str, config: MaskConfig | None = None) -> None:
        """Load the model.

        Args:
            source: A folder, or the name of a repository on the Hub.
            config: How to look for masks.

        Raises:
            ConfigError: If the model does not exist, it does not generate masks, or it is not safe to load.
            MissingExtraError: If transformers is not installed.
        """
        self._config = config or MaskConfig()
        self._pipeline: Any = load_pipeline("mask-generation", source, pipeline_class=_bare_pipeline())

    def find(self, image: str, size: tuple[int, int]) -> list[Found]:
        """Masks of the upright image, best first, each called `FOUND_LABEL`.

        Args:
            image: Path of the image.
            size: Its height and width.

        Raises:
            SceneError: If the image is unreadable or has another size.
        """
        photo = read_image(image)
        require_size((photo.height, photo.width), size, where=str(image), what="an image of")
        found = self._pipeline(
            photo,
            points_per_crop=self._config.points,
            pred_iou_thresh=self._config.least_quality,
            stability_score_thresh=self._config.least_stability,
        )
        masks = [decode(Rle(size=size, counts=tuple(counts))) for _, counts in sorted(found, key=lambda pair: -pair[0])]
        return [Found(FOUND_LABEL, mask, "model") for mask in without_repeats(masks)]


def _bare_pipeline() -> type:
    """The pipeline of transformers without its last step, which needs torchvision to drop repeated masks.

    It returns pairs of a mask's quality and its run lengths.
    """
    from transformers import MaskGenerationPipeline

    class BarePipeline(MaskGenerationPipeline):
        def postprocess(self, model_outputs: Any, **options: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # its options belong to the step left out
            return [
                (float(quality), mask["counts"])
                for output in model_outputs
                for quality, mask in zip(output["iou_scores"], output["masks"], strict=True)
            ]

    return BarePipeline


def without_repeats(masks: Sequence[Bool[np.ndarray, "h w"]]) -> list[Bool[np.ndarray, "h w"]]:
    """The masks that do not repeat an earlier one."""
    from pycocotools import mask as coco

    if not masks:
        return []
    runs: Any = [asdict(encode(mask)) for mask in masks]
    overlap: Any = coco.iou(runs, runs, [0] * len(runs))
    kept: list[int] = []
    for index in range(len(masks)):
        if not any(overlap[index][other] > MAX_OVERLAP for other in kept):
            kept.append(index)
    return [masks[index] for index in kept]
