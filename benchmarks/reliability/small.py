"""The command line with a demo of few scenes and another base model: `python -P small.py BASE demo --out DIR`."""

from __future__ import annotations

import sys
from functools import partial

from spatialreasoner import cli, demo

if __name__ == "__main__":
    demo.DemoConfig = partial(  # pyright: ignore[reportAttributeAccessIssue] - stands for the class where it is made
        demo.DemoConfig, base=sys.argv[1], scenes=3, per_scene=2, test_scenes=1, photos=(), max_new_tokens=4
    )
    cli.main(sys.argv[2:])
