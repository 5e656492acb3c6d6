"""Folders of models whose settings declare far more than the weights hold, and templates in folders of the shipped family."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from strange.case import MEGABYTES, Bench, Case, Surprise, need
from strange.server import Server, healthy
from strange.trainings import train
from strange.visits import start

REFUSED = f"exit 2 with what is declared and what is there; less than {MEGABYTES} MB"
BOUND = f"answered, or exit 1 or 2 with what is wrong; less than {MEGABYTES} MB"
KIND = "declared too large"


def _settings(name: str, *keys: str, value: Any) -> Callable[[Path], None]:
    """Set one value of a JSON file, in the parts of it that `keys` lead to."""

    def change(folder: Path) -> None:
        path = folder / name
        content = json.loads(path.read_text()) if path.exists() else {}
        part = content
        for key in keys[:-1]:
            part = part.setdefault(key, {})
        part[keys[-1]] = value
        path.write_text(json.dumps(content))

    return change


def _text(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: (
        [_settings("config.json", "text_config", key, value=value)(folder) for key, value in changes.items()] and None
    )


CONFIGS: Mapping[str, Callable[[Path], Any]] = {
    "a vocabulary of 20 million words": _text(vocab_size=20_000_000),
    "10 million layers": _text(num_hidden_layers=10_000_000),
    "500 layers": _text(num_hidden_layers=500),
    "a hidden size of 200,000": _text(hidden_size=200_000),
    "an inner size of 20 million": _text(intermediate_size=20_000_000),
    "40,000 heads": _text(num_attention_heads=40_000, num_key_value_heads=40_000),
    "heads of 2^30 numbers": _text(head_dim=2**30),
    "a vision part of 10 million layers": _settings("config.json", "vision_config", "depth", value=10_000_000),
    "a vision part 200,000 wide": _settings("config.json", "vision_config", "hidden_size", value=200_000),
    "patches of 20,000 pixels": _settings("config.json", "vision_config", "patch_size", value=20_000),
}
PROCESSORS: Mapping[str, Callable[[Path], Any]] = {
    "images of at least 500 million pixels": _settings(
        "processor_config.json", "image_processor", "size", value={"shortest_edge": 5 * 10**8, "longest_edge": 10**9}
    ),
    "min_pixels of 500 million": _settings("processor_config.json", "image_processor", "min_pixels", value=5 * 10**8),
    "patches of one pixel": _settings("processor_config.json", "image_processor", "patch_size", value=1),
    "a standard deviation of 0": _settings("processor_config.json", "image_processor", "image_std", value=[0, 0, 0]),
    "100,000 means": _settings("processor_config.json", "image_processor", "image_mean", value=[0.5] * 100_000),
    "100,000 beams": _settings("generation_config.json", "num_beams", value=100_000),
    "100,000 answers at once": _settings("generation_config.json", "num_return_sequences", value=100_000),
    "at least 10^9 tokens": _settings("generation_config.json", "min_new_tokens", value=10**9),
}  # fmt: skip
NANO: Mapping[str, Callable[[Path], Any]] = {
    "the nano: images of 65,536 pixels a side": _settings("config.json", "image_size", value=65_536),
    "the nano: images of 20,000 pixels a side for its processor": _settings(
        "processor_config.json", "image_processor", "size", value={"height": 20_000, "width": 20_000}
    ),
    "the nano: 500 million layers": _text(num_hidden_layers=500_000_000),
    "the nano: heads of 2^30 numbers": _text(head_dim=2**30),
    "the nano: 500 million tokens an image": _settings("processor_config.json", "num_image_tokens", value=500_000_000),
    "the nano: one head more": _text(num_attention_heads=7),
}
TEMPLATES: Mapping[str, str] = {
    "loops that never end": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a text of 10 GB": "{{ 'a' * 10000000000 }}",
    "a padded number": "{{ '%900000000d' % 1 }}",
    "a centred text": "{{ 'a'|center(900000000) }}",
    "an include": "{% include '/etc/passwd' %}",
    "an attribute of classes": "{{ ''.__class__.__mro__ }}",
}


def cases() -> Iterator[Case]:
    """Each folder asked; some by every command that loads models."""
    for name, change in CONFIGS.items():
        yield Case(kind=KIND, done=f"generate: {name}", expected=REFUSED, run=partial(_loaded, "generate", change, (2,)))
    for command in ("search", "ask", "train", "reward --embeddings", "scenes images --depth"):
        for name in ("a vocabulary of 20 million words", "10 million layers"):
            yield Case(
                kind=KIND, done=f"{command}: {name}", expected=REFUSED, run=partial(_loaded, command, CONFIGS[name], (2,))
            )
    yield Case(kind=KIND, done="train: an adapter of rank 10 million", expected=REFUSED, run=_adapter)
    yield Case(kind=KIND, done="the app: 10 million layers", expected=REFUSED, run=_app)
    for name, change in PROCESSORS.items():
        yield Case(kind=KIND, done=f"generate: {name}", expected=BOUND, run=partial(_loaded, "generate", change, (0, 1, 2)))
    for name, change in NANO.items():
        yield Case(kind=KIND, done=f"ask: {name}", expected=REFUSED, run=partial(_nano, "ask", change))
    for name, template in TEMPLATES.items():
        for command in ("ask", "generate"):
            change = partial(_template, template)
            yield Case(
                kind=KIND, done=f"{command}: the nano's family with a template of {name}", expected="exit 2 within 60 s",
                run=partial(_nano, command, change),
            )  # fmt: skip


def _template(text: str, folder: Path) -> None:
    (folder / "chat_template.jinja").write_text(text + (folder / "chat_template.jinja").read_text())


def _little() -> None:
    """What the machine can spare, where a case takes all that it gets."""
    resource.setrlimit(resource.RLIMIT_DATA, (4 * 2**30, 4 * 2**30))


def _commands(bench: Bench, model: Path, command: str) -> list[object]:
    out, rows, photos = bench.folder / "out", bench.folder / "out.jsonl", bench.image.parent
    few = ("--max-new-tokens", 4)
    return {
        "generate": ["generate", bench.questions, "--model", model, "--out", rows, *few],
        "search": ["search", bench.questions, "--policy", model, "--yes", "--out", out],
        "ask": ["ask", bench.image, "How wide is <region1>?", "--region", "5,5,40,40", "--model", model, *few],
        "train": train(bench, out, "max_steps=1", model=model),
        "reward --embeddings": [
            *("reward", bench.questions, bench.inputs / "responses.jsonl", "--embeddings", model, "--out", rows)
        ],
        "scenes images --depth": ["scenes", "images", photos, "--depth", model, "--masks", model, "--out", out],
    }[command]


def _loaded(command: str, change: Callable[[Path], Any], codes: tuple[int, ...], bench: Bench) -> str:
    model = bench.folder / "model"
    shutil.copytree(bench.inputs / "model", model)
    change(model)
    end = bench.spatial(*_commands(bench, model, command), before=_little).expect(*codes, within=120)
    return f"exit {end.code}, {end.megabytes:.0f} MB: {end.error[:160]}"


def _nano(command: str, change: Callable[[Path], Any], bench: Bench) -> str:
    model = bench.folder / "model"
    shutil.copytree(Path(str(files("spatialreasoner.nano") / "weights")), model)
    change(model)
    end = bench.spatial(*_commands(bench, model, command), before=_little).expect(2, within=60)
    return f"{end.megabytes:.0f} MB: {end.error[:160]}"


def _adapter(bench: Bench) -> str:
    base = bench.inputs / "model"
    bench.spatial(*_commands(bench, base, "train"), "lora_r=2").expect(0)
    adapter = next(path.parent for path in (bench.folder / "out").rglob("adapter_config.json"))
    model = bench.folder / "adapter"
    shutil.copytree(adapter, model)
    _settings("adapter_config.json", "r", value=10_000_000)(model)
    _settings("adapter_config.json", "base_model_name_or_path", value=str(base))(model)
    end = bench.spatial(*_commands(bench, model, "generate"), before=_little).expect(2, within=120)
    return f"{end.megabytes:.0f} MB: {end.error[:160]}"


def _app(bench: Bench) -> str:
    model = bench.folder / "model"
    shutil.copytree(bench.inputs / "model", model)
    CONFIGS["10 million layers"](model)
    with Server(handler=healthy) as server:
        try:
            start("--model", str(model), server=server)
        except Surprise as ended:
            need("config" in str(ended) and "Traceback" not in str(ended), str(ended))
            return str(ended)[-160:]
    raise Surprise("the app started")
