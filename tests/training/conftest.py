import copy
import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Trainer

from spatialreasoner.core.types import Response
from spatialreasoner.language.responses import render
from spatialreasoner.testing import tiny_models as tiny

os.environ["HF_HUB_OFFLINE"] = "1"  # for processes that tests start
huggingface_hub.constants.HF_HUB_OFFLINE = True
torch.set_num_threads(1)  # tensors are tiny: threads would only wait for each other


def answer(description: str, reasoning: str, conclusion: str) -> list[dict]:
    text = render(Response(description=description, reasoning=f"### Rationale\n{reasoning}", answer=conclusion))
    return [{"role": "assistant", "content": text}]


@pytest.fixture(scope="session")
def image_paths(tmp_path_factory):
    """Paths of images of different sizes."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    paths = []
    for index, (height, width) in enumerate([(60, 90), (90, 60), (56, 112)]):
        path = folder / f"{index}.png"
        Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(path)
        paths.append(str(path))
    return paths


@pytest.fixture(scope="session")
def _pairs(image_paths):
    return [
        {
            "question_id": "one image",
            "images": image_paths[:1],
            "prompt": [{"role": "user", "content": "How tall is <region1>?"}],
            "chosen": answer("A red box.", "It is as tall as the chair.", "1.5 m"),
            "rejected": answer("A red box, and a very long description of it.", "No idea.", "3 m"),
            "gap_description": 1.0,
            "gap_reasoning": 4.0,
        },
        {
            "question_id": "two images, of other sizes",
            "images": image_paths[1:],
            "prompt": [{"role": "user", "content": "Is <region1> left of <region2>? Answer with yes or no."}],
            "chosen": answer("Two chairs.", "The first is left.", "Yes"),
            "rejected": answer("Two tables.", "The first is right, as far as I can see.", "No"),
            "gap_description": 3.0,
            "gap_reasoning": 1.0,
        },
        {
            "question_id": "unscored",
            "images": image_paths[2:],
            "prompt": [{"role": "user", "content": "Which is wider?"}],
            "chosen": answer("A lamp.", "Both are narrow.", "Neither"),
            "rejected": answer("A lamp.", "Both are narrow.", "The lamp"),
            "gap_description": None,
            "gap_reasoning": 2.0,
        },
    ]


@pytest.fixture
def pairs(_pairs):
    """Three preference pairs with one, two and one image."""
    return copy.deepcopy(_pairs)


@pytest.fixture(scope="session")
def texts(_pairs):
    """What tokenizers are trained on."""
    return [message["content"] for pair in _pairs for side in ("prompt", "chosen", "rejected") for message in pair[side]]


@pytest.fixture
def data(tmp_path, pairs):
    """A folder with `pairs.jsonl` and `sft.jsonl`, six rows each."""
    folder = tmp_path / "data"
    folder.mkdir()
    for pair in pairs:
        pair["images"] = [Path(shutil.copy(path, folder)).name for path in pair["images"]]
    rows = [{"images": pair["images"], "messages": pair["prompt"] + pair["chosen"]} for pair in pairs]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs * 2))
    (folder / "sft.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows * 2))
    return folder


@pytest.fixture
def fast():
    """Settings of a run that takes a second."""
    return ("per_device_train_batch_size=2", "gradient_accumulation_steps=1", "learning_rate=1e-2", "threads=1")


@pytest.fixture(scope="module")
def families(texts):
    """Makes a tiny model of a family, with its processor; each is made once, and given as a copy."""
    made = {}

    def family(name):
        if name not in made:
            made[name] = tiny.make_tiny(name, texts, width=32, image_size=28)
        return copy.deepcopy(made[name])

    return family


@pytest.fixture
def cut_before_saving(monkeypatch):
    """A context in which a training is interrupted between its last checkpoint and its model."""
    save = Trainer.save_model

    def save_checkpoint(self, output_dir=None, **options):
        if not Path(output_dir).name.startswith("checkpoint-"):
            raise KeyboardInterrupt
        save(self, output_dir, **options)

    @contextmanager
    def cut() -> Generator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "save_model", save_checkpoint)
            with pytest.raises(KeyboardInterrupt):
                yield

    return cut
