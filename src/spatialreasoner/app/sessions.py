"""What one visitor has open. Nothing of it is shared: each visitor has a folder, an image, regions and limits of their own."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp

from spatialreasoner.core.errors import InputError
from spatialreasoner.core.types import Region, Scene

MAX_DRAWN_REGIONS = 12
"""Regions that may be drawn on one image."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """One visitor.

    Attributes:
        folder: Where the visitor's files are; gone when the visit ends.
        scene: The open image, its detected masks as regions; None where there is none.
        drawn: The regions that were drawn, in the order of their numbers.
        opened: How many images were opened so far.
        asked: When the last questions were asked, seconds; shared by all versions of one session, so that no event that
            runs late can forget some.
    """

    folder: Path
    scene: Scene | None = None
    drawn: tuple[Region, ...] = ()
    opened: int = 0
    asked: deque[float] = field(default_factory=deque[float])

    def __deepcopy__(self, memo: object) -> Session:
        return self  # nothing in it changes but `asked`, which must be shared

    def show(self, scene: Scene, drawn: Sequence[Region] = ()) -> Session:
        """Open another image."""
        return replace(self, scene=scene, drawn=tuple(drawn), opened=self.opened + 1)

    def add(self, region: Region) -> Session:
        """Draw one more region, with an id that no other region of the image has.

        Raises:
            InputError: If there are `MAX_DRAWN_REGIONS` already, or this very one is among them.
        """
        if len(self.drawn) >= MAX_DRAWN_REGIONS:
            raise InputError(f"at most {MAX_DRAWN_REGIONS} regions can be drawn; remove one first")
        if any(known.mask == region.mask for known in self.drawn):
            raise InputError("this region is drawn already")
        taken = {known.id for known in (*self.drawn, *(self.scene.regions if self.scene else ()))}
        numbers = (f"drawn{number}" for number in range(1, len(taken) + 2))
        detected = self.scene is not None and region in self.scene.regions
        named = region if detected else replace(region, id=next(name for name in numbers if name not in taken))
        return replace(self, drawn=(*self.drawn, named))

    def remove(self, number: int) -> Session:
        """Remove the region of a number, from 1; those after it move up. A number that is not there removes nothing."""
        return replace(self, drawn=tuple(region for place, region in enumerate(self.drawn, start=1) if place != number))

    def clear(self) -> Session:
        """Remove all regions."""
        return replace(self, drawn=())

    def count_question(self, most: int) -> None:
        """Note that a question is asked.

        Args:
            most: How many may be asked in a minute.

        Raises:
            InputError: If there were that many in the last minute.
        """
        now = time.monotonic()
        while self.asked and now - self.asked[0] > 60:
            self.asked.popleft()
        if len(self.asked) >= most:
            wait = max(1, round(60 - (now - self.asked[0])))
            raise InputError(f"{most} questions a minute can be asked here; wait {wait} s")
        self.asked.append(now)

    def end(self) -> None:
        """Forget the visitor's files."""
        shutil.rmtree(self.folder, ignore_errors=True)


def begin(root: Path) -> Session:
    """A new visitor's session."""
    return Session(folder=Path(mkdtemp(dir=root)))
