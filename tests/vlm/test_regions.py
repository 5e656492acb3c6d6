import copy

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import LogitsProcessorList
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from spatialreasoner.core.errors import ConfigError, SceneError
from spatialreasoner.core.types import Region
from spatialreasoner.scenes.carry import attach
from spatialreasoner.scenes.masks import encode, from_box
from spatialreasoner.testing import tiny_models as tiny
from spatialreasoner.testing.tiny_templates import LLAVA, turns
from spatialreasoner.vlm.loading import load_vlm
from spatialreasoner.vlm.region_models import region_token_ids
from spatialreasoner.vlm.regions import adapter_options, add_region_tokens

TEXTS = ["Is <region1> left of <region2>? Yes, no. Which one is larger? The first."] * 3
BOXES = ((2, 3, 20, 30), (30, 5, 58, 38))


def image(*boxes, seed=0, size=(40, 60)):
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    regions = [Region(id=f"region{k}", label="", mask=encode(from_box(box, size))) for k, box in enumerate(boxes, 1)]
    return attach(Image.fromarray(pixels), regions)


@pytest.fixture(
    scope="module",
    params=["llava", "qwen2_5_vl", "qwen3_vl", "internvl", pytest.param("qwen3_vl_moe", marks=pytest.mark.families)],
)
def family(request):
    return request.param


