"""Sa2VA folders: what they become is what the public code computes, and no Python of theirs is run."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional

from sa2va_folders import INTERNLM2, QWEN2, ask, asked, copied, golden, plant, with_masks
from spatialreasoner.core.errors import ConfigError, MissingFileError, RecordError, SceneError
from spatialreasoner.scenes.masks import from_box
from spatialreasoner.vlm import loading
from spatialreasoner.vlm.sa2va.convert import convert_sa2va, load_sa2va
from spatialreasoner.vlm.sa2va.folder import TextSettings
from spatialreasoner.vlm.sa2va.processing import covered_cells, statement
from spatialreasoner.vlm.sa2va.weights import split_groups


@pytest.fixture(scope="module", params=[INTERNLM2, QWEN2], ids=["InternLM2", "Qwen2"])
def known(request):
    return golden(request.param)


@pytest.fixture(scope="module", params=["as released", "converted"])
def ready(request, known, tmp_path_factory):
    """The model and its processor, of the folder itself and of what it was converted to."""
    folder = known.folder
    if request.param == "converted":
        folder = convert_sa2va(folder, tmp_path_factory.mktemp("sa2va") / "out")
    model, processor = loading.load_vlm(folder)
    return model.eval(), processor


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A model whose rotary positions do not stretch by the longest row of a batch."""
    text = {"max_position_embeddings": 32_768}
    model, processor = load_sa2va(copied(tmp_path_factory.mktemp("small") / "sa2va", text=text))
    return model.eval(), processor


