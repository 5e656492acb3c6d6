"""Ways to answer, and not to answer, that models use and that were misread once: each by its kind."""

import pytest

from spatialreasoner.language.conclusion import conclude
from spatialreasoner.language.question import question_asked

QUESTIONS = {
    "tall_predicate": "Is Region [0] taller than Region [1]?",
    "wide_predicate": "Is Region [0] wider than Region [1]?",
    "thin_predicate": "Is Region [0] thinner than Region [1]?",
    "big_predicate": "Is Region [0] bigger than Region [1]?",
    "front_predicate": "Is Region [0] in front of Region [1]?",
    "tall_choice": "Who is taller, Region [0] or Region [1]?",
    "below_choice": "Which is below, Region [0] or Region [1]?",
    "width_data": "How wide is Region [0]?",
    "height_data": "How tall is Region [0]?",
    "distance_data": "How far away is Region [0] from Region [1]?",
    "horizontal_distance_data": "How far away is Region [0] from Region [1] horizontally?",
    "vertical_distance_data": "How far away is Region [0] from Region [1] vertically?",
    "direction": "If you are at Region [0], where will you find Region [1]?",
}


def read(category, text):
    return conclude(question_asked(category, QUESTIONS[category]), text).value


@pytest.mark.parametrize(
    ("category", "text", "value"),
    [
        # what the regions show stands between the clauses
        ("tall_predicate", "Although the tree in Region [1] looks tall, the building in Region [0] is clearly taller.", 1),
        ("tall_predicate", "The man in Region [0] is 1.75 m tall, and the car in Region [1] is 1.45 m tall.", 1),
        ("big_predicate", "Region [0], which contains a couch, is bigger than Region [1], which contains a pillow.", 1),
        (
            "wide_predicate",
            "The couch, which is marked as Region [0], is wider than the lamp, which is marked as Region [1].",
            1,
        ),
        ("below_choice", "Compared to the shelf in Region [0], the bin in Region [1] is at a lower position.", 2),
        # what looks so, what is so
        ("tall_predicate", "While Region [0] takes up more space since it is closer, in reality Region [1] is taller.", 0),
        ("big_predicate", "The van in Region [1] is bigger, even though Region [0] occupies a larger area in the image.", 0),
        (
            "wide_predicate",
            "Region [0] is wider in the image. But accounting for depth, Region [1] is wider than Region [0].",
            0,
        ),
        ("wide_predicate", "Given its height, Region [1] is wider than Region [0].", 0),
        ("wide_predicate", "In both cases, Region [0] is wider.", 1),
        ("tall_predicate", "It would be wrong to say that Region [1] is taller; Region [0] is.", 1),
        ("tall_predicate", "What I can say is that Region [0] is taller than Region [1].", 1),
        ("front_predicate", "Region [0] is partially hidden by Region [1], which indicates that the car is in front.", 0),
        ("front_predicate", "The coffee table in Region [0] is placed between the viewer and the sofa in Region [1].", 1),
        ("front_predicate", "Region [0] is the nearest of the two regions to the viewer.", 1),
        ("thin_predicate", "Among the two, the thinner one is Region [0].", 1),
        ("wide_predicate", "Region [0] takes up a greater horizontal extent than Region [1].", 1),
        # names that the reply gives the regions
        ("tall_choice", "I can see a floor lamp (Region [1]) and an armchair (Region [0]). The floor lamp is taller.", 2),
        ("tall_predicate", "- Region [0]: chair\n- Region [1]: wardrobe\n\nThe wardrobe is taller.", 0),
        ("tall_predicate", "Region [0] (red) is a bench and Region [1] (green) is a lamp post. The lamp post is taller.", 0),
        ("big_predicate", "Region [0] contains a fridge while Region [1] contains a toaster. The fridge is bigger by far.", 1),
        ("big_predicate", "Region [0] features a small vase, while Region [1] features a large painting.", 0),
    ],
)
def test_relations(category, text, value):
    assert read(category, text) == value


