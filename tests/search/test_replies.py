import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialreasoner.core.types import Completion
from spatialreasoner.language.responses import MAX_CHARACTERS, steps
from spatialreasoner.search.replies import Malformed, continuation, following

ANSWER = (
    "<description>A box.</description>\n<reasoning>### Rationale\nPlan.\n### Let's think step by step\n"
    "### Step 1\nOne.\n### Step 2\nTwo.\n</reasoning>\n### In Conclusion\n2 m"
)
CUTS = ["".join(step.text for step in steps(ANSWER)[:length]) for length in range(5)]


def read(prefix, text, *, whole=True, finish="stop", max_steps=24):
    return continuation(prefix, Completion(text=text, finish=finish), whole=whole, max_steps=max_steps)


@pytest.mark.parametrize("prefix", CUTS)
def test_every_cut_can_be_continued(prefix):
    new = read(prefix, ANSWER.removeprefix(prefix))
    assert prefix + "".join(step.text for step in new) == ANSWER
    assert len(new) == 5 - CUTS.index(prefix)
    (first,) = read(prefix, ANSWER.removeprefix(prefix), whole=False)
    assert first == new[0]


@pytest.mark.parametrize(
    ("prefix", "text", "finish", "kind"),
    [
        ("", " \n", "stop", "empty"),
        ("", "Sorry.", "refusal", "refusal"),
        ("", ANSWER, "length", "truncated"),
        ("", ANSWER[:60], "stop", "truncated"),
        ("", "x" * (MAX_CHARACTERS + 1), "stop", "too long"),
        ("", "### Rationale\nNo description.", "stop", "wrong section"),
        ("", ANSWER.replace("Step 2", "Step 4"), "stop", "wrong section"),
        ("", ANSWER + "\n### In Conclusion\nAgain.", "stop", "wrong section"),
        ("", ANSWER.replace("A box.", ""), "stop", "blank section"),
        ("", ANSWER.replace("2 m", " "), "stop", "blank section"),
        (CUTS[3], "and more of step one.\n### Step 2\nTwo.\n### In Conclusion\n2 m", "stop", "no section"),
        (CUTS[3], "Just words.", "stop", "no section"),
        (CUTS[3], ANSWER, "stop", "no section"),
        (CUTS[4], "### Step 3\nAfter the end.\n### In Conclusion\n2 m", "stop", "wrong section"),
    ],
)
def test_what_must_not_enter_a_tree(prefix, text, finish, kind):
    with pytest.raises(Malformed) as caught:
        read(prefix, text, finish=finish)
    assert caught.value.kind == kind


def test_an_answer_of_too_many_steps():
    with pytest.raises(Malformed, match="at most 4 steps; got 5"):
        read("", ANSWER, max_steps=4)


def test_a_first_step_alone_may_come_before_a_cut():
    assert read(CUTS[2], "### Step 1\nOne.\n### Step 2\nTw", whole=False, finish="length")[0].name == "step 1"
    with pytest.raises(Malformed, match="within its first step"):
        read(CUTS[2], "### Step 1\nOn", whole=False, finish="length")


def test_a_tag_that_closes_the_prefix_goes_with_the_new_step():
    (conclusion,) = read(CUTS[3], "</reasoning>\n### In Conclusion\n2 m")
    assert conclusion.text == "</reasoning>\n### In Conclusion\n2 m"
    assert conclusion.name == "conclusion"


@given(st.sampled_from(CUTS), st.text(st.sampled_from("#Step 12Inconclud\n<>/reasoning ")))
def test_no_text_breaks_the_reading(prefix, text):
    try:
        new = read(prefix, text)
    except Malformed:
        return
    assert prefix + "".join(step.text for step in new) == prefix + text
    assert new[-1].name == "conclusion"


def test_nothing_follows_a_conclusion():
    assert following("conclusion") == ()
    assert following("rationale") == ("step 1",)
