"""The regions that people drew with a label tool, found for one photo after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spatialreasoner.core.errors import ConfigError, MissingFileError, RecordError, SceneError
from spatialreasoner.scenes.annotations import coco, cvat, label_studio, labelme, mask_png, sam, supervisely, via, yolo
from spatialreasoner.scenes.annotations.document import Document
from spatialreasoner.scenes.annotations.names import Matches, Names
from spatialreasoner.scenes.annotations.shapes import Annotated
from spatialreasoner.scenes.files import MAX_REGIONS
from spatialreasoner.scenes.finding import Found

logger = logging.getLogger(__name__)

MAX_ANNOTATION_FILES = 100_000
"""Maximum number of files that are opened in a folder of annotations."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A form of annotation files.

    Attributes:
        says: Whether a document is of this form.
        read: Its images.
    """

    says: Callable[[Document], bool]
    read: Callable[[Document], list[Annotated]]


TOOLS: Mapping[str, Tool] = {
    "sam": Tool(says=sam.detect, read=sam.read),
    "coco": Tool(says=coco.detect, read=coco.read),
    "labelme": Tool(says=labelme.detect, read=labelme.read),
    "supervisely": Tool(says=supervisely.detect, read=supervisely.read),
    "label-studio": Tool(says=label_studio.detect, read=label_studio.read),
    "via": Tool(says=via.detect, read=via.read),
    "cvat": Tool(says=cvat.detect, read=cvat.read),
}
"""Forms of one document by the name that a user can give; LVIS and Omni3D are read as COCO."""

ALIASES: Mapping[str, str] = {"lvis": "coco", "omni3d": "coco", "sa-1b": "sam"}

ANNOTATION_KINDS: tuple[str, ...] = ("auto", *TOOLS, *ALIASES, "yolo", "masks")


def is_annotations(name: str) -> bool:
    """Whether a name given for masks means annotations: a file of their suffixes, or a folder that is not a model's."""
    path = Path(name)
    if path.suffix.lower() in {".json", ".xml", ".csv", ".png"}:
        return True
    return path.is_dir() and not (path / "config.json").is_file()


