"""Promises of replies, kept once."""

from __future__ import annotations

import asyncio
from typing import TypeVar

_T = TypeVar("_T")


def fulfil(answer: asyncio.Future[_T], result: _T | Exception) -> None:
    """Give an answer, or the error, to the caller if it still waits."""
    if answer.done():
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
