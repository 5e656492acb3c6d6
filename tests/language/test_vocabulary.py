import json
import tomllib
from pathlib import Path

import pytest

from spatialreasoner.core.errors import MissingFileError, RecordError
from spatialreasoner.language import colours, vocabulary
from spatialreasoner.language.vocabulary import heads, load_vocabulary, plurals

TABLE = tomllib.loads(vocabulary.CURATED.read_text(encoding="utf-8"))


def test_the_table_that_is_read_is_the_curated_one():
    names = vocabulary.names_by_meaning(vocabulary.CURATED)
    assert json.loads(vocabulary.COMPILED.read_text("utf-8")) == names, "run scripts/vocabulary.py"


def test_there_are_enough_everyday_objects_with_other_names():
    names = {name: synonyms for kind in TABLE.values() for name, synonyms in kind["names"].items()}
    assert len(names) >= 300
    assert sum(bool(synonyms) for synonyms in names.values()) >= 200


def test_the_table_is_clean():
    for kind, entry in TABLE.items():
        assert entry["words"], kind
        for name, synonyms in entry["names"].items():
            words = [name, *synonyms]
            assert len(set(words)) == len(words), name
            assert all(word == word.lower().strip() and word not in {"left", "right", "above"} for word in words), name


@pytest.mark.parametrize(
    ("label", "fits", "misfits"),
    [
        ("wardrobe", ["wardrobe", "closet", "armoire", "furniture", "object", "wardrobes"], ["sofa", "fridge", "animal"]),
        ("washing machine", ["washer", "appliance", "machine", "washing machines"], ["dryer", "dishwasher"]),
        ("silver car in front", ["car", "sedan", "vehicle"], ["truck", "front"]),
        ("stack of white crates", ["stack", "pile", "crates", "crate", "container"], ["white", "bucket"]),
        ("office chair", ["office chair", "chair", "furniture"], ["table"]),
        ("red box", ["box", "cube", "carton"], ["red", "ball"]),
        ("gizmo", ["gizmo", "gizmos", "thing"], ["gadget"]),
    ],
)
def test_what_a_region_may_be_called(label: str, fits: list[str], misfits: list[str]):
    names = load_vocabulary().fitting(label)
    assert not set(fits) - names
    assert not set(misfits) & names


def test_heads_and_plurals():
    assert heads("orange") == ["orange"]
    assert heads("The White wardrobe") == ["wardrobe"]
    assert heads("") == []
    assert plurals("bookshelf") == ("bookshelves",)
    assert plurals("cherry") == ("cherries",)
    assert "bus" in plurals("buses")


def test_background_is_only_what_has_no_other_meaning():
    assert load_vocabulary().is_background("wall")
    assert load_vocabulary().is_background("house")
    assert not load_vocabulary().is_background("chair")
    assert not load_vocabulary().is_background("unheard-of")


def test_the_table_can_be_extended(tmp_path: Path):
    more = tmp_path / "more.toml"
    more.write_text(
        '[robot]\nwords = ["automaton"]\nnames = {drone = ["quadcopter"]}\n[furniture]\nnames = {wardrobe = ["almirah"]}\n'
    )
    words = load_vocabulary(more)
    assert {"quadcopter", "automaton", "automatons"} <= words.fitting("drone")
    assert {"almirah", "closet", "furniture"} <= words.fitting("wardrobe")
    assert "quadcopter" not in load_vocabulary()


@pytest.mark.parametrize(
    "text", ["[furniture", "furniture = 3", '[a]\nwords = "x"', "[a]\nnames = {b = 3}", "[a]\nnames = {b = [3]}", "\xff"]
)
def test_broken_tables_are_refused(tmp_path: Path, text: str):
    path = tmp_path / "more.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RecordError, match=r"more\.toml"):
        load_vocabulary(path)


def test_a_missing_table(tmp_path: Path):
    with pytest.raises(MissingFileError):
        load_vocabulary(tmp_path / "none.toml")


def test_every_colour_word_stands_for_sorted_colours():
    assert all(set(weights) <= set(colours.BASIC) and max(weights.values()) == 1.0 for weights in colours.COLOUR_WORDS.values())
