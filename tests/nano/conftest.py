"""A nano that has learned nothing, and images for it."""

from nano_fixtures import folder, nano, picture

__all__ = ["folder", "nano", "picture"]
