"""Models' texts as HTML."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spatialreasoner.core.types import Response
from spatialreasoner.language import responses
from spatialreasoner.language.responses import conclusion
from spatialreasoner.report.texts import rich, segments

TEXT = responses.render(
    Response(description="<region1> is a cup.", reasoning="### Rationale\nA plan.\n### Step 1\n1 < 2.", answer="1 m.")
)


def test_segments_in_order_without_tags_and_headings_of_the_form() -> None:
    found = segments(TEXT)
    assert [segment.name for segment in found] == ["description", "reasoning", "conclusion"]
    assert str(found[0].html) == '<span class="chip c0" title="region 1">1</span> is a cup.'
    assert str(found[1].html) == "<b>Rationale</b><br>A plan.<br><b>Step 1</b><br>1 &lt; 2."
    assert str(found[2].html) == "1 m."


def test_an_answer_without_any_form_is_a_conclusion() -> None:
    assert [(segment.name, str(segment.html)) for segment in segments("About 2 m.")] == [("conclusion", "About 2 m.")]
    assert segments("") == []


def test_conclusion_of_any_text() -> None:
    assert conclusion(TEXT) == "1 m."
    assert conclusion("So it is. In conclusion, 2 m.") == "2 m."
    assert conclusion("x" * 1000) == "x" * 300


def test_regions_beyond_the_colours_start_anew() -> None:
    assert 'class="chip c1"' in rich("<region10>")
    assert "chip" not in rich("<region1234>")


@given(st.text(max_size=300))
def test_nothing_but_our_own_tags_comes_out(text: str) -> None:
    html = str(rich(text))
    for own in ("<br>", "<b>", "</b>", "</span>"):
        html = html.replace(own, "")
    assert "<" not in html.replace('<span class="chip', "")
    for segment in segments(text):
        assert segment.name in {"description", "reasoning", "conclusion"}
