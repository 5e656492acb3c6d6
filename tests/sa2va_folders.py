"""Sa2VA folders for tests: golden ones, and copies of them with something changed."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from spatialreasoner.core.types import Region
from spatialreasoner.scenes.carry import attach
from spatialreasoner.scenes.masks import encode

INTERNLM2 = Path(__file__).parent / "data" / "sa2va_internlm2"
QWEN2 = Path(__file__).parents[2] / "shared" / "data" / "sa2va_shape"


@dataclass(frozen=True, kw_only=True)
class Golden:
    """A folder, what was asked of it, and what the public code computed."""

    folder: Path
    image: Image.Image
    question: str
    text: str
    tensors: dict[str, torch.Tensor]


def golden(folder):
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    tensors = load_file(folder / "golden.safetensors")
    said = json.loads((folder / "golden.json").read_text())
    photo = next(path for path in (folder / "image.png", folder / "picture.png") if path.is_file())
    text = re.sub(r"<IMG_CONTEXT>\*(\d+)", lambda found: "<IMG_CONTEXT>" * int(found[1]), said["text"])
    return Golden(
        folder=folder,
        image=with_masks(Image.open(photo).convert("RGB"), tensors["region_masks"].bool().numpy()),
        question=said.get("question", "Is region1 wider than region2?"),
        text=text,
        tensors=tensors,
    )


def with_masks(image, masks):
    return attach(image, [Region(id=f"region{number}", label="", mask=encode(mask)) for number, mask in enumerate(masks, 1)])


def copied(to, *, source=INTERNLM2, config=None, text=None, vision=None, weights=None):
    """A copy with other values in its configuration, and other weights: a function of the tensors by name."""
    shutil.copytree(source, to)
    settings = json.loads((to / "config.json").read_text())
    settings |= config or {}
    settings["llm_config"] |= text or {}
    settings["vision_config"] |= vision or {}
    (to / "config.json").write_text(json.dumps(settings))
    if weights:
        save_file(weights(load_file(to / "model.safetensors")), to / "model.safetensors", metadata={"format": "pt"})
    return to


def plant(folder, marker):
    """Put Python where the public project has its own; if one of these files runs, the marker appears."""
    names = ["configuration_sa2va_chat", "modeling_sa2va_chat", "tokenization_internlm2", "tokenization_internlm2_fast"]
    for name in [*names, "processing_sa2va_chat", "__init__", "sitecustomize"]:
        (folder / f"{name}.py").write_text(f"open({str(marker)!r}, 'a').write(__file__)\n")
    settings = json.loads((folder / "config.json").read_text())
    settings["auto_map"] = {
        "AutoConfig": "configuration_sa2va_chat.Sa2VAChatConfig",
        "AutoModel": "modeling_sa2va_chat.Sa2VAChatModel",
        "AutoModelForCausalLM": "modeling_sa2va_chat.Sa2VAChatModel",
        "AutoProcessor": "processing_sa2va_chat.Processor",
    }
    (folder / "config.json").write_text(json.dumps(settings))
    said = json.loads((folder / "tokenizer_config.json").read_text())
    said["auto_map"] = {"AutoTokenizer": ["tokenization_internlm2.InternLM2Tokenizer", None]}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))


def asked(processor, image, question):
    """The text of a question about an image."""
    content = [*([{"type": "image"}] if image else []), {"type": "text", "text": question}]
    return processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)


def ask(processor, *rows):
    """What a model is given of images and questions about them, a row each, padded on the left."""
    return processor(
        images=[[image] if image else [] for image, _ in rows] if any(image for image, _ in rows) else None,
        text=[asked(processor, *row) for row in rows],
        padding=True,
        return_tensors="pt",
    )
