"""Patterns by PCRE2 find what those of `re` find, in every text."""

import json
import random
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts import atoms, beginnings

from native_fixtures import built_patterns
from reader_patterns import lazy_patterns, modules_of
from spatialreasoner import language, rewards
from spatialreasoner.core.native import PATTERNS, open_module
from spatialreasoner.language.native import engine
from spatialreasoner.language.native.engine import compile_pattern
from spatialreasoner.language.quantities import fold
from spatialreasoner.language.scan import parted, rewritten, wholes
from spatialreasoner.language.tokens import Reading

DATA = Path(__file__).parents[1] / "data"
ODD = (
    "",
    "\n",
    "a\n",
    " \x1c\x1d\x1e\x1f\x0b\x0c\r",
    "caf\u00e9 2\u00bd m",
    "\u212a \u017f \u0130",
    "\ud800 1 m",
    "\x00\x01\x02",
    "a" * 5000,
    "\u0663 \u2003 \U0001d465_x \u00e9\u0301\u0130 \u4e2d\u6587 3 \u7c73, 2\u00b0 \u2019s \u2026\x85",
)


def patterns():
    """The patterns of the reader and of the rewards, as (source, flags)."""
    held = lazy_patterns([*modules_of(language), *modules_of(rewards)])
    return sorted({(each.pattern, int(each.flags)) for each in held})


def texts():
    """Replies, as they are, folded and as classes of their words; and what no model says."""
    rows = [
        json.loads(line)
        for name in ("replies", "assertions")
        for line in (DATA / f"{name}.jsonl").read_text("utf-8").splitlines()
    ]
    said = [row["text"] for row in random.Random(0).sample(rows, 60)]
    return [*ODD, *said, *map(fold, said[:30]), *(Reading(text).codes for text in said), "\n".join(said)]


@pytest.fixture(scope="module")
def compared():
    return texts()


@pytest.fixture(scope="module", autouse=True)
def native(tmp_path_factory, compared):
    """The module as its source is now, from when the texts to compare are read: tables are of the module that made them."""
    with built_patterns(tmp_path_factory.mktemp("native"), engine) as module:
        yield module


def told(match):
    if match is None:
        return None
    groups = range(len(match.groups()) + 1)
    return [(match.span(group), match[group], match.start(group), match.end(group)) for group in groups], match.groupdict()


@pytest.mark.parametrize(("source", "flags"), patterns())
def test_every_pattern_finds_the_same(source, flags, compared, native):
    one, other = compile_pattern(source, flags), re.compile(source, flags)
    assert type(one).__module__ == "_patterns"
    assert engine.written_for_pcre2(source)  # else it would be left to `re`
    for text in compared:
        assert list(map(told, one.finditer(text))) == list(map(told, other.finditer(text))), text
        assert told(one.match(text)) == told(other.match(text))
        assert told(one.fullmatch(text)) == told(other.fullmatch(text))
        assert told(one.search(text, 3, 40)) == told(other.search(text, 3, 40))


def twice(match):
    return match[0] * 2


WRITTEN = (
    *(r"x*", r"(?:a|b(?P<last>c))*$", r"(?<=a)b|(?<!\w)c", r"\s+|\S\Z", r"[\s,\u2022\]]+", r"^.$", r"(?>a+)b?+", r"(?i:A)(b)?"),
    *(
        r"\b\w+\b",
        r"(?P<a>a)|(?P<b>b)(?=\Z)",
        r"(?s:.)\n?",
        r"",
        r"\u2022|\[",
        r"[]a]+",
        r"[^]a\\]",
        r"\\Z|\\\\",
        r"(a)(b)?(c)?",
        r"\B.|\W\d\D",
        r"[\W_]+|[^\w\s]\S",
        r"[\d.]+\b",
    ),
)


@pytest.mark.parametrize("flags", [0, re.IGNORECASE, re.MULTILINE, re.DOTALL | re.IGNORECASE])
@pytest.mark.parametrize("source", WRITTEN)
@given(
    text=st.text(st.sampled_from("aAbBcxZ_3 \n\x1c,.[]\\\u2022\u00e9\u0663\u2003\U0001d465\u0301"), max_size=12),
    begin=st.integers(-2, 14),
    end=st.integers(-2, 14),
)
def test_methods_do_the_same(source, flags, text, begin, end):
    one, other = compile_pattern(source, flags), re.compile(source, flags)
    for name in ("search", "match", "fullmatch"):
        assert told(getattr(one, name)(text, begin, end)) == told(getattr(other, name)(text, begin, end))
    assert list(map(told, one.finditer(text, begin))) == list(map(told, other.finditer(text, begin)))
    assert one.findall(text) == other.findall(text)
    assert list(parted(one, text, 0, len(text))) == list(parted(other, text, 0, len(text)))
    if 0 <= begin <= end <= len(text):
        assert list(parted(one, text, begin, end)) == list(parted(other, text, begin, end))
    assert wholes(one, text) == wholes(other, text)
    known, given = {"a": "-", "": "."}, {"a": "-", "": "."}
    assert rewritten(one, text, known, twice) == rewritten(other, text, given, twice)
    assert known == given
    assert one.split(text) == other.split(text)
    assert one.split(text, maxsplit=1) == other.split(text, maxsplit=1)
    for instead in ("-", "", r"<\g<0>>", twice):
        assert one.sub(instead, text) == other.sub(instead, text)
        assert one.sub(instead, text, count=1) == other.sub(instead, text, count=1)


