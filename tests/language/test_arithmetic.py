import time

import pytest

from spatialreasoner.language.arithmetic import checks


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("3 x 1.5 m = 4.5 m", True),
        ("3 × 1.5 m = 5.5 m", False),
        ("75 + 20 = 95 cm", True),
        ("75 + 20 = 97 cm", False),
        ("75 cm + 20 cm = 0.95 m", True),
        ("1 m + 20 = 120 cm", True),
        ("1.2/2 + .2 + 1.4/2 = 1.5 m", True),
        ("1.2/2 + .2 + 1.4/2 = 2.5 m", False),
        ("(1.2 + 0.4) / 2 = 0.8 m", True),
        ("4.5 divided by 2 gives 2.25", True),
        ("half of 4.5 m is 2.25 m", True),
        ("half of 4.5 m is 3 m", False),
        ("twice 1.5 m = 3 m", True),
        ("2 m is 6.6 ft", True),
        ("2 m is 7.6 ft", False),
        ("2 m (about 6.6 feet)", True),
        ("2 m (about 9 feet)", False),
        ("200 cm, which is 2 m", True),
        ("1,200 mm = 1.2 m", True),
        ("2.5 m - 1 m = 1.5 m", True),
        ("10 / 3 = 3.33", True),
        ("10 / 3 = 3.3", True),
        ("10 / 3 = 3.5", False),
        ("sqrt(0.11^2 + 0.40^2 + 0.06^2) = 0.42", True),
        ("sqrt(0.11^2 + 0.40^2 + 0.06^2) = 0.57", False),
        ("√((3 m)² + (4 m)²) = 5 m", True),
        ("0.32 - (-0.73) = 1.05", True),
        ("0.32 - 1.05 = -0.73", True),
        ("|0.32 - 1.05| = 0.73", True),
        ("|0.32 - 1.05| = 0.37", False),
        ("0.16 × 0.22 × 0.15 = 0.005", True),
        ("30 % of 2 m is 0.6 m", True),
        ("a third of 1.5 m is 0.9 m", False),
        ("2 m x 3 m = 6 m", True),
    ],
)
def test_calculations_and_conversions(text: str, right: bool):
    (check,) = checks(f"So {text}, as said.")
    assert check.right is right


def test_what_calculates_nothing_is_not_checked():
    assert checks("Step 1 is 3. The 2 m wide box is 3 m tall. 2 m is 2 m. 10 / 0 = 5. ((1 + 2 = 3. Region 1 - far.") == []


def test_every_link_of_a_chain_is_checked():
    assert [check.right for check in checks("(1.2 + 0.4) / 2 = 0.8 m = 90 cm")] == [True, False]


def test_the_span_is_the_place_in_the_text():
    text = "Thus 75 + 20 = 95 cm."
    (check,) = checks(text)
    assert text[slice(*check.span)] == check.text == "75 + 20 = 95 cm"


@pytest.mark.parametrize(
    "piece",
    [
        "1+",
        "1 + 1 ",
        "(1 ",
        "1 m (",
        "half of ",
        "1,111",
        "1",
        ". ",
        "1 x ((1 x ))",
        "1 m is ",
        "sqrt(",
        "|1|",
        "-1 - ",
        "1^2 + ",
    ],
)
def test_hostile_text_costs_linear_time(piece: str):
    begin = time.perf_counter()
    checks(piece * (100_000 // len(piece)))
    assert time.perf_counter() - begin < 3
