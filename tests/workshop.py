"""What documentation pages and examples work on, made small: scenes, questions, answers, pairs, models and photos.

Each thing is made once per session, by the project's own stages, and copied to where it is needed.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from research.named_segments.task import pairs

import captures
from pages import ROOT
from sa2va_folders import INTERNLM2
from spatialreasoner.cli import main
from spatialreasoner.scenes import masks, synthetic
from spatialreasoner.testing.tiny_models import CHAT_TEMPLATE, build_tiny, train_tokenizer

TEXTS = ["How wide is <region1>? <description>A red box.</description> It is 1.25 m wide, left of <region2>."] * 20
"""What tokenizers of tiny models are trained on."""


def run(*arguments: object) -> None:
    """Run one command of `spatialreasoner` in this process.

    Raises:
        AssertionError: If it does not end with 0.
    """
    handlers = {sent: signal.getsignal(sent) for sent in (signal.SIGINT, signal.SIGTERM)}
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    for sent, handler in handlers.items():
        signal.signal(sent, handler)
    assert not ended.value.code, f"spatialreasoner {' '.join(map(str, arguments))} ended with {ended.value.code}"


class Workshop:
    """Makes and keeps things by name.

    Args:
        folder: Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """Where a thing is, made if it is not there yet."""
        path = self.folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            GIVEN[name](self, path)
        return path

    def give(self, name: str, folder: Path) -> None:
        """Copy a thing into a folder, under its own name, with the record of its settings where it has one."""
        source, target = self.path(name), folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
            return
        shutil.copy(source, target)
        settings = source.with_name(f"{source.stem}.config.json")
        if settings.exists():
            shutil.copy(settings, target.parent)


def _scenes(shop: Workshop, path: Path) -> None:
    run("scenes", "synthetic", "--count", 3, "--out", path)


def _questions(shop: Workshop, path: Path) -> None:
    shop.path("scenes")
    run("questions", shop.path("scenes"), "--per-scene", 2, "--out", path)


def _search(shop: Workshop, path: Path) -> None:
    policies = [part for name in ("careful", "vague", "hasty") for part in ("--policy", f"scripted:{name}")]
    run("search", shop.path("questions.jsonl"), *policies, "--out", path)


def _pairs(shop: Workshop, path: Path) -> None:
    run("pairs", shop.path("search"), "--out", path, "--hard", 1)


def _predictions(shop: Workshop, path: Path, *, model: str) -> None:
    run("generate", shop.path("questions.jsonl"), "--model", model, "--out", path)


def _responses(shop: Workshop, path: Path) -> None:
    rows = map(json.loads, shop.path("predictions.jsonl").read_text("utf-8").splitlines())
    path.write_text(
        "".join(json.dumps({"question_id": row["question_id"], "text": row["pred"]}) + "\n" for row in rows), "utf-8"
    )


def _rewards(shop: Workshop, path: Path) -> None:
    run("reward", shop.path("questions.jsonl"), shop.path("responses.jsonl"), "--out", path)


def _both(shop: Workshop, path: Path) -> None:
    """The answers of two models in one file."""
    path.write_text("".join(shop.path(name).read_text("utf-8") for name in ("a.jsonl", "b.jsonl")), "utf-8")


def _rated(shop: Workshop, path: Path) -> None:
    """The same with ratings of somebody's own."""
    rows = map(json.loads, shop.path("answers.jsonl").read_text("utf-8").splitlines())
    path.write_text("".join(json.dumps(row | {"stars": n, "seen": n, "argued": -n / 2}) + "\n" for n, row in enumerate(rows)))


def _own_rows(shop: Workshop, path: Path) -> None:
    """Preference rows that have nothing to do with space."""
    del shop
    sides = {
        side: f"<plan>{plan}</plan><answer>{end}</answer>" for side, plan, end in (("chosen", "Add.", 7), ("rejected", "?", 1))
    }
    rows = [{"prompt": f"What is {n} plus 4?", **sides, "plan_gap": 1.0, "answer_gap": n} for n in (3, 5)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def _photos(shop: Workshop, path: Path) -> None:
    """Rooms as photos, which know nothing but their pixels."""
    path.mkdir()
    for number, name in enumerate(("kitchen", "office")):
        Image.fromarray(synthetic.make_scene(9, number).image).save(path / f"{name}.jpg", quality=95)


def _annotations(shop: Workshop, path: Path) -> None:
    """The true regions of the photos in COCO's form."""
    images, annotations = [], []
    for number, name in enumerate(("kitchen", "office")):
        images.append({"id": number, "file_name": f"{name}.jpg", "height": 128, "width": 128})
        annotations += [
            {"image_id": number, "category_id": 1, "segmentation": {"size": list(r.mask.size), "counts": r.mask.counts}}
            for r in synthetic.make_scene(9, number).scene.regions
        ]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}))


