import pytest

from spatialreasoner.language.soundness import copies, is_sound

STEPS = "<reasoning>### Step 1\nIt is 0.57 m wide. 0.57 × 39 = 22 inches.</reasoning>\n### In Conclusion\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{STEPS}22 inches.", [True, True]),
        (f"{STEPS}19 inches.", [True, False]),
        (f"{STEPS}2 inches.", [True, False]),  # a part of a number is another number
        (f"{STEPS}At 3 o'clock.", [True]),
        ("0.57 m, 0.3 m. 0.57 m is more than 0.3 m.", [True, True]),
        ("0.57 m, 0.3 m. 0.58 m is more than 0.3 m.", [False, True]),
        ("0.5, 0.4, 0.3. 0.5 × 0.4 = 0.2, and 0.2 × 0.3 = 0.06.", [True, True, True, True]),
        ("0.5, 0.4, 0.3. 0.5 × 0.4 = 0.2, and 0.21 × 0.3 = 0.06.", [True, True, False, True]),
        ("Nothing is calculated.", []),
    ],
)
def test_numbers_that_should_have_been_said_before(text, found):
    assert list(copies(text)) == found


def test_an_answer_is_sound_if_its_calculations_and_its_copies_are_right():
    assert is_sound(f"{STEPS}22 inches.")
    assert not is_sound(f"{STEPS}23 inches.")
    assert not is_sound(f"{STEPS}22 inches.".replace("39 = 22", "39 = 26"))
