"""The shape of a nano."""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar

from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec


class NanoConfig(PreTrainedConfig):
    """Configuration of `NanoForConditionalGeneration`.

    Attributes:
        architecture_version: `shipped.ARCHITECTURE_VERSION` for new models; 1 if a folder does not say.
        text_config: The decoder, a Llama.
        image_size: Side of the square image, pixels; a multiple of 16.
        fine_width: Channels of the convolutions, whose cells are 8 x 8 pixels.
        vision_width: Width of the transformer, whose patches are 16 x 16 pixels.
        vision_layers: Its layers.
        vision_heads: Its heads.
        num_kinds: Kinds of thing that the region encoder was taught.
        num_colours: Colours that it was taught.
        image_token_id: The placeholder that an image's tokens take.
        region_token_ids: The tokens `<region1>`, `<region2>`, ...; each also embeds what its region looks like.
        region_tokens: True: regions reach the model as tokens, not as marks on the image.
    """

    model_type = "spatialreasoner_nano"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama")
    }

    architecture_version: int = 1
    text_config: Any = None
    image_size: int = 128
    fine_width: int = 96
    vision_width: int = 192
    vision_layers: int = 4
    vision_heads: int = 6
    num_kinds: int = 12
    num_colours: int = 12
    image_token_id: int = 0
    region_token_ids: list[int] = field(default_factory=list[int])
    region_tokens: bool = True
    tie_word_embeddings: bool = True

    @property
    def num_image_tokens(self) -> int:
        """Tokens that an image takes: one for each 32 x 32 pixels."""
        return (self.image_size // 32) ** 2
