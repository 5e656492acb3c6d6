"""`transformers serve` for models with region tokens: `python -m spatialreasoner.cli.serving MODEL --port 8000`.

MODEL is `nano` or a folder. The rest, options too, is the server of transformers, which finds our classes once they are
imported. Clients send regions inside of the image, as `scenes.carry.png_info` writes them into a PNG.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from transformers.cli.transformers import app

from spatialreasoner.nano import registered  # pyright: ignore[reportUnusedImport]  # noqa: F401 - registers its classes
from spatialreasoner.vlm import region_families  # pyright: ignore[reportUnusedImport]  # noqa: F401 - registers its classes
from spatialreasoner.vlm.loading import source_of


def main(arguments: Sequence[str]) -> None:
    """Serve.

    Args:
        arguments: Those of `transformers serve`, the model first.
    """
    model = [source_of(each) for each in arguments[:1]]
    app(["serve", *model, *arguments[1:]])


if __name__ == "__main__":
    main(sys.argv[1:])
