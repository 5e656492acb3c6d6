"""What can be asked: SpatialRGPT-Bench's 24 categories, the relations and quantities that they ask for."""

from collections.abc import Mapping
from typing import Literal, cast, get_args

Category = Literal[
    "left_predicate",
    "right_predicate",
    "above_predicate",
    "below_predicate",
    "tall_predicate",
    "short_predicate",
    "wide_predicate",
    "thin_predicate",
    "big_predicate",
    "small_predicate",
    "behind_predicate",
    "front_predicate",
    "left_choice",
    "right_choice",
    "above_choice",
    "below_choice",
    "tall_choice",
    "short_choice",
    "distance_data",
    "horizontal_distance_data",
    "vertical_distance_data",
    "width_data",
    "height_data",
    "direction",
]
"""The 24 values of `qa_info.category` in SpatialRGPT-Bench."""

CATEGORIES: tuple[Category, ...] = get_args(Category)
QUALITATIVE: tuple[Category, ...] = CATEGORIES[:18]
QUANTITATIVE: tuple[Category, ...] = CATEGORIES[18:]

GROUPS: Mapping[str, tuple[Category, ...]] = {
    "below/above": ("below_predicate", "above_predicate", "below_choice", "above_choice"),
    "left/right": ("left_predicate", "right_predicate", "left_choice", "right_choice"),
    "big/small": ("big_predicate", "small_predicate"),
    "tall/short": ("tall_predicate", "short_predicate", "tall_choice", "short_choice"),
    "wide/thin": ("wide_predicate", "thin_predicate"),
    "behind/front": ("behind_predicate", "front_predicate"),
    "direct distance": ("distance_data",),
    "horizontal distance": ("horizontal_distance_data",),
    "vertical distance": ("vertical_distance_data",),
    "width": ("width_data",),
    "height": ("height_data",),
    "direction": ("direction",),
}
"""The 12 columns in which results are reported (paper, Table 1), in its order."""

Relation = Literal["left", "right", "above", "below", "tall", "short", "wide", "thin", "big", "small", "behind", "front"]
QuantityName = Literal[
    "width", "height", "depth", "distance", "horizontal_distance", "vertical_distance", "camera_distance", "direction"
]
RELATIONS: tuple[Relation, ...] = get_args(Relation)
QUANTITIES: tuple[QuantityName, ...] = get_args(QuantityName)

CONVERSE: Mapping[Relation, Relation] = {
    "left": "right", "right": "left", "above": "below", "below": "above", "tall": "short", "short": "tall",
    "wide": "thin", "thin": "wide", "big": "small", "small": "big", "behind": "front", "front": "behind",
}  # fmt: skip
"""The relation that holds where the other one is denied: of the two, one holds unless they tie."""

QUANTITY_OF: Mapping[Category, QuantityName] = {
    "distance_data": "distance",
    "horizontal_distance_data": "horizontal_distance",
    "vertical_distance_data": "vertical_distance",
    "width_data": "width",
    "height_data": "height",
    "direction": "direction",
}
"""What each quantitative category measures."""


def relation_of(category: Category) -> Relation | None:
    """The relation that a qualitative category asks for, or None."""
    name, _, form = category.partition("_")
    return cast("Relation", name) if form in {"predicate", "choice"} else None