@pytest.fixture(scope="module")
def trained(family):
    """A model whose regions have vectors, and its processor."""
    model, processor = add_region_tokens(*tiny.make_tiny(family, TEXTS, width=32), num_regions=4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.nn.init.normal_(model.model.region_encoder.last.weight)
    return model.eval(), processor


def prompt(processor, *content):
    blocks = [{"type": "text", "text": each} if isinstance(each, str) else {"type": "image"} for each in content]
    return processor.apply_chat_template([{"role": "user", "content": blocks}], add_generation_prompt=True, tokenize=False)


def inputs(processor, *rows):
    """Rows of texts and images, padded on the left."""
    images = [[each for each in row if not isinstance(each, str)] for row in rows]
    texts = [prompt(processor, *row) for row in rows]
    given = images if any(images) else None
    return processor(images=given, text=texts, return_tensors="pt", padding=True, add_special_tokens=False)


def named(ready, number, *row):
    """Where in a row the tokens `<region...>` of a number stand."""
    given = inputs(ready[1], row)["input_ids"][0]
    return (given == ready[0].config.region_token_ids[number - 1]).nonzero()[:, 0].tolist()


@torch.no_grad()
def logits(ready, *row):
    return ready[0](**inputs(ready[1], row)).logits[0]


def test_the_start_is_the_model_as_it_was(family):
    model, processor = tiny.make_tiny(family, TEXTS, width=32)
    before = copy.deepcopy(model).eval()
    given = inputs(processor, (image(), "Which one is larger?"))
    add_region_tokens(model, processor)
    with torch.no_grad():
        old = before(**given).logits
        new = model.eval()(**inputs(processor, (image(*BOXES), "Which one is larger?"))).logits
    assert torch.equal(new[..., : old.shape[-1]], old)
    assert torch.equal(
        logits((model, processor), image(*BOXES), "<region1>?"), logits((model, processor), image(), "<region1>?")
    )


def test_a_new_token_starts_as_the_mean_of_its_pieces(family):
    model, processor = tiny.make_tiny(family, TEXTS, width=32)
    pieces = processor.tokenizer("<region2>", add_special_tokens=False)["input_ids"]
    matrices = [matrix.weight.clone() for matrix in (model.get_input_embeddings(), model.get_output_embeddings())]
    add_region_tokens(model, processor)
    (token,) = processor.tokenizer("<region2>", add_special_tokens=False)["input_ids"]
    for old, module in zip(matrices, (model.get_input_embeddings(), model.get_output_embeddings()), strict=True):
        torch.testing.assert_close(module.weight[token], old[pieces].mean(0))
        assert torch.equal(module.weight[: len(old)], old)


def test_names_are_tokens_that_decoding_keeps(trained):
    tokenizer = trained[1].tokenizer
    ids = tokenizer("Is <region1> left of <region4>? <region5>")["input_ids"]
    assert region_token_ids(tokenizer) == trained[0].config.region_token_ids
    assert [token for token in ids if token in region_token_ids(tokenizer)] == [region_token_ids(tokenizer)[k] for k in (0, 3)]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "Is <region1> left of <region4>? <region5>"


def test_regions_are_seen_through_their_names_alone(trained):
    text = "Which one is larger?"
    assert torch.equal(logits(trained, image(*BOXES), text), logits(trained, image(), text))
    given, bare = (logits(trained, each, "Is <region1> left?") for each in (image(*BOXES), image()))
    (place,) = named(trained, 1, image(), "Is <region1> left?")
    assert torch.equal(given[:place], bare[:place])
    assert (given[place:] - bare[place:]).abs().amax(-1).min() > 1e-3


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_regions_are_seen_in_half_precision_as_in_full(trained, precision):
    half = copy.deepcopy(trained[0]).to(getattr(torch, precision)), trained[1]
    row = image(*BOXES), "Is <region1> left of <region2>?"
    found, exact, bare = logits(half, *row), logits(trained, *row), logits(trained, image(), row[1])
    assert found.dtype == half[0].dtype
    last = exact[-1] - bare[-1]  # what the regions do at the end of the prompt
    torch.testing.assert_close(found[-1].float() - bare[-1], last, atol=0.2 * last.abs().max().item(), rtol=0)
    written = half[0].generate(**inputs(half[1], row), max_new_tokens=3, min_new_tokens=3, do_sample=False)
    assert written.shape[1] == inputs(half[1], row)["input_ids"].shape[1] + 3


def test_a_region_that_is_not_named_or_not_given_changes_nothing(trained):
    one = logits(trained, image(BOXES[0]), "Is <region1> left?")
    for others in (BOXES[1:], ((0, 0, 5, 5),)):
        torch.testing.assert_close(logits(trained, image(BOXES[0], *others), "Is <region1> left?"), one)
    none = logits(trained, image(), "Is <region2> left?")
    assert torch.equal(logits(trained, image(BOXES[0]), "Is <region2> left?"), none)


def test_swapped_masks_swap_the_regions(trained):
    model, processor = copy.deepcopy(trained[0]), trained[1]
    first, second = region_token_ids(processor.tokenizer)[:2]
    with torch.no_grad():
        for module in (model.get_input_embeddings(), model.get_output_embeddings()):
            module.weight[second] = module.weight[first]  # now their regions are all that tells the names apart
    straight = logits((model, processor), image(*BOXES), "Is <region1> left of <region2>?")
    crossed = logits((model, processor), image(*BOXES[::-1]), "Is <region2> left of <region1>?")
    torch.testing.assert_close(straight, crossed)
    other = logits((model, processor), image(*BOXES[::-1]), "Is <region1> left of <region2>?")
    assert (straight - other).abs().max() > 1e-3


def test_a_name_means_the_latest_image_before_it(trained, monkeypatch):
    if "Llava" in type(trained[1]).__name__:  # its template puts all images of a turn first
        monkeypatch.setattr(trained[1], "chat_template", turns("<image>", **LLAVA | {"images_first": False}))

    def told(first, second):
        return logits(trained, first, "<region1>", second, "<region1>")

    both = told(image(BOXES[0]), image(BOXES[1], seed=1))
    first, second = named(trained, 1, image(), "<region1>", image(seed=1), "<region1>")
    without = told(image(BOXES[0]), image(seed=1))
    assert torch.equal(without[:second], both[:second])
    assert not torch.equal(without[second], both[second])
    assert not torch.equal(told(image(), image(BOXES[1], seed=1))[first], both[first])


def test_rows_of_a_batch_do_not_mix(trained):
    rows = [
        (image(*BOXES), "Is <region1> left of <region2>?"),
        ("What is <region1>?",),
        (image((5, 5, 50, 9), seed=2, size=(60, 40)), "Which one is larger, <region1>?", image(seed=3), "Yes."),
        (image(BOXES[1], seed=4), "<region2> <region1>"),
    ]
    model, processor = trained
    with torch.no_grad():
        together = model(**inputs(processor, *rows)).logits
    for row, found in zip(rows, together, strict=True):
        alone = logits(trained, *row)
        torch.testing.assert_close(found[-len(alone) :], alone, atol=1e-4, rtol=1e-4)


def test_what_is_written_knows_the_regions_as_what_is_read(trained):
    """Generation with a cache, without one, and the forward pass over what was written agree."""
    model, processor = trained
    rows = [
        (image(*BOXES), "Is <region1> left of <region2>?"),
        (image(BOXES[1], seed=4), "Say <region2>."),
        ("<region1>?",),
    ]
    given = inputs(processor, *rows)
    ids = torch.tensor(model.config.region_token_ids)

    def name_regions(_, scores):
        return scores.index_add(1, ids, torch.ones(len(scores), len(ids)))

    options = {
        "max_new_tokens": 8,
        "min_new_tokens": 8,
        "do_sample": False,
        "output_logits": True,
        "return_dict_in_generate": True,
    }
    cached, uncached = (
        model.generate(**given, **options, use_cache=use_cache, logits_processor=LogitsProcessorList([name_regions]))
        for use_cache in (True, False)
    )
    written = cached.sequences[:, -8:]
    assert torch.isin(written, ids).sum() >= 8
    torch.testing.assert_close(torch.stack(cached.logits), torch.stack(uncached.logits), atol=1e-4, rtol=1e-4)
    whole = inputs(processor, rows[0])
    longer = {key: torch.cat([whole[key], torch.zeros_like(written[:1])], 1) for key in whole if key.endswith("type_ids")}
    longer |= {"input_ids": torch.cat([whole["input_ids"], written[:1]], 1)}
    longer |= {"attention_mask": torch.ones_like(longer["input_ids"])}
    with torch.no_grad():
        read = model(**{**whole, **longer}).logits[0, -9:-1]
    torch.testing.assert_close(torch.stack(cached.logits)[:, 0], read, atol=1e-4, rtol=1e-4)


def test_several_answers_of_a_row_know_its_regions(trained):
    model, processor = trained
    given = inputs(processor, (image(*BOXES), "<region1>", image(seed=1), "?"), (image(BOXES[1], seed=4), "<region1>?"))
    options = {"max_new_tokens": 3, "do_sample": False, "output_logits": True, "return_dict_in_generate": True}
    one = model.generate(**given, **options).logits[0]
    beams = model.generate(**given, **options, num_beams=2, num_return_sequences=2).logits[0]
    torch.testing.assert_close(beams[0::2], one, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(beams[1::2], one, atol=1e-4, rtol=1e-4)


def test_a_released_model_is_extended_saved_and_loaded(family, tmp_path):
    """Weights come under the names that LLaVA once had, and go back under those of the new class."""
    tiny.build_tiny(family, tmp_path / "released", TEXTS, width=32)
    model, processor = add_region_tokens(*load_vlm(tmp_path / "released"))
    torch.nn.init.normal_(model.model.region_encoder.last.weight)
    model.save_pretrained(tmp_path / "extended")
    processor.save_pretrained(tmp_path / "extended")
    again, reader = load_vlm(tmp_path / "extended")
    assert type(again) is type(model)
    row = (image(*BOXES), "Is <region1> left of <region2>?")
    assert torch.equal(logits((model.eval(), processor), *row), logits((again.eval(), reader), *row))
    assert add_region_tokens(again, reader)[0] is again
    assert reader.tokenizer.decode(again.config.region_token_ids, skip_special_tokens=True) == "".join(
        f"<region{number}>" for number in range(1, 9)
    )


def test_masks_go_the_way_of_their_images():
    _, processor = add_region_tokens(*tiny.make_tiny("llava", TEXTS, width=32))
    processor.image_processor = CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})
    # Of 120 x 40 pixels the middle third is left, columns 40 to 80
    (masks,) = processor(images=[image((0, 0, 30, 40), (40, 0, 60, 40), (70, 10, 90, 30), size=(40, 120))])["region_masks"]
    assert not masks[0].any()
    halves = masks[1] / 255
    assert halves[:, :80].mean() > 0.99
    assert halves[:, 90:].mean() < 0.01
    assert masks[2].mean() / 255 == pytest.approx(10 / 40 * 20 / 40, abs=0.02)


