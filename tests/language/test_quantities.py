"""Lengths, hours and numbers, each spelling worked by hand, and the table of units against pint."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialreasoner.core.garbage import no_collection
from spatialreasoner.language.quantities import UNITS, bare_numbers, find_quantities, fold

LENGTHS = [
    ("1.5 m", 1.5),
    ("1.5m", 1.5),
    (".5 m", 0.5),
    ("2 metres", 2.0),
    ("150 cm", 1.5),
    ("1,500 mm", 1.5),
    ("1,5 m", 1.5),
    ("0.002 km", 2.0),
    ("1.2e2 cm", 1.2),
    ("2.5 x 10^-1 m", 0.25),
    ("6 ft", 1.8288),
    ("a foot", 0.3048),
    ("10 in wide", 0.254),
    ('63"', 1.6002),
    ("5'11\"", 1.8034),
    ("5' 11''", 1.8034),
    ("5 feet 11 inches", 1.8034),
    ("5 ft. 11 in.", 1.8034),
    ("five foot eleven", 1.8034),
    ("4 feet and 2 inches", 1.27),
    ("1 m 20 cm", 1.2),
    ("two yards", 1.8288),
    ("twenty-five centimeters", 0.25),
    ("one hundred and twenty centimeters", 1.2),
    ("a hundred and five cm", 1.05),
    ("one point five meters", 1.5),
    ("two and a half feet", 0.762),
    ("2 and a half feet", 0.762),
    ("a foot and a half", 0.4572),
    ("half a metre", 0.5),
    ("half of a meter", 0.5),
    ("three quarters of a meter", 0.75),
    ("two-thirds of a meter", 2 / 3),
    ("3/4 of a meter", 0.75),
    ("1 1/2 feet", 0.4572),
    ("1½ ft", 0.4572),
    ("a couple of feet", 0.6096),
    ("**1.5** meters", 1.5),
    ("$1.5\\,\\text{m}$", 1.5),
    ("a 1.5-meter gap", 1.5),
    ("1.5±0.2 m", 1.5),
    ("2 m or 6.6 ft", 2.0),
    ("two-and-a-half feet", 0.762),
    ("6ft2", 1.8796),
    ("5-foot-11", 1.8034),
    ("1m80", 1.8),
    ("2 ½ feet", 0.762),
    ("two and three fourths meters", 2.75),
    ("eight tenths of a meter", 0.8),
    ("point five meters", 0.5),
    ("one meter eighty", 1.8),
    ("1 250 mm", 1.25),
    ("1.234,5 cm", 12.345),
    ("7.6 \\times 10^{-1} m", 0.76),
    ("1.5 mts", 1.5),
    ("three quarters of a meter, 75 cm", 0.75),
]


@pytest.mark.parametrize(("text", "metres"), LENGTHS)
def test_reads_a_length(text, metres):
    (found,) = find_quantities(f"It is {text} from here.")
    assert found.unit == "m"
    assert found.high is None
    assert found.value == pytest.approx(metres)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2-3 m", 2.0, 3.0),
        ("1.5–2.0 m", 1.5, 2.0),
        ("between 2 and 3 metres", 2.0, 3.0),
        ("2 to 3 feet", 0.6096, 0.9144),
        ("2 m to 3 m", 2.0, 3.0),
        ("one or two meters", 1.0, 2.0),
    ],
)
def test_reads_a_range(text, low, high):
    (found,) = find_quantities(text)
    assert (found.value, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.middle == pytest.approx((low + high) / 2)


@pytest.mark.parametrize(
    ("text", "hour"),
    [("3 o'clock", 3), ("at three o’clock", 3), ("the 12-o'clock direction", 12), ("0 o'clock", 12), ("4 o' clock", 4)],
)
def test_reads_an_hour(text, hour):
    (found,) = find_quantities(text)
    assert (found.unit, found.value) == ("hour", hour)


def test_middle_of_hours_goes_around_the_circle():
    assert find_quantities("12 or 1 o'clock")[0].middle == 0.5
    assert find_quantities("11 to 12 o'clock")[0].middle == 11.5


@pytest.mark.parametrize(
    "text",
    ["2 in the picture", "Region 2", "17 o'clock", '"2.5"', "100% of it", "no numbers", "9" * 40 + " m", "4 men", "1.2.3 m"],
)
def test_finds_nothing_where_there_is_no_quantity(text):
    assert find_quantities(text) == ()


def test_subtraction_is_not_a_range():
    assert [q.value for q in find_quantities("2 m - 0.5 m = 1.5 m")] == [2.0, 0.5, 1.5]
    assert [q.value for q in find_quantities("1 and 2 m")] == [2.0]


def test_bare_numbers_leave_out_regions_and_steps():
    assert [q.value for q in bare_numbers("Step 1: Region [0] and region 2: about 2.5")] == [2.5]


@given(st.sampled_from(LENGTHS), st.text(" \n\t(,", max_size=5))
def test_span_is_where_the_length_stands(length, blanks):
    text = f"so {blanks}{length[0]} then"
    (found,) = find_quantities(text)
    begin, end = found.span
    assert text[begin:end].strip("*$ }") in length[0]
    assert find_quantities(text[begin:end] + " ")[0].value == pytest.approx(length[1])


def test_units_agree_with_pint():
    import pint

    registry = pint.UnitRegistry()
    unknown_to_pint = {"mtr", "mtrs", "mts", "cms", "kms", "yds", '"', "''", "'"}
    for name, metres in UNITS.items():
        if name not in unknown_to_pint:
            assert registry.Quantity(1, name).to("m").magnitude == pytest.approx(metres, rel=1e-12), name


@given(st.text())
def test_fold_keeps_every_offset(text):
    folded = fold(text)
    assert len(folded) == len(text)
    assert fold(folded) == folded


@given(st.text(st.sampled_from("0123456789.,'\"-/ eoxmc½infthalfquarter and to \n"), max_size=300))
def test_never_raises(text):
    for quantity in [*find_quantities(text), *bare_numbers(text)]:
        assert 0 <= quantity.span[0] < quantity.span[1] <= len(text)


@pytest.mark.parametrize("piece", ["1 m - ", "9", "1,000,", "two and a ", "half of a ", "5'", "\x00\x1b", "1e", "1/2 "])
def test_cost_is_linear_in_the_text(piece):
    def cost(size):
        text = (piece * (size // len(piece) + 1))[:size]
        with no_collection():  # which would visit all that other tests have left
            start = time.process_time()
            find_quantities(text)
            return time.process_time() - start

    small = max(min(cost(20_000) for _ in range(3)), 1e-4)
    assert any(cost(200_000) < 30 * small for _ in range(3))


def test_letters_and_digits_in_a_face_of_mathematics_are_plain():
    said = "\U0001d465 is \U0001d7cf.\U0001d7d3 \U0001d426, \U0001f600"
    assert fold(said) == "x is 1.5 m, \U0001f600"
    assert [(found.value, found.span) for found in find_quantities(said)] == [(1.5, (5, 10))]
