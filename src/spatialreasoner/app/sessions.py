"""What one visitor has open, as a row of states: undo, redo and the history go along it. Visitors share nothing."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from threading import Lock

from spatialreasoner.app.regions import DrawnShape
from spatialreasoner.core.errors import InputError
from spatialreasoner.core.types import Region, Scene

MAX_DRAWN_REGIONS = 30
"""Regions that may be drawn on one image; of thirty, 435 pairs are measured."""

MAX_STATES = 200
"""Steps that can be undone; older ones are forgotten."""

MAX_ANSWERS = 50
"""Answers that a session remembers."""


@dataclass(frozen=True, kw_only=True)
class DrawnRegion:
    """A drawn region.

    Attributes:
        region: The region; its id is new whenever its mask is, so that what was measured of it can be kept by its id.
        shape: The box or outline by whose corners it can still be changed; None if brush or eraser were at it.
    """

    region: Region
    shape: DrawnShape | None = None


@dataclass(frozen=True, kw_only=True)
class Roll:
    """The images of a capture, any of which can be opened.

    Attributes:
        names: What they are called.
        open: Opens one by its place.
        place: Which one is open.
    """

    names: tuple[str, ...]
    open: Callable[[int], Scene]
    place: int = 0


@dataclass(frozen=True, kw_only=True)
class State:
    """What is on the board.

    Attributes:
        said: What the visitor did to come here, for the history.
        scene: The open image, its detected masks as regions; None if there is none.
        drawn: The regions that were drawn, in the order of their numbers.
        draft: A region that was cut out and waits to be used, changed or dropped.
        roll: The capture that the image is one of.
    """

    said: str = "start"
    scene: Scene | None = None
    drawn: tuple[DrawnRegion, ...] = ()
    draft: DrawnRegion | None = None
    roll: Roll | None = None

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions without their shapes."""
        return tuple(each.region for each in self.drawn)

    @property
    def key(self) -> str:
        """The same for states with the same image and masks: an answer is about this state as long as the key is."""
        parts = [self.scene.image if self.scene else "", *(str(region.mask.counts) for region in self.regions)]
        return sha256("\n".join(parts).encode()).hexdigest()[:16]

    def add(self, drawn: DrawnRegion) -> State:
        """With one more region.

        Raises:
            InputError: If there are `MAX_DRAWN_REGIONS` already, or this very one is among them.
        """
        if len(self.drawn) >= MAX_DRAWN_REGIONS:
            raise InputError(f"at most {MAX_DRAWN_REGIONS} regions can be drawn; remove one first")
        if any(known.region.mask == drawn.region.mask for known in self.drawn):
            raise InputError("this region is drawn already")
        return replace(self, drawn=(*self.drawn, drawn))


@dataclass(frozen=True, kw_only=True)
class GivenAnswer:
    """An answer that was given.

    Attributes:
        question: The question.
        html: The answer with its verdicts, escaped.
        key: `State.key` of what it is about.
    """

    question: str
    html: str
    key: str


@dataclass(kw_only=True)
class Session:
    """One visitor.

    Attributes:
        token: What the visitor proves to be this one by.
        folder: Where the visitor's files are; gone when the visit ends.
        states: What was on the board, oldest first.
        at: Which of them is now.
        opened: How many images were opened so far.
        regions: How many regions were made so far, for their ids.
        answers: What was answered, oldest first.
        asked: When the last questions were asked, seconds.
        seen: When the visitor was last here, seconds.
        working: Held while a request of the visitor changes or measures something.
    """

    token: str
    folder: Path
    states: list[State] = field(default_factory=lambda: [State()])
    at: int = 0
    opened: int = 0
    regions: int = 0
    answers: deque[GivenAnswer] = field(default_factory=lambda: deque[GivenAnswer](maxlen=MAX_ANSWERS))
    asked: deque[float] = field(default_factory=deque[float])
    seen: float = field(default_factory=time.monotonic)
    working: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def state(self) -> State:
        """What is on the board now."""
        return self.states[self.at]

    def go(self, state: State, said: str) -> None:
        """Do something: what was undone before cannot be redone after that."""
        before = [] if self.state.scene is None else self.states[: self.at + 1]
        self.states = [*before, replace(state, said=said)][-MAX_STATES:]
        self.at = len(self.states) - 1

    def show(self, scene: Scene, drawn: Sequence[DrawnRegion] = (), *, said: str = "", roll: Roll | None = None) -> None:
        """Open another image."""
        self.opened += 1
        self.go(State(scene=scene, drawn=tuple(drawn[:MAX_DRAWN_REGIONS]), roll=roll), said or f"open {scene.id}")

    def step(self, by: int) -> None:
        """Undo (-1) or redo (1), as far as there is something to."""
        self.at = min(max(self.at + by, 0), len(self.states) - 1)

    def jump(self, to: int) -> None:
        """Go to a place of the history.

        Raises:
            InputError: If there is none.
        """
        if not 0 <= to < len(self.states):
            raise InputError("there is no such step in the history")
        self.at = to

    def named(self, region: Region) -> Region:
        """The region under an id that none of this session had before."""
        self.regions += 1
        return replace(region, id=f"drawn{self.regions}")

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
            raise InputError(f"at most {most} questions per minute can be asked here; wait {wait} s")
        self.asked.append(now)

    def end(self) -> None:
        """Forget the visitor's files."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Sessions:
    """All visitors.

    Args:
        root: Where their folders are.
        most: How many there may be; the one who was away longest is forgotten first.
    """

    def __init__(self, root: Path, most: int) -> None:
        self._root, self._most = root, most
        self._by_token: dict[str, Session] = {}
        self._changing = Lock()

    def begin(self) -> Session:
        """A new visitor."""
        session, gone = Session(token=secrets.token_urlsafe(24), folder=Path(mkdtemp(dir=self._root))), list[Session]()
        with self._changing:
            while len(self._by_token) >= self._most:
                away = min(self._by_token.values(), key=lambda session: session.seen)
                gone.append(self._by_token.pop(away.token))
            self._by_token[session.token] = session
        for away in gone:
            away.end()
        return session

    def find(self, token: str) -> Session | None:
        """The visitor of a token, who is now here."""
        session = self._by_token.get(token)
        if session is not None:
            session.seen = time.monotonic()
        return session
