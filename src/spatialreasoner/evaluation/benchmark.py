"""SpatialRGPT-Bench from a local folder, turned into a scenes folder and a questions file, so that every stage can use it.

The official file (`SpatialRGPT-Bench_v1.json`, or the Parquet form with images inside) is read as docs/papers.md 4.2 tells.
Its `Region [0]`, `Region [1]` become `<region1>`, `<region2>`; masks come from its run lengths.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from spatialreasoner.core import records
from spatialreasoner.core.errors import MissingFileError, RecordError, SceneError
from spatialreasoner.core.types import Question, Region, Rle, Scene
from spatialreasoner.evaluation.answers import judge
from spatialreasoner.evaluation.predictions import QaInfo
from spatialreasoner.evaluation.release import release_rows, structured
from spatialreasoner.scenes.files import write_scenes
from spatialreasoner.scenes.masks import decode, encode, from_box, require_size

_LENIENT: dict[str, Any] = {"extra": "ignore", "allow_inf_nan": False}
"""Other releases of the file may have more columns; they are ignored."""


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """Where an item's image is, and its size in pixels."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _LENIENT
    file_path: str
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One turn of an item's conversation: the question by "human", the reference answer by "gpt"."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _LENIENT
    value: str


@dataclass(frozen=True, kw_only=True)
class Item:
    """One row of the benchmark."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _LENIENT
    id: str
    image_info: ImageInfo
    text_q: str
    qa_info: QaInfo
    conversations: tuple[Turn, ...]
    bbox: tuple[tuple[float, float, float, float], ...] = ()
    rle: tuple[Rle, ...] = ()
    image_bytes: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """Settings of the conversion.

    Attributes:
        source: The official JSON or Parquet file, or a folder that holds one.
        images: The folder that the file's image paths are relative to; empty for the file's own folder.
    """

    source: str
    images: str = ""


@dataclass(frozen=True, kw_only=True)
class BenchmarkSummary:
    """What was converted: questions, images, and regions whose mask is only their box, because the file had none."""

    questions: int
    images: int
    boxes_for_masks: int


def write_benchmark(
    config: BenchmarkConfig, out: Path, *, progress: Callable[[int], None] = lambda done: None
) -> BenchmarkSummary:
    """Write `scenes.jsonl`, `questions.jsonl` and `images/`; all images' questions share one scene.

    Raises:
        MissingFileError: If the file or an image is missing.
        MissingExtraError: If a Parquet file is given and pyarrow is not installed.
        RecordError: If a row is not an item of the benchmark, or repeats an id.
        WorkError: If the output cannot be written.
    """
    source = _source(Path(config.source))
    folder = Path(config.images) if config.images else source.parent
    converting = _Converting()
    for count, item in enumerate(_items(source), start=1):
        converting.add(item, _place_image(item, folder, out))
        progress(count)
    if not converting.questions:
        raise RecordError(f"{source}: expected items of the benchmark; it holds none")
    write_scenes(out, converting.scenes())
    records.write_jsonl(out / "questions.jsonl", converting.questions.values())
    records.write_config(out, "benchmark", config)
    return BenchmarkSummary(
        questions=len(converting.questions), images=len(converting.regions), boxes_for_masks=converting.boxes_for_masks
    )


def _source(path: Path) -> Path:
    """The benchmark's file: the path itself, or the one JSON or Parquet file in the folder."""
    if not path.is_dir():
        return records.require_file(path)
    found = sorted([*path.glob("*.json"), *path.glob("**/*.parquet")])
    if len(found) != 1:
        names = ", ".join(str(one.relative_to(path)) for one in found) or "none"
        raise MissingFileError(f"expected one .json or .parquet file in {path}; found {names}; name the file itself")
    return found[0]


def _items(source: Path) -> Iterator[Item]:
    for number, row in enumerate(release_rows(source), start=1):
        yield _item(row, where=f"{source}: item {number}")


def _item(row: Any, *, where: str) -> Item:
    if isinstance(row, dict):
        row = structured(row, where=where)
        row = {**row, "rle": row.get("rle") or (), "bbox": row.get("bbox") or ()}
        image_bytes = row.pop("image_bytes", None)
        item = records.parse_record(json.dumps(row), Item, where=where)
        return replace(item, image_bytes=image_bytes) if isinstance(image_bytes, bytes) else item
    raise RecordError(f"{where}: expected an object; got {type(row).__name__}")


