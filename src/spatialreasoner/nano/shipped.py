"""What the package says about its two nanos without importing transformers."""

from pathlib import Path

from spatialreasoner.vlm.shipped import ShippedModel

ARCHITECTURE_VERSION = 2
"""To be raised whenever the shapes of the weights change; 2 since the region encoder estimates distances of pairs."""


def _nano(name: str, folder: str, remake: str) -> ShippedModel:
    return ShippedModel(
        name=name,
        model_type="spatialreasoner_nano",
        folder=Path(__file__).parent / folder,
        module="spatialreasoner.nano.registered",
        remake=remake,
        architecture_version=ARCHITECTURE_VERSION,
    )


NANO = _nano("nano", "weights", "python -m research.nano_method --out DIR")
"""The nano: the base, taught to reason by this project's own method."""

NANO_BASE = _nano("nano-base", "base", "python -m research.nano_pretraining --out DIR")
"""What the nano was before: it sees, reads, calculates and answers in one sentence, and has never seen LongCoT."""
