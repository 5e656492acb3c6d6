"""The nano: a small vision-language model with region tokens that ships with the package and runs on any CPU.

Importing this package registers its classes with the Auto classes of transformers; `WEIGHTS` is the folder to load from.
"""

from pathlib import Path

from transformers import AutoModel

from spatialreasoner.nano.configuration import NanoConfig
from spatialreasoner.nano.modeling import NanoForConditionalGeneration, NanoModel
from spatialreasoner.nano.processing import NanoProcessor
from spatialreasoner.registration import register

WEIGHTS = Path(__file__).parent / "weights"

register(NanoConfig, NanoForConditionalGeneration, NanoProcessor)
AutoModel.register(NanoConfig, NanoModel, exist_ok=True)

__all__ = ["WEIGHTS", "NanoConfig", "NanoForConditionalGeneration", "NanoModel", "NanoProcessor"]
