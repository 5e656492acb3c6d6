"""Tables of words: what C reads is what Python reads, in every text."""

import json
import re
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_fixtures import built_patterns
from reader_patterns import modules_of
from spatialreasoner import language, rewards
from spatialreasoner.language import tokens
from spatialreasoner.language.native import engine
from spatialreasoner.language.native.engine import compile_pattern
from spatialreasoner.language.statements import extract
from spatialreasoner.language.words import MAX_WORDS, WordTable

DATA = Path(__file__).parents[1] / "data"
PIECES = (
    *("the two", "the", "a", "an", "a third of", "region", "regions 1", "<region1>", "[region 2]", "as well as", "half again"),
    *("chair", "don't", "it's", "x", "'s", "'", "-", "top-down", "mask", "red", "\x01\x03\x03", "\x04\x03", "1.5", "2.", "."),
    *("...", "\n", "\n### ", "\n- ", " ", "  ", "o'clock", "which also means", "a" * 41, "z" * 90, "\u00e9t\u00e9", "\u4e2d"),
    *("\ud800", "\x00", "\U0001d465"),
)
TEXTS = st.lists(st.sampled_from((*PIECES, *(f" {piece}" for piece in PIECES))), max_size=30).map("".join)


@pytest.fixture(scope="module", autouse=True)
def native(tmp_path_factory):
    """The module as its source is now."""
    with built_patterns(tmp_path_factory.mktemp("native"), engine) as module:
        yield module


def both(pattern, find, columns, marked):
    """A table that C reads, and one that Python reads."""
    return WordTable(compile_pattern(pattern), find, columns, marked), WordTable(re.compile(pattern), find, columns, marked)


def told(columns):
    return [column if isinstance(column, str) else list(column) for column in columns]


def tables():
    """Those of the reader and of the rewards."""
    held = {id(held): held for module in [*modules_of(language), *modules_of(rewards)] for held in vars(module).values()}
    return [table for table in held.values() if isinstance(table, WordTable)]


@cache
def in_both_ways(table):
    return both(table.pattern.pattern, table.find, table.columns, table.marked)


@given(text=TEXTS)
@pytest.mark.parametrize("table", tables())
def test_c_reads_what_python_reads(table, text):
    one, other = in_both_ways(table)
    wanted = {" chair": 1, "red": 2}
    assert told(one.read(text, wanted)) == told(other.read(text, wanted))
    assert told(one.read(text)) == told(other.read(text))


@given(text=st.text(st.sampled_from("abehtwx '-.\n1<r\u00e9"), max_size=60))
@pytest.mark.parametrize("table", tables())
def test_c_reads_what_python_reads_of_any_letters(table, text):
    one, other = in_both_ways(table)
    assert told(one.read(text)) == told(other.read(text))


def test_a_full_table_begins_anew():
    pattern = "[a-z]+|[0-9]+"
    one, other = both(pattern, lambda word: (word, len(word)), ("list", "sums"), ())
    text = " ".join(map(str, range(3 * MAX_WORDS)))
    for _ in range(2):
        assert told(one.read(text)) == told(other.read(text))


def test_words_may_be_found_by_the_table_itself():
    pattern = compile_pattern("[0-9]+")

    def find(word):
        return (word, sum(len(each) for each in table.read(word[1:])[0]) + 1 if len(word) > 1 else 1)

    table = WordTable(pattern, find, ("list", "sums"), ())
    assert told(table.read("1234 56 1234 7")) == [["1234", "56", "1234", "7"], [0, 4, 6, 10, 11], []]


def test_errors_are_those_of_python(native):
    failing = WordTable(compile_pattern("[a-z]+"), lambda word: 1 / 0, ("list",), ())
    with pytest.raises(ZeroDivisionError):
        failing.read("a b")
    short = WordTable(compile_pattern("[a-z]+"), lambda word: (word,), ("list", "list"), ())
    with pytest.raises(ValueError, match="expected a tuple with a value for each of"):
        short.read("a b")
    wrong = WordTable(compile_pattern("[a-z]+"), lambda word: (word, word), ("list", "sums"), ())
    with pytest.raises(TypeError):
        wrong.read("a b")
    with pytest.raises(TypeError, match="expected a text, a table, and a dictionary"):
        native.compile("a", 0, 0, str, str, re.compile).columns("a", None, {})


def test_an_empty_word_is_left_to_python():
    one, other = both("[a-z]*", lambda word: (word,), ("list",), ())
    assert told(one.read("a b")) == told(other.read("a b"))


def test_rules_look_at_no_other_words(monkeypatch):
    """Sentences that differ in words at which `looks.form_of` says that nobody looks are read once."""
    rows = [json.loads(line) for line in (DATA / "assertions.jsonl").read_text("utf-8").splitlines()]
    found = [extract(row["text"], row["labels"]) for row in rows]
    assert sum(map(len, found)) > 1500
    table = tokens.TEXT_WORDS
    monkeypatch.setattr(tokens, "form_of", lambda word, code: word)
    fresh = compile_pattern(table.pattern.pattern)  # by the module of this test, as the table
    monkeypatch.setattr(tokens, "TEXT_WORDS", WordTable(fresh, table.find, table.columns, table.marked))
    assert [extract(row["text"], row["labels"]) for row in rows] == found


def test_it_is_c_that_reads():
    one, other = both("[a-z]+", lambda word: (word, "\u00e9"), ("list", "text"), ())
    assert other.read("a b") == [["a", "b"], "\u00e9\u00e9", []]
    with pytest.raises(UnicodeDecodeError):  # in C, a text is of ASCII
        one.read("a b")
