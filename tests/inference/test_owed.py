"""Openings whose last token merges with what follows: what is continued is what was trained, and nothing is written twice."""

import asyncio

import pytest
import torch
from PIL import Image
from transformers import LlavaForConditionalGeneration

from spatialreasoner.core.types import Prompt
from spatialreasoner.inference.backends.hf import HfPolicy
from spatialreasoner.inference.backends.owed import OwedText
from spatialreasoner.inference.streaming import stream
from spatialreasoner.testing import tiny_models as tiny
from spatialreasoner.training.collate import Encoder
from spatialreasoner.vlm.encoding import TextReader
from spatialreasoner.vlm.loading import load_vlm
from spatialreasoner.vlm.rendering import chat_template_of

ANSWER = "<description>A red box.</description>\n<reasoning>It is tall.</reasoning>\n### In Conclusion\nYes, 1.5 m."
TEXTS = [f"ASSISTANT:{ANSWER}"] * 5
USER = {"role": "user", "content": [{"type": "text", "text": "How tall?"}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A LLaVA whose template has no blank before an answer, so that `:<` is one token."""
    made = tiny.build_tiny("llava", tmp_path_factory.mktemp("model"), TEXTS, width=32, image_size=28)
    template = made / "chat_template.jinja"
    template.write_text(template.read_text().replace("ASSISTANT: ", "ASSISTANT:"))
    return made


@pytest.fixture(scope="module")
def processor(folder):
    return load_vlm(folder)[1]


@pytest.fixture(scope="module")
def policies(folder):
    return [HfPolicy(folder, max_new_tokens=12, temperature=temperature) for temperature in (0.0, 1.0)]


@pytest.fixture
def asked(tmp_path):
    Image.new("RGB", (40, 40), "red").save(tmp_path / "a.png")
    return Prompt(image=str(tmp_path / "a.png"), regions=(), request="How tall?", prefix="")


@pytest.mark.parametrize("prefix", ["", ANSWER[: ANSWER.index("</reasoning>")]], ids=["an opening", "a step before its tag"])
def test_what_is_continued_begins_what_is_trained(processor, prefix):
    row = {"prompt": [USER], "completion": [{"role": "assistant", "content": ANSWER}], "images": []}
    (parts,), _ = Encoder(processor)([row], ("completion",))
    trained = [token for part in parts for token in part.ids.tolist()]
    reader, frame = TextReader(processor), chat_template_of(processor).frame([USER])
    opened = reader.open_ended(frame.continued(prefix), frame.follows(prefix))
    assert opened.owed in {":", "."}
    ids = reader.encode(opened.text, special=reader.adds_special(opened.text)).ids
    ids = ids[: len(ids) - opened.surplus]
    assert ids == trained[: len(ids)]
    assert processor.tokenizer.decode(trained[len(ids)]).startswith(opened.owed)
    assert len(processor.tokenizer.decode(trained[len(ids)])) > 1


def test_what_is_owed_is_written_first_and_not_shown(policies, processor, asked, monkeypatch):
    generate, written = LlavaForConditionalGeneration.generate, []

    def heard(self, **inputs):
        found = generate(self, **inputs)
        written.extend(processor.tokenizer.batch_decode(found[:, inputs["input_ids"].shape[1] :]))
        return found

    async def streamed(policy):
        return "".join([piece async for piece in stream(policy, asked, seed=0)])

    monkeypatch.setattr(LlavaForConditionalGeneration, "generate", heard)
    for policy in policies:
        (whole,) = asyncio.run(policy.complete(asked, n=1, seed=0))
        assert asyncio.run(streamed(policy)) == whole.text
    assert all(text.startswith(":") for text in written)
    assert not whole.text.startswith(":")


def test_rows_are_free_when_they_have_written_what_they_owe(processor):
    tokenizer = processor.tokenizer
    scores = torch.zeros(3, len(tokenizer))
    owing = OwedText([":", "", "::"], tokenizer)
    first, colon = owing(torch.zeros(3, 4, dtype=torch.long), scores), tokenizer.convert_tokens_to_ids(":")
    texts = [tokenizer.decode([token]) for token in range(len(tokenizer))]
    assert {texts[token] for token in first[0].isfinite().nonzero()[:, 0]} == {text for text in texts if text.startswith(":")}
    assert first[1].isfinite().all()
    second = owing(torch.full((3, 5), colon), scores)
    assert second[:2].isfinite().all()
    assert second[2, colon] == 0
    assert second[2].isfinite().sum() < len(texts)