def _photo(shop: Workshop, path: Path) -> None:
    Image.fromarray(synthetic.make_scene(9, 0, width=320, height=320).image).save(path)


def _mask(shop: Workshop, path: Path) -> None:
    mask = Image.new("L", (320, 320))
    ImageDraw.Draw(mask).rectangle((200, 150, 280, 260), fill=255)
    mask.save(path)


def _rgbd(shop: Workshop, path: Path) -> None:
    """A room as an RGB-D folder."""
    made = synthetic.make_scene(9, 0)
    path.mkdir()
    Image.fromarray(made.image).save(path / "image.png")
    Image.fromarray(np.nan_to_num(made.depth * 1000).round().astype(np.uint16)).save(path / "depth.png")
    camera = made.scene.intrinsics
    assert camera is not None
    regions = [
        {"label": region.label, "rle": {"size": list(region.mask.size), "counts": region.mask.counts}}
        for region in made.scene.regions
    ]
    entry = {
        "image": "image.png", "depth": "depth.png", "depth_units_per_metre": 1000.0, "regions": regions,
        "intrinsics": {"fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy},
    }  # fmt: skip
    (path / "scene.json").write_text(json.dumps(entry))


def _benchmark(shop: Workshop, path: Path) -> None:
    """Two items in the form of the official file, on two grey images."""
    (path / "kitti").mkdir(parents=True)
    items = []
    for number in range(2):
        name = f"kitti/{number}.png"
        Image.fromarray(np.full((24, 40, 3), 90 * number, dtype=np.uint8)).save(path / name)
        boxes = [[2, 3, 10, 12], [20, 5, 30, 18]]
        runs = [masks.encode(masks.from_box(box, (24, 40))) for box in boxes]
        items.append({
            "id": f"quantitative_{number}", "image_info": {"file_path": name, "height": 24, "width": 40},
            "text_q": "How far is Region [0] from Region [1]?",
            "qa_info": {"type": "quantitative", "category": "distance_data"},
            "conversations": [
                {"from": "human", "value": "<image>\nHow far is <mask> <depth> from <mask> <depth>?"},
                {"from": "gpt", "value": "Region [0] and Region [1] are 50.00 centimeters apart."},
            ],
            "bbox": boxes, "rle": [{"size": list(run.size), "counts": run.counts} for run in runs],
        })  # fmt: skip
    (path / "SpatialRGPT-Bench_v1.json").write_text(json.dumps(items))


def _examples(shop: Workshop, path: Path) -> None:
    shutil.copytree(ROOT / "examples", path)


def _model(shop: Workshop, path: Path, *, family: str) -> None:
    build_tiny(family, path, TEXTS, width=32, layers=1, image_size=56, vocabulary=300)


def _text_model(shop: Workshop, path: Path) -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM, set_seed

    tokenizer = train_tokenizer(TEXTS, vocabulary=300)
    tokenizer.chat_template = CHAT_TEMPLATE
    set_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
    )  # fmt: skip
    Qwen2ForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)


def _depth_model(shop: Workshop, path: Path) -> None:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessorPil, set_seed

    backbone = Dinov2Config(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, image_size=42, patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=32, neck_hidden_sizes=[8, 16, 32, 32], fusion_hidden_size=16,
        head_hidden_size=8, depth_estimation_type="metric", max_depth=20,
    )  # fmt: skip
    set_seed(0)
    model = DepthAnythingForDepthEstimation(config)
    _make_uneven(model)
    model.save_pretrained(path)
    processor = DPTImageProcessorPil(size={"height": 42, "width": 42}, keep_aspect_ratio=True, ensure_multiple_of=14)
    processor.save_pretrained(path)