@pytest.mark.parametrize(
    ("category", "text", "value"),
    [
        ("width_data", "Region [0]: 0.7 m; Region [1]: 0.9 m", 0.7),
        ("width_data", "**Region [0]**: about 0.7 m\n**Region [1]**: about 0.9 m", 0.7),
        ("width_data", "W: 1.2 m, H: 0.75 m", 1.2),
        ("height_data", "Dimensions (W × H × D): 40 × 60 × 30 cm", 0.6),
        ("width_data", "40 x 60 x 30 cm (W x H x D)", 0.4),
        ("height_data", "The bus is about 4 m tall. For comparison, the man next to it would be about 2 m tall.", 4),
        ("height_data", "Visual estimate ≈ 1.7 m\nAssumption: door height 2.0 m", 1.7),
        ("height_data", "Mugs are about 10 cm high, and the bottle is nearly twice that: 18 cm.", 0.18),
        ("width_data", "With the keyboard being about 0.4 m wide, the monitor's width would be around 0.5 m.", 0.5),
        ("width_data", "The frame around it suggests that the object is about 1 meter wide.", 1),
        ("distance_data", "Around 1.5 m; the coffee table between them is about 1 m long.", 1.5),
        (
            "horizontal_distance_data",
            "The horizontal separation is 4.2 m: Region [0] is 1.2 m left of the center and Region [1] is 3 m right of it.",
            4.2,
        ),
        ("distance_data", "Short answer: around 12 m. Long answer: the lane markings are 3 m long.", 12),
        ("vertical_distance_data", "Hard to measure exactly, but the shelf is approximately 1 m above the desk.", 1),
        ("direction", "On your right-hand side, exactly at a right angle.", 3),
    ],
)
def test_lengths_and_hours(category, text, value):
    assert read(category, text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("category", "text", "value"),
    [
        ("tall_choice", "Region 0 is shorter than Region 1 in the image.", 2),  # not "1 in": an inch
        ("tall_choice", "Region 0 > Region 1 in height.", 1),
        ("tall_choice", "The one labelled 1.", 2),
        ("tall_choice", "The left one, Region [0].", 1),
        (
            "big_predicate",
            "<SUMMARY>I compare.</SUMMARY>\n<REASONING>It is a bus.</REASONING>\n<CONCLUSION>Yes</CONCLUSION>",
            1,
        ),
        ("front_predicate", "No.\nQuestion: Is Region [1] in front of Region [0]?\nAnswer: Yes.", 0),
        ("height_data", "Q: What is its height?\nA: 1.7 meters\n\nQ: What is its width?\nA: 0.5 meters", 1.7),
        ("distance_data", "What is the distance?\n\nA. 1 meter\nB. 2 meters\nC. 3 meters", None),
        ("wide_predicate", "I need to compare widths: Region [0] ≈ 2.4 m, Region [1] ≈ 1.1 m → Yes.", 1),
    ],
)
def test_names_and_forms(category, text, value):
    assert read(category, text) == value


@pytest.mark.parametrize(
    ("category", "text"),
    [
        (
            "front_predicate",
            "I can't determine depth order. If Region [0] overlaps Region [1], it's in front; otherwise it's behind.",
        ),
        (
            "front_predicate",
            "If Region [0] occludes Region [1], then it's in front. Unfortunately I can't see whether it does.",
        ),
        (
            "height_data",
            "I can't see any image, but a door is typically 2 m (6.6 ft) tall. If you upload it, I can give an estimate.",
        ),
        (
            "distance_data",
            "I'd need a reference length. If the car is a typical sedan (about 4.5 m), you can scale accordingly.",
        ),
        ("width_data", "Assuming the object is 2 m away, its width could be calculated. But neither is given."),
        ("height_data", "One could use the horizon if the camera height (usually 1.6 m) was known."),
        ("distance_data", "The image shows two regions, one marked in red and one in green."),
        ("width_data", "Region [0] is labeled with the number 0 in red."),
        ("tall_predicate", "Region [0] could be taller, but so could Region [1]."),
        ("tall_predicate", "Neither region is labeled in the picture, so I can't answer the question."),
        ("wide_predicate", "The two regions look the same height to me; I can't tell which is shorter."),
        ("front_predicate", "The photo was probably taken with a wide-angle lens (24 mm). So I can't give a reliable number."),
        ("tall_choice", "Region [0] is a window with 4 panes in 2 rows."),
        ("tall_choice", "Region [0] has a height."),
        ("tall_choice", "It's on the same table as Region [0]."),
        ("tall_predicate", "Not far."),
        ("direction", "The image shows a clock on the wall that reads ten past ten."),
    ],
)
def test_what_answers_nothing_is_not_read(category, text):
    assert read(category, text) is None


@pytest.mark.parametrize(
    ("category", "text", "value"),
    [
        ("height_data", "If you need a rough number, I'd say 5.5 m.", 5.5),
        ("height_data", "I can't be exact. The visible part suggests a height of 2.2 m.", 2.2),
        ("height_data", "I can't measure it, though compared to the car she seems to be about 1.6 m.", 1.6),
        (
            "height_data",
            "It's hard to be precise. Here's an estimate: Region [0] is an office chair, which usually is 1 m tall.",
            1,
        ),
        ("big_predicate", "Not knowing the scale, I can only compare them visually: Region [0] is bigger.", 1),
        ("tall_predicate", "Unless the perspective is misleading, yes.", 1),
        ("tall_choice", "It's not certain, but most likely Region [0].", 1),
    ],
)
def test_an_answer_behind_a_caveat_is_read(category, text, value):
    assert read(category, text) == pytest.approx(value)
