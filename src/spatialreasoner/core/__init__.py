"""What every room builds on: records, errors, protocols, reading and writing files, resuming, progress."""

from typing import TYPE_CHECKING

from spatialreasoner.core.lazy import lazy

if TYPE_CHECKING:
    from spatialreasoner.core.errors import (
        ConfigError,
        EndpointError,
        InputError,
        MissingExtraError,
        MissingFileError,
        RecordError,
        ResponseError,
        SceneError,
        SpatialReasonerError,
        WorkError,
    )
    from spatialreasoner.core.protocols import DepthEstimator, Judge, Policy, Reward
    from spatialreasoner.core.types import (
        Category,
        Completion,
        Intrinsics,
        PreferencePair,
        Prompt,
        Question,
        Region,
        Response,
        RewardBreakdown,
        Rle,
        Scene,
        Trajectory,
    )

__all__ = [
    "Category",
    "Completion",
    "ConfigError",
    "DepthEstimator",
    "EndpointError",
    "InputError",
    "Intrinsics",
    "Judge",
    "MissingExtraError",
    "MissingFileError",
    "Policy",
    "PreferencePair",
    "Prompt",
    "Question",
    "RecordError",
    "Region",
    "Response",
    "ResponseError",
    "Reward",
    "RewardBreakdown",
    "Rle",
    "Scene",
    "SceneError",
    "SpatialReasonerError",
    "Trajectory",
    "WorkError",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Category": ".types",
        "Completion": ".types",
        "ConfigError": ".errors",
        "DepthEstimator": ".protocols",
        "EndpointError": ".errors",
        "InputError": ".errors",
        "Intrinsics": ".types",
        "Judge": ".protocols",
        "MissingExtraError": ".errors",
        "MissingFileError": ".errors",
        "Policy": ".protocols",
        "PreferencePair": ".types",
        "Prompt": ".types",
        "Question": ".types",
        "RecordError": ".errors",
        "Region": ".types",
        "Response": ".types",
        "ResponseError": ".errors",
        "Reward": ".protocols",
        "RewardBreakdown": ".types",
        "Rle": ".types",
        "Scene": ".types",
        "SceneError": ".errors",
        "SpatialReasonerError": ".errors",
        "Trajectory": ".types",
        "WorkError": ".errors",
    },
)
