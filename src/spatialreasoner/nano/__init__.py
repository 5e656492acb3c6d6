"""The nano: a small vision-language model with region tokens that ships with the package and runs on any CPU.

Importing this package registers its classes with the Auto classes of transformers; `WEIGHTS` is the folder to load from.
"""

from pathlib import Path

from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor

from spatialreasoner.nano.configuration import NanoConfig
from spatialreasoner.nano.modeling import NanoForConditionalGeneration, NanoModel
from spatialreasoner.nano.processing import NanoProcessor

WEIGHTS = Path(__file__).parent / "weights"

AutoConfig.register(NanoConfig.model_type, NanoConfig, exist_ok=True)
AutoModel.register(NanoConfig, NanoModel, exist_ok=True)
AutoModelForImageTextToText.register(NanoConfig, NanoForConditionalGeneration, exist_ok=True)
AutoProcessor.register(NanoConfig, NanoProcessor, exist_ok=True)

__all__ = ["WEIGHTS", "NanoConfig", "NanoForConditionalGeneration", "NanoModel", "NanoProcessor"]