@torch.no_grad()
def _make_uneven(model: Any) -> None:
    """Let a depth model with random weights see no flat wall: 20 m times the sigmoid of about -2, so some 2.4 m."""
    for name, weight in model.named_parameters():
        if weight.dim() > 1 and not name.startswith("backbone"):
            torch.nn.init.kaiming_normal_(weight)
    share = model(pixel_values=torch.randn(1, 3, 42, 42)).predicted_depth / 20
    logits = torch.logit(share.clamp(1e-4, 1 - 1e-4))
    scale = 0.1 / logits.std()
    model.head.conv3.weight *= scale
    model.head.conv3.bias.fill_(-2.0 - scale * logits.mean())


def _mask_model(shop: Workshop, path: Path) -> None:
    """A SAM whose random masks pass its own checks of quality."""
    from transformers import SamConfig, SamImageProcessorPil, SamModel, set_seed

    set_seed(0)
    config = SamConfig(
        vision_config={
            "hidden_size": 32, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 64,
            "patch_size": 8, "window_size": 4, "global_attn_indexes": [1], "mlp_dim": 32, "num_pos_feats": 8,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 8, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "mlp_dim": 32, "iou_head_hidden_dim": 16,
        },
    )  # fmt: skip
    model = SamModel(config)
    decoder = model.mask_decoder
    torch.nn.init.constant_(decoder.iou_prediction_head.proj_out.bias, 1.0)
    for layers in decoder.output_hypernetworks_mlps:  # else all is near the edge of a mask, and no mask is stable
        layers.proj_out.weight.data *= 1e5
    model.save_pretrained(path)
    processor = SamImageProcessorPil(
        size={"longest_edge": 64}, pad_size={"height": 64, "width": 64}, mask_size={"longest_edge": 16},
        mask_pad_size={"height": 16, "width": 16},
    )  # fmt: skip
    processor.save_pretrained(path)


def _captured(shop: Workshop, path: Path) -> None:
    """What a phone and a scanner recorded."""
    {"kitchen.r3d": captures.record3d, "scene0000_00": captures.scannet}[path.name](path.parent)


def _sa2va(shop: Workshop, path: Path) -> None:
    shutil.copytree(INTERNLM2, path)


def _plans(shop: Workshop, path: Path) -> None:
    rows = pairs(4, 0, {"both": 0.5, "answer": 0.5})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


GIVEN: Mapping[str, Callable[[Workshop, Path], None]] = {
    "scenes": _scenes,
    "questions.jsonl": _questions,
    "search": _search,
    "pairs": _pairs,
    "predictions.jsonl": partial(_predictions, model="scripted:careful"),
    "dpo.jsonl": partial(_predictions, model="scripted:vague"),
    "fdpo.jsonl": partial(_predictions, model="scripted:careful"),
    "a.jsonl": partial(_predictions, model="scripted:careful"),
    "b.jsonl": partial(_predictions, model="scripted:vague"),
    "rated.jsonl": _rated,
    "answers.jsonl": _both,
    "my.jsonl": _own_rows,
    "responses.jsonl": _responses,
    "rewards.jsonl": _rewards,
    "photos": _photos,
    "annotations.json": _annotations,
    "photo.jpg": _photo,
    "mask.png": _mask,
    "my-room": _rgbd,
    "SpatialRGPT-Bench": _benchmark,
    "kitchen.r3d": _captured,
    "scene0000_00": _captured,
    "examples": _examples,
    "plans.jsonl": _plans,
    "sft": partial(_model, family="llava"),
    "models/llava": partial(_model, family="llava"),
    "models/qwen": partial(_model, family="qwen2_5_vl"),
    "models/text": _text_model,
    "Sa2VA-8B": _sa2va,
    "models/depth": _depth_model,
    "models/masks": _mask_model,
}
"""Makers of what pages may take as given."""

STAND_INS = {
    "llava-hf/llava-1.5-7b-hf": "models/llava",
    "Qwen/Qwen2.5-VL-3B-Instruct": "models/qwen",
    "Qwen/Qwen2.5-VL-7B-Instruct": "models/qwen",
    "Qwen/Qwen2.5-0.5B-Instruct": "models/text",
    "HuggingFaceTB/SmolLM2-135M-Instruct": "models/text",
    "facebook/sam-vit-base": "models/masks",
    "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf": "models/depth",
}
"""Tiny models of the same classes in the place of released ones."""