def _place_image(item: Item, folder: Path, out: Path) -> str:
    """Put the item's image into the output, once; returns its path there."""
    name = f"images/{item.image_info.file_path}"
    target = records.inside(out, name, where=f"item {item.id!r}")
    if target.exists():
        return name
    source = records.inside(folder, item.image_info.file_path, where=f"item {item.id!r}")
    source = records.require_file(source) if item.image_bytes is None else source
    with records.atomic_path(target) as temporary:
        if item.image_bytes is None:
            _link(source, temporary)
        else:
            temporary.write_bytes(item.image_bytes)
    return name


def _link(source: Path, target: Path) -> None:
    """Another name for a file, or a copy where the disk is another one."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


class _Converting:
    """Scenes by image and questions by id, as items come in."""

    def __init__(self) -> None:
        self.regions: dict[str, dict[Rle, Region]] = {}
        self.questions: dict[str, Question] = {}
        self.boxes_for_masks = 0

    def add(self, item: Item, image: str) -> None:
        if item.id in self.questions:
            raise RecordError(f"expected every id once; {item.id!r} comes twice")
        known = self.regions.setdefault(image, {})
        names = [self._region(mask, known) for mask in self._masks(item)]
        self.questions[item.id] = _question(item, image, tuple(names))

    def scenes(self) -> Iterable[Scene]:
        """One scene per image."""
        source = "SpatialRGPT-Bench"
        return (
            Scene(id=_scene_id(image), image=image, regions=tuple(known.values()), source=source)
            for image, known in self.regions.items()
        )

    def _masks(self, item: Item) -> list[Rle]:
        size = (item.image_info.height, item.image_info.width)
        if item.rle:
            return [self._checked(mask, item, size) for mask in item.rle]
        self.boxes_for_masks += len(item.bbox)
        return [encode(from_box(box, size)) for box in item.bbox]

    @staticmethod
    def _checked(mask: Rle, item: Item, size: tuple[int, int]) -> Rle:
        try:
            require_size(mask.size, size, where="a mask")
            decode(mask)
        except SceneError as error:
            raise RecordError(f"item {item.id!r}: {error}") from None
        return mask

    @staticmethod
    def _region(mask: Rle, known: dict[Rle, Region]) -> str:
        if mask not in known:
            known[mask] = Region(id=f"region{len(known) + 1}", label="region", mask=mask)
        return known[mask].id


def _scene_id(image: str) -> str:
    """A name made of the image's path that can be part of a file's name."""
    return re.sub(r"[^\w.-]", "-", image.removeprefix("images/"))


_REGION = re.compile(r"Region ?\[(\d{1,2})\]", re.IGNORECASE)
_MASK = re.compile(r"<mask>(?: ?<depth>)?")


def _question(item: Item, image: str, region_ids: tuple[str, ...]) -> Question:
    if not item.conversations or not region_ids:
        raise RecordError(f"item {item.id!r}: expected a reference answer and at least one region; one of them is missing")
    text, answer = with_region_tags(item.text_q), with_region_tags(item.conversations[-1].value)
    value = judge(item.qa_info.category, text, answer, answer).gt_value if item.qa_info.type == "quantitative" else None
    unit = None if value is None else "hour" if item.qa_info.category == "direction" else "m"
    return Question(
        id=item.id, scene_id=_scene_id(image), category=item.qa_info.category, text=text,
        region_ids=region_ids, answer=answer, value=value, unit=unit,
    )  # fmt: skip


def with_region_tags(text: str) -> str:
    """A text of the benchmark with regions named as in this package.

    >>> with_region_tags("Is Region [0] wider than Region [1]?")
    'Is <region1> wider than <region2>?'
    >>> with_region_tags("Is <mask> <depth> wider than <mask> <depth>?")
    'Is <region1> wider than <region2>?'
    """
    numbers = iter(range(1, len(text)))
    text = _MASK.sub(lambda _: f"<region{next(numbers)}>", text.replace("<image>", "").strip())
    return _REGION.sub(lambda match: f"<region{int(match[1]) + 1}>", text)