def photo(*boxes, size=(40, 40), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    masks = np.zeros((len(boxes), *size), dtype=bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    return with_masks(Image.fromarray(pixels), masks)


@pytest.mark.parametrize("named", [False, True], ids=["region1", "<region1>"])
def test_ids_are_those_of_the_public_code(known, ready, named):
    question = known.question.replace("region1", "<region1>").replace("region2", "<region2>") if named else known.question
    assert torch.equal(ask(ready[1], (known.image, question))["input_ids"][0], known.tensors["input_ids"])


def test_a_text_with_and_without_its_first_token_gives_the_same_ids(known, ready):
    _, processor = ready
    rendered, wanted = asked(processor, known.image, known.question), known.tensors["input_ids"]
    for text in (rendered, rendered.removeprefix("<s>")):
        assert torch.equal(processor(images=[known.image], text=text, return_tensors="pt")["input_ids"][0], wanted)
    assert processor.tokenizer(known.text)["input_ids"] == wanted.tolist()


def test_features_logits_and_greedy_tokens_are_those_of_the_public_code(known, ready):
    model, processor = ready
    given, wanted = ask(processor, (known.image, known.question)), known.tensors
    with torch.no_grad():
        features = model.get_image_features(given["pixel_values"]).pooler_output
        logits = model(**given).logits[0]
        written = model.generate(**given, max_new_tokens=8)[0, given["input_ids"].shape[1] :]
    if "features" in wanted:
        pairs = [(features[:, ::37], wanted["features"]), (logits[-40:], wanted["logits_last40"])]
    else:
        tiles = [(features[0], wanted["image_features_tile0"]), (features[-1], wanted["image_features_thumbnail"])]
        pairs = [*tiles, (logits[-160:], wanted["logits_last160"])]
    for found, expected in pairs:
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert torch.equal(pairs[-1][0].argmax(-1), pairs[-1][1].argmax(-1))
    assert torch.equal(written, wanted["generated"])


def test_pixels_and_cells_are_those_of_the_public_code(ready):
    known = golden(QWEN2)
    given = ask(ready[1], (known.image, known.question))
    assert torch.equal(given["pixel_values"].mean((1, 2, 3)), known.tensors["pixel_values_mean_per_tile"])
    assert torch.equal(given["pixel_values"][-1, :, :32, :32], known.tensors["pixel_values_thumbnail_corner"])
    assert torch.equal(given["region_masks"][-1], known.tensors["mask_tokens"])
    assert given["region_masks"].flatten(1).any(1).tolist() == known.tensors["vp_overall_mask"].bool().tolist()


def test_python_of_the_folder_stays_silent(tmp_path):
    folders = [copied(tmp_path / source.name, source=source) for source in (INTERNLM2, QWEN2) if source.is_dir()]
    for folder in folders:
        plant(folder, tmp_path / "ran")
    for folder in folders:
        loading.load_vlm(folder)
        loading.load_vlm(convert_sa2va(folder, tmp_path / f"{folder.name}-out"))
    assert all((tmp_path / f"{folder.name}-out" / "model.safetensors").is_file() for folder in folders)
    assert not (tmp_path / "ran").exists()


def test_what_is_written_is_data_of_our_own_classes_without_the_mask_head(tmp_path, small):
    out = convert_sa2va(INTERNLM2, tmp_path / "out")
    assert {path.suffix for path in out.iterdir()} == {".json", ".safetensors", ".jinja"}
    assert len({path.stat().st_mode for path in out.iterdir()}) == 1  # the umask's
    assert "auto_map" not in "".join(path.read_text() for path in out.glob("*.json"))
    saved = load_file(out / "model.safetensors")
    assert not any("grounding" in name or "hidden_fcs" in name for name in saved)
    assert sum(map(torch.numel, saved.values())) == small[0].num_parameters()


def test_converting_again_writes_nothing_and_another_folder_is_refused(tmp_path):
    out = convert_sa2va(INTERNLM2, tmp_path / "out")
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert convert_sa2va(INTERNLM2, out) == out
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before
    other = copied(tmp_path / "other", text={"rope_theta": 10_000.0})
    with pytest.raises(ConfigError, match="not empty"):
        convert_sa2va(other, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "out"]


def test_cells_are_taken_as_by_interpolate():
    masks = np.random.default_rng(0).random((5, 37, 53)) < 0.5
    wanted = functional.interpolate(torch.from_numpy(masks).float()[None], size=(16, 16), mode="nearest")[0].bool()
    assert covered_cells(list(masks), 16).tolist() == wanted.tolist()
    assert covered_cells([], 16).shape == (0, 16, 16)


def test_the_statement_counts_cells_of_every_region():
    assert statement([]) == ""
    assert statement([1, 0, 2]) == (
        "\nThere are 3 part regions in the picture: region1<vp><IMG_CONTEXT></vp>, region2<vp></vp>, "
        "region3<vp><IMG_CONTEXT><IMG_CONTEXT></vp>.\n"
    )


def test_a_group_of_wqkv_is_its_queries_its_key_and_its_value():
    text = TextSettings(
        architectures=["InternLM2ForCausalLM"],
        vocab_size=1,
        hidden_size=8,
        intermediate_size=1,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    rows = torch.arange(16)  # two groups of 2 queries, a key and a value, 2 rows each
    found = {name: part.tolist() for name, part in split_groups(rows, text).items()}
    assert found == {"q": [0, 1, 2, 3, 8, 9, 10, 11], "k": [4, 5, 12, 13], "v": [6, 7, 14, 15]}
    with pytest.raises(ConfigError, match=r"16 rows.*got 15"):
        split_groups(rows[:15], text)


def test_rows_of_a_batch_do_not_mix(small):
    model, processor = small
    rows = [
        (photo((2, 3, 20, 30), (5, 5, 38, 38)), "Is region1 wider than region2?"),
        (None, "What is a metre?"),
        (photo(size=(30, 60), seed=1), "What is there?"),
        (photo((0, 0, 59, 29), size=(30, 60), seed=2), "How wide is region1?"),
    ]
    together = ask(processor, *rows)
    with torch.no_grad():
        logits = model(**together).logits
        for row, ids, mask, found in zip(rows, together["input_ids"], together["attention_mask"].bool(), logits, strict=True):
            alone = ask(processor, row)
            assert torch.equal(ids[mask], alone["input_ids"][0])
            torch.testing.assert_close(found[mask], model(**alone).logits[0], atol=1e-4, rtol=1e-4)


def test_several_answers_of_each_row_know_its_regions(small):
    model, processor = small
    rows = [(photo((2, 3, 20, 30)), "How wide is region1?"), (photo((0, 0, 9, 9), seed=1), "How high is region1?")]
    with torch.no_grad():
        several = model.generate(**ask(processor, *rows), max_new_tokens=4, num_beams=3, num_return_sequences=2)
        for row, found in zip(rows, several.unflatten(0, (2, 2)), strict=True):
            alone = model.generate(**ask(processor, row), max_new_tokens=4, num_beams=3, num_return_sequences=2)
            assert torch.equal(found[:, -4:], alone[:, -4:])


def test_a_region_is_the_features_of_its_own_cells(small):
    model, processor = small
    one, other = (photo((0, 0, 10, 10)), "Is region1 red?"), (photo((30, 30, 40, 40)), "Is region1 red?")
    with torch.no_grad():
        given = ask(processor, one)
        (found,) = model.get_image_features(given["pixel_values"], region_masks=given["region_masks"]).pooler_output
        assert torch.equal(found[256:], found[:256].view(16, 16, -1)[:4, :4].flatten(0, 1))
        assert (model(**given).logits - model(**ask(processor, other)).logits).abs().max() > 1e-3


def test_masks_of_other_tiles_are_refused(small):
    model, processor = small
    given = ask(processor, (photo((0, 0, 10, 10)), "Is region1 red?"))
    with pytest.raises(ConfigError, match="region_masks of 1 tiles"):
        model(**given | {"region_masks": given["region_masks"].repeat(2, 1, 1, 1)})


def test_a_mask_of_another_size_is_refused(small):
    carrier = photo((0, 0, 10, 10)).resize((30, 30))
    with pytest.raises(SceneError, match="masks of that size"):
        ask(small[1], (carrier, "Is region1 red?"))


def test_masks_may_be_given_beside_images(small):
    processor, size = small[1], (40, 40)
    one, other = from_box((2, 3, 20, 30), size), from_box((5, 5, 38, 38), size)
    carried = [with_masks(Image.new("RGB", size, "red"), [one, other]), with_masks(Image.new("RGB", size, "blue"), [])]
    bare = [Image.new("RGB", size, "red"), Image.new("RGB", size, "blue")]
    wanted = ask(processor, *((image, "How wide is region1?") for image in carried))
    texts = [asked(processor, image, "How wide is region1?") for image in bare]
    for images in (bare, [[image] for image in bare]):
        found = processor(images=images, text=texts, regions=[[one, other], []], padding=True, return_tensors="pt")
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    with pytest.raises(SceneError, match="each of 2 images; got 1"):
        processor(images=bare, text=texts, regions=[[one]])
    with pytest.raises(SceneError, match="mask of the"):
        processor(images=bare[:1], text=texts[:1], regions=[[one[:30]]])


def test_answers_keep_their_text_and_turns_end_once(small):
    turns = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is <region1> left of <region12>?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "<region1> is."}]},
        {"role": "user", "content": "And <region2>?"},
        {"role": "assistant", "content": "No."},
    ]
    assert small[1].apply_chat_template(turns, tokenize=False).split("<|im_start|>") == [
        "<s>",
        "user\n<IMG_CONTEXT>Is region1 left of region12?<|im_end|>\n",
        "assistant\n<region1> is.<|im_end|>\n",
        "user\nAnd region2?<|im_end|>\n",
        "assistant\nNo.<|im_end|>",
    ]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_writes_nearly_the_same(dtype, small):
    model, processor = load_sa2va(INTERNLM2, precision=dtype)
    whole, _ = load_sa2va(INTERNLM2)
    given = ask(processor, (photo((2, 3, 20, 30)), "How wide is region1?"))
    with torch.no_grad():
        halved = model(**given | {"pixel_values": given["pixel_values"].to(model.dtype)}).logits.float()
        exact = whole(**given).logits
    assert model.dtype == getattr(torch, dtype)
    assert functional.cosine_similarity(halved, exact, dim=-1).min() > 0.99


