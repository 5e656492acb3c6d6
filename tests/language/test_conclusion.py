"""Where the answer of a reply stands and what it says: labelled replies, the order of what decides, hostile text."""

import gc
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialreasoner.core.types import CATEGORIES
from spatialreasoner.evaluation.answers import judge
from spatialreasoner.language.conclusion import conclude
from spatialreasoner.language.question import Asked, question_asked

DATA = Path(__file__).parents[1] / "data"
TALLER = question_asked("tall_predicate", "Is Region [0] taller than Region [1]?")
WHICH = question_asked("tall_choice", "Who is taller, Region [0] or Region [1]?")
WIDE = question_asked("width_data", "How wide is Region [0]?")
WHERE = question_asked("direction", "If you are at Region [0], where will you find Region [1]?")
READY = (TALLER, WHICH, WIDE, WHERE)


def rows(name):
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def free(half, kind):
    return [row for row in rows(f"free_answers/{half}.jsonl") if row["kind"] == kind]


def agrees(row):
    verdict = judge(row["category"], row["question"], row["gt"], row["pred"])
    return verdict.success is (None if row["expected"] is None else bool(row["expected"]))


@pytest.mark.parametrize("kind", ["decides", "numbers", "hours", "relations", "indices", "refusal"])
@pytest.mark.parametrize(("half", "least"), [("dev", 0.98), ("dev_second", 0.95), ("unseen", 0.9), ("unseen_second", 0.85)])
def test_free_answers_are_read_as_a_careful_reader_does(half, least, kind):
    labelled = free(half, kind)
    agreed = sum(map(agrees, labelled))
    assert agreed >= least * len(labelled), f"{half} {kind}: {agreed} of {len(labelled)}"


