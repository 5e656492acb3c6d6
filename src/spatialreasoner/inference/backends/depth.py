"""Depth estimation models of transformers, metric or relative, such as Depth Anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spatialreasoner.core.errors import ConfigError, SceneError
from spatialreasoner.inference.backends.pipelines import load_pipeline
from spatialreasoner.scenes.files import read_image

if TYPE_CHECKING:
    from jaxtyping import Float

    from spatialreasoner.core.types import Intrinsics

METRIC = frozenset({"depth_pro", "glpn", "zoedepth"})
"""Model types whose output is metres."""

INVERSE = frozenset({"dpt"})
"""Model types whose output grows with nearness and has no scale. `depth_anything` comes in both sorts; its config tells."""

FARTHEST_RELATIVE = 10.0
"""Relative depth is written as 1 (nearest) to this (farthest), in no unit."""


class TransformersDepth:
    """A depth model; a `protocols.DepthEstimator`."""

    def __init__(self, source: str) -> None:
        """Load the model.

        Args:
            source: A folder, or the name of a repository on the Hub.

        Raises:
            ConfigError: If the model does not exist, it does not estimate depth from one image, or it is not safe to load.
            MissingExtraError: If transformers is not installed.
        """
        self._pipeline: Any = load_pipeline("depth-estimation", source)
        config = self._pipeline.model.config
        kind = config.model_type
        if kind not in METRIC | INVERSE | {"depth_anything"}:
            known = ", ".join(sorted(METRIC | INVERSE | {"depth_anything"}))
            raise ConfigError(f"expected a depth model of type {known}; {source!r} is of type {kind!r}; use one of those")
        self._metric = kind in METRIC or getattr(config, "depth_estimation_type", None) == "metric"

    @property
    def metric(self) -> bool:
        """Whether its depth is in metres; otherwise it only orders pixels."""
        return self._metric

    def estimate(self, image: str) -> tuple[Float[np.ndarray, "h w"], Intrinsics | None]:
        """Depth of every pixel of the upright image: metres, or, from a relative model, 1 (nearest) to `FARTHEST_RELATIVE`.

        A relative model tells inverse depth up to scale and shift; it is turned over, so that farther is always more. The
        second value is None: the camera is not known from these models.

        Raises:
            SceneError: If the image is unreadable, or the model's output is not a number anywhere.
        """
        photo = read_image(image)
        found = self._pipeline(photo)["predicted_depth"].float().cpu().numpy()
        depth = found.reshape(found.shape[-2:])
        if not np.isfinite(depth).any():
            raise SceneError(f"{image}: the depth model's output is not finite anywhere; try another model")
        return (np.where((depth > 0) & np.isfinite(depth), depth, np.nan) if self._metric else depth_of_nearness(depth)), None


def depth_of_nearness(nearness: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Depth of no scale, 1 to `FARTHEST_RELATIVE`, whose inverse is linear in the nearness that a relative model tells."""
    nearness = np.where(np.isfinite(nearness), nearness, np.nan)
    low, high = np.nanmin(nearness), np.nanmax(nearness)
    share = (nearness - low) / max(float(high - low), 1e-12)
    return 1 / (share + (1 - share) / FARTHEST_RELATIVE)
