"""What a visitor can do to the regions on the board: each wish makes a new state, so that each can be undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from pydantic import StrictInt, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from spatialreasoner.app.regions import DRAWN_LABEL, DrawnShape, Sight, from_shape, region, shape_from_numbers, stroke
from spatialreasoner.app.sessions import DrawnRegion, Session, State
from spatialreasoner.core.errors import InputError
from spatialreasoner.core.types import Record
from spatialreasoner.scenes.masks import decode

MAX_NAME = 60
"""Characters of a region's name."""

Action = Literal["add", "write", "paint", "reshape", "rename", "remove", "clear", "use", "whole", "drop"]


@dataclass(frozen=True, kw_only=True)
class Wish(Record):
    """What the board asks for.

    Attributes:
        action: What is to be done.
        number: The region that it is done to, from 1; 0 is the draft.
        shape: What was drawn ("add", "paint", "reshape").
        cut: Whether a box means the thing in it ("add", "reshape"); it then waits as a draft.
        erase: Whether "paint" takes pixels away.
        text: A region in numbers ("write"), or a name ("rename").
    """

    action: Action
    number: StrictInt = 0
    shape: DrawnShape | None = None
    cut: bool = False
    erase: bool = False
    text: str = ""


_WISH = TypeAdapter(Wish)


def wish_of(data: object) -> Wish:
    """What the browser sent, checked.

    Raises:
        InputError: If it is not a wish.
    """
    try:
        return _WISH.validate_python(data)
    except ValidationError as error:
        raise InputError(f"the drawing board cannot do that: {error.errors()[0]['msg']}") from None


def apply_wish(session: Session, wish: Wish, sight: Sight) -> None:
    """Do what a visitor wishes.

    Args:
        session: The visitor's.
        wish: What is wished.
        sight: What can be seen of the open image.

    Raises:
        InputError: If it cannot be done, and then nothing is.
    """
    if session.state.scene is None:
        raise InputError("open an image first")
    after, said = _ACTIONS[wish.action](session, wish, sight)
    session.go(after, said)


def _add(session: Session, wish: Wish, sight: Sight) -> tuple[State, str]:
    shape = _shape(wish)
    state = _used(session.state)
    made = from_shape(shape, sight, cut=wish.cut)
    drawn = DrawnRegion(region=session.named(made), shape=shape if shape.tool in {"box", "polygon"} else None)
    if made.region_source not in {None, "drawn", "box", "model"}:
        return replace(state, draft=drawn), "cut out a thing"
    return state.add(drawn), f"draw region {len(state.drawn) + 1}"


def _write(session: Session, wish: Wish, sight: Sight) -> tuple[State, str]:
    return _add(session, replace(wish, shape=shape_from_numbers(wish.text)), sight)


def _paint(session: Session, wish: Wish, sight: Sight) -> tuple[State, str]:
    old = _chosen(session.state, wish.number)
    under, mask = stroke(_shape(wish), sight.size), decode(old.region.mask)
    painted = mask & ~under if wish.erase else mask | under
    if not painted.any():
        raise InputError("nothing would be left of the region; remove it instead")
    source = old.region.region_source if old.region.region_source != "box" else "drawn"
    new = session.named(replace(region(painted, sight.size), label=old.region.label, region_source=source))
    said = f"{'erase from' if wish.erase else 'paint'} {_called(wish.number)}"
    return _changed(session.state, wish.number, DrawnRegion(region=new)), said


def _reshape(session: Session, wish: Wish, sight: Sight) -> tuple[State, str]:
    old, shape = _chosen(session.state, wish.number), _shape(wish)
    cut = (old.region.region_source or "").startswith("box, cut")
    new = session.named(replace(from_shape(shape, sight, cut=cut), label=old.region.label))
    return _changed(session.state, wish.number, DrawnRegion(region=new, shape=shape)), f"change {_called(wish.number)}"


def _rename(session: Session, wish: Wish, sight: Sight) -> tuple[State, str]:
    old = _chosen(session.state, wish.number)
    name = " ".join(wish.text.split())[:MAX_NAME] or DRAWN_LABEL
    new = replace(old, region=replace(old.region, label=name))
    return _changed(session.state, wish.number, new), f"call {_called(wish.number)} {name!r}"


def _remove(session: Session, wish: Wish, sight: Sight) -> tuple[State, str]:
    _chosen(session.state, wish.number)
    left = tuple(each for number, each in enumerate(session.state.drawn, start=1) if number != wish.number)
    return replace(session.state, drawn=left), f"remove {_called(wish.number)}"


def _clear(session: Session, wish: Wish, sight: Sight) -> tuple[State, str]:
    return replace(session.state, drawn=(), draft=None), "remove all regions"


def _use(session: Session, wish: Wish, sight: Sight) -> tuple[State, str]:
    return _used(session.state), f"use region {len(session.state.drawn) + 1}"


def _whole(session: Session, wish: Wish, sight: Sight) -> tuple[State, str]:
    draft = session.state.draft
    if draft is None or draft.shape is None or draft.shape.tool != "box":
        raise InputError("there is no box to use whole")
    whole = session.named(from_shape(draft.shape, sight))
    return replace(session.state, draft=None).add(DrawnRegion(region=whole, shape=draft.shape)), "use the whole box"


def _drop(session: Session, wish: Wish, sight: Sight) -> tuple[State, str]:
    return replace(session.state, draft=None), "drop what was cut out"


def _shape(wish: Wish) -> DrawnShape:
    if wish.shape is None:
        raise InputError("expected a shape; none was sent")
    return wish.shape


def _used(state: State) -> State:
    """The state with its draft, if there is one, among the regions."""
    return state if state.draft is None else replace(state, draft=None).add(state.draft)


def _chosen(state: State, number: int) -> DrawnRegion:
    if number == 0 and state.draft is not None:
        return state.draft
    if not 1 <= number <= len(state.drawn):
        raise InputError(f"there is no region {number}" if number else "there is no shape to change")
    return state.drawn[number - 1]


def _changed(state: State, number: int, new: DrawnRegion) -> State:
    if number == 0:
        return replace(state, draft=new)
    return replace(state, drawn=tuple(new if place == number else old for place, old in enumerate(state.drawn, start=1)))


def _called(number: int) -> str:
    return f"region {number}" if number else "what was cut out"


_ACTIONS: Mapping[Action, Callable[[Session, Wish, Sight], tuple[State, str]]] = {
    "add": _add, "write": _write, "paint": _paint, "reshape": _reshape, "rename": _rename, "remove": _remove,
    "clear": _clear, "use": _use, "whole": _whole, "drop": _drop,
}  # fmt: skip
