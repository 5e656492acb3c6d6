"""Promises of replies, kept once."""

from __future__ import annotations

import asyncio
from typing import TypeVar

T = TypeVar("T")


def fulfil(answer: asyncio.Future[T], result: T | Exception) -> None:
    """Give an answer, or the error, to the caller if it still waits."""
    if answer.done():
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
