"""Statements and records made in C are those made in Python."""

import json
from dataclasses import FrozenInstanceError, dataclass, fields
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_fixtures import built_patterns
from spatialreasoner.language import grammar, statements, tokens
from spatialreasoner.language.native import making
from spatialreasoner.language.statements import Assertion, read_statements
from spatialreasoner.language.tokens import Reading

DATA = Path(__file__).parents[1] / "data"
PIECES = (
    *("<region1>", "<region2>", "Region [0]", "region 3", "it", "its", "they", "both", "the other", "the former", "the chair"),
    *("is", "is not", "are", "has", "measures", "about", "possibly", "whether", "there is a window", "twice as wide as"),
    *("1.5 m", "2 to 3 feet", "20 cm", "at 3 o'clock", "wide", "tall", "wider than", "left of", "behind", "in front of"),
    *("the distance between", "and", "than", "from", ",", ".", "?", "\n", "\n- ", "x = 2", "the width of", "(", ")", "\u00e9"),
)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join)


@pytest.fixture(scope="module", autouse=True)
def native(tmp_path_factory):
    """The module as its source is now."""
    with built_patterns(tmp_path_factory.mktemp("native"), statements, tokens, making) as module:
        for opened in (statements.native_statements, tokens.native_names):
            opened.cache_clear()
        yield module
        for opened in (statements.native_statements, tokens.native_names):
            opened.cache_clear()


def in_python(reading, context, terse):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statements, "native_statements", lambda: None)
        return read_statements(reading, context, terse=terse)


def in_both_ways(text, labels=(), others=(), context=(), *, terse=False):
    """The statements of a text as C reads them, and as Python does; nothing is known before."""
    found = []
    for read in (lambda *given: read_statements(given[0], given[1], terse=given[2]), in_python):
        grammar.remembered_forms[terse].clear()
        found.append(read(Reading(text, labels, others=others), context, terse))
    return found


@given(text=TEXTS, context=st.sampled_from(((), ("region1",), ("region1", "region2"))), terse=st.booleans())
def test_c_states_what_python_states(text, context, terse):
    one, other = in_both_ways(text, ("chair",), ("lamp",), context, terse=terse)
    assert one == other
    assert [said.fact for said in one] == [said.fact for said in other]


def test_c_states_what_python_states_of_the_labelled_texts():
    rows = [json.loads(line) for line in (DATA / "assertions.jsonl").read_text("utf-8").splitlines()]
    read = [in_both_ways(row["text"], row["labels"]) for row in rows]
    assert all(one == other for one, other in read)
    assert sum(len(one) for one, _ in read) > 1500


def test_it_is_c_that_states(native):
    reading = Reading("<region1> is 1.5 m wide.")
    with pytest.raises(TypeError, match="what a reading has of a text"):
        statements.native_statements()(reading.codes)
    with pytest.raises(ValueError, match="as many classes, forms and words"):
        statements.native_statements()("", reading.forms, 0, {}, ((), (), ("", ())), reading.starts, reading.words, {})
    with pytest.raises(ValueError, match="five classes"):
        native.reader(native.maker(Assertion, ("kind",)), str, str, "", "", "", 1)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (("width", ("region1",), 0, None, False, False, 0, 2), KeyError),  # no length is there
        (("width", ("region1",), None, None, False, False, 0, 99), IndexError),
        (("width", ("region1",), None, None, False, False, -1, 0), IndexError),
        (("width", ("region1",)), TypeError),
        (("width", ("region1",), "two", None, False, False, 0, 1), TypeError),
    ],
)
def test_what_is_remembered_wrongly_is_an_error(said, error):
    reading = Reading("<region1> is wide.")
    forms = grammar.SentenceForms(terse=False)
    form = (tuple(reading.forms[:-1]), reading.codes, reading.count)
    forms[form] = ((said,), grammar.Spoken())
    given = (reading.forms, reading.count, forms, grammar.Spoken(), reading.starts, reading.words, reading.amounts)
    with pytest.raises(error):
        statements.native_statements()(reading.codes, *given)


def test_errors_of_rules_are_told():
    class Failing(dict):
        def __missing__(self, form):
            raise ZeroDivisionError

    reading = Reading("<region1> is wide.")
    given = (reading.forms, reading.count, Failing(), grammar.Spoken(), reading.starts, reading.words, reading.amounts)
    with pytest.raises(ZeroDivisionError):
        statements.native_statements()(reading.codes, *given)


