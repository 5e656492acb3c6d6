"""The groups of bad inputs by name."""

from collections.abc import Callable, Iterator, Mapping

from reliability import (
    cameras,
    captures,
    datasets,
    depths,
    folders,
    images,
    journals,
    judges,
    lines,
    masks,
    models,
    scenes,
    settings,
    texts,
    visitors,
)
from reliability.trial import Case

GROUPS: Mapping[str, Callable[[], Iterator[Case]]] = {
    "images": images.cases,
    "masks": masks.cases,
    "scenes": scenes.cases,
    "RGB-D folders": folders.cases,
    "depth": depths.cases,
    "JSON lines": lines.cases,
    "answers": texts.cases,
    "judges": judges.cases,
    "journals": journals.cases,
    "settings": settings.cases,
    "data sets": datasets.cases,
    "visitors": visitors.cases,
    "captures": captures.cases,
    "cameras": cameras.cases,
    "models": models.cases,
}