class AnnotatedRegions:
    """Finds the regions that annotations give for a photo; a `scenes.finding.RegionFinder`.

    Args:
        path: An annotation file, or a folder of files: one per photo (labelme, Supervisely, SA-1B), YOLO's text files, or masks
            as PNG.
        kind: One of `ANNOTATION_KINDS`; "auto" looks at the files.
        photos: The folder of the photos; names of annotated images are then also told apart by their place in it.

    Raises:
        ConfigError: If the kind is unknown.
        MissingFileError: If there is nothing at `path`.
        RecordError: If it is of no known form, or breaks its own.
        SceneError: If a shape is broken, or two entries are of one image.
    """

    def __init__(self, path: str | Path, *, kind: str = "auto", photos: str | Path | None = None) -> None:
        self.path, self._photos = Path(path), None if photos is None else Path(photos)
        if kind not in ANNOTATION_KINDS:
            raise ConfigError(f"expected one of {', '.join(ANNOTATION_KINDS)}; got {kind!r}")
        self._images = {entry.image: entry for entry in self._unique(self._read(ALIASES.get(kind, kind)))}
        self._names = Names(((entry.image, entry.bare) for entry in self._images.values()), where=str(self.path))

    def knows(self, image: str) -> bool:
        """Whether the annotations name a photo.

        Raises:
            SceneError: If several annotated images can be this photo.
        """
        return self._names.find(image, self._photos) is not None

    def find(self, image: str, size: tuple[int, int]) -> list[Found]:
        """The regions of a photo; none where the annotations do not name it.

        Args:
            image: Path of the photo.
            size: Its height and width once turned upright.

        Raises:
            SceneError: If several annotated images can be this photo, masks have another size, or are broken.
        """
        name = self._names.find(image, self._photos)
        if name is None:
            return []
        entry = self._images[name]
        where = f"{self.path}: {name!r}"
        if entry.size not in {None, size}:
            raise SceneError(
                f"{where}: expected annotations of the image's size {size}; got {entry.size}{_turned(entry, size)}"
            )
        if len(entry.regions) > MAX_REGIONS:
            raise SceneError(f"{where}: expected at most {MAX_REGIONS} regions of an image; got {len(entry.regions)}")
        try:
            return [Found(region.label, region.mask(size), "box" if region.is_box else "drawn") for region in entry.regions]
        except SceneError as error:
            raise SceneError(f"{where}: {error}") from None

    def match(self, images: Sequence[str | Path]) -> Matches:
        """Which photos are annotated, and what is left over on both sides.

        Raises:
            SceneError: If a photo or an annotated image has several partners, or none has one at all.
        """
        matches = self._names.match(images, self._photos)
        if images and not matches.pairs:
            told = "; ".join(matches.told(str(self.path)))
            raise SceneError(f"{self.path}: expected the names of the photos; none of them is there: {told}; rename one side")
        return matches

    def tell_unmatched(self, images: Sequence[str | Path]) -> None:
        """Log the photos that are not annotated, the annotated images of which there is no photo, and drawings without area.

        Raises:
            SceneError: As `match`.
        """
        for line in self.match(images).told(str(self.path)):
            logger.warning(line)
        if self.skipped:
            kinds = sorted({kind for found in self.skipped.values() for kind in found})
            logger.warning("%s: drawings without area are left out: %s", self.path, ", ".join(kinds))

    @property
    def skipped(self) -> dict[str, tuple[str, ...]]:
        """Drawings that are not areas (points, lines), by image."""
        return {entry.image: entry.skipped for entry in self._images.values() if entry.skipped}

    def _read(self, kind: str) -> list[Annotated]:
        if self.path.is_dir():
            return self._read_folder(kind)
        if not self.path.exists():
            raise MissingFileError(f"expected annotations at {self.path}; nothing is there")
        if self.path.suffix.lower() == ".png" and kind in {"auto", "masks"}:
            names = mask_png.read_names(self.path.parent)
            return [mask_png.annotated(self.path.stem, mask_png.read_masks(self.path, names))]
        return _read_document(Document(self.path), kind)

    def _read_folder(self, kind: str) -> list[Annotated]:
        documents = [
            path for path in _files(self.path, {".json", ".xml", ".csv"}) if path.name not in {"meta.json", "labels.json"}
        ]
        if kind == "masks" or (kind == "auto" and not documents and _files(self.path, {".png"})):
            return mask_png.read_folder(self.path, self._photo_files())
        labels = yolo.label_files(self.path) if kind == "yolo" or (kind == "auto" and not documents) else []
        if labels:
            return [yolo.read(path, self.path) for path in labels]
        if not documents or kind == "yolo":
            raise RecordError(f"{self.path}: expected annotation files of {', '.join(ANNOTATION_KINDS[1:])}; there are none")
        entries: list[Annotated] = []
        for path in documents:
            entries += [_placed(entry, path, self.path) for entry in _read_document(Document(path), kind)]
        return entries

    def _photo_files(self) -> list[Path]:
        if self._photos is None:
            return []
        return _files(self._photos, mask_png.PHOTOS)

    def _unique(self, entries: Sequence[Annotated]) -> Sequence[Annotated]:
        names = [entry.image for entry in entries]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise SceneError(
                f"{self.path}: expected every image once; {twice!r} comes {names.count(twice)} times; remove all but one"
            )
        return entries


def _read_document(document: Document, kind: str) -> list[Annotated]:
    if kind in TOOLS:
        return TOOLS[kind].read(document)
    for tool in TOOLS.values():
        if kind == "auto" and tool.says(document):
            return tool.read(document)
    raise RecordError(f"{document.path}: expected annotations of {', '.join(ANNOTATION_KINDS[1:])}; it matches none of them")


def _placed(entry: Annotated, path: Path, folder: Path) -> Annotated:
    """An entry of a file in a folder of them: its image is named relative to the file's place.

    Supervisely keeps annotations in DATASET/ann and images in DATASET/img.
    """
    parts = [part for part in path.relative_to(folder).parent.parts if part != "ann"]
    if not parts or "/" in entry.image or "\\" in entry.image:
        return entry
    return Annotated(
        image="/".join([*parts, entry.image]), size=entry.size, regions=entry.regions, bare=entry.bare, skipped=entry.skipped
    )


def _files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The files of a folder and below it that end so, in order; hidden ones are left out."""
    found: list[Path] = []
    for path in folder.rglob("*"):
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file():
            found.append(path)
            if len(found) > MAX_ANNOTATION_FILES:
                raise RecordError(f"{folder}: expected at most {MAX_ANNOTATION_FILES} files; there are more")
    return sorted(found)


def _turned(entry: Annotated, size: tuple[int, int]) -> str:
    if entry.size == size[::-1] and size[0] != size[1]:
        return "; the photo is turned upright by its EXIF orientation, and the annotations are not: label the turned image"
    return "; label the image that you measure, or scale one of them"