@pytest.mark.parametrize(
    ("category", "text", "value"),
    [
        ("tall_choice", "Region [5]", None),  # the question has two regions
        ("front_predicate", "Region [0] is in the foreground and Region [1] in the background.", 1.0),
        ("tall_predicate", "Yes or No.\n\nNo", 0.0),
        ("tall_choice", "Region [0]? No, Region [1].", 2.0),
        ("tall_predicate", "Yes, I can answer that: Region [0] is shorter than Region [1].", 0.0),
        ("tall_predicate", "Yes, I can confirm that.", 1.0),
        ("tall_predicate", "Despite Region [1] being closer to the camera, Region [0] is taller.", 1.0),
        ("tall_predicate", "Region [0] looks taller. But in fact they have the same height.", 0.0),
        ("wide_predicate", "Region [0] fills the wall. Region [1] is just a narrow shelf. Yes, it's wider.", 1.0),
        ("tall_predicate", "The taller object casts a longer shadow.", None),
        ("above_predicate", "The lower half of the picture is dark.", None),
        ("left_predicate", "Left and right would be swapped.", None),
        ("small_predicate", "Farther objects appear smaller.", None),
        ("tall_predicate", "Region [0] is several times the height of Region [1].", 1.0),
        ("front_predicate", "Region [0] is the frontmost object.", 1.0),
        ("front_predicate", "The cyclist is in front of the bus. The cyclist is in Region [1], the bus is in Region [0].", 0.0),
        ("front_predicate", "Region [0] is less distant than Region [1].", 1.0),
        ("front_predicate", "Region [0] is closer by about half a meter.", 1.0),
        ("left_predicate", "Left of Region [1]? Region [0] definitely is.", 1.0),
        ("left_predicate", "Region [0] is to the right of Region [1], so strictly speaking: false.", 0.0),
        ("left_predicate", "Region [0] is a stool, Region [1] is a fern. Thus, the stool is not left of the fern.", 0.0),
        ("big_predicate", "It is the other region that has the larger size.", 0.0),
        ("wide_predicate", "Region [0]'s width: ~3 ft; Region [1]'s width: ~2 ft, wider: Region [0].", 1.0),
        (
            "behind_predicate",
            "The couch hides part of the plant, so the plant is behind the couch. Region [0] is the plant.",
            1.0,
        ),
        (
            "behind_predicate",
            "Region [1] is a tram, Region [0] is a church.\n\n### Conclusion\nThe church is behind the tram.",
            1.0,
        ),
        (
            "below_choice",
            "A cat sitting on a sill, marked as Region [0], and a rug, marked as Region [1]. The rug is lower than the cat.",
            2.0,
        ),
        ("below_choice", "Region [0]. It's on the ground, whereas Region [1] is on the shelf.", 1.0),
        ("front_predicate", "Region [0] is the closest vehicle.", 1.0),
        ("front_predicate", "Region [0] is closer to the background than Region [1].", 0.0),
        (
            "left_predicate",
            "Region [0]: a van.\nRegion [1]: a row of bicycles.\n\nThe bicycles are to the left of the van.",
            0.0,
        ),
        ("left_choice", "The dog is more to the left than the cat. (dog: Region [1], cat: Region [0])", 2.0),
        (
            "right_predicate",
            "Region [0] corresponds to a woman. Region [1] denotes a man. The woman is on the man's left.",
            0.0,
        ),
        ("front_predicate", "Certainly Region [1] is closer to the camera.", 0.0),
        ("front_predicate", "No doubt Region [1] is the one closer to the camera.", 0.0),
        ("front_predicate", "You can tell by the shadows that Region [0] is in front of Region [1].", 1.0),
        ("behind_predicate", "Depth is difficult to judge here. I lean towards Region [0] being behind Region [1].", 1.0),
        ("right_predicate", "Region [1] is followed by Region [0] when reading the scene from left to right.", 1.0),
        ("left_predicate", "I can't see depth, but for left and right that doesn't matter: Region [0] is on the left.", 1.0),
        ("above_predicate", "It's the fan that is over the table.", None),
        ("big_predicate", "In size, Region [0] doesn't even come close to Region [1].", 0.0),
        ("wide_predicate", "Region [1] is so wide that Region [0] would fit into it twice.", 0.0),
        ("tall_predicate", "The taller one? Region [1].", 0.0),
        ("tall_predicate", "The man is taller. Region [0] = boy, Region [1] = man.", 0.0),
        ("front_predicate", "The closer one is Region [1].", 0.0),
        ("behind_predicate", "The farther of the two regions is Region [0].", 1.0),
        ("front_predicate", "Region [0] is not the nearest object here. Region [1] is.", 0.0),
        ("below_predicate", "Region [0] is covered from above by Region [1], so it does appear under it.", 1.0),
        (
            "front_predicate",
            "There's nothing between the camera and Region [0], while Region [1] is partially blocked by it.",
            1.0,
        ),
        ("front_predicate", "Region [0] is at the near end of the table, Region [1] at the far end.", 1.0),
        (
            "left_choice",
            "The lamp is in the left part and the bed in the right part. The lamp is labelled Region [1], the bed Region [0].",
            2.0,
        ),
        ("tall_choice", "Region [0], since it reaches up to the ceiling while Region [1] only reaches the sill.", 1.0),
        (
            "front_predicate",
            "The distance from the camera to Region [1] is greater than the distance from the camera to Region [0].",
            1.0,
        ),
    ],
)
def test_what_is_only_offered_asked_or_conceded_does_not_decide(category, text, value):
    question = "Region [0] or Region [1]?" if category.endswith("choice") else "Is that so of Region [0] and Region [1]?"
    assert conclude(question_asked(category, question), text).value == value


def test_own_replies_are_read():
    wrong = [
        row["text"]
        for row in rows("replies.jsonl")
        if not _close(conclude(question_asked(row["category"], row["question"]), row["text"]).value, row["value"])
    ]
    assert len(wrong) <= 8, wrong


@pytest.mark.parametrize("kind", ["relations", "idioms", "numbers", "hours", "decides"])
def test_fresh_replies_are_read(kind):
    labelled = [row for row in rows("fresh_replies.jsonl") if row["kind"] == kind]
    wrong = [
        row["text"]
        for row in labelled
        if not _close(conclude(question_asked(row["category"], row["question"]), row["text"]).value, row["value"])
    ]
    assert len(wrong) <= 0.06 * len(labelled), wrong


