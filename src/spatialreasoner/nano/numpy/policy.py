"""The nano without torch as a policy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from spatialreasoner.core import records
from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Completion, Prompt
from spatialreasoner.nano.numpy.decoder import Decoder
from spatialreasoner.nano.numpy.layers import Array, NamedWeights
from spatialreasoner.nano.numpy.sizes import refuse_other_sizes
from spatialreasoner.nano.numpy.vision import Looks, look
from spatialreasoner.nano.shipped import NANO
from spatialreasoner.scenes.carry import attach, attached
from spatialreasoner.scenes.files import read_image
from spatialreasoner.scenes.squares import square_mask, square_pixels
from spatialreasoner.vlm.rendering import ChatTemplate, bounded
from spatialreasoner.vlm.safety import refuse_unsafe, telling_of
from spatialreasoner.vlm.sources import config_of, name_of, refuse_other_version, shipped_template, source_of
from spatialreasoner.vlm.template_limits import check_templates

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def is_nano(source: str | Path) -> bool:
    """Whether a model by name is a nano, or a folder with one that was trained further, in a precision NumPy has."""
    folder = Path(source_of(source))
    config = config_of(folder)
    is_nano = config.get("model_type") == NANO.model_type and config.get("dtype") in ("float16", "float32")
    return is_nano and (folder / "model.safetensors").is_file()


class LightNano:
    """The nano, one answer at a time, the likeliest token each time.

    Args:
        source: `nano`, `nano-base`, or a folder with one.
        max_new_tokens: Maximum length of a completion in tokens.

    Raises:
        ConfigError: If the folder holds no nano, one of another architecture, or settings that are not those of its weights.
    """

    region_tokens = True
    model_type = NANO.model_type

    def __init__(self, source: str | Path = NANO.name, *, max_new_tokens: int = 768) -> None:
        folder = Path(source_of(source))
        self.name = name_of(source)
        self.max_new_tokens = max_new_tokens
        refuse_unsafe(folder)
        refuse_other_version(folder)
        with telling_of(folder):
            self._load(folder)

    def _load(self, folder: Path) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        self._config, self._processing = (
            records.read_json(folder / name, dict[str, Any]) for name in ("config.json", "processor_config.json")
        )
        ends: int | list[int] = records.read_json(folder / "generation_config.json", dict[str, Any])["eos_token_id"]
        self._ends = {ends} if isinstance(ends, int) else set(ends)
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._template = _template_of(folder)
        weights = {name: values.astype(np.float32) for name, values in load_file(folder / "model.safetensors").items()}
        self._model = NamedWeights(weights, "model")
        refuse_other_sizes(self._model, self._config, self._processing)
        side: int = self._config["image_size"]
        unseen = self._look(np.zeros((3, side, side), np.float32), np.zeros((1, side, side), np.uint8))
        self._decoder()(unseen.tokens)  # here, where missing weights and wrong shapes are reported as such

    async def complete(self, prompt: Prompt, *, n: int, seed: int) -> Sequence[Completion]:
        """Write the continuation of `prompt.prefix`, `n` times the same.

        Raises:
            SceneError: If the image or a region is unusable.
        """
        tokens = [*self._tokens(prompt)]
        cut = len(tokens) == self.max_new_tokens
        text = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return [Completion(text=text, completion_tokens=len(tokens) + (not cut), finish="length" if cut else "stop")] * n

    async def stream(self, prompt: Prompt, *, seed: int) -> AsyncGenerator[str]:
        """Write the continuation of `prompt.prefix` piece by piece; no chance is in it, whatever the seed.

        Raises:
            SceneError: If the image or a region is unusable.
        """
        for piece in self._pieces(prompt):
            yield piece
            await asyncio.sleep(0)

    def _pieces(self, prompt: Prompt) -> Generator[str]:
        from tokenizers.decoders import DecodeStream

        text = DecodeStream(skip_special_tokens=True)
        for token in self._tokens(prompt):
            if piece := text.step(self._tokenizer, token):
                yield piece

    def _tokens(self, prompt: Prompt) -> Generator[int]:
        decoder = self._decoder()
        ids = np.array(self._tokenizer.encode(self._text(prompt), add_special_tokens=False).ids)
        embeds = decoder.embeddings[ids]
        regions = np.zeros((0, embeds.shape[1]), np.float32)
        is_image = ids == self._config["image_token_id"]
        if prompt.image:
            looks = self._look(*self._image(prompt))
            if is_image.sum() != len(looks.tokens):
                raise SceneError("a question cannot contain the image placeholder; remove it")
            embeds[is_image], regions = looks
        self._name_regions(ids, embeds, regions)
        for _ in range(self.max_new_tokens):
            token = int(decoder(embeds).argmax())
            if token in self._ends:
                return
            yield token
            embeds = decoder.embeddings[[token]]
            self._name_regions(np.array([token]), embeds, regions)

    def _decoder(self) -> Decoder:
        return Decoder(self._model["language_model"], self._config["text_config"])

    def _look(self, pixels: Float[Array, "3 side side"], masks: UInt8[Array, "regions side side"]) -> Looks:
        return look(self._model, pixels, masks, self._config["vision_heads"])

    def _name_regions(
        self, ids: Int[Array, " tokens"], embeds: Float[Array, "tokens hidden"], regions: Float[Array, "regions hidden"]
    ) -> None:
        """Add to each region's name what the region looks like."""
        for token, looks in zip(self._config["region_token_ids"], regions, strict=False):
            embeds[ids == token] += looks

    def _text(self, prompt: Prompt) -> str:
        content = [*([{"type": "image"}] if prompt.image else []), {"type": "text", "text": prompt.request}]
        text = self._template.frame([{"role": "user", "content": content}]).continued(prompt.prefix)
        placeholder: str = self._tokenizer.decode([self._config["image_token_id"]], skip_special_tokens=False)
        return text.replace(placeholder, placeholder * self._processing["num_image_tokens"])

    def _image(self, prompt: Prompt) -> tuple[Float[Array, "3 side side"], UInt8[Array, "regions side side"]]:
        """Pixels and masks, as `nano.processing` has them."""
        known: dict[str, Any] = self._processing["image_processor"]
        side: int = known["size"]["height"]
        image = attach(read_image(prompt.image), prompt.regions)
        masks = [square_mask(mask, side) for mask in attached(image)[: len(self._config["region_token_ids"])]]
        pixels = square_pixels(image, side, known)
        return pixels, np.stack(masks) if masks else np.zeros((1, side, side), np.uint8)


def _template_of(folder: Path) -> ChatTemplate:
    """The folder's chat template; one that is not the nano's own is untrusted code."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    template = (folder / "chat_template.jinja").read_text("utf-8")
    if template != shipped_template(folder):
        check_templates(template, folder)
    written = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(template)
    return ChatTemplate(bounded(lambda turns, asked: written.render(messages=turns, add_generation_prompt=asked)))
