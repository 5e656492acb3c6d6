"""What the package tells of its nano without importing transformers."""

from pathlib import Path

from spatialreasoner.vlm.shipped import ShippedModel

NANO = ShippedModel(
    name="nano",
    model_type="spatialreasoner_nano",
    folder=Path(__file__).parent / "weights",
    module="spatialreasoner.nano.registered",
    remake="python -m research.nano_pretraining --out DIR",
)
"""The nano that ships with the package."""
