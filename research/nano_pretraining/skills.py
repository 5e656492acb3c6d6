"""The texts of the skills: reading, copying, calculating, comparing; and short answers. No LongCoT, which is learned later."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from random import Random

from spatialreasoner.core.types import CONVERSE, QUANTITATIVE, RELATIONS, Category, Relation
from spatialreasoner.questions import templates
from spatialreasoner.questions.templates import UNIT_WORDS
from spatialreasoner.teachers import wording
from spatialreasoner.teachers.facts import Facts
from spatialreasoner.teachers.numbers import round_length, round_number, write_number
from spatialreasoner.teachers.perception import Belief
from spatialreasoner.teachers.policy import write_believed
from spatialreasoner.teachers.profiles import PROFILES
from spatialreasoner.teachers.requests import Request
from spatialreasoner.teachers.writer import PER_METRE, A, B, Writer, convert

TRUTHFUL = PROFILES["exact"]
REQUESTS = (
    f"Describe {A} and {B}.",
    f"What can you say about {A} and {B}?",
    f"Where are {A} and {B}, and how large are they?",
    f"Tell me about {A} and {B}.",
)
CALCULATE = "Calculate."
LOOK_FOR = "What must be known to answer this?"
STATEMENTS, CALCULATIONS = 9, 6
"""How many there are in a row."""

_OTHERS = 5
"""Maximum number of statements that do not answer a question beside the one that does."""

_SIZES = ("width", "height", "depth")


def state(facts: Facts, view: Belief, rng: Random) -> str:
    """Statements about two regions in random order, in one line or one per line: read off, converted, multiplied, compared."""
    told = list(_statements(_writer(facts, view, rng)))
    return rng.choice((" ", "\n")).join(tell() for tell in rng.sample(told, STATEMENTS))


def _statements(writer: Writer) -> Iterator[Callable[[], str]]:
    view, rng = writer.view, writer.rng
    for k, name in enumerate(writer.names):
        yield lambda k=k: writer.introduction(k)
        for what, metres in zip(_SIZES, view.sizes[k], strict=True):
            yield lambda name=name, what=what, metres=metres: writer.size(name, what, metres)
        yield lambda k=k, name=name: writer.size(name, "camera", view.camera[k])
        yield lambda k=k: writer.volume(k)
    for _ in range(2):  # what questions ask for comes more often
        yield lambda: writer.placed(0)
        yield lambda: writer.placed(1)
        yield writer.ahead
        yield lambda: writer.apart("distance", view.direct)
        yield lambda: writer.bearing(view.hour)
        yield lambda: writer.relation(rng.choice([relation for relation in RELATIONS if view.believes(relation)]))
    for axis, kind in enumerate(("horizontal_distance", "vertical_distance")):
        yield lambda axis=axis, kind=kind: writer.apart(kind, abs(view.middle[axis]))
    for _ in range(3):
        yield lambda: _converted(writer)
    yield lambda: _compared(writer, rng.choice(("wide", "thin")))
    yield lambda: _compared(writer, rng.choice(("tall", "short")))
    yield lambda: _compared(writer, rng.choice(("big", "small")))


def look_for(category: Category, facts: Facts, view: Belief, rng: Random) -> tuple[str, str]:
    """A question, and what must be known to answer it, to which the comparison may belong, but no answer."""
    writer, asked = _writer(facts, view, rng), _asked(category)
    question, _ = ask(category, view, rng)
    if category in QUANTITATIVE:
        known = dict(_known(writer))[asked]()
    elif rng.random() < 0.5:
        known = " ".join(step.body for step in writer.located(asked))  # pyright: ignore[reportArgumentType]
    else:
        known = _compared(writer, asked)  # pyright: ignore[reportArgumentType]
    return f"{LOOK_FOR} {question}", known


def comprehend(category: Category, facts: Facts, view: Belief, rng: Random, *, others: int = _OTHERS) -> tuple[str, str, str]:
    """A question, statements of which one answers it, and the answer; half of the lengths are converted first.

    Args:
        category: The question's.
        facts: What the regions are.
        view: What is known of them.
        rng: Source of all random choices.
        others: Most statements beside the one that answers; half of the questions have none.
    """
    writer, asked = _writer(facts, view, rng), _asked(category)
    question, answer = ask(category, view, rng)
    told = dict(_known(writer))
    about = next(key for key in told if asked in {key, CONVERSE.get(key)})  # pyright: ignore[reportArgumentType]
    if category in QUANTITATIVE:
        answer = told[about]()
        if asked != "direction" and rng.random() < 0.5:
            calculation, length = _conversion(_metres(asked, view), rng)
            told[about] = lambda said=answer: f"{said} {calculation}"
            forms = wording.SIZES[asked] if asked in wording.SIZES else wording.APART[asked]
            answer = rng.choice(forms).format(a=A, b=B, v=length)
    beside = rng.sample([key for key in told if key != about], rng.choice((0, rng.randint(min(1, others), others))))
    context = [told[key]() for key in (about, *beside)]
    rng.shuffle(context)
    return question, " ".join(context), answer


def _writer(facts: Facts, view: Belief, rng: Random) -> Writer:
    return Writer(Request(kind="distance", form="quantity"), facts, view, TRUTHFUL, rng, done=0)


def _asked(category: Category) -> str:
    """What a category asks for, as `_known` names it."""
    return category if category == "direction" else category.rpartition("_")[0]


def _known(writer: Writer) -> Iterator[tuple[str, Callable[[], str]]]:
    """What could be known of two regions: by name, of the first region's sizes, and of what lies between both."""
    view = writer.view
    for what, metres in zip(_SIZES, view.sizes[0], strict=True):
        yield what, lambda what=what, metres=metres: writer.size(A, what, metres)
    for what, metres in zip(_SIZES, view.sizes[1], strict=True):
        yield f"other {what}", lambda what=what, metres=metres: writer.size(B, what, metres)
    yield "distance", lambda: writer.apart("distance", view.direct)
    for axis, kind in enumerate(("horizontal_distance", "vertical_distance")):
        yield kind, lambda axis=axis, kind=kind: writer.apart(kind, abs(view.middle[axis]))
    yield "direction", lambda: writer.bearing(view.hour)
    for relation in RELATIONS:
        if view.believes(relation):
            yield relation, lambda relation=relation: writer.relation(relation)