def test_a_region_of_a_few_pixels_is_not_lost(trained):
    tall = image((300, 500, 302, 502), size=(1000, 600))
    masks = trained[1](images=[tall], text=[prompt(trained[1], tall)])["region_masks"]
    assert np.asarray(masks).max() > 0


def test_more_regions_than_tokens_are_refused(trained):
    many = image(*[(k, k, k + 5, k + 5) for k in range(5)])
    with pytest.raises(SceneError, match=r"at most 4 regions per image.*got 5"):
        inputs(trained[1], (many, "?"))


def test_other_families_and_numbers_are_refused():
    with pytest.raises(ConfigError, match="llava, qwen2_5_vl, qwen3_vl, qwen3_vl_moe, internvl; got a model of type 'gemma3'"):
        add_region_tokens(*tiny.make_tiny("gemma3", TEXTS))
    with pytest.raises(ConfigError, match=r"num_regions must be in 1\.\.64; got 0"):
        add_region_tokens(*tiny.make_tiny("llava", TEXTS, width=32), num_regions=0)


def test_masks_of_other_images_are_refused(trained):
    given = inputs(trained[1], (image(*BOXES), "?"))
    with pytest.raises(ConfigError, match="region_masks of each of 1 images; got 2"):
        trained[0](**{**given, "region_masks": given["region_masks"].repeat(2, 1, 1, 1)})


def test_adapters_leave_an_ordinary_model_alone():
    assert adapter_options(tiny.make_tiny("llava", TEXTS, width=32)[0]) == {}


def test_adapters_train_the_tokens_where_they_are_read_and_where_they_are_written(trained):
    ids = trained[0].config.region_token_ids
    tied = trained[0].config.model_type == "region_internvl"
    expected = {"embed_tokens": ids} | ({} if tied else {"lm_head": ids})
    assert adapter_options(trained[0])["trainable_token_indices"] == expected
