"""YOLO: a text file per photo, each line a class and a box (4 numbers) or a polygon (6 and more), as shares of the image.

https://docs.ultralytics.com/datasets/segment/. The names of classes are in `data.yaml` (or `dataset.yaml`, `classes.txt`)
beside the labels or up to three folders above. A line of 5 numbers is a box about a middle; a thing of several parts is one
polygon whose parts a line of no width joins, as ultralytics writes it. Where `data.yaml` has `kpt_shape`, lines are those of
poses: a box, and points that have no area.
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

_OF_A_BOX = 5
"""Words of a line that are class and box; those of a pose that follow are points, and no outline."""


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
    names, poses = class_names(path.parent), _has_poses(path.parent)
    lines = Document(path).data.decode("utf-8", errors="replace").splitlines()
    rows = [(number, line.split()) for number, line in enumerate(lines, start=1) if line.strip()]
    regions = [_drawn(words[:_OF_A_BOX] if poses else words, names, f"{path}:{number}") for number, words in rows]
    relative = path.relative_to(root).with_suffix("")
    parts = [part for part in relative.parts if part != "labels"]
    return Annotated(image="/".join(parts), size=None, regions=tuple(regions), bare=True)


def class_names(folder: Path) -> dict[int, str]:
    """The names of the classes, from the nearest file that tells; none where no file does.

    Raises:
        RecordError: If the file is broken.
    """
    path = _nearest(folder, (*_YAMLS, *_LISTS))
    if path is None:
        return {}
    if path.name in _YAMLS:
        return _of_yaml(path)
    lines = Document(path).data.decode("utf-8").splitlines()
    return {number: line.strip() for number, line in enumerate(lines) if line.strip()}


def _nearest(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The first of some files in a folder or up to three above it."""
    places = [folder, *folder.absolute().parents[:_LEVELS]]
    return next((place / name for place in places for name in names if (place / name).is_file()), None)


def _has_poses(folder: Path) -> bool:
    path = _nearest(folder, _YAMLS)
    return path is not None and "kpt_shape" in (_values(path) or {})


def _values(path: Path) -> Any:
    try:
        return yaml.safe_load(Document(path).data)
    except yaml.YAMLError as error:
        raise RecordError(f"{path}: expected YAML; {error}") from None


def _of_yaml(path: Path) -> dict[int, str]:
    try:
        names = _values(path)["names"]
        pairs = names.items() if isinstance(names, dict) else enumerate(names)
        return {int(number): str(name) for number, name in pairs}
    except (KeyError, TypeError, ValueError) as error:
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