def _converted(writer: Writer) -> str:
    """A length, and the same in another unit."""
    view, rng = writer.view, writer.rng
    k, axis = rng.randrange(2), rng.randrange(3)
    metres, said = rng.choice(
        [
            (view.sizes[k][axis], lambda: writer.size(writer.names[k], _SIZES[axis], view.sizes[k][axis])),
            (view.direct, lambda: writer.apart("distance", view.direct)),
        ]
    )
    return f"{said()} {_conversion(metres, rng)[0]}"


def _conversion(metres: float, rng: Random) -> tuple[str, str]:
    """The sentence that converts a length, and the length in the other unit."""
    unit = rng.choice(("cm", "in")) if metres < 1 else "ft"
    calculation, length = convert(metres, unit)
    return f"{calculation}, so this is {length}.", length


def _compared(writer: Writer, relation: Relation) -> str:
    """What is compared of both regions, the comparison, and what follows."""
    holds = writer.view.believes(relation)
    looked = " ".join(step.body for step in writer.located(relation))
    return f"{looked} {writer.compared(relation, holds)} {writer.relation(relation if holds else CONVERSE[relation])}"


def calculate(rng: Random) -> str:
    """Conversions, products and comparisons of numbers as they come in answers."""
    return ". ".join(_calculation(rng) for _ in range(CALCULATIONS)) + "."


def _calculation(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.3:
        unit = rng.choice(list(PER_METRE))
        metres = round_length(_between(rng, 0.5, 9.0) if unit == "ft" else _between(rng, 0.03, 2.5))
        return convert(metres, unit)[0]
    if kind < 0.9:
        first, second = (round_length(_between(rng, 0.05, 2.6)) for _ in range(2))
        if rng.random() < 0.45:  # what came out of a product before
            first = max(0.02, round_number(first * _between(rng, 0.05, 1.35)))
        return f"{write_number(first)} × {write_number(second)} = {write_number(round_number(first * second))}"
    first, second = (round_number(_between(rng, 0.02, 4.5)) for _ in range(2))
    if first == second:
        return _calculation(rng)
    return f"{write_number(first)} is {'more' if first > second else 'less'} than {write_number(second)}"


def _between(rng: Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def regions_of(category: Category) -> int:
    """How many regions a question of a category names."""
    return 1 if category in {"width_data", "height_data"} else 2


def ask(category: Category, view: Belief, rng: Random) -> tuple[str, str]:
    """A question, and its short answer by what is believed, the numbers with two digits."""
    names = {"a": A, "b": B}
    kind, _, form = category.rpartition("_")
    if form == "predicate":
        return _asked_whether(kind, view, rng)  # pyright: ignore[reportArgumentType]
    if form == "choice":
        holds = view.believes(kind)  # pyright: ignore[reportArgumentType]
        words = {**names, "most": rng.choice(templates.COMPARATIVE_PHRASES[kind]), "w": A if holds else B}  # pyright: ignore[reportArgumentType]
        return rng.choice(templates.CHOICE_QUESTIONS).format(**words), rng.choice(templates.CHOICE_ANSWERS).format(**words)
    question = rng.choice(templates.QUANTITY_QUESTIONS[category]).format(**names)
    return question, rng.choice(templates.QUANTITY_ANSWERS[category]).format(v=_value(category, view, rng), **names)


def _asked_whether(relation: Relation, view: Belief, rng: Random) -> tuple[str, str]:
    words = {
        "a": A, "b": B, "phrase": rng.choice(templates.RELATION_PHRASES[relation]),
        "converse": templates.RELATION_PHRASES[CONVERSE[relation]][0],
    }  # fmt: skip
    answers = templates.TRUE_ANSWERS if view.believes(relation) else templates.FALSE_ANSWERS
    return rng.choice(templates.PREDICATE_QUESTIONS).format(**words), rng.choice(answers).format(**words)


def _value(category: Category, view: Belief, rng: Random) -> str:
    if category == "direction":
        return str(view.hour)
    number, unit = templates.human_length(_metres(_asked(category), view), rng)
    return f"{write_number(round_number(number))} {UNIT_WORDS[unit]}"


def _metres(asked: str, view: Belief) -> float:
    """A length that is asked for."""
    return {
        "distance": view.direct,
        "horizontal_distance": abs(view.middle[0]),
        "vertical_distance": abs(view.middle[1]),
        "width": view.sizes[0][0],
        "height": view.sizes[0][1],
    }[asked]


def reason(question: str, facts: Facts, view: Belief, rng: Random) -> str:
    """A whole answer in the LongCoT form; from these the tokenizer takes its phrases."""
    return write_believed(question, facts, view, TRUTHFUL, rng)
