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


def trained(form, data, out, *options):
    folder = build_model(form, out / "model")
    train(data, kind="sft", model=str(folder), out=out / "out", overrides=[*FAST, *options])
    return out / "out"


def answers(policy, image, prefix=""):
    prompts = [Prompt(image=str(image), regions=(), request=conversation(number)[0], prefix=prefix) for number in range(3)]

    async def ask():
        return [(await policy.complete(prompt, n=1, seed=0))[0] for prompt in prompts]

    return asyncio.run(ask())


def test_a_model_learns_to_end_where_its_template_writes_no_end(rows, tmp_path):
    folder = trained(FORMS[NAMES.index("LLaVA-1.5")], rows, tmp_path)
    policy = HfPolicy(folder, temperature=0, max_new_tokens=60)
    whole = answers(policy, rows.parent / "room.png")
    assert [answer.finish for answer in whole] == ["stop"] * 3
    assert [answer.text for answer in whole] == [conversation(number)[1] for number in range(3)]
    continued = answers(policy, rows.parent / "room.png", "The red")
    assert continued[0].text == " one is 1 m tall."
    assert [answer.finish for answer in continued] == ["stop"] * 3


def test_a_model_that_thinks_ends_its_thinking_and_its_answer(rows, tmp_path):
    thought = "It is <description>not this</description>."
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    for line in lines:
        line["messages"][1]["content"] = f"<think>\n{thought}\n</think>\n\n" + line["messages"][1]["content"]
    data = rows.with_name("thinking.jsonl")
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    folder = trained(FORMS[NAMES.index("Qwen3.5")], data, tmp_path, "enable_thinking=true")
    policy = HfPolicy(folder, temperature=0, max_new_tokens=90, enable_thinking=True)
    whole = answers(policy, rows.parent / "room.png")
    assert [answer.finish for answer in whole] == ["stop"] * 3
    assert {answer.text for answer in whole} <= {conversation(number)[1] for number in range(3)}
    assert {answer.thinking for answer in whole} == {thought}
    cut = answers(HfPolicy(folder, temperature=0, max_new_tokens=4, enable_thinking=True), rows.parent / "room.png")
    assert {(answer.text, answer.finish, bool(answer.thinking)) for answer in cut} == {("", "length", True)}
