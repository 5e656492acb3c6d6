"""The nano on its own: what regions change, and that every way to run it gives the same numbers."""

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, GenerationConfig

from spatialreasoner.nano import NanoForConditionalGeneration
from spatialreasoner.nano.tokenizer import IMAGE

QUESTION = f"<|user|>{IMAGE}How far apart are <region1> and <region2>?<|end|><|assistant|>"


def logits_of(nano, images, texts):
    batch = nano[1](images=images, text=texts, padding=True)
    with torch.inference_mode():
        return nano[0](**batch).logits


def test_regions_speak_through_their_tokens_alone(nano, image):
    here, there = image(boxes=((0, 0, 40, 40),)), image(boxes=((60, 30, 110, 80),))
    named, unnamed = f"{IMAGE}<region1> is ", f"{IMAGE}How far"
    assert torch.equal(logits_of(nano, [here], [unnamed]), logits_of(nano, [there], [unnamed]))
    assert not torch.allclose(logits_of(nano, [here], [named])[0, -1], logits_of(nano, [there], [named])[0, -1])


def test_a_region_is_told_by_itself_and_as_seen_from_the_first(nano, image):
    first, second, third = (0, 0, 40, 40), (60, 30, 110, 80), (10, 50, 50, 85)

    def told(*boxes):
        batch = nano[1](images=[image(boxes=boxes)], text=[IMAGE])
        with torch.inference_mode():
            return nano[0].model.tell(*nano[0].model.look(batch["pixel_values"], batch["region_masks"]))[1][0]

    torch.testing.assert_close(told(first, second)[0], told(first)[0])
    torch.testing.assert_close(told(first, second, third)[2], told(first, third)[1])
    assert not torch.allclose(told(first, second)[1], told(third, second)[1], atol=1e-3)


def test_rows_of_a_batch_do_not_mix(nano, image):
    images, texts = [image(1), image(2)], [QUESTION, QUESTION + "It is <region2>"]
    together = logits_of(nano, [[each] for each in images], texts)
    for row, (one, text) in enumerate(zip(images, texts, strict=True)):
        torch.testing.assert_close(together[row, -1], logits_of(nano, [one], [text])[0, -1], atol=1e-5, rtol=1e-4)


def test_a_row_without_an_image_knows_no_regions_of_the_row_before(nano, image):
    seen, unseen = QUESTION, "<|user|>Is <region1> wide?<|end|><|assistant|>"
    together = logits_of(nano, [[image(1)], []], [seen, unseen])
    torch.testing.assert_close(together[1, -1], logits_of(nano, None, [unseen])[0, -1], atol=1e-5, rtol=1e-4)
    batch = nano[1](images=[[image(1)], []], text=[seen, unseen], padding=True)
    config = GenerationConfig(max_new_tokens=4, do_sample=False, pad_token_id=0, eos_token_id=None)
    named = lambda *_: nano[0].config.region_token_ids[:2]  # noqa: E731
    written = nano[0].generate(**batch, generation_config=config, prefix_allowed_tokens_fn=named)
    alone = nano[0].generate(**nano[1](text=[unseen]), generation_config=config, prefix_allowed_tokens_fn=named)
    assert torch.equal(written[1, -4:], alone[0, -4:])


def test_questions_about_one_image_look_at_it_once(nano, image):
    images = [[image(1)], [image(1, boxes=((5, 5, 20, 20),))], [image(2)], [image(1)]]
    batch = nano[1](images=images, text=[QUESTION] * 4, padding=True)
    seen = []
    hook = nano[0].model.vision_tower.register_forward_pre_hook(lambda _module, given: seen.append(len(given[0])))
    with torch.no_grad():
        once = nano[0](**batch).logits
    every = nano[0](**batch).logits
    hook.remove()
    assert seen == [3, 4]
    torch.testing.assert_close(once, every.detach(), atol=1e-5, rtol=1e-4)