def test_generation_ends_as_the_public_code_ends_it(small):
    config, tokenizer = small[0].generation_config, small[1].tokenizer
    assert (config.max_new_tokens, config.do_sample) == (2048, False)
    assert tokenizer.convert_ids_to_tokens(config.eos_token_id) == ["<|im_end|>", "</s>"]


def without(name):
    return lambda tensors: {key: value for key, value in tensors.items() if key != name}


def test_a_head_that_is_not_there_is_the_embedding(tmp_path):
    model, _ = load_sa2va(copied(tmp_path / "tied", weights=without("language_model.output.weight")))
    assert model.config.tie_word_embeddings
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_a_prefix_that_all_tensors_have_is_not_part_of_their_names(tmp_path, small):
    prefixed = lambda tensors: {f"mllm.model.{key}": value for key, value in tensors.items()}  # noqa: E731
    model, _ = load_sa2va(copied(tmp_path / "prefixed", weights=prefixed))
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in small[0].state_dict().items())


def test_weights_in_several_files_are_found_through_their_index(tmp_path, small):
    folder = copied(tmp_path / "sharded")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    halves = [dict(list(tensors.items())[:40]), dict(list(tensors.items())[40:])]
    names = {}
    for number, half in enumerate(halves):
        save_file(half, folder / f"model-{number}.safetensors")
        names |= dict.fromkeys(half, f"model-{number}.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    model, _ = load_sa2va(folder)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in small[0].state_dict().items())
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../elsewhere.safetensors"}}))
    with pytest.raises(ConfigError, match="of its folder"):
        load_sa2va(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"text": {"architectures": ["Phi3ForCausalLM"]}},
            "'Qwen2ForCausalLM' or 'InternLM2ForCausalLM', got 'Phi3ForCausalLM'",
        ),
        ({"config": {"template": "phi3_chat"}}, "template to be 'qwen_chat' or 'internlm2_chat', got 'phi3_chat'"),
        ({"config": {"ps_version": "v1"}}, "ps_version to be 'v2', got 'v1'"),
        ({"config": {"use_llm_lora": 128}}, "use_llm_lora .*merge adapters first.* to be 0, got 128"),
        ({"text": {"num_attention_heads": 5}}, "hidden_size modulo num_attention_heads"),
        ({"text": {"num_key_value_heads": 3}}, "num_attention_heads modulo num_key_value_heads to be 0, got 1"),
        ({"text": {"num_hidden_layers": 10**6}}, "weights of 1000000 layers .*got 2"),
        ({"vision": {"num_hidden_layers": 1}}, "weights of 1 layers .*got 2"),
        (
            {"text": {"vocab_size": 337}},
            r"2 weights do not fit .*: model.language_model.embed_tokens.weight should be \[337, 32\]; got \[336, 32\]",
        ),
        ({"weights": without("mlp1.1.weight")}, r"1 weights .*linear_1.weight should be \[32, 64\]; got none"),
        ({"weights": lambda tensors: tensors | {"extra.weight": torch.zeros(1)}}, "'extra.weight' as well"),
        (
            {"weights": lambda tensors: tensors | {"language_model.model.layers.0.attention.wqkv.weight": torch.zeros(9, 32)}},
            "got 9",
        ),
    ],
)
def test_what_cannot_be_converted_is_refused_by_name(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        load_sa2va(copied(tmp_path / "changed", **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": {"model_type": "internvl_chat"}}, "sa2va_chat"),
        ({"text": {"hidden_size": -3}}, "hidden_size"),
        ({"text": {"rope_scaling": {"type": "yarn", "factor": 2.0}}}, "rope_scaling"),
    ],
)
def test_a_configuration_of_another_form_is_refused(tmp_path, changes, message):
    with pytest.raises(RecordError, match=message):
        load_sa2va(copied(tmp_path / "changed", **changes))


def test_folders_without_weights_or_with_pickles_are_refused(tmp_path):
    with pytest.raises(MissingFileError):
        load_sa2va(tmp_path / "nothing")
    folder = copied(tmp_path / "bare")
    (folder / "model.safetensors").unlink()
    (folder / "golden.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"model\.safetensors\.index\.json"):
        load_sa2va(folder)
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match="pickle"):
        load_sa2va(folder)