@pytest.mark.parametrize("kind", ["relations", "numbers", "hours", "decides", "indices"])
def test_fresh_replies_of_every_kind_are_read(kind):
    labelled = [row for row in rows("fresh_kinds.jsonl") if row["kind"] == kind]
    assert len(labelled) >= 290
    wrong = [
        row["text"]
        for row in labelled
        if not _close(conclude(question_asked(row["category"], row["question"]), row["text"]).value, row["value"])
    ]
    assert len(wrong) <= 0.02 * len(labelled), wrong


@pytest.mark.parametrize("kind", ["relations", "numbers", "hours", "decides", "indices"])
def test_replies_of_a_stranger_are_read(kind):
    labelled = [row for row in rows("stranger_replies.jsonl") if row["kind"] == kind]
    wrong = [
        row["text"]
        for row in labelled
        if not _close(conclude(question_asked(row["category"], row["question"]), row["text"]).value, row["value"])
    ]
    assert len(wrong) <= 0.02 * len(labelled), wrong


def test_no_refusal_of_a_stranger_is_scored_whatever_is_asked():
    refusals = [row["text"] for row in rows("stranger_replies.jsonl") if row["kind"] == "refusals"]
    assert len(refusals) >= 120
    scored = [(text, ready.category) for text in refusals for ready in READY if conclude(ready, text).value is not None]
    assert not scored


def test_a_refusal_is_not_scored_by_the_question_it_answers():
    refusals = [row for row in rows("refusals.jsonl") if row["kind"] == "refusals"]
    assert len(refusals) >= 2170
    scored = [
        row["text"]
        for row in refusals
        if conclude(question_asked(row["category"], row["question"]), row["text"]).value is not None
    ]
    assert not scored


def test_a_refusal_is_hardly_scored_whatever_is_asked():
    refusals = [row["text"] for row in rows("refusals.jsonl") if row["kind"] == "refusals"]
    scored = {text for text in refusals for ready in READY if conclude(ready, text).value is not None}
    assert len(scored) <= 2, scored


def test_an_answer_with_a_caveat_is_read():
    labelled = [row for row in rows("refusals.jsonl") if row["kind"] == "look-alikes"]
    assert len(labelled) >= 910
    wrong = [
        row["text"]
        for row in labelled
        if not _close(conclude(question_asked(row["category"], row["question"]), row["text"]).value, row["value"])
    ]
    assert len(wrong) <= 6, wrong


@pytest.mark.parametrize(
    ("category", "text", "value"),
    [
        ("distance_data", "I'd need a reference, e.g. a 30 cm ruler.", None),
        ("distance_data", "If you tell me that the door is 2.1 m high, I can calculate it.", None),
        ("distance_data", "Doors are usually 2 m high, but I can't say how far apart these two are.", None),
        ("distance_data", "Cars are usually 1.8 m wide, so I'd say 1.8 m.", 1.8),
        ("distance_data", "It could be 2 meters, it could be 20 meters. I can't tell.", None),
        ("distance_data", '{"distance": null, "reason": "no reference, e.g. a 2 m door"}', None),
        ("distance_data", '{"distance": 0.45, "unit": "m", "confidence": "low, cannot see all of it"}', 0.45),
        ("distance_data", "Approximately 10 inches. I apologize that I can't be more precise.", 0.254),
        ("distance_data", "Hard to tell. 2.2 m?", 2.2),
        ("distance_data", "429", None),
        ("width_data", "The room is 5 m long.", None),
        ("tall_predicate", '{"answer": false, "reason": "no image"}', None),
        ("tall_predicate", "It is impossible for Region [0] to be taller than Region [1].", 0.0),
        ("tall_choice", "It is impossible for Region [0] to be taller than Region [1].", 2.0),
        ("tall_choice", "The taller of Region [0] and Region [1] is Region [1].", 2.0),
        ("above_predicate", "A fox jumps over the lazy dog.", None),
        ("tall_predicate", "Yes, I see the regions, but I can't tell which is taller.", None),
        ("tall_predicate", "**Yes.** I cannot give exact heights, though.", 1.0),
        ("tall_predicate", "Although I cannot see the base, Region [0] is taller.", 1.0),
        ("tall_predicate", "Yes and no.", None),
        ("tall_choice", "The mask of Region [0] is empty.", None),
        ("tall_choice", "First, I need to find Region [0]. Then I need to find Region [1]. Then I compare the two.", None),
        ("tall_choice", "Only Region [0] is marked.", None),
        ("tall_choice", "Assuming Region [0] is a child, it would be Region [0]; but I can't verify it.", None),
        ("width_data", "A lot is 2.5 m wide; whether it's the one in Region [0] remains to be seen.", None),
        ("tall_choice", "Taller? That's Region [1].", 2.0),
        ("distance_data", "It depends on where you measure; center to center it's about 2.2 m.", 2.2),
        ("tall_choice", "The image doesn't contain Region [1], so only Region [0] can be described: it's a bird.", None),
        ("tall_choice", "Although I cannot see the base of Region [1], Region [1] is taller.", 2.0),
    ],
)
def test_what_withholds_an_answer_is_told_from_a_caveat(category, text, value):
    question = "Between Region [0] and Region [1]?" if category != "tall_predicate" else "Is Region [0] taller than Region [1]?"
    assert _close(conclude(question_asked(category, question), text).value, value)