def test_two_images_in_one_row_have_regions_of_their_own(nano, image):
    first, second = image(1), image(2)
    text = f"{IMAGE}<region1>{IMAGE}<region1>"
    batch = nano[1](images=[[first, second]], text=[text])
    model = nano[0].model
    with torch.inference_mode():
        images, vectors = model.tell(*model.look(batch["pixel_values"], batch["region_masks"]))
        embeds, last = model.embed(batch["input_ids"], images, vectors)
    named = batch["input_ids"][0] == nano[0].config.region_token_ids[0]
    names = model.get_input_embeddings()(batch["input_ids"][0, named])
    torch.testing.assert_close(embeds[0, named] - names, vectors[:, 0], atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(last[0], vectors[1])


@pytest.mark.parametrize("rows", [1, 3])
def test_generation_with_a_cache_equals_without(nano, image, rows):
    batch = nano[1](images=[[image(seed)] for seed in range(rows)], text=[QUESTION] * rows, padding=True)
    end = nano[0].config.region_token_ids[1]  # no end: names of regions are written over and over below
    written = []
    for cached in (True, False):
        config = GenerationConfig(max_new_tokens=12, do_sample=False, use_cache=cached, pad_token_id=0, eos_token_id=None)
        only = nano[0].config.region_token_ids[:2] + list(range(300, 320))
        allowed = lambda _row, _ids, only=only: only  # noqa: E731
        ids = nano[0].generate(**batch, generation_config=config, prefix_allowed_tokens_fn=allowed)
        written.append(ids[:, batch["input_ids"].shape[1] :])
    assert torch.equal(*written)
    assert end  # the names were allowed


def test_it_is_saved_and_loaded_by_the_auto_classes(nano, image, tmp_path):
    nano[0].save_pretrained(tmp_path)
    nano[1].save_pretrained(tmp_path)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(tmp_path)
    assert isinstance(model, NanoForConditionalGeneration)
    assert model.lm_head.weight is model.get_input_embeddings().weight
    torch.testing.assert_close(logits_of((model, processor), [image()], [QUESTION]), logits_of(nano, [image()], [QUESTION]))
    assert not list(tmp_path.glob("*.bin"))


def test_images_and_placeholders_must_agree(nano, image):
    batch = nano[1](images=[image()], text=[IMAGE])
    with pytest.raises(ValueError, match="image tokens"):
        nano[0](input_ids=batch["input_ids"][:, :-1], pixel_values=batch["pixel_values"])


def test_what_is_generated_is_what_a_plain_forward_pass_predicts(nano, image):
    batch = nano[1](images=[[image(1)], [image(2)]], text=[QUESTION, QUESTION + "It is"], padding=True)
    config = GenerationConfig(max_new_tokens=6, do_sample=False, pad_token_id=0, eos_token_id=None)
    written = nano[0].generate(**batch, generation_config=config)
    start = batch["input_ids"].shape[1]
    mask = torch.cat([batch["attention_mask"], torch.ones(2, 6, dtype=torch.long)], dim=1)
    with torch.inference_mode():
        logits = nano[0](
            input_ids=written, attention_mask=mask, pixel_values=batch["pixel_values"], region_masks=batch["region_masks"]
        ).logits
    assert torch.equal(logits[:, start - 1 : -1].argmax(-1), written[:, start:])


@pytest.mark.parametrize(("dtype", "nats"), [(torch.bfloat16, 0.1), (torch.float16, 0.02)])
def test_half_precision_sees_and_writes_the_same(folder, image, dtype, nats):
    """As `precision=auto` loads it on a GPU: image, regions and every later step of `generate`."""
    processor = AutoProcessor.from_pretrained(folder)
    batch = processor(images=[[image(1)], [image(2)]], text=[QUESTION, QUESTION + "It is <region2>"], padding=True)
    exact, half = (AutoModelForImageTextToText.from_pretrained(folder, dtype=kind).eval() for kind in (torch.float32, dtype))
    with torch.inference_mode():
        before, after = (model(**batch).logits.float().log_softmax(-1)[:, -1] for model in (exact, half))
        written = half.generate(**batch, max_new_tokens=5, min_new_tokens=5, do_sample=False)
    torch.testing.assert_close(after, before, atol=nats, rtol=0)
    assert written.shape[1] == batch["input_ids"].shape[1] + 5
    assert {weight.dtype for weight in half.parameters()} == {dtype}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_reads_regions_of_the_whole_image(folder, image, dtype):
    """All 16,384 pixels of a mask: their squares and sums would overflow, or be rounded to a hundred."""
    batch = AutoProcessor.from_pretrained(folder)(images=[image(boxes=((0, 0, 120, 90), (3, 3, 4, 4)))], text=[IMAGE])
    exact, half = (AutoModelForImageTextToText.from_pretrained(folder, dtype=kind).model for kind in (torch.float32, dtype))
    with torch.inference_mode():
        before, after = (model.tell(*model.look(batch["pixel_values"], batch["region_masks"]))[1] for model in (exact, half))
    torch.testing.assert_close(after.float(), before, atol=0.03, rtol=0)  # a vector's entries are about 0.06
