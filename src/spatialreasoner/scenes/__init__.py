"""Scenes: pictures, regions, depth and cameras; what can be measured of them; and what can be asked."""
