"""Segment Anything: SA-1B's JSON of an image, or the list of masks that SamAutomaticMaskGenerator returns, saved as JSON.

https://github.com/facebookresearch/segment-anything#dataset: masks are COCO's run lengths, compressed or not; nothing has a
name. A saved list does not tell its image, which is then the photo called as the file.
"""

from __future__ import annotations

from dataclasses import dataclass

from spatialreasoner.core import records
from spatialreasoner.core.types import Rle
from spatialreasoner.scenes.annotations.coco import UNNAMED
from spatialreasoner.scenes.annotations.document import Document, Lenient
from spatialreasoner.scenes.annotations.shapes import Annotated, Drawn, RunLengths


@dataclass(frozen=True, kw_only=True)
class _Mask(Lenient):
    segmentation: Rle


@dataclass(frozen=True, kw_only=True)
class _Image(Lenient):
    file_name: str
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class _Sam(Lenient):
    image: _Image
    annotations: list[_Mask]


def detect(document: Document) -> bool:
    """Whether a document is SA-1B's, or a list of generated masks."""
    rows = document.json
    if isinstance(rows, list):
        return bool(rows) and all(isinstance(row, dict) and {"segmentation", "bbox"} <= row.keys() for row in rows)
    return document.has("image", "annotations") and isinstance(rows["image"], dict)


def read(document: Document) -> list[Annotated]:
    """The one image of a file.

    Raises:
        RecordError: If it is not such a file, or its masks were saved as arrays.
    """
    if isinstance(document.json, list):
        masks = records.parse_record(document.data, list[_Mask], where=str(document.path))
        size = masks[0].segmentation.size
        return [Annotated(image=document.path.stem, size=(size[0], size[1]), regions=_regions(masks), bare=True)]
    file = document.record(_Sam)
    size = (file.image.height, file.image.width)
    return [Annotated(image=file.image.file_name, size=size, regions=_regions(file.annotations))]


def _regions(masks: list[_Mask]) -> tuple[Drawn, ...]:
    return tuple(Drawn(label=UNNAMED, parts=(RunLengths(rle=mask.segmentation),)) for mask in masks)