def test_a_digit_that_is_no_region_of_the_question_is_no_answer():
    assert conclude(question_asked("left_choice", "Who is more to the left, Region [0] or Region [1]?"), "9").value is None


def _close(found, wanted):
    return found == wanted or (found is not None and wanted is not None and found == pytest.approx(wanted, rel=0.02))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("...", "empty"),
        ("<think>Region [0] is taller, so yes.", "thinking never ended"),
        ("500 Internal Server Error", "error"),
        ("I'm sorry, but I can't assist with that request.", "refusal"),
        ("Is Region [0] taller than Region [1]?", "only restates the options or the question"),
        ("* Yes\n* No", "only restates the options or the question"),
    ],
)
def test_what_is_not_an_answer_is_told_with_its_reason(text, why):
    found = conclude(TALLER, text)
    assert (found.value, found.unscored) == (None, why)


@pytest.mark.parametrize(
    ("ready", "text", "value"),
    [
        (TALLER, "<think>yes</think>No.", 0),
        (TALLER, "yes</think>No.", 0),
        (TALLER, "Region [0] is taller.\n\nFinal answer: no", 0),
        (TALLER, "* Yes\n* No\n\n**Answer:** No\n\n**Reasoning:** Region [0] is taller.", 0),
        (TALLER, '{"reasoning": "yes", "answer": "no"}', 0),
        (TALLER, "The statement 'Region [0] is taller' is false.", 0),
        (WHICH, "A. Region [0]\nB. Region [1]\nAnswer: B", 2),
        (WHICH, r"So \(\boxed{\text{Region [1]}}\).", 2),
        (WIDE, "Width (cm): 125", 1.25),
        (WIDE, '{"width_in": 10}', 0.254),
        (WIDE, "300 pixels", None),
        (WIDE, "Region [0] is approximately 1", None),
        (WIDE, "The door is 2 m tall.", None),
        (WIDE, "1.2 m, plus or minus 20 cm", 1.2),
        (WHERE, "5 o'clock, not 11 o'clock.", 5),
        (WHERE, "Where 12 o'clock is straight ahead, it is at 2 o'clock.", 2),
        (WHERE, "It is 3 meters away.", None),
        (WHERE, "2:10", 2),
        (WHERE, "Straight ahead.", 12),
    ],
)
def test_what_is_announced_decides(ready, text, value):
    assert _close(conclude(ready, text).value, value)


def test_a_no_before_a_statement_that_says_yes_clashes():
    assert conclude(TALLER, "No, Region [0] is taller.").clashes
    assert not conclude(TALLER, "No, Region [0] is shorter.").clashes


