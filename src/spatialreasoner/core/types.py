"""The frozen records that flow between the stages.

Arrays stay in files; records stay JSON. Records that come from outside are validated in `records`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from spatialreasoner.core.categories import CATEGORIES as CATEGORIES
from spatialreasoner.core.categories import CONVERSE as CONVERSE
from spatialreasoner.core.categories import GROUPS as GROUPS
from spatialreasoner.core.categories import QUALITATIVE as QUALITATIVE
from spatialreasoner.core.categories import QUANTITATIVE as QUANTITATIVE
from spatialreasoner.core.categories import QUANTITIES as QUANTITIES
from spatialreasoner.core.categories import QUANTITY_OF as QUANTITY_OF
from spatialreasoner.core.categories import RELATIONS as RELATIONS
from spatialreasoner.core.categories import Category as Category
from spatialreasoner.core.categories import QuantityName as QuantityName
from spatialreasoner.core.categories import Relation as Relation
from spatialreasoner.core.categories import relation_of as relation_of

_MOST_PIXELS = 1e7
"""Farther than this from the image lies no camera's centre or focus; beyond, arithmetic overflows."""

_MOST_UNITS = 1e9
"""More units than this make up no metre, and none is more metres than this."""

RegionSource = Literal["drawn", "model", "box", "box, cut out by depth and colour", "click, cut out by depth and colour"]
"""Where a region's mask comes from: outlines or pixels that a person drew, a mask model, all of a box (which holds more than
the thing), or what depth and colour tell apart in a box or around a click."""

CUT_OUT: frozenset[RegionSource] = frozenset({"box, cut out by depth and colour", "click, cut out by depth and colour"})
"""Masks that depth and colour tell apart."""

Unit = Literal["m", "cm", "in", "ft", "hour"]

METRES_PER: Mapping[str, float] = {"m": 1.0, "cm": 0.01, "in": 0.0254, "ft": 0.3048}
"""Metres in one unit of length."""


