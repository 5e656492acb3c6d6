import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from spatialreasoner.app.answer import answer, checked, rewards
from spatialreasoner.core.types import RewardBreakdown
from spatialreasoner.language.statements import Assertion
from spatialreasoner.rewards.combine import Graded
from spatialreasoner.rewards.spatial import StatementVerdict

TEXT = (
    "<description>A <b>.</description>\n<reasoning>It is 2 m wide and tall.</reasoning>\n"
    "### In Conclusion\n<region1> & <region2>."
)
BLANK = RewardBreakdown(
    visual=None, spatial_description=None, spatial_reasoning=1.0, logical=4.0, reasons={"visual": "why <not>"}
)
TAGS = {"article", "section", "h2", "h3", "p", "span", "b", "br"}


def verdict(start, end, score, reason="measured: 1 m"):
    said = Assertion(kind="width", regions=("region1",), value=2.0, unit="m", span=(start, end))
    return StatementVerdict(assertion=said, score=score, truth=None if score is None else 1.0, reason=reason)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = set(), ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text += data


def test_segments_chips_and_escapes():
    html = str(answer("<model>", TEXT, (3, 1)))
    assert "A &lt;b&gt;." in html
    assert "&lt;model&gt;" in html
    assert 'title="region 3">3</span> &amp; <span class="sr-chip sr-c0" title="region 1">1</span>' in html
    assert [html.index(f"sr-{name}") for name in ("description", "reasoning", "conclusion")] == sorted(
        html.index(f"sr-{name}") for name in ("description", "reasoning", "conclusion")
    )


def test_statements_are_underlined_and_listed_with_claim_truth_and_error_in_the_open():
    at = TEXT.index("2 m wide")
    told = verdict(at, at + 8, 0.0, "measured: 1.00 m ± 0.05, error 100%")
    graded = Graded(reward=BLANK, reasoning=(told, verdict(at + 4, at + 17, None, 'too "far"')))
    html = str(answer("m", TEXT, (4,), graded))
    assert '<span class="sr-said sr-false">2 m wide and tall<span class="sr-unseen"> (does not hold)</span></span>.' in html
    rows = str(checked(graded, (4,))).split("<tr")[2:]
    assert ">4</span> width 2 m</td><td>1.00 m ± 0.05</td><td>100%</td>" in rows[0]
    assert "does not hold" in rows[0]
    assert "too &#34;far&#34;</td><td>–</td>" in rows[1]


def test_relations_say_which_way_and_by_how_much():
    said = Assertion(kind="left", regions=("region1", "region2"), span=(0, 3))
    graded = Graded(
        reward=BLANK, reasoning=(StatementVerdict(assertion=said, score=0.0, truth=-0.31, reason="measured: -0.31 m"),)
    )
    rows = str(checked(graded, (1, 2)))
    assert "the other way round, by 0.31 m" in rows
    assert re.search(r">1</span> to the left of <span[^>]*>2</span></td>", rows)  # a claim reads as one
    said = Assertion(kind="distance", regions=("region1", "region2"), value=1.09728, unit="m", span=(0, 3))
    told = StatementVerdict(assertion=said, score=1.0, truth=1.1, reason="measured: 1.10 m")
    assert re.search(
        r">1</span> to <span[^>]*>2</span> distance 1.097 m</td>", str(checked(Graded(reward=BLANK, reasoning=(told,)), (1, 2)))
    )


def test_a_region_that_was_not_asked_about_is_none():
    assert "no such region" in str(answer("m", "<Region2> is tall.", (1,)))
    assert 'sr-c0" title="region 1">1</span> is tall' in str(answer("m", "<Region1> is tall.", (1,)))


def test_unscored_is_not_zero():
    html = str(rewards(Graded(reward=BLANK)))
    assert html.count("not scored") == 2
    assert "1.0 of 4" in html
    assert 'value="1.00"' in html
    assert "why &lt;not&gt;" in html


@given(
    st.text(max_size=200),
    st.lists(st.tuples(st.integers(0, 250), st.integers(1, 60), st.sampled_from([0.0, 0.5, 1.0, None])), max_size=6),
)
def test_no_text_makes_a_tag_of_its_own(text, statements):
    spans = tuple(
        verdict(start, min(start + length, len(text)), score) for start, length, score in statements if start < len(text)
    )
    parser = Tags()
    parser.feed(str(answer("m", text, (1, 2), Graded(reward=BLANK, reasoning=spans))))
    assert parser.tags <= TAGS
