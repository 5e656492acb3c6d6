"""Texts as phrases, words and numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialreasoner.nano.tokenizer import train_nano_tokenizer


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("0.57", ["0.57"]),
        ("1.23", ["1.2", "3"]),
        ("36.22", ["36", ".22"]),
        ("117", ["11", "7"]),
        ("0.165", ["0.16", "5"]),
        ("0.3048", ["0.30", "48"]),
        ("5", ["5"]),
        ("-0.42", ["-", "0.42"]),
        ("05", ["0", "5"]),
    ],
)
def test_the_first_two_digits_are_one_token(nano, text, tokens):
    tokenizer = nano[1].tokenizer
    assert [tokenizer.decode([token]) for token in tokenizer(text)["input_ids"]] == tokens


@given(st.text(max_size=60))
def test_any_text_survives(nano, text):
    tokenizer = nano[1].tokenizer
    text = text.replace("<|", "")  # special tokens are not text
    decoded = tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"], clean_up_tokenization_spaces=False)
    assert decoded == text


def test_regions_are_one_token_each_and_are_written_out(nano):
    tokenizer = nano[1].tokenizer
    ids = tokenizer("<region1> is left of <region16>.")["input_ids"]
    assert {nano[0].config.region_token_ids[0], nano[0].config.region_token_ids[15]} <= set(ids)
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<region1> is left of <region16>."


@pytest.fixture(scope="module")
def phrases():
    """A tokenizer that often read the same answer."""
    return train_nano_tokenizer(["Which is wider?"], ["To my eye, <region1> is a bit wider than <region2>. That is all."] * 20)


def _pieces(tokenizer, text):
    return [tokenizer.decode([token]) for token in tokenizer(text)["input_ids"]]


def test_what_answers_often_say_is_one_token_but_for_what_the_image_decides(phrases):
    told = _pieces(phrases, "To my eye, <region2> is a bit wider than <region1>. That is all.")
    assert told == ["To my eye, ", "<region2>", " is a bit", " wider", " than ", "<region1>", ". ", "That is all."]


def test_requests_are_read_word_by_word(phrases):
    assert _pieces(phrases, "Which is wider?") == ["Which", " is", " wider", "?"]


def test_no_text_is_too_long_for_a_phrase(phrases):
    for piece in ("a ", " ", ".", "ab", "x\n", "\N{EM DASH}"):
        text = piece * 20_000
        assert phrases.decode(phrases(text)["input_ids"]) == text
