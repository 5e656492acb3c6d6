"""A model that was trained on short answers in its family's form ends them by itself, as the forms' facts say."""

from __future__ import annotations

import asyncio
import json

import pytest
from PIL import Image

from chat_forms import FORMS, build_model
from spatialreasoner.core.types import Prompt
from spatialreasoner.inference.backends.hf import HfPolicy
from spatialreasoner.pipeline import train

NAMES = [form.name for form in FORMS]
COLOURS = ["red", "green", "blue"]
FAST = ["num_train_epochs=40", "per_device_train_batch_size=15", "gradient_accumulation_steps=1", "learning_rate=1e-2",
        "weight_decay=0", "save_steps=1000", "precision=float32"]  # fmt: skip


def conversation(number: int) -> tuple[str, str]:
    colour = COLOURS[number % 3]
    return f"How tall is the {colour} one?", f"The {colour} one is {number % 3 + 1} m tall."


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    Image.new("RGB", (28, 28)).save(folder / "room.png")
    with (folder / "sft.jsonl").open("w") as file:
        for number in range(30):
            asked, said = conversation(number)
            turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
            file.write(json.dumps({"images": ["room.png"], "messages": turns}) + "\n")
    return folder / "sft.jsonl"


@pytest.mark.parametrize("name", ["LLaVA-1.5", "Qwen3.5"])
def test_a_trained_model_ends_its_answers(name, rows, tmp_path):
    folder = build_model(FORMS[NAMES.index(name)], tmp_path / "model")
    train(rows, kind="sft", model=str(folder), out=tmp_path / "out", overrides=FAST)
    policy = HfPolicy(tmp_path / "out", temperature=0, max_new_tokens=60)

    async def ask(prefix=""):
        prompts = [
            Prompt(image=str(rows.parent / "room.png"), regions=(), request=conversation(number)[0], prefix=prefix)
            for number in range(3)
        ]
        return [(await policy.complete(prompt, n=1, seed=0))[0] for prompt in prompts]

    answers = asyncio.run(ask())
    assert [answer.finish for answer in answers] == ["stop"] * 3
    assert [answer.text.strip() for answer in answers] == [conversation(number)[1] for number in range(3)]
    continued = asyncio.run(ask("The red"))
    assert continued[0].text == " one is 1 m tall."
    assert [answer.finish for answer in continued] == ["stop"] * 3
