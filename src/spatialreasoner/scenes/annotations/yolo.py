"""YOLO: a text file per photo, each line a class and a box (4 numbers) or a polygon (6 and more), as shares of the image.

https://docs.ultralytics.com/datasets/segment/. The names of classes are in `data.yaml` (or `dataset.yaml`, `classes.txt`)
beside the labels or up to three folders above. A line of 5 numbers is a box about a middle; a thing of several parts is one
polygon whose parts a line of no width joins, as ultralytics writes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from spatialreasoner.core.errors import RecordError, SceneError
from spatialreasoner.scenes.annotations.document import Document
from spatialreasoner.scenes.annotations.shapes import Annotated, Drawn, Polygon

_YAMLS = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")
_LISTS = ("classes.txt", "obj.names", "labels.txt")
_LEVELS = 3


def label_files(folder: Path) -> list[Path]:
    """The files of labels in a folder and below it, in order."""
    found = sorted(path for path in folder.rglob("*.txt") if path.name not in _LISTS and not path.name.startswith("."))
    return [path for path in found if _is_labels(path)]


def _is_labels(path: Path) -> bool:
    """Whether a file's first line is a class and numbers; an empty file is a photo without things."""
    with path.open("rb") as file:
        first = file.readline(1 << 20).split()
    if not first:
        return True
    try:
        numbers = [float(word) for word in first]
    except ValueError:
        return False
    return len(numbers) >= 5 and numbers[0] == int(numbers[0]) >= 0


def read(path: Path, root: Path) -> Annotated:
    """The labels of one photo, called by its path under `labels`.

    Raises:
        RecordError: If a line has another form, or a class has no name in the file of names.
    """
    names = class_names(path.parent)
    lines = Document(path).data.decode("utf-8", errors="replace").splitlines()
    regions = [_drawn(line.split(), names, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]
    relative = path.relative_to(root).with_suffix("")
    parts = [part for part in relative.parts if part != "labels"]
    return Annotated(image="/".join(parts), size=None, regions=tuple(regions), bare=True)


def class_names(folder: Path) -> dict[int, str]:
    """The names of the classes, from the nearest file that tells; none where no file does.

    Raises:
        RecordError: If the file is broken.
    """
    for place in [folder, *folder.absolute().parents[:_LEVELS]]:
        for name in _YAMLS:
            if (place / name).is_file():
                return _of_yaml(place / name)
        for name in _LISTS:
            if (place / name).is_file():
                lines = Document(place / name).data.decode("utf-8").splitlines()
                return {number: line.strip() for number, line in enumerate(lines) if line.strip()}
    return {}


def _of_yaml(path: Path) -> dict[int, str]:
    try:
        value: Any = yaml.safe_load(Document(path).data)
        names = value["names"]
        pairs = names.items() if isinstance(names, dict) else enumerate(names)
        return {int(number): str(name) for number, name in pairs}
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{path}: expected the names of the classes under `names`, a list or numbered; {error}") from None


def _drawn(words: list[str], names: dict[int, str], where: str) -> Drawn:
    try:
        number, values = int(float(words[0])), [float(word) for word in words[1:]]
    except ValueError:
        raise RecordError(f"{where}: expected a class and numbers; got {' '.join(words)[:80]!r}") from None
    if names and number not in names:
        raise RecordError(f"{where}: class {number} has no name; the file of names has {sorted(names)}")
    label = names.get(number, f"class {number}")
    if len(values) in {4, 5}:  # a fifth number is a score
        x, y, width, height = values[:4]
        corners = [(x - width / 2, y - height / 2), (x + width / 2, y - height / 2), (x + width / 2, y + height / 2),
                   (x - width / 2, y + height / 2)]  # fmt: skip
        return Drawn(label=label, parts=(Polygon(outline=_inside(corners, where), relative=True),), is_box=True)
    if len(values) < 6:
        raise RecordError(f"{where}: expected a class and 4, 6 or more numbers; got {len(values)}")
    values = values[: len(values) - len(values) % 2]  # an odd number at the end is a score
    corners = list(zip(values[::2], values[1::2], strict=True))
    return Drawn(label=label, parts=(Polygon(outline=_inside(corners, where), relative=True),))


def _inside(corners: list[tuple[float, float]], where: str) -> list[tuple[float, float]]:
    if any(not -0.5 <= value <= 1.5 for corner in corners for value in corner):
        raise SceneError(f"{where}: expected shares of the image from 0 to 1; got {corners[0]}; are these pixels?")
    return corners
