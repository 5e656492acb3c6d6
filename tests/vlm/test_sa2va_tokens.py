"""Tokenizers of Sa2VA folders are read as their own programs would read them."""

import importlib.util
import json
import random
import sys

import pytest
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from sa2va_folders import INTERNLM2, copied
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.vlm.sa2va.piece_file import read_piece_file
from spatialreasoner.vlm.sa2va.pieces import tokenizer_of_pieces
from spatialreasoner.vlm.sa2va.tokens import end_tokens, first_token, read_tokenizer

LINES = [
    "Is region1 wider than region2?",
    "There are 2 part regions in the picture: region1, region2.",
    "How far apart are they, in metres? About 3.25 m.",
    "user assistant <description> </description> [UNUSED_TOKEN_1]",
]
KINDS = {
    "as InternLM2": {"normalization_rule_name": "identity", "add_dummy_prefix": False, "remove_extra_whitespaces": False},
    "blank before": {"normalization_rule_name": "identity", "add_dummy_prefix": True, "remove_extra_whitespaces": False},
    "defaults": {},
    "unigram": {"model_type": "unigram"},
    "without bytes": {"byte_fallback": False},
    "symbols of its own": {"user_defined_symbols": ["[UNUSED_TOKEN_1]", "region1"], "normalization_rule_name": "identity"},
}


def trained(path, **options):
    settings = {"model_type": "bpe", "vocab_size": 330, "byte_fallback": True, "minloglevel": 2, "hard_vocab_limit": False}
    settings |= {"sentence_iterator": iter(LINES * 30), "model_prefix": str(path.with_suffix(""))} | options
    if not settings["byte_fallback"]:
        settings["vocab_size"] = 90
    SentencePieceTrainer.train(**settings)
    return path


@pytest.fixture(scope="module", params=KINDS)
def model(request, tmp_path_factory):
    return trained(tmp_path_factory.mktemp("pieces") / "tokenizer.model", **KINDS[request.param])


def test_texts_are_read_as_by_sentencepiece(model):
    original, ours = SentencePieceProcessor(model_file=str(model)), tokenizer_of_pieces(model, {})
    alphabet = [*"  \n\t▁region12,.?<>/[]aeäßｱ½ﬁ深😀", "region1", " wider", "[UNUSED_TOKEN_1]", "metres "]
    chance = random.Random(0)
    for _ in range(500):
        text = "".join(chance.choices(alphabet, k=chance.randint(1, 24)))
        assert ours.encode(text, add_special_tokens=False).ids == original.encode(text), repr(text)


def test_ids_are_written_as_by_sentencepiece(model):
    original, ours = SentencePieceProcessor(model_file=str(model)), tokenizer_of_pieces(model, {})
    for text in [*LINES, " Größe: 3½ m\n\n深度", "region1"]:
        ids = [token for token in original.encode(text) if token != original.unk_id()]
        assert ours.decode(ids) == original.decode(ids)


def test_a_token_may_stand_in_the_place_of_a_piece(tmp_path):
    path = trained(tmp_path / "tokenizer.model", user_defined_symbols=["[UNUSED_TOKEN_1]"], **KINDS["as InternLM2"])
    place = SentencePieceProcessor(model_file=str(path)).piece_to_id("[UNUSED_TOKEN_1]")
    folder = copied(tmp_path / "folder")
    path.replace(folder / "tokenizer.model")
    said = {
        "tokenizer_class": "InternLM2Tokenizer",
        "added_tokens_decoder": {str(place): {"content": "<|im_end|>", "special": True}},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    (folder / "added_tokens.json").unlink()
    tokenizer = read_tokenizer(folder)
    assert tokenizer("region1<|im_end|>\n")["input_ids"][-2:] == [place, tokenizer.convert_tokens_to_ids("<0x0A>")]
    assert tokenizer.decode([place], skip_special_tokens=True) == ""


def test_offsets_lead_to_the_text():
    tokenizer = read_tokenizer(INTERNLM2)
    text = "<|im_start|>user\nIs region1 wider?<|im_end|>"
    found = tokenizer(text, return_offsets_mapping=True)
    assert [text[start:end] for start, end in found["offset_mapping"]][1] == "<|im_start|>"
    assert "".join(text[start:end] for start, end in found["offset_mapping"]) == text


@pytest.mark.parametrize(("said", "wanted"), [({}, True), ({"add_bos_token": False}, False)])
def test_the_first_token_is_there_unless_the_folder_says_otherwise(tmp_path, said, wanted):
    folder = copied(tmp_path / "folder")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    if "add_bos_token" not in said:
        path.write_text(
            json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "add_bos_token"})
        )
    tokenizer = read_tokenizer(folder)
    assert (tokenizer("region1")["input_ids"][0] == 1) == wanted
    assert (first_token(tokenizer) == "<s>") == wanted


