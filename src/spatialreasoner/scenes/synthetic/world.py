"""What a procedural room consists of, and where everything is.

The one frame is the levelled camera frame of `geometry.level`: the camera at the origin, x right, y down along gravity,
z forward (the optical axis laid flat), metres. The floor is the plane y = camera height.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.geometry import levelling
from spatialreasoner.scenes.synthetic.shapes import Shape, shape

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (205, 38, 38),
    "orange": (240, 130, 25),
    "yellow": (245, 212, 45),
    "green": (48, 155, 62),
    "turquoise": (55, 195, 190),
    "blue": (38, 82, 205),
    "purple": (128, 58, 168),
    "pink": (245, 140, 180),
    "brown": (120, 72, 38),
    "white": (242, 242, 240),
    "grey": (128, 129, 131),
    "black": (30, 30, 33),
}
"""What a colour word looks like in even light, sRGB; a thing's own shade differs by a few units."""

RGB = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Where the image is taken from.

    Attributes:
        width: Pixels.
        height: Pixels.
        intrinsics: Pinhole camera.
        altitude: Height above the floor, metres.
        pitch: How far the optical axis points below the horizon, radians.
        roll: Turn about the optical axis, radians.
    """

    width: int
    height: int
    intrinsics: Intrinsics
    altitude: float
    pitch: float
    roll: float

    @property
    def gravity(self) -> tuple[float, float, float]:
        """Unit vector in which things fall, camera frame."""
        level = np.cos(self.pitch)
        return (float(np.sin(self.roll) * level), float(np.cos(self.roll) * level), float(np.sin(self.pitch)))

    @cached_property
    def to_level(self) -> Float[np.ndarray, "3 3"]:
        """The rotation from the camera's own axes to the levelled frame."""
        return levelling(self.gravity)

    def project(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Pixel (u, v) and depth z of points in the levelled frame; meaningless for z <= 0."""
        x, y, z = (points @ self.to_level).T
        k = self.intrinsics
        return np.stack([k.fx * x / z + k.cx, k.fy * y / z + k.cy, z], axis=1)


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One object.

    Attributes:
        kind: Its noun, one of `shapes.SHAPE_KINDS`.
        colour: Its colour word, a key of `COLOURS`.
        rgb: Its own shade, sRGB 0..1.
        centre: Middle of its unit cube once stretched, metres.
        size: Its width, height and depth before the turn, metres.
        yaw: Turn about the vertical, radians, from x (right) towards z (forward).
        supported_by: Index of the thing it stands on, or None for the floor.
    """

    kind: str
    colour: str
    rgb: RGB
    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    yaw: float
    supported_by: int | None

    @property
    def label(self) -> str:
        """What to call it, such as "red box"; unique in its world."""
        return f"{self.colour} {self.kind}"

    @property
    def shape(self) -> Shape:
        """Its form in the unit cube."""
        return shape(self.kind)

    @cached_property
    def turn(self) -> Float[np.ndarray, "3 3"]:
        """The rotation by its yaw."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        return np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])

    def place(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Points of the unit cube where they are in the world."""
        return (points * self.size) @ self.turn.T + self.centre

    @cached_property
    def vertices(self) -> Float[np.ndarray, "n 3"]:
        """The corners of all its parts, one part after the other."""
        return self.place(self.shape.vertices)

    @cached_property
    def mass_centre(self) -> Float[np.ndarray, " 3"]:
        """Its centre of mass."""
        return self.place(self.shape.mass_centre[None])[0]

    @cached_property
    def bodies(self) -> tuple[Body, ...]:
        """The space that its parts take, for keeping things apart."""
        shape, (_, height, _), (_, middle, _) = self.shape, self.size, self.centre
        outlines = self.place(shape.footprints)[:, ::2]
        return tuple(
            Body(outline=outlines[rows], top=top * height + middle, bottom=bottom * height + middle)
            for rows, (top, bottom) in zip(shape.footprint_rows, shape.heights, strict=True)
        )

    @cached_property
    def reach(self) -> float:
        """How far it goes from its middle, seen from above, metres."""
        return math.hypot(self.size[0], self.size[2]) / 2

    def meets(self, other: Thing, clearance: float) -> bool:
        """Whether the two come closer than `clearance` sideways anywhere that they share a height."""
        apart = math.hypot(self.centre[0] - other.centre[0], self.centre[2] - other.centre[2])
        if apart > self.reach + other.reach + clearance:
            return False
        return any(a.meets(b, clearance) for a in self.bodies for b in other.bodies)

    def box(self) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]]:
        """Lowest and highest x, y, z: its axis-aligned box."""
        return self.vertices.min(axis=0), self.vertices.max(axis=0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Body:
    """An upright convex column: an outline (x, z), counter-clockwise, from `top` down to `bottom` (y)."""

    outline: Float[np.ndarray, "k 2"]
    top: float
    bottom: float

    def meets(self, other: Body, clearance: float) -> bool:
        """Whether the two come closer than `clearance` sideways while they share a height. Contact above is not a meeting."""
        if self.top >= other.bottom - CONTACT or other.top >= self.bottom - CONTACT:
            return False
        return not (self._parts_from(other, clearance) or other._parts_from(self, clearance))

    def outside(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n k"]:
        """How far points lie outside of the line through each side of the outline, metres; negative is inside."""
        normals, offsets = self._sides
        return points @ normals.T - offsets

    @cached_property
    def _sides(self) -> tuple[Float[np.ndarray, "k 2"], Float[np.ndarray, " k"]]:
        """Outward unit normal of each side, and its distance from the origin."""
        along = np.concatenate([self.outline[1:], self.outline[:1]]) - self.outline
        normals = np.stack([along[:, 1], -along[:, 0]], axis=1) / np.hypot(along[:, 0], along[:, 1])[:, None]
        return normals, np.einsum("kc,kc->k", self.outline, normals)

    def _parts_from(self, other: Body, clearance: float) -> bool:
        """Whether one of this outline's sides parts the two (separating axis theorem)."""
        return bool(self.outside(other.outline).min(axis=0).max() >= clearance)


CONTACT = 1e-9


@dataclass(frozen=True, kw_only=True)
class Room:
    """Four walls around the camera, a floor and a ceiling.

    Attributes:
        yaw: Turn of the room against the camera, radians, from x towards z.
        low: The room's corner at its left, ceiling and near side: x, y, z in the frame turned by `yaw`, metres.
        high: The opposite corner; its y is the floor.
        floor: Two tones of the floor, sRGB 0..1.
        walls: Tone of the walls, sRGB 0..1.
        pattern: How the floor's tones alternate.
        tile: Width of a tile or plank, metres.
    """

    yaw: float
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    floor: tuple[RGB, RGB]
    walls: RGB
    pattern: str
    tile: float

    @cached_property
    def turn(self) -> Float[np.ndarray, "3 3"]:
        """The rotation from the room's axes to the levelled frame."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])


@dataclass(frozen=True, kw_only=True)
class Light:
    """A sun and an even glow.

    Attributes:
        towards: Unit vector from the room to the sun.
        sun: Brightness of what faces the sun.
        glow: Brightness of what the sun does not reach.
    """

    towards: tuple[float, float, float]
    sun: float
    glow: float


@dataclass(frozen=True, kw_only=True)
class World:
    """A room, what stands in it, and the camera and the light to see it by."""

    camera: Camera
    room: Room
    light: Light
    things: tuple[Thing, ...]
