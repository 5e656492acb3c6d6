"""How the teachers word things; every statement names its regions and its unit, so that it can be verified."""

from collections.abc import Mapping

from spatialreasoner.core.types import Relation

INTRODUCTIONS = (
    "{a} is {label}.",
    "The image shows {a}, {label}.",
    "{a} marks {label}.",
    "There is {label}, {a}.",
    "We see {label} at {a}.",
)
OTHERS = (
    "There is also {label}.",
    "One can see {label} as well.",
    "The scene also holds {label}.",
    "Elsewhere stands {label}.",
)
PLACES = ("Several things stand in view.", "The image is clear enough to judge.", "The view is nearly level.", "")

RELATIONS_FLAT = ("{a} is {phrase} {b}.", "Here {a} is {phrase} {b}.", "As the camera sees it, {a} is {phrase} {b}.")
RELATIONS_HEDGED = (
    "{a} seems to be {phrase} {b}.",
    "{a} is probably {phrase} {b}.",
    "{a} is possibly {phrase} {b}.",
    "It looks as if {a} is {phrase} {b}.",
)
HEDGES = ("about ", "approximately ", "roughly ", "maybe ")

SIZES: Mapping[str, tuple[str, ...]] = {
    "width": ("The width of {a} is {v}.", "{a} has a width of {v}.", "From side to side, {a} measures {v}."),
    "height": ("The height of {a} is {v}.", "{a} has a height of {v}.", "From bottom to top, {a} measures {v}."),
    "depth": ("The depth of {a} is {v}.", "{a} has a depth of {v}.", "From front to back, {a} measures {v}."),
    "camera": ("The distance from the camera to {a} is {v}.", "From the camera, {a} is {v} away."),
}
"""What is measured comes before the number, here and below: who writes word by word knows then which number is due."""

APART: Mapping[str, tuple[str, ...]] = {
    "distance": (
        "The distance between {a} and {b} is {v}.",
        "The gap between {a} and {b} is {v}.",
        "{a} and {b} are separated by a distance of {v}.",
    ),
    "horizontal_distance": (
        "The horizontal distance between {a} and {b} is {v}.",
        "Horizontally, {a} and {b} are {v} apart.",
        "{a} and {b} have a horizontal separation of {v}.",
    ),
    "vertical_distance": (
        "The vertical distance between {a} and {b} is {v}.",
        "Vertically, {a} and {b} are {v} apart.",
        "{a} and {b} have a vertical separation of {v}.",
    ),
    "direction": (
        "{b} is at {v} o'clock from {a}.",
        "From {a}, {b} lies at {v} o'clock.",
        "Seen from {a}, {b} is in the {v} o'clock direction.",
        "Standing at {a}, {b} is at {v} o'clock.",
    ),
}

PLACED: tuple[tuple[str, ...], ...] = (
    ("Sideways, {b} is {v} {side} {a}.", "Measured sideways, {b} lies {v} {side} {a}."),
    ("In height, {b} is {v} {side} {a}.", "Measured upwards, {b} lies {v} {side} {a}."),
    ("In depth, {b} is {v} {side} {a}.", "Measured in depth, {b} lies {v} {side} {a}."),
)
"""Where the second region is, seen from the first: sideways, in height, in depth."""

RATIONALES: Mapping[str, tuple[str, ...]] = {
    "size": (
        "I estimate the {what} of {a} and of {b} and compare the two.",
        "To answer, I measure both regions and compare their {what}.",
        "The question is about {what}, so I size up each region in turn.",
        "First {a}, then {b}; the larger {what} decides.",
    ),
    "place": (
        "I locate {a} and {b} and compare where they are.",
        "To answer, I find the position of each region and compare.",
        "The question is about position, so I place {a} first and {b} after it.",
        "I look at where the middle of each region lies, then compare.",
    ),
    "near": (
        "I judge how far each region is from the camera and compare.",
        "To answer, I compare the depths of {a} and {b}.",
        "What counts is which region is nearer to the camera.",
        "I estimate the depth of {a}, then that of {b}.",
    ),
    "measure": (
        "I find where {a} begins and ends and take the difference.",
        "To answer, I judge how far away {a} is and measure it at that distance.",
        "The question asks for the {what} of {a}, so I measure it between its edges.",
        "I place {a} in space first and read off its {what} then.",
    ),
    "apart": (
        "I place {a} and {b} in space and measure what lies between them.",
        "To answer, I work out the offset from {a} to {b}.",
        "I locate both regions and combine their offsets.",
        "First the position of each region, then what separates them.",
    ),
    "direction": (
        "I take the camera's forward direction as 12 o'clock and find the bearing of {b} from {a}.",
        "To answer, I work out how far {b} is to the side of {a} and how far ahead of it.",
        "The hour follows from the sideways and the forward offset of {b} from {a}.",
        "I put a clock at {a}, with 12 pointing away from the camera, and look for {b}.",
    ),
}

PREDICATE_ENDS: Mapping[bool, tuple[str, ...]] = {
    True: (
        "Yes, {a} is {phrase} {b}.",
        "Yes. {a} is {phrase} {b}.",
        "That is right: {a} is {phrase} {b}.",
        "Indeed, {a} is {phrase} {b}.",
    ),
    False: (
        "No, {a} is {converse} {b}.",
        "No, {a} is not {phrase} {b}.",
        "No. {a} is {converse} {b}.",
        "That is not so: {a} is {converse} {b}.",
    ),
}
CHOICE_ENDS = (
    "{w} is {most}.",
    "Of the two, {w} is {most}.",
    "It is {w} that is {most}.",
    "{w} is {most} than {l}.",
)
CHECKS = (
    "This agrees with the image.",
    "The result is plausible for things of this kind.",
    "Nothing in the image speaks against this.",
    "Looking at the image once more, this holds.",
)
CORRECTIONS = (
    "Looking again, this corrects what was said before.",
    "The earlier figure does not fit the image; this one does.",
    "On a second look the value given before is off.",
    "I correct the estimate above.",
)

MOST: Mapping[Relation, str] = {
    "left": "further to the left",
    "right": "further to the right",
    "above": "higher up",
    "below": "lower down",
    "tall": "taller",
    "short": "shorter",
    "wide": "wider",
    "thin": "thinner",
    "big": "bigger",
    "small": "smaller",
    "behind": "farther from the camera",
    "front": "closer to the camera",
}
