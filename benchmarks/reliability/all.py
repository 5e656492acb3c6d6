"""The groups of bad inputs by name."""

from collections.abc import Callable, Iterator, Mapping

from reliability import depths, folders, masks, pictures, scenes
from reliability.trial import Case

GROUPS: Mapping[str, Callable[[], Iterator[Case]]] = {
    "pictures": pictures.cases,
    "masks": masks.cases,
    "scenes": scenes.cases,
    "RGB-D folders": folders.cases,
    "depth": depths.cases,
}