def test_long_texts_take_linear_time():
    def seconds(text):
        readings = [Reading(text) for _ in range(3)]
        taken = []
        for reading in readings:
            begin = process_time()
            read_statements(reading)
            taken.append(process_time() - begin)
        return min(taken)

    for piece in ("% ", "chair ", "<region1> is 2 m wide. ", "it it a "):
        short, long = (piece * (size // len(piece)) for size in (10_000, 80_000))
        assert seconds(long) < 30 * max(seconds(short), 1e-4)


NAMED = st.lists(
    st.sampled_from(
        (
            *(
                "the",
                "a",
                "another",
                "this",
                "old",
                "wooden",
                "large",
                "chair",
                "dining table",
                "table",
                "lamp",
                "object",
                "item",
            ),
            *(
                "furniture",
                "image",
                "typical",
                "usually",
                "larger",
                "behind",
                "region 1",
                "<region2>",
                "Region [0]",
                "region 7",
            ),
            *("the former", "the latter", "other", "both", ",", "(", ")", ".", "\n", "is", "it", "2 m", "3 o'clock", "some "),
            *("chairs", "chair's", "\t", "\u3000", "\u00e9"),
        )
    ),
    max_size=30,
)
LABELS = st.sampled_from(
    ((), ("chair",), ("dining table", "table lamp"), ("object", "chair"), ("old chair", "old lamp"), ("",))
)


def told(reading):
    """All that a reading has."""
    return {name: list(value) if name == "starts" else value for name, value in vars(reading).items()}


@given(said=NAMED, labels=LABELS, others=st.sampled_from(((), ("lamp", "wardrobe"))), base=st.sampled_from((0, 1)))
def test_c_names_what_python_names(said, labels, others, base):
    for text in (" ".join(said), "".join(said)):
        one = Reading(text, labels, others=others, base=base)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tokens, "native_names", lambda: None)
            other = Reading(text, labels, others=others, base=base)
        assert told(one) == told(other)


def test_c_names_what_python_names_in_the_labelled_texts():
    rows = [json.loads(line) for line in (DATA / "assertions.jsonl").read_text("utf-8").splitlines()]
    one = [told(Reading(row["text"], row["labels"])) for row in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "native_names", lambda: None)
        assert one == [told(Reading(row["text"], row["labels"])) for row in rows]


def test_it_is_c_that_names(native):
    name = tokens.native_names()
    with pytest.raises(TypeError, match="expected tokens, classes, forms"):
        name([])
    with pytest.raises(ValueError, match="as many tokens"):
        name(["a"], "", [], [], {}, (), 1, 0)
    with pytest.raises(IndexError, match="a label begins at a token"):
        name(["a"], "%", [""], [1], {}, (), 1, 0)
    with pytest.raises(KeyError, match="without a meaning"):
        native.namer(lambda *said: {}, str, (), (), "", ("",) * 8, "a_%vc").name(["a"], "a", [""], [], {}, (), 1, 0)
    with pytest.raises(ZeroDivisionError):
        native.namer(lambda *said: 1 / 0, str, (), (), "", ("",) * 8, "a_%vc").name(["a"], "a", [""], [], {}, (), 1, 0)
    with pytest.raises(ValueError, match="eight kinds"):
        native.namer(str, str, (), (), "", (), "")


def test_naming_takes_linear_time():
    def seconds(text):
        taken = []
        for _ in range(3):
            begin = process_time()
            Reading(text, ("old chair", "lamp"), others=("table",))
            taken.append(process_time() - begin)
        return min(taken)

    for piece in ("old ", "old chair ", "the old wooden chair ", "the , ", "typical chair ", "( region 1 "):
        short, long = (piece * (size // len(piece)) for size in (10_000, 80_000))
        assert seconds(long) < 30 * max(seconds(short), 1e-4)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    first: int
    second: list[int]


def test_records_are_as_those_made_by_their_class(native, monkeypatch):
    names = tuple(field.name for field in fields(Pair))
    held = [1]
    making.record_maker.cache_clear()
    made = making.record_maker(Pair)(1, held)
    assert made == Pair(first=1, second=[1])
    assert made.second is held
    with pytest.raises(FrozenInstanceError):
        made.first = 2
    with pytest.raises(TypeError, match="expected 2 values; got 1"):
        native.maker(Pair, names).make(1)
    with pytest.raises(TypeError, match="has no slot"):
        native.maker(Pair, ("__init__",))
    with pytest.raises(AttributeError):
        native.maker(Pair, ("third",))
    with pytest.raises(ValueError, match="at most 16"):
        native.maker(Pair, ("first",) * 17)
    making.record_maker.cache_clear()
    monkeypatch.setattr(making, "pattern_module", lambda: None)
    assert making.record_maker(Pair)(1, held) == made
    making.record_maker.cache_clear()
