"""Which clauses of a reply that withholds still assert something."""

import json
from pathlib import Path

import pytest

from spatialreasoner.language import utterances
from spatialreasoner.language.asserting import asserted
from spatialreasoner.language.declining import declines
from spatialreasoner.language.quantities import fold
from spatialreasoner.language.tying import is_tied


def kept(text, **options):
    said = asserted(text, **options)
    return None if said is None else " ".join(said.split())


def test_a_reply_that_withholds_nothing_is_left_alone():
    assert asserted("region [0] is not taller than region [1], because it is a cup.") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("i can't be exact, but they are about 2 m apart.", "they are about 2 m apart."),
        ("i can't measure it. a door is usually 2 m high.", ""),
        ("without a scale i'd say 2 m.", "i'd say 2 m."),
        ("if the table were 2 m long, the gap would be 1 m. please tell me.", ""),
        ("hard to tell. 2.2 m?", "2.2 m."),
        ("yes, of course! just send me the picture.", ""),
        ("yes. i can't give exact heights.", "yes."),
        ("region [0] could be taller or shorter.", ""),
        ("i can't see region [1] well, but it is on the left.", "region [1] it is on the left."),
        ("i can't say whether it is 2 m, 3 m or more.", ""),
        ("in a typical kitchen, the oven is below the stove. i can't see yours.", ""),
        ("people are usually taller than cats. i can't see the image, but region [0] is taller.", "region [0] is taller."),
        ("region [0] would be above region [1] if it hung on the wall, but i can't see it.", ""),
        ("i can't see it. if it is a car, then yes, it'd be larger.", ""),
        ("i can't see how it's mounted.", ""),
        ("the options are: 1 m, 2 m or 3 m. i can't choose.", "the options are:"),
        ("please tell me both heights: for example, region [0]: 30 cm, region [1]: 45 cm.", "for example, ."),
        ("if you face it, it is at 3 o'clock; if you face me, at 9 o'clock. it depends.", "if you face it, if you face me, ."),
        ("if it is higher, the answer is yes, otherwise no.", ""),
        ("adults average 1.7 m. nothing can be said of this one.", ""),
        ("here's how to check: if region [0] is bigger than region [1], then it's to the right.", ""),
        ("to be thinner, region [0] would have to measure less than region [1]; i can't verify it.", ""),
        ("one is closer than the other. i don't know which is which.", ""),
        ("is it a lamp? if so, it'd be above most things.", ""),
        ("one could measure both. the one with more centimeters is wider.", ""),
        ("there is no image, only the question whether region [0] is taller.", ""),
        ("my answer would be yes in one sense and no in another.", ""),
        ("that is not indicated.", ""),
        ("there's a 50/50 chance that region [0] is taller.", ""),
        ("nothing suggests that one is further than the other.", ""),
        ("do i see region [0]? yes. do i see region [1]? no. so i can't compare them.", ""),
        ("which tiles do you mean? with 30 cm tiles, it's 1.8 m; with 60 cm tiles 3.6 m.", ""),
        ("please choose: (a) yes, region [0] is above region [1]; (b) no, it is not.", ""),
        ("to tell if it is behind, check for overlap: if region [1] covers it, then region [0] is behind.", ""),
        ("* yes\n* no\n\ni cannot choose one of these.", ""),
        ("i'm not able to verify the claim that region [0] is on the left.", ""),
        ("floors may be anything from 2.5 to 4 m, so its height remains open.", ""),
        ("trees are usually planted 8 m apart. if that's the case here, they're 8 m apart.", ""),
        (
            "they sit, which makes it hard. going by that, region [1] is taller.",
            "they sit, . going by that, region [1] is taller.",
        ),
        ("its edges are blurry so i can't be precise. something like 35 cm.", "something like 35 cm."),
        (
            "region [1] is partly hidden by the other, so it is behind. i can't see more.",
            "region [1] is partly hidden by the other, so it is behind.",
        ),
    ],
)
def test_only_what_is_asserted_stays(text, said):
    assert kept(text) == said


def test_a_region_that_is_only_named_is_no_choice():
    assert kept("i can see region [0]. i can't see the other one.", choice=True) == ""
    assert kept("hard to tell. region [1].", choice=True) == "region [1]."


def test_what_stays_keeps_its_place():
    text = "i can't be exact, but 2 m."
    assert asserted(text).index("2 m") == text.index("2 m")


@pytest.mark.parametrize("clause", ["about 2 m", "they are 2 m apart", "the gap is 2 m", "i'd put it at 2 m", "= 2 m"])
def test_a_length_is_tied_to_what_is_asked(clause):
    assert is_tied(clause)


@pytest.mark.parametrize(
    "clause",
    [
        "a 30 cm ruler",
        "doors are 2 m high",
        "e.g 2 m",
        "the sign reads 2 m",
        "given a 2 m door",
        "a real one 30 m",
        "it's recommended to sit 2.5 m away from it",
    ],
)
def test_the_length_of_something_else_is_not(clause):
    assert not is_tied(clause)


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("i can't tell", True),
        ("there is no scale", True),
        ("region [0] can't be taller", False),
        ("i don't think so", False),
        ("by no means", False),
    ],
)
def test_denials_that_answer_are_told_from_refusals(text, denied):
    assert declines(text) is denied


def replies():
    """Folded replies, most of which withhold something."""
    data = Path(__file__).parents[1] / "data"
    files = ((data / f"{name}.jsonl").read_text("utf-8") for name in ("refusals", "stranger_replies"))
    return sorted({fold(json.loads(line)["text"]) for lines in files for line in lines.splitlines()})


def test_a_sentence_has_no_match_where_the_text_has_none(monkeypatch):
    said = replies()
    found = list(map(asserted, said))
    monkeypatch.setattr(
        utterances,
        "_found_in",
        lambda text, spans, held: [[own for own, each, _ in held if each.search(text[first:last])] for first, last in spans],
    )
    assert found == list(map(asserted, said))
    assert sum(kept is not None for kept in found) > 1000


def test_sentences_that_only_assert_need_not_be_cut_up(monkeypatch):
    said = [text for text in replies() if not text.startswith("yes")]  # of a long sentence it is never mere politeness
    found = list(map(asserted, said))
    monkeypatch.setattr(utterances, "_LONG", 10**9)
    assert found == list(map(asserted, said))
