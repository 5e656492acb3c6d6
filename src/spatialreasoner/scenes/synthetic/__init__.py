"""The procedural world: rooms with things on the floor and on each other, seen by a camera, with everything known exactly.

`shapes` are the kinds of thing, `world` says where everything is, `layout` furnishes a room at random, `render` casts the
rays (`native` the same in C, where `casting` finds it), and `write` makes scene records and folders.
"""

from spatialreasoner.scenes.synthetic.casting import render_world
from spatialreasoner.scenes.synthetic.layout import sample
from spatialreasoner.scenes.synthetic.render import Rendering
from spatialreasoner.scenes.synthetic.world import COLOURS, World
from spatialreasoner.scenes.synthetic.write import Made, SyntheticConfig, make_scene, write_synthetic

__all__ = [
    "COLOURS",
    "Made",
    "Rendering",
    "SyntheticConfig",
    "World",
    "make_scene",
    "render_world",
    "sample",
    "write_synthetic",
]
