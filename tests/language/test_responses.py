import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialreasoner.core.errors import ResponseError
from spatialreasoner.core.types import Response
from spatialreasoner.language.responses import MAX_CHARACTERS, parse, render, spans, steps

RESPONSE = Response(
    description="A red box stands left of a blue ball.",
    reasoning="### Rationale\nCompare.\n### Let's think step by step\n### Step 1\nOne.\n### Step 2\nTwo.",
    answer="<region1> is 2.00 meters wide.",
)

plain = st.text(st.characters(codec="utf-8", exclude_characters="<>#"), max_size=200).map(str.strip)
safe = plain.filter(lambda text: "conclusion" not in text.lower() and "answer" not in text.lower())


@given(safe, safe, plain)
def test_parse_reads_what_render_wrote(description: str, reasoning: str, answer: str) -> None:
    response = Response(description=description, reasoning=reasoning, answer=answer)
    assert parse(render(response)) == response


def test_spans_cover_the_segments_and_leave_the_tags_out() -> None:
    text = render(RESPONSE)
    found = spans(text)
    assert text[slice(*found["description"])] == RESPONSE.description
    assert text[slice(*found["reasoning"])].startswith("### Rationale")
    assert found["reasoning"][1] == found["conclusion"][1] == len(text)
    assert text[slice(*found["conclusion"])] == RESPONSE.answer


@pytest.mark.parametrize(
    ("text", "description", "answer"),
    [
        (
            "There is a box.\nLet's think step by step.\nStep 1: it is wide.\nThe final answer is 3 m.",
            "There is a box.",
            "The final answer is 3 m.",
        ),
        (
            "### Description\nTwo cars.\n### Rationale\nCompare.\n### Step 1\nOne.\n### In Conclusion: the left one.",
            "Two cars.",
            "the left one.",
        ),
        (
            "<description>A bus.</description><reasoning>### Step 1: 4.5 / 2 = 2.25.</reasoning> In conclusion, 2.25 meters.",
            "A bus.",
            "2.25 meters.",
        ),
    ],
)
def test_the_plain_forms_of_the_paper_are_read(text: str, description: str, answer: str) -> None:
    response = parse(text)
    assert (response.description, response.answer) == (description, answer)


def test_the_last_conclusion_counts() -> None:
    text = "<description>A.</description><reasoning>In conclusion, 1 m? No.</reasoning>\n### In Conclusion\n2 m."
    assert parse(text).answer == "2 m."


def test_a_text_without_boundary_is_all_reasoning() -> None:
    assert spans("It is two meters wide.") == {"description": (0, 0), "reasoning": (0, 22)}


def test_a_text_without_conclusion_is_refused() -> None:
    with pytest.raises(ResponseError, match="In Conclusion"):
        parse("<description>A.</description><reasoning>B.</reasoning>")


def test_a_field_that_could_not_be_read_back_is_refused() -> None:
    with pytest.raises(ResponseError, match="description"):
        render(Response(description="</description>", reasoning="", answer=""))


def test_steps_are_the_nodes_of_the_search() -> None:
    text = render(RESPONSE)
    cut = steps(text)
    assert [step.name for step in cut] == ["description", "rationale", "step 1", "step 2", "conclusion"]
    assert "".join(step.text for step in cut) == text


@given(st.text(max_size=500))
def test_steps_joined_are_the_text(text: str) -> None:
    assert "".join(step.text for step in steps(text)) == (text if text.strip() or steps(text) else "")


@pytest.mark.parametrize("piece", ["<description>", "### Step 1\n", "In conclusion, ", "#", " ", "<reasoning>   "])
def test_hostile_texts_cost_linear_time(piece: str) -> None:
    def cost(length: int) -> float:
        text = (piece * (length // len(piece) + 1))[:length]
        begin = time.process_time()
        spans(text), steps(text)
        return time.process_time() - begin

    small, large = cost(MAX_CHARACTERS // 10), cost(MAX_CHARACTERS)
    assert large < 40 * small + 0.2


def test_a_text_beyond_the_limit_is_refused() -> None:
    with pytest.raises(ResponseError, match="at most"):
        spans("a" * (MAX_CHARACTERS + 1))
