"""A nano that has learned nothing, and images for it."""

import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import pytest
import torch
from PIL import Image

from spatialreasoner.core.types import Region
from spatialreasoner.nano import NanoForConditionalGeneration, NanoProcessor
from spatialreasoner.nano.build import build_nano
from spatialreasoner.scenes.carry import attach
from spatialreasoner.scenes.masks import encode

torch.set_num_threads(1)  # tensors are tiny: threads would only wait for each other

TEXTS = ["How far apart are <region1> and <region2>?", "<region1> is 0.57 m wide.", "It is 12.30 inches tall, or 1.02 feet."]


@pytest.fixture(scope="session")
def nano() -> tuple[NanoForConditionalGeneration, NanoProcessor]:
    model, processor = build_nano(TEXTS[:1], TEXTS)
    return model.eval(), processor


@pytest.fixture(scope="session")
def folder(nano: tuple[NanoForConditionalGeneration, NanoProcessor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The nano as it is loaded by path."""
    made = tmp_path_factory.mktemp("nano")
    for part in nano:
        part.save_pretrained(made)
    return made


@pytest.fixture(scope="session")
def image() -> Callable[..., Image.Image]:
    def make(
        seed: int = 0, *, boxes: tuple[tuple[int, int, int, int], ...] = ((0, 0, 30, 30), (50, 40, 90, 70))
    ) -> Image.Image:
        pixels = np.random.default_rng(seed).integers(0, 255, (90, 120, 3), np.uint8)
        masks = [np.zeros((90, 120), bool) for _ in boxes]
        for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
            mask[y0:y1, x0:x1] = True
        regions = [Region(id=str(number), label="thing", mask=encode(mask)) for number, mask in enumerate(masks)]
        return attach(Image.fromarray(pixels), regions)

    return make
