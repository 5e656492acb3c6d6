"""A nano that has learned nothing."""

from nano_fixtures import nano

__all__ = ["nano"]
