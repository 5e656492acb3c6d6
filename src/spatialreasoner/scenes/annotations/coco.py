"""Regions from a COCO annotation file: polygons, run lengths or boxes, and the names of their categories.

The form: https://cocodataset.org/#format-data (object detection). Keys that are not needed are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool

from spatialreasoner.core import records
from spatialreasoner.core.errors import RecordError, SceneError
from spatialreasoner.core.types import Rle
from spatialreasoner.scenes.masks import decode, from_box, from_polygon

MAX_BYTES = 2**30
"""A larger annotation file is refused; COCO's own largest has less than half of it."""


class _Lenient:
    """Annotation files carry licences, areas, dates and more, which are ignored."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "ignore", "allow_inf_nan": False}


@dataclass(frozen=True, kw_only=True)
class _Image(_Lenient):
    id: int
    file_name: str
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class _Category(_Lenient):
    id: int
    name: str


@dataclass(frozen=True, kw_only=True)
class _Annotation(_Lenient):
    image_id: int
    category_id: int
    segmentation: list[list[float]] | Rle | None = None
    bbox: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class _Coco(_Lenient):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category] = field(default_factory=list[_Category])


class CocoRegions:
    """Finds the regions that an annotation file gives for a picture."""

    def __init__(self, path: str | Path) -> None:
        """Read and check the file.

        Raises:
            MissingFileError: If there is no such file.
            RecordError: If it is not a COCO annotation file.
        """
        path = records.require_file(path)
        if path.stat().st_size > MAX_BYTES:
            raise RecordError(f"{path}: expected at most {MAX_BYTES} bytes; got {path.stat().st_size}")
        coco = records.parse_record(path.read_bytes(), _Coco, where=str(path))
        self._path = path
        self._names = {category.id: category.name.strip() for category in coco.categories}
        self._images = {Path(image.file_name).name: image for image in coco.images}
        self._annotations: dict[int, list[_Annotation]] = {}
        for annotation in coco.annotations:
            self._annotations.setdefault(annotation.image_id, []).append(annotation)

    def find(self, image: str, size: tuple[int, int]) -> list[tuple[str, Bool[np.ndarray, "h w"]]]:
        """The label and mask of each annotation of a picture; none if the file does not name it.

        Args:
            image: Path of the picture; its file name is what counts.
            size: Its height and width.

        Raises:
            RecordError: If an annotation has neither segmentation nor box.
            SceneError: If the masks have another size than the picture, or are broken.
        """
        known = self._images.get(Path(image).name)
        if known is None:
            return []
        where = f"{self._path}: {known.file_name!r}"
        if (known.height, known.width) != size:
            raise SceneError(f"{where}: expected masks of the picture's size {size}; got {(known.height, known.width)}")
        return [
            (self._names.get(annotation.category_id) or "object", self._mask(annotation, size, where))
            for annotation in self._annotations.get(known.id, [])
        ]

    @staticmethod
    def _mask(annotation: _Annotation, size: tuple[int, int], where: str) -> Bool[np.ndarray, "h w"]:
        shape = annotation.segmentation
        try:
            if isinstance(shape, Rle):
                mask = decode(shape)
            elif shape:
                polygons = [list(zip(flat[::2], flat[1::2], strict=True)) for flat in shape]
                mask = np.logical_or.reduce([from_polygon(points, size) for points in polygons])
            elif annotation.bbox:
                x, y, width, height = annotation.bbox
                mask = from_box((x, y, x + width, y + height), size)
            else:
                raise RecordError(f"{where}: expected a segmentation or a bbox in every annotation; one has neither")
        except ValueError as error:
            if isinstance(error, RecordError):
                raise
            raise SceneError(f"{where}: {error}") from None
        if mask.shape != size:
            raise SceneError(f"{where}: expected masks of the picture's size {size}; got {mask.shape}")
        return mask
