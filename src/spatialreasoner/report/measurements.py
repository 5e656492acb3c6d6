"""All that can be measured of a scene, as rows and as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.types import QuantityName, Record, Scene
from spatialreasoner.scenes.files import load_scenes
from spatialreasoner.scenes.geometry import overhead
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.scenes.rgbd import load
from spatialreasoner.scenes.values import Measurement

MEASURED_SIZES: tuple[QuantityName, ...] = ("width", "height", "depth", "camera_distance")
PAIRS: tuple[QuantityName, ...] = ("distance", "horizontal_distance", "vertical_distance", "direction")

MAX_MEASURED_REGIONS = 30
"""Pairs are measured of the first regions only, at most this many: thirty have 435 pairs."""

_HEADS = {"camera_distance": "from camera", "horizontal_distance": "sideways", "vertical_distance": "up or down"}


@dataclass(frozen=True, kw_only=True)
class MeasurementRow(Record):
    """One measured quantity of one region or of two.

    Attributes:
        quantity: What was measured.
        regions: Ids of the regions; a direction is that of the second, seen from the first.
        unit: "m", or "hour" for directions.
        value: The value; None if it cannot be told.
        error: Its standard error.
        low: Lower end of the interval of 95 %.
        high: Upper end.
        reason: Why there is no value.
    """

    quantity: QuantityName
    regions: tuple[str, ...]
    unit: str
    value: float | None
    error: float | None
    low: float | None
    high: float | None
    reason: str | None

    @property
    def told(self) -> str:
        """The value with its error bar, or a dash."""
        found = Measurement(value=self.value, error=self.error, low=self.low, high=self.high)
        return "-" if self.value is None else found.told(self.unit)


@dataclass(frozen=True, kw_only=True)
class NamedRegion(Record):
    """A region without its mask."""

    id: str
    label: str
    region_source: str | None


@dataclass(frozen=True, kw_only=True)
class MeasurementTable(Record):
    """All that can be measured of one scene.

    Attributes:
        scene: The scene's id.
        notes: What must be known to read the values.
        regions: The regions in order.
        sizes: Quantities of one region.
        pairs: Quantities of two.
    """

    scene: str
    notes: tuple[str, ...]
    regions: tuple[NamedRegion, ...]
    sizes: tuple[MeasurementRow, ...]
    pairs: tuple[MeasurementRow, ...]


def open_scene(path: Path, scene_id: str = "") -> Scene:
    """The scene of an RGB-D folder, or one of a scenes folder.

    Args:
        path: The folder.
        scene_id: Which of several scenes; may be empty if there is one.

    Raises:
        ConfigError: If the folder holds several scenes and none of that id.
        InputError: If it cannot be read.
    """
    if not (path / "scenes.jsonl").is_file():
        return load(path)
    scenes = {scene.id: scene for scene in load_scenes(path)}
    if scene_id in scenes:
        return scenes[scene_id]
    if len(scenes) == 1 and not scene_id:
        return next(iter(scenes.values()))
    known = ", ".join(sorted(scenes)[:5]) + (", ..." if len(scenes) > 5 else "")
    raise ConfigError(f"expected `scene`, the id of one of the {len(scenes)} scenes in {path}: {known}; got {scene_id!r}")


def measurement_table(scene: Scene, measured: Measured | None = None) -> MeasurementTable:
    """Measure every region and every pair of regions.

    Args:
        scene: The scene.
        measured: What has been measured of it already.

    Raises:
        SceneError: If depth and masks do not fit together.
    """
    measured = measured or Measured(scene)
    measured.uncertainty.prepare()
    ids = [region.id for region in scene.regions]
    return MeasurementTable(
        scene=scene.id,
        notes=tuple(_notes(scene)),
        regions=tuple(NamedRegion(id=r.id, label=r.label, region_source=r.region_source) for r in scene.regions),
        sizes=tuple(_row(measured, name, region_id) for region_id in ids for name in MEASURED_SIZES),
        pairs=tuple(_row(measured, name, a, b) for a, b in combinations(ids[:MAX_MEASURED_REGIONS], 2) for name in PAIRS),
    )


def _row(measured: Measured, name: QuantityName, *region_ids: str) -> MeasurementRow:
    found = measured.uncertainty.quantity(name, *region_ids)
    unit = "hour" if name == "direction" else "m"
    return MeasurementRow(
        quantity=name, regions=region_ids, unit=unit, value=found.value, error=found.error, low=found.low, high=found.high,
        reason=found.reason,
    )  # fmt: skip


def _notes(scene: Scene) -> Iterable[str]:
    if scene.gravity is None:
        yield "gravity is not known: the camera is taken to be level, so heights are along the image"
    if overhead(scene.gravity):
        yield (
            "the camera looks straight down or up: widths, distances, left, right and directions (12 is up in the image) "
            "can be told; heights, above, below, behind and in front cannot"
        )
    if any(region.region_source == "box" for region in scene.regions):
        yield "a region that is a plain box measures all that is inside it; draw its outline, or have it cut out of the box"
    if len(scene.regions) > MAX_MEASURED_REGIONS:
        yield f"pairs are shown of the first {MAX_MEASURED_REGIONS} of {len(scene.regions)} regions"


def terminal(found: MeasurementTable) -> str:
    """The table as text: sizes, then pairs, then what could not be measured and why."""
    names = {region.id: region for region in found.regions}
    regions = [
        [_called(names[row[0].regions[0]]), *(cell.told for cell in row)] for row in _lines(found.sizes, len(MEASURED_SIZES))
    ]
    pairs = [[_pair(row[0].regions), *(cell.told for cell in row)] for row in _lines(found.pairs, len(PAIRS))]
    parts = [f"{found.scene}: {len(found.regions)} regions", *(f"note: {note}" for note in found.notes)]
    parts += ["", *_columns([["region", *map(_head, MEASURED_SIZES)], *regions])]
    if pairs:
        parts += ["", *_columns([["from, to", *map(_head, PAIRS)], *pairs])]
    reasons = sorted({row.reason for row in (*found.sizes, *found.pairs) if row.reason})
    return "\n".join([*parts, *(["", "not told (-):", *(f"  {reason}" for reason in reasons)] if reasons else [])])


def _lines(rows: Sequence[MeasurementRow], width: int) -> list[Sequence[MeasurementRow]]:
    return [rows[start : start + width] for start in range(0, len(rows), width)]


def _called(region: NamedRegion) -> str:
    source = "" if region.region_source in {None, "drawn"} else f" ({region.region_source})"
    return f"{region.id} {region.label}{source}"


def _pair(regions: tuple[str, ...]) -> str:
    return ", ".join(regions)


def _head(name: str) -> str:
    return _HEADS.get(name, name)


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
