from hypothesis import given
from hypothesis import strategies as st

from spatialreasoner.app.segments import pieces, settled
from spatialreasoner.core.types import Response
from spatialreasoner.language.responses import render

TEXT = render(Response(description="A box.", reasoning="### Rationale\nLook.\n### Step 1\nIt is 2 m.", answer="2 m."))


def test_a_whole_answer():
    assert {piece.name: TEXT[piece.start : piece.end] for piece in pieces(TEXT)} == {
        "description": "A box.",
        "reasoning": "### Rationale\nLook.\n### Step 1\nIt is 2 m.",
        "conclusion": "2 m.",
    }


def test_what_is_shown_of_a_beginning_stays_as_more_is_written():
    shown = ""
    for end in range(len(TEXT) + 1):
        ready = settled(TEXT[:end])
        now = "|".join(f"{piece.name}:{ready[piece.start : piece.end]}" for piece in pieces(ready, writing=True))
        assert now.startswith(shown.rstrip())
        shown = now
    assert shown.endswith("conclusion:2 m.")


def test_what_has_no_form_is_a_conclusion_once_it_is_written():
    assert [piece.name for piece in pieces("About 2 m.")] == ["conclusion"]
    assert [piece.name for piece in pieces("First I look", writing=True)] == ["reasoning"]


@given(st.text(alphabet=st.sampled_from(list("<>/# \nabc.description reasoning Conclusion In")), max_size=200))
def test_pieces_lie_in_order_inside_the_text(text):
    at = 0
    for piece in pieces(text):
        assert at <= piece.start < piece.end <= len(text)
        at = piece.end
    assert text.startswith(settled(text))
