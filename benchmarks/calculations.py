"""How often the calculations in the steps of a model's answers are right: `python benchmarks/calculations.py PREDICTIONS`.

A calculation is right if its result follows from the numbers written before it, whatever these have to do with the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from spatialreasoner.evaluation.predictions import read_predictions
from spatialreasoner.language.arithmetic import checks

KINDS: Mapping[str, str] = {"roots": "sqrt", "products": " × ", "conversions": " / ", "differences": " - "}
"""By what a calculation is told; the first that fits."""


def main(predictions: Annotated[Path, typer.Argument(help="What `spatialreasoner generate` wrote.")]) -> None:
    """Count right calculations by kind."""
    found = [check for prediction in read_predictions(predictions) for check in checks(prediction.pred)]
    left = found
    for kind, sign in KINDS.items():
        these = [check for check in left if sign in check.text]
        left = [check for check in left if sign not in check.text]
        print(f"{kind}: {sum(check.right for check in these)} of {len(these)} right")


if __name__ == "__main__":
    typer.run(main)