def test_it_is_known_with_what_long_patterns_begin():
    assert json.loads(engine.BEGINNINGS.read_text("utf-8")) == beginnings.looks(), "run scripts/beginnings.py"
    assert len(beginnings.looks()) > 10


@pytest.mark.parametrize(
    ("source", "begins"),
    [
        (r"\b(?:not|never)\b", {("not", True), ("neve", True)}),
        (r"n't|\bno(?!w)", {("n't", False), ("no", True)}),
        (r"(?:the )?[ab]ox", {("the ", False), ("aox", False), ("box", False)}),
        (r"so{1,2}n?", {("so", False), ("soo", False), ("son", False), ("soon", False)}),
        (r"(?<=x)a\w+|(?P<n>b)(?i:c)", {("a", False), ("b", False)}),
        (r"\s*yes", {("", False), ("yes", False)}),
    ],
)
def test_beginnings_are_those_of_every_match(source, begins):
    assert beginnings.beginnings(source) == begins


def test_a_long_pattern_is_searched_where_it_may_begin(native, monkeypatch):
    monkeypatch.setattr(engine, "_SLOW", 0)
    monkeypatch.setattr(engine, "_beginnings", lambda: {engine.pattern_key(r"\bab|cd"): r"(?=\bab|xx)"})
    assert compile_pattern(r"\bab|cd").findall("ab cd xab") == ["ab"]  # what is told is believed
    assert compile_pattern(r"\bab|ce").findall("ab ce xab") == ["ab", "ce"]


def test_the_words_of_patterns_are_known():
    known = json.loads(engine.ATOMS.read_text("utf-8"))
    assert known == atoms.table(), "run scripts/atoms.py"
    assert len(known) > 150


@pytest.mark.parametrize(
    ("source", "flags", "words"),
    [
        (r"\b(?:never|hardly) seen", 0, {"\bhardly seen", "\bnever seen"}),
        (r"(?:un)?sure\b(?!ly)", 0, {"sure\b"}),
        (r"quota|\w+ly xylophones", 0, {"quota", "ly xylophone"}),
        (r"zebra[^x]{0,9}(?:quick|jumpy)", 0, {"quick", "jumpy"}),
        (r"jump\w* (?=.*zebra)(?!never)(?<=quick )", 0, {"quick "}),
        (r"(?P<a>fizz|buzz){1,3}(?:\d{2}\sKm)?", 0, {"fizz", "buzz"}),
        (r"\d{2}\sQ[\u0130x]", 0, {"00 qx", "00\nqx"}),
        (r"[\u4e00-\u9fff]+|\u2248", 0, set()),
        (r"QUIT(?i:\u017f)", 0, {"quit"}),
        (r"\u017fquit", re.IGNORECASE, {"quit"}),
        (r"\w+|zebra", 0, None),
        (r"the object|zebra", 0, None),
        (r"(?:zebra)*", 0, None),
        (r"(zebra)?\1", 0, None),
    ],
)
def test_words_are_those_of_every_match(source, flags, words):
    assert atoms.atoms(source, flags) == words


@pytest.mark.parametrize(
    ("word", "marked"), [("the quart", "t\the quart"), ("\bquota\b", "\b\tquota\b"), ("\bno\b", "\bno\b"), ("quit", "quit")]
)
def test_words_are_found_by_what_replies_rarely_hold(word, marked):
    assert atoms.marked(word) == marked


@pytest.mark.parametrize(("source", "flags"), patterns())
def test_texts_in_which_a_pattern_matches_hold_one_of_its_words(source, flags, compared):
    words, other = atoms.atoms(source, flags), re.compile(source, flags)
    for text in compared if words is not None else ():
        if text.isascii() and other.search(text):
            assert any(atoms.holds(text, word) for word in words), text


@pytest.fixture(scope="module")
def another(native, tmp_path_factory):
    """The module once more, to be told other words."""
    return open_module(PATTERNS, Path(shutil.copy(native.__file__, tmp_path_factory.mktemp("another"))))


