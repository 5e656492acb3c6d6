"""The nano as a model of transformers: it sees, it reads regions as tokens, and it writes.

`<regionK>` embeds as its own name and, added to it, as what region K of the image before it looks like: in the question and
wherever the answer names it. So a region means the same in padded rows, in packed ones, and token by token in `generate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from transformers import AutoModel, GenerationMixin, PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache
from transformers.generation.configuration_utils import GenerationMode
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from spatialreasoner.nano.cache import PreallocatedCache
from spatialreasoner.nano.configuration import NanoConfig
from spatialreasoner.nano.steps import Steps, is_plain
from spatialreasoner.nano.vision import EncodedRegions, NanoRegionEncoder, Quiet, RegionTokens, Seen, VisionTower
from spatialreasoner.vlm.region_tokens import latest_image, place_regions, region_numbers

if TYPE_CHECKING:
    from spatialreasoner.nano.native.writers import Writers
    from spatialreasoner.nano.processing import NanoProcessor


@dataclass
class NanoModelOutput(BaseModelOutputWithPast):
    """Hidden states, and what `<regionK>` adds to its name for the last image of each row [rows regions hidden]."""

    region_vectors: Tensor | None = None


@dataclass
class NanoOutput(CausalLMOutputWithPast):
    """Logits, the loss where labels are given, and the region vectors that later steps of `generate` need."""

    region_vectors: Tensor | None = None


class NanoPreTrainedModel(PreTrainedModel):
    """What transformers asks of a model; it wants lists."""

    config: NanoConfig
    config_class = NanoConfig
    base_model_prefix = "model"
    input_modalities = ["image", "text"]  # noqa: RUF012
    supports_gradient_checkpointing = True
    _no_split_modules = ["LlamaDecoderLayer"]  # noqa: RUF012
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012
    _supports_sdpa = True
    _supports_attention_backend = True

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, Quiet):
            module.reset_parameters()
        else:
            super()._init_weights(module)


class NanoModel(NanoPreTrainedModel):
    """The nano without its head."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__(config)
        self.vision_tower = VisionTower(config)
        self.vision_regions = NanoRegionEncoder(config)
        hidden = config.text_config.hidden_size
        self.image_tokens = nn.Sequential(nn.Linear(4 * config.vision_width, hidden), Quiet(hidden))
        self.region_tokens = RegionTokens(config)
        self.language_model = AutoModel.from_config(config.text_config)
        words = (self.region_tokens.kinds, self.region_tokens.colours)
        for module in (*self.vision_tower.modules(), *self.vision_regions.modules(), *words):
            module._is_hf_initialized = True  # pyright: ignore[reportArgumentType]  (it starts as it is)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The embeddings of the decoder."""
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the embeddings of the decoder."""
        self.language_model.set_input_embeddings(value)

    def look(
        self, pixel_values: Float[Tensor, "images 3 height width"], region_masks: UInt8[Tensor, "images regions height width"]
    ) -> tuple[Float[Tensor, "images tokens width"], EncodedRegions]:
        """See images, and regions on them; an image that comes several times in a row is seen once, where nothing trains."""
        if torch.is_grad_enabled():
            seen = self.vision_tower(pixel_values.to(self.dtype))
        else:
            distinct, places = torch.unique_consecutive(pixel_values, dim=0, return_inverse=True)
            seen = Seen(*(part[places] for part in self.vision_tower(distinct.to(self.dtype))))
        return seen.tokens, self.vision_regions(seen, region_masks)

    def tell(
        self, tokens: Float[Tensor, "images tokens width"], regions: EncodedRegions
    ) -> tuple[Float[Tensor, "images tokens hidden"], Float[Tensor, "images regions hidden"]]:
        """What the decoder reads of images and of their regions."""
        return self.tell_images(tokens), self.region_tokens(regions)

    def tell_images(self, tokens: Float[Tensor, "images tokens width"]) -> Float[Tensor, "images tokens hidden"]:
        """What the decoder reads of images: four neighbouring tokens as one."""
        side = self.config.image_size // 32
        return self.image_tokens(tokens.unflatten(1, (side, 2, side, 2)).transpose(2, 3).flatten(3).flatten(1, 2))

    def forward(
        self,
        input_ids: Int[Tensor, "rows tokens"] | None = None,
        pixel_values: Float[Tensor, "images 3 height width"] | None = None,
        region_masks: UInt8[Tensor, "images regions height width"] | None = None,
        region_vectors: Float[Tensor, "rows regions hidden"] | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Float[Tensor, "rows tokens hidden"] | None = None,
        **kwargs: Any,
    ) -> NanoModelOutput:
        """Read tokens, and images in the order of their placeholders.

        Args:
            input_ids: Tokens.
            pixel_values: Images, in the order of their placeholders.
            region_masks: The masks of each image's regions, all zero where there is none; without it there are no regions.
            region_vectors: What regions look like, for steps of `generate` after the first: of each row's last image.
            attention_mask: As for any decoder.
            position_ids: As for any decoder.
            past_key_values: As for any decoder.
            inputs_embeds: Instead of tokens: no images and regions are added.
            kwargs: Further arguments of the decoder.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("expected either input_ids or inputs_embeds")
        if input_ids is not None:
            inputs_embeds, region_vectors = self._embed(input_ids, pixel_values, region_masks, region_vectors, position_ids)
        cache = past_key_values if isinstance(past_key_values, PreallocatedCache) else None
        if cache and cache.steps and position_ids is not None and inputs_embeds is not None and inputs_embeds.shape[1] == 1:
            hidden = cache.steps(inputs_embeds, position_ids, attention_mask, cache)
            return NanoModelOutput(last_hidden_state=hidden, past_key_values=cache, region_vectors=region_vectors)
        outputs = self.language_model(
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )
        return NanoModelOutput(
            last_hidden_state=outputs.last_hidden_state,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            region_vectors=region_vectors,
        )

    def _embed(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None,
        region_masks: Tensor | None,
        region_vectors: Tensor | None,
        position_ids: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Embed tokens with what they show; the second result is what later steps of `generate` need."""
        if pixel_values is None:
            embeds = self.get_input_embeddings()(input_ids)
            if region_vectors is None:
                return embeds, None
            earlier = torch.full_like(input_ids, -1)
            return place_regions(embeds, self._numbers(input_ids), earlier, region_vectors[:0], region_vectors)
        if region_masks is None:
            region_masks = pixel_values.new_zeros(len(pixel_values), 1, *pixel_values.shape[-2:], dtype=torch.uint8)
        images, vectors = self.tell(*self.look(pixel_values, region_masks))
        vectors = vectors * region_masks.flatten(2).any(-1)[..., None]
        return self.embed(input_ids, images, vectors, position_ids)

    def embed(
        self,
        input_ids: Int[Tensor, "rows tokens"],
        images: Float[Tensor, "images tokens hidden"],
        vectors: Float[Tensor, "images regions hidden"],
        position_ids: Int[Tensor, "rows tokens"] | None = None,
    ) -> tuple[Float[Tensor, "rows tokens hidden"], Float[Tensor, "rows regions hidden"]]:
        """Embed tokens: images at their placeholders, and at `<regionK>` its name and what it looks like.

        Args:
            input_ids: Tokens; each image has a placeholder for each of its tokens.
            images: What `tell` says of the images, in the order of their placeholders.
            vectors: What it says of their regions; zero for a region that is not there.
            position_ids: Positions; where they begin again at 0, a conversation does, which knows none of the images before.

        Returns:
            The embedded tokens, and the vectors of each row's last image.
        """
        places = input_ids == self.config.image_token_id
        if places.sum() != images.shape[0] * images.shape[1]:
            raise ValueError(
                f"expected {images.shape[1]} image tokens for each of {images.shape[0]} images; got {int(places.sum())}"
            )
        embeds = self.get_input_embeddings()(input_ids)
        embeds = embeds.masked_scatter(places[..., None], images.to(embeds.dtype))
        sizes = torch.full(images.shape[:1], images.shape[1], device=input_ids.device)
        return place_regions(embeds, self._numbers(input_ids), latest_image(places, sizes, position_ids), vectors)

    def _numbers(self, input_ids: Tensor) -> Tensor:
        return region_numbers(input_ids, self.config.region_token_ids)


class NanoForConditionalGeneration(NanoPreTrainedModel, GenerationMixin):
    """The nano: images with regions, and text, in; text out."""

    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: NanoConfig) -> None:
        super().__init__(config)
        self.model = NanoModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The embeddings of the decoder."""
        return self.model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the embeddings of the decoder."""
        self.model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Linear:
        """The head."""
        return self.lm_head

    def forward(
        self,
        input_ids: Int[Tensor, "rows tokens"] | None = None,
        pixel_values: Float[Tensor, "images 3 height width"] | None = None,
        region_masks: UInt8[Tensor, "images regions height width"] | None = None,
        region_vectors: Float[Tensor, "rows regions hidden"] | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Float[Tensor, "rows tokens hidden"] | None = None,
        labels: Int[Tensor, "rows tokens"] | None = None,
        logits_to_keep: int = 0,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> NanoOutput:
        """Predict each next token.

        Args:
            input_ids: As of `NanoModel.forward`, like all that is not named below.
            pixel_values: As there.
            region_masks: As there.
            region_vectors: As there.
            attention_mask: As there.
            position_ids: As there.
            past_key_values: As there.
            inputs_embeds: As there.
            labels: What to predict; -100 is left out of the loss.
            logits_to_keep: Compute logits only for this many last tokens; 0 for all.
            num_items_in_batch: Tokens that the loss is a mean over, where a batch is made of several.
            kwargs: Further arguments of the decoder.
        """
        given = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "position_ids": position_ids,
            "region_vectors": region_vectors,
        }
        rows = None
        if isinstance(past_key_values, PreallocatedCache) and input_ids is not None:
            rows = past_key_values.let_go(input_ids)
        if rows is not None:
            given = {name: value if value is None or len(value) == 1 else value[rows] for name, value in given.items()}
        outputs = self.model(
            pixel_values=pixel_values,
            region_masks=region_masks,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            **given,
            **kwargs,
        )
        logits = self.lm_head(outputs.last_hidden_state[:, -logits_to_keep:])
        if rows is not None and input_ids is not None:
            logits = logits.new_zeros(len(input_ids), *logits.shape[1:]).index_copy(0, rows, logits)
        loss = None
        if labels is not None:
            vocabulary = self.config.text_config.vocab_size
            loss_function: Any = self.loss_function
            loss = loss_function(logits=logits, labels=labels, vocab_size=vocabulary, num_items_in_batch=num_items_in_batch)
        return NanoOutput(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            region_vectors=outputs.region_vectors if rows is None else region_vectors,
        )

    def writers(self, processor: NanoProcessor, *, ends: Sequence[int], rows: int) -> Writers | None:
        """What writes answers many times as fast as `generate`, or None if there is nothing of the kind.

        Args:
            processor: The model's processor.
            ends: Tokens that end an answer.
            rows: Maximum number of answers that one thread writes at once.
        """
        from spatialreasoner.nano.native.writers import Writers, can_write

        return Writers(self, processor, ends=ends, rows=rows) if can_write(self) else None

    def prepare_inputs_for_generation(self, *args: Any, is_first_iteration: bool = False, **kwargs: Any) -> dict[str, Any]:
        """Images and masks are for the first step; what regions look like, for all others."""
        parent: Any = super()
        inputs = parent.prepare_inputs_for_generation(*args, is_first_iteration=is_first_iteration, **kwargs)
        if not is_first_iteration and kwargs.get("use_cache", True):
            for name in ("pixel_values", "region_masks"):
                inputs.pop(name, None)
        return inputs

    def _prepare_cache_for_generation(
        self, generation_config: Any, model_kwargs: dict[str, Any], generation_mode: Any, *args: Any, **kwargs: Any
    ) -> Any:
        parent: Any = super()
        given = model_kwargs.get("past_key_values")
        prepared = parent._prepare_cache_for_generation(generation_config, model_kwargs, generation_mode, *args, **kwargs)
        plain = generation_mode in {GenerationMode.GREEDY_SEARCH, GenerationMode.SAMPLE}
        if given is None and plain and type(model_kwargs.get("past_key_values")) is DynamicCache:
            ends, decoder = generation_config.eos_token_id, self.model.language_model
            wants_more = generation_config.output_attentions or generation_config.output_hidden_states
            model_kwargs["past_key_values"] = PreallocatedCache(
                self.config.text_config.num_hidden_layers,
                ends if isinstance(ends, list) else [] if ends is None else [ends],
                None if wants_more or not is_plain(decoder) else Steps(decoder),
            )
        return prepared

    def _update_model_kwargs_for_generation(
        self, outputs: NanoOutput, model_kwargs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        model_kwargs = super()._update_model_kwargs_for_generation(outputs, model_kwargs, *args, **kwargs)
        if outputs.region_vectors is not None:
            model_kwargs["region_vectors"] = outputs.region_vectors
        return model_kwargs
