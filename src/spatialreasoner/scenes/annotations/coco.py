"""COCO, LVIS and Omni3D: one JSON of images, categories and annotations.

COCO (https://cocodataset.org/#format-data): a segmentation is a list of polygons, run lengths as numbers (`iscrowd` 1) or
run lengths as compressed text; `bbox` is [x, y, width, height]. LVIS has the same form, and names images by their web address.
Omni3D (https://github.com/facebookresearch/omni3d, DATA.md) names images by `file_path`, and its boxes are corners
[x0, y0, x1, y1], all -1 where there is none. Keys that are not needed are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from spatialreasoner.core.errors import RecordError, SceneError
from spatialreasoner.core.types import Rle
from spatialreasoner.scenes.annotations.document import Document, Lenient
from spatialreasoner.scenes.annotations.shapes import Annotated, Drawn, Polygon, RunLengths, box

UNNAMED = "object"
"""What a thing is called where a file has no name for it."""

Corners = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class _Image(Lenient):
    id: int
    height: int
    width: int
    file_name: str = ""
    file_path: str = ""
    coco_url: str = ""

    @property
    def name(self) -> str:
        return self.file_name or self.file_path or self.coco_url


@dataclass(frozen=True, kw_only=True)
class _Category(Lenient):
    id: int
    name: str


@dataclass(frozen=True, kw_only=True)
class _Annotation(Lenient):
    image_id: int
    category_id: int
    category_name: str = ""
    segmentation: list[list[float]] | Rle | None = None
    bbox: Corners | list[float] | None = None
    bbox2D_tight: Corners | None = None
    bbox2D_proj: Corners | None = None
    bbox2D_trunc: Corners | None = None

    @property
    def corners(self) -> Corners | None:
        """The box of Omni3D that fits the visible thing best."""
        boxes = (self.bbox2D_tight, self.bbox2D_trunc, self.bbox2D_proj)
        return next((found for found in boxes if found is not None and found[0] < found[2] and found[1] < found[3]), None)


@dataclass(frozen=True, kw_only=True)
class _Coco(Lenient):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category] = field(default_factory=list[_Category])


def detect(document: Document) -> bool:
    """Whether a document has COCO's keys."""
    return document.has("images", "annotations")


def read(document: Document) -> list[Annotated]:
    """Every image of a COCO, LVIS or Omni3D file, also those without annotations.

    Raises:
        RecordError: If it is not such a file, names an image id twice, or an annotation has neither segmentation nor box.
    """
    coco = document.record(_Coco)
    names = {category.id: category.name.strip() for category in coco.categories}
    drawn: dict[int, list[Drawn]] = {image.id: [] for image in coco.images}
    images = {image.id: image for image in coco.images}
    if len(images) < len(coco.images):
        raise RecordError(f"{document.path}: expected every image's id once; {len(coco.images)} images have {len(images)} ids")
    for annotation in coco.annotations:
        if annotation.image_id not in images:
            raise RecordError(
                f"{document.path}: an annotation belongs to image {annotation.image_id}, which the file does not list"
            )
        where = f"{document.path}: {images[annotation.image_id].name!r}"
        label = names.get(annotation.category_id) or annotation.category_name.strip() or UNNAMED
        drawn[annotation.image_id].append(_drawn(annotation, label, where))
    return [
        Annotated(image=image.name, size=(image.height, image.width), regions=tuple(drawn[image.id])) for image in coco.images
    ]


def _drawn(annotation: _Annotation, label: str, where: str) -> Drawn:
    shape = annotation.segmentation
    if isinstance(shape, Rle):
        return Drawn(label=label, parts=(RunLengths(rle=shape),))
    try:
        if shape:
            polygons = [list(zip(flat[::2], flat[1::2], strict=True)) for flat in shape]
            return Drawn(label=label, parts=tuple(Polygon(outline=points) for points in polygons))
        if annotation.corners is not None:
            return Drawn(label=label, parts=(box(*annotation.corners),), is_box=True)
        if annotation.bbox is not None and len(annotation.bbox) == 4:
            x, y, width, height = annotation.bbox
            return Drawn(label=label, parts=(box(x, y, x + width, y + height),), is_box=True)
    except ValueError as error:
        raise SceneError(f"{where}: {error}") from None
    raise RecordError(f"{where}: expected a segmentation or a bbox in every annotation; one has neither")
