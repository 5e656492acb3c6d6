"""Importing this module registers the nano's classes with the Auto classes of transformers."""

from transformers import AutoModel

from spatialreasoner.nano.configuration import NanoConfig
from spatialreasoner.nano.modeling import NanoForConditionalGeneration, NanoModel
from spatialreasoner.nano.processing import NanoProcessor
from spatialreasoner.vlm.registration import register

register(NanoConfig, NanoForConditionalGeneration, NanoProcessor)
AutoModel.register(NanoConfig, NanoModel, exist_ok=True)