@given(
    text=st.text("aBc1_ ,\n\u00e9", max_size=30),
    words=st.lists(st.text("abc0_ ,\n", min_size=1, max_size=6), max_size=3),
    edges=st.tuples(st.booleans(), st.booleans()),
)
def test_a_pattern_is_searched_in_texts_that_hold_one_of_its_words(another, text, words, edges):
    said = ["\b" * edges[0] + word + "\b" * edges[1] for word in words]
    last = [max(0, len(word) - 4) for word in words]  # by their last four characters
    another.sieve(
        [[], ["\b" * edges[0] + word[:at] + "\t" + word[at:] + "\b" * edges[1] for word, at in zip(words, last, strict=True)]]
    )
    by_last = another.compile("(?s:.)+|", 0, 0x80000, lambda source, flags, wide: source, lambda source, flags: 1, re.compile)
    found = by_last.search(text) is not None
    another.sieve([[], said])
    one = another.compile("(?s:.)+|", 0, 0x80000, lambda source, flags, wide: source, lambda source, flags: 1, re.compile)
    assert (one.search(text) is not None) == found == (not text.isascii() or any(atoms.holds(text, word) for word in said))
    assert one.search(text, 0, len(text) - 1) is not None  # words may go on behind the end
    another.sieve([[]])
    assert one.search(text) is not None  # of a pattern that it does not know, nothing is known


def test_a_sieve_has_room_for_so_many_words(another):
    with pytest.raises(ValueError, match="short words"):
        another.sieve([["a" * 13]])
    with pytest.raises(ValueError, match="short words"):
        another.sieve([["abcde\tf"]])
    with pytest.raises(ValueError, match="short words"):
        another.sieve([["ab"] * 9000])
    with pytest.raises(ValueError, match="short words"):
        another.sieve([[]] * 513)


def test_a_pattern_is_searched_where_its_number_cannot_be_told(native):
    one = native.compile("a", 0, 0x80000, lambda source, flags, wide: source, lambda source, flags: 1 / 0, re.compile)
    assert one.search("ba").span() == (1, 2)


def test_a_pattern_tells_of_what_it_is_made():
    one = compile_pattern("a(?P<b>.)", re.DOTALL)
    assert (one.pattern, one.flags, one.groupindex) == ("a(?P<b>.)", re.DOTALL, {"b": 1})


def test_a_match_tells_what_it_is_of():
    match = compile_pattern("(?P<a>a)|(?P<b>b)").search("xb")
    assert (match.lastgroup, match.string, match.re.groupindex) == ("b", "xb", {"a": 1, "b": 2})
    assert match.group("a", "b", 0) == (None, "b", "b")
    assert match.groups("") == ("", "b")
    for group in ("c", 3, -1):
        with pytest.raises(IndexError, match="no such group"):
            match.group(group)


def test_what_pcre2_gives_up_on_is_left_to_re():
    deep, text = "(?:(a)|b|(c))*?d", "ab" * 50_000  # beyond the stack of its machine code
    assert compile_pattern(deep).search(text) is None
    assert compile_pattern(deep).search(text + "d").span() == (0, 100_001)


def test_errors_are_those_of_re():
    with pytest.raises(re.error):
        compile_pattern("(").search("")
    with pytest.raises(TypeError):
        compile_pattern("a").search(1)
    with pytest.raises(TypeError):
        compile_pattern("a").search()
    with pytest.raises(ZeroDivisionError):
        compile_pattern("a").sub(lambda match: 1 / 0, "ba")
    with pytest.raises(ZeroDivisionError):
        rewritten(compile_pattern("a"), "ba", {}, lambda match: 1 / 0)
    with pytest.raises(TypeError):
        rewritten(compile_pattern("a"), "ba", {}, lambda match: 1)
    with pytest.raises(TypeError, match="a dictionary"):
        compile_pattern("a").rewritten("a", None, str)


def test_what_cannot_be_written_for_pcre2_is_left_to_re():
    with pytest.raises(ValueError, match="within a set"):
        engine.written_for_pcre2(r"[\S]")
    assert compile_pattern(r"[\S]").search(" a").span() == (1, 2)


def test_without_the_library_patterns_are_those_of_re(monkeypatch):
    monkeypatch.setattr(engine, "pattern_module", lambda: None)
    assert isinstance(compile_pattern("a"), re.Pattern)


def test_a_module_that_is_missing_or_of_another_source_is_not_taken(tmp_path, native):
    assert open_module(PATTERNS, tmp_path / "_patterns.so") is None
    (tmp_path / "_patterns.so").write_bytes(b"nothing")
    assert open_module(PATTERNS, tmp_path / "_patterns.so") is None
    other = SimpleNamespace(path=PATTERNS.path, digest=lambda: "another")
    assert open_module(other, Path(native.__file__)) is None