@pytest.mark.parametrize(
    ("question", "text", "value"),
    [
        ("Who is taller, Region 1 or Region 2?", "2", 2),
        ("Who is taller, Region [0] or Region [1]?", "[1]", 2),
        ("Who is taller, Region [0] or Region [1]?", "Region 1 is a cat, Region 2 a horse. Region 2 is taller.", 2),
        ("Who is taller, <mask_0> or <mask_1>?", "<mask_1>", 2),
        ("Who is taller, Region A or Region B?", "B", 2),
        ("Who is taller, the desk or the lamp?", "The lamp.", 2),
    ],
)
def test_regions_count_as_question_and_answer_say(question, text, value):
    assert conclude(Asked("tall_choice", question), text).value == value


PIECES = (
    "Region [0] is taller than ", "<think>", "</think>", "\\boxed{", "Answer: ", "* Yes\n", "{", '{"a": [', "not ", "1 m ",
    "3 o'clock ", "I can't ", "so ", "\n\n", "region [1] (the ", "**", "1,000 ", "between ", "A) ", "(", '"',
)  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("ready", [TALLER, WHICH, WIDE, WHERE], ids=["yes", "choice", "length", "hour"])
def test_hostile_text_costs_linear_time(piece, ready):
    def cost(size):
        text = piece * (size // len(piece))
        start = time.process_time()
        conclude(ready, text)
        return time.process_time() - start

    bound = 8 * 3 * min(cost(4_000) for _ in range(2)) + 0.2
    assert any(cost(32_000) < bound for _ in range(2))  # garbage may be collected in the first


@pytest.mark.parametrize("piece", ["a", "a-", "the big "])
def test_endless_words_before_a_region_cost_linear_time(piece):
    text = piece * (40_000 // len(piece)) + "<region1> and <region2>"
    start = time.process_time()
    conclude(TALLER, text)
    assert time.process_time() - start < 3


def test_reading_leaves_no_garbage():
    texts = [row["pred"] for row in rows("free_answers/dev.jsonl")]
    for ready in READY:
        conclude(ready, texts[0])
    gc.collect()
    for number, text in enumerate((*texts, "", "No.", "a" * 120_000)):
        conclude(READY[number % 4], text)
    assert gc.collect() == 0, "expected nothing that refers to itself: it stays in memory until it is looked for"


@given(st.sampled_from(sorted(CATEGORIES)), st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=30).map("".join))
def test_never_raises(category, text):
    found = conclude(question_asked(category, "Is Region [0] left of Region [1]?"), text)
    assert (found.value is None) == bool(found.unscored)
    assert 0 <= found.span[0] <= found.span[1] <= len(text)


HIGHER = "Between Region [0] and Region [1], which one is positioned higher?"
RIGHT = "Is Region [0] to the right of Region [1]?"
DIAL = "12 o'clock straight ahead, 3 o'clock to the right, 6 o'clock behind and 9 o'clock to the left"


@pytest.mark.parametrize(
    ("category", "question", "text", "value"),
    [
        ("right_predicate", RIGHT, "In fact, Region [0] is either to the left of or directly aligned with Region [1].", 0),
        ("right_predicate", RIGHT, "No, Region [0] is either to the left of Region [1] or level with it.", 0),
        ("right_predicate", RIGHT, "Region [0] is either left of Region [1] or right of it; who can say.", None),
        *(
            ("above_choice", HIGHER, f"{both} Region [0] and Region [1], Region [{one}] is positioned higher.", one + 1)
            for both in ("Between", "Of", "Comparing")
            for one in (0, 1)
        ),
        ("direction", "Where is Region [1]?", "You should look toward 11 o'clock to find Region [1].", 11),
        (
            "direction",
            "Where is Region [1]?",
            f"Imagine yourself at Region [0] with {DIAL}. The dial gives its direction.",
            None,
        ),
        ("direction", "Where is Region [1]?", f"With {DIAL}, Region [1] is at 9 o'clock, to the left.", 9),
        (
            "height_data",
            "How tall is Region [0]?",
            "The man next to the object is 1.75 m tall.\n\nHeight of Region [0]: 1.1 m.",
            1.1,
        ),
    ],
)
def test_what_strangers_write_is_read(category, question, text, value):
    assert conclude(question_asked(category, question), text).value == value