def test_words_and_merges_are_read_as_qwen2s(tmp_path):
    letters = {character: index for index, character in enumerate("Ġregionwdth1?Ċ")}
    (tmp_path / "vocab.json").write_text(json.dumps(letters | {"re": len(letters), "Ġw": len(letters) + 1}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\nr e\nĠ w\n")
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<|im_end|>": len(letters) + 3, "<|endoftext|>": len(letters) + 2}))
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>"})
    )
    tokenizer = read_tokenizer(tmp_path)
    ids = tokenizer("region1 wide?\n<|im_end|>")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["re", *"gion1", "Ġw", *"ide?Ċ", "<|im_end|>"]
    assert end_tokens(tmp_path, tokenizer) == [len(letters) + 3, len(letters) + 2]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "there are none"),
        ({"tokenizer.model": b"\xff\xff no model"}, "expected a sentencepiece model"),
        ({"tokenizer.model": b""}, "with pieces"),
        ({"added_tokens.json": b'{"<a>": "x"}', "tokenizer.model": b""}, "added tokens by id"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path, files, message):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_tokenizer(tmp_path)


def test_a_token_that_would_get_another_id_is_refused(tmp_path):
    folder = copied(tmp_path / "folder")
    (folder / "added_tokens.json").write_text(json.dumps({"<more>": 5000}))
    (folder / "tokenizer.model").unlink()
    read_tokenizer(INTERNLM2).save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="'<more>' with id 5000"):
        read_tokenizer(folder)


def test_a_kind_of_sentencepiece_that_cannot_be_built_is_refused(tmp_path):
    path = trained(tmp_path / "tokenizer.model", treat_whitespace_as_suffix=True)
    with pytest.raises(ConfigError, match="before words"):
        tokenizer_of_pieces(path, {})
    path = trained(tmp_path / "tokenizer.model", model_type="char", vocab_size=300)
    with pytest.raises(ConfigError, match="BPE or unigram"):
        tokenizer_of_pieces(path, {})


def test_a_broken_mapping_of_characters_is_refused(tmp_path):
    model = read_piece_file(INTERNLM2 / "tokenizer.model")
    model.normalizer_spec.precompiled_charsmap = b"\x08\0\0\0" + b"\xff" * 8 + b"x"
    (tmp_path / "tokenizer.model").write_bytes(model.SerializeToString())
    with pytest.raises(ConfigError, match="mapping of characters"):
        tokenizer_of_pieces(tmp_path / "tokenizer.model", {})


def test_without_sentencepiece_nothing_is_compared(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    tokenizer = tokenizer_of_pieces(INTERNLM2 / "tokenizer.model", {})
    assert tokenizer.decode(tokenizer.encode("Is region1 wider?").ids) == "Is region1 wider?"


def test_special_tokens_may_be_listed_as_older_folders_do(tmp_path):
    folder = copied(tmp_path / "older")
    path = folder / "tokenizer_config.json"
    said = json.loads(path.read_text())
    added = [token["content"] for token in said.pop("added_tokens_decoder").values()]
    path.write_text(json.dumps(said | {"additional_special_tokens": added[3:]}))
    for name in ("added_tokens.json", "special_tokens_map.json"):
        (folder / name).unlink()
    text = "<|im_start|>user\n<img><IMG_CONTEXT></img>\nregion1<vp></vp><|im_end|>"
    assert read_tokenizer(folder)(text)["input_ids"] == read_tokenizer(INTERNLM2)(text)["input_ids"]


def test_a_tokenizer_without_an_end_of_answers_is_refused(tmp_path):
    (tmp_path / "tokenizer.model").write_bytes((INTERNLM2 / "tokenizer.model").read_bytes())
    with pytest.raises(ConfigError, match="at which answers end"):
        read_tokenizer(tmp_path)
