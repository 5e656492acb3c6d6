"""A nano that has learned nothing, and images for it."""

from nano_fixtures import folder, image, nano

__all__ = ["folder", "image", "nano"]
