"""A nano with random weights, and its processor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch.nn import functional

from spatialreasoner.nano.configuration import NanoConfig
from spatialreasoner.nano.modeling import NanoForConditionalGeneration
from spatialreasoner.nano.processing import NanoProcessor
from spatialreasoner.nano.shipped import ARCHITECTURE_VERSION
from spatialreasoner.nano.tokenizer import END, IMAGE, NUM_REGIONS, PAD, leading_numbers, region_name, train_nano_tokenizer
from spatialreasoner.nano.vision import EMBEDDING, fourier_features


def build_nano(
    requests: Iterable[str], answers: Iterable[str], *, seed: int = 0
) -> tuple[NanoForConditionalGeneration, NanoProcessor]:
    """A nano that has learned nothing yet.

    Args:
        requests: What its tokenizer takes words from.
        answers: What it takes phrases from.
        seed: Seed of the weights.
    """
    from transformers import LlamaConfig
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tokenizer = train_nano_tokenizer(requests, answers)
    ids = tokenizer.get_vocab()
    end, pad = ids[END], ids[PAD]
    config = NanoConfig(
        architecture_version=ARCHITECTURE_VERSION,
        text_config=LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=192,
            intermediate_size=448,
            num_hidden_layers=6,
            num_attention_heads=6,
            num_key_value_heads=6,
            max_position_embeddings=2048,
            initializer_range=EMBEDDING,
            bos_token_id=None,
            eos_token_id=end,
            pad_token_id=pad,
            tie_word_embeddings=True,
        ),
        image_token_id=ids[IMAGE],
        region_token_ids=[ids[region_name(number)] for number in range(1, NUM_REGIONS + 1)],
    )
    square = {"height": config.image_size, "width": config.image_size}
    processor = NanoProcessor(
        image_processor=CLIPImageProcessorPil(size=square, do_center_crop=False),
        tokenizer=tokenizer,
        num_image_tokens=config.num_image_tokens,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = NanoForConditionalGeneration(config)
        _order_numbers(model, leading_numbers(ids))
    model.generation_config.eos_token_id = end
    model.generation_config.pad_token_id = pad
    return model, processor


def _order_numbers(model: NanoForConditionalGeneration, numbers: Mapping[int, float]) -> None:
    """Start the embeddings of numbers as Fourier features of their logarithms: near numbers are alike from the first step."""
    values = torch.tensor(list(numbers.values()))
    shapes = fourier_features(values.clamp(min=0.01).log()[:, None])
    embeddings = model.lm_head.weight  # the embeddings are the same
    projected = shapes @ torch.randn(shapes.shape[1], embeddings.shape[1])
    embeddings.data[list(numbers)] = EMBEDDING * functional.layer_norm(projected, projected.shape[1:])