class Record:
    """Base of all records: pydantic refuses unknown keys, NaN and infinities where one is read from JSON."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}


@dataclass(frozen=True, kw_only=True)
class Rle(Record):
    """A boolean mask as COCO run lengths.

    Attributes:
        size: Height and width of the mask, pixels.
        counts: Run lengths in column-major order starting with zeros: COCO's compressed text, or plain integers.
    """

    size: tuple[int, int]
    counts: str | tuple[int, ...]

    def __post_init__(self) -> None:
        if min(self.size) < 1:
            raise ValueError(f"a mask's size is (height, width), both at least 1; got {self.size}")


@dataclass(frozen=True, kw_only=True)
class Region(Record):
    """A named area of an image. `id` is `region1`, `region2`, ... in the order listed in the scene.

    Attributes:
        id: Its name in the scene.
        label: What it shows.
        mask: Its pixels.
        region_source: Where the mask comes from; None if unknown, and then not written.
    """

    id: str
    label: str
    mask: Rle
    region_source: RegionSource | None = None


@dataclass(frozen=True, kw_only=True)
class Intrinsics(Record):
    """A pinhole camera: focal lengths and principal point in pixels of the same image."""

    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        if not all(abs(value) <= _MOST_PIXELS for value in (self.fx, self.fy, self.cx, self.cy)):
            raise ValueError(f"intrinsics must be finite numbers of pixels, at most {_MOST_PIXELS:g}; got {self}")
        if min(self.fx, self.fy) < 1e-3:
            raise ValueError(f"focal lengths must be positive numbers of pixels; got fx={self.fx}, fy={self.fy}")


@dataclass(frozen=True, kw_only=True)
class DepthMap(Record):
    """A 16-bit PNG of depth along the optical axis; 0 means no measurement.

    Attributes:
        path: Where the PNG is.
        units_per_metre: What one metre is in the PNG.
        metric: False if the depth orders pixels but has no scale (relative depth models).
    """

    path: str
    units_per_metre: float
    metric: bool = True

    def __post_init__(self) -> None:
        if not 1 / _MOST_UNITS <= self.units_per_metre <= _MOST_UNITS:
            raise ValueError(
                f"depth units per metre must be a positive number up to {_MOST_UNITS:g}; got {self.units_per_metre}"
            )


@dataclass(frozen=True, kw_only=True)
class SceneObject(Record):
    """What is known for certain of an object (synthetic scenes).

    Attributes:
        region_id: The region that shows it, or None when too little of it is visible.
        kind: Its noun, such as "box".
        colour: Its colour word.
        centre: Middle of its axis-aligned box in the levelled camera frame (x right, y down, z forward), metres.
        size: Extents of that box along x, y and z, metres.
        yaw: Turn about the vertical, radians.
        visible: Share of its own pixels, were it alone in the image, that other objects leave visible, 0..1.
        supported_by: Index of the object it stands on, or None for the floor.
    """

    region_id: str | None
    kind: str
    colour: str
    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    yaw: float
    visible: float
    supported_by: int | None


@dataclass(frozen=True, kw_only=True)
class Scene(Record):
    """An image, its regions, and what is known of its geometry.

    Attributes:
        id: Unique name.
        image: Path of the image: relative in files, resolved against the folder of the file once loaded.
        regions: Named areas; their masks have the size of the image.
        intrinsics: The camera, or None if unknown.
        depth: Depth, or None if unknown.
        gravity: Direction in which things fall, in the camera frame (x right, y down, z forward), or None if unknown.
        objects: Known truth of every object, or None for real images.
        source: Where the image comes from.
    """

    id: str
    image: str
    regions: tuple[Region, ...]
    intrinsics: Intrinsics | None = None
    depth: DepthMap | None = None
    gravity: tuple[float, float, float] | None = None
    objects: tuple[SceneObject, ...] | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if self.gravity is not None and not 1e-6 <= math.hypot(*self.gravity) <= 1e6:
            raise ValueError(f"gravity must be a finite direction (x, y, z), not zero; got {self.gravity}")

    def region(self, region_id: str) -> Region:
        """The region of that id.

        Raises:
            KeyError: If the scene has no such region.
        """
        for region in self.regions:
            if region.id == region_id:
                return region
        raise KeyError(f"scene {self.id!r} has no {region_id!r}; it has {[r.id for r in self.regions]}")


@dataclass(frozen=True, kw_only=True)
class Question(Record):
    """A question about some regions of a scene, with its true answer.

    Attributes:
        id: Unique name.
        scene_id: The scene it asks about.
        category: One of the 24 categories of SpatialRGPT-Bench.
        text: The question; `<region1>`, `<region2>` are `region_ids[0]`, `region_ids[1]`.
        region_ids: The scene's regions that the question names, in order.
        answer: The reference answer, one sentence, regions named as in `text`.
        value: The true number in `unit`; None for qualitative kinds.
        unit: The unit of `value` ("hour" for directions); None for qualitative kinds.
    """

    id: str
    scene_id: str
    category: Category
    text: str
    region_ids: tuple[str, ...]
    answer: str
    value: float | None = None
    unit: Unit | None = None

    @property
    def qualitative(self) -> bool:
        """Whether a relation, not a number, answers it."""
        return self.category in QUALITATIVE


@dataclass(frozen=True, kw_only=True)
class Prompt(Record):
    """All that a model is shown.

    Attributes:
        image: Path of the unmarked image; empty if only text is shown.
        regions: The question's own regions: `regions[0]` is `<region1>` in `request`.
        request: The question's text.
        prefix: The part of the answer that is already written; the model continues it. Empty at the start.
    """

    image: str
    regions: tuple[Region, ...]
    request: str
    prefix: str = ""


@dataclass(frozen=True, kw_only=True)
class Completion(Record):
    """What a model wrote after a prompt's prefix.

    Attributes:
        text: The continuation, without the prefix.
        prompt_tokens: Tokens read, 0 if unknown.
        completion_tokens: Tokens written, thinking among them, 0 if unknown.
        finish: "stop" if the model ended its reply, "length" if it was cut off, "refusal" if it declined.
        cached_tokens: Of the tokens read, those that the server had in its cache.
        thinking: What the model thought before it wrote, where it tells; never a part of the text.
    """

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish: Literal["stop", "length", "refusal"] = "stop"
    cached_tokens: int = 0
    thinking: str = ""


@dataclass(frozen=True, kw_only=True)
class Response(Record):
    """An answer in the LongCoT form.

    Attributes:
        description: What the image shows.
        reasoning: Rationale and numbered steps.
        answer: The conclusion.
    """

    description: str
    reasoning: str
    answer: str


@dataclass(frozen=True, kw_only=True)
class RewardBreakdown(Record):
    """The fine-grained reward of one response (paper, section 3.3 and appendix A). None is unscored, never 0.

    Attributes:
        visual: Visual consistency of the description, 0..4.
        spatial_description: Depth-guided correctness of the description, 0..4.
        spatial_reasoning: Depth-guided correctness of reasoning and conclusion, 0..4.
        logical: Logical coherence of the reasoning, 0..4.
        parts: The named components, such as "visual.existence", 0..1.
        reasons: Why a part is unscored or lost points, by the part's name.
    """

    visual: float | None
    spatial_description: float | None
    spatial_reasoning: float | None
    logical: float | None
    parts: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    reasons: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def description(self) -> float | None:
        """Score of the description segment, 0..8, or None if one of its rewards is unscored."""
        return _sum(self.visual, self.spatial_description)

    @property
    def reasoning(self) -> float | None:
        """Score of the reasoning segment, 0..8, or None if one of its rewards is unscored."""
        return _sum(self.logical, self.spatial_reasoning)

    @property
    def total(self) -> float | None:
        """Score of the whole response, 0..16, or None if one of its rewards is unscored."""
        return _sum(self.description, self.reasoning)


def _sum(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left + right


@dataclass(frozen=True, kw_only=True)
class Trajectory(Record):
    """One complete answer to a question, with its reward.

    Attributes:
        question_id: The question it answers.
        index: Its number among the question's trajectories, from 0.
        text: The whole answer in the LongCoT form.
        policies: Name of the policy that wrote each node, root to leaf; one name for a plain sample.
        reward: The fine-grained reward.
        success: Whether the conclusion agrees with the reference; None if it cannot be told.
        origin: "search" for a path of the tree, "sample" for a plain sample of one policy.
        visits: Visits of the leaf; 0 for a sample.
        value: Value of the leaf, -1..1; 0 for a sample.
    """

    question_id: str
    index: int
    text: str
    policies: tuple[str, ...]
    reward: RewardBreakdown
    success: bool | None
    origin: Literal["search", "sample"] = "search"
    visits: int = 0
    value: float = 0.0


@dataclass(frozen=True, kw_only=True)
class PreferencePair(Record):
    """Two answers to one question, and by how much the chosen one is better in each segment.

    Attributes:
        question_id: The question.
        chosen: The preferred answer.
        rejected: The dispreferred answer.
        gap_description: Description score of chosen minus rejected; None is unscored.
        gap_reasoning: Reasoning score of chosen minus rejected; None is unscored.
        reward_chosen: Total reward of the chosen answer, 0..16; or your own rating, on any scale.
        reward_rejected: The same of the rejected answer.
        kind: "ranked" for best against worst, "hard" where the conclusion alone differs.
        more_gaps: Gaps of further segments, by their names.
        kept: What else is known of the answers, by side.
    """

    question_id: str
    chosen: str
    rejected: str
    gap_description: float | None
    gap_reasoning: float | None
    reward_chosen: float
    reward_rejected: float
    kind: Literal["ranked", "hard"] = "ranked"
    more_gaps: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    kept: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
