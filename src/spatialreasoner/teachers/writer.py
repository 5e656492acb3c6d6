"""Write a LongCoT answer from what a teacher believes; what is wrong in its view is wrong in its steps and its conclusion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeVar, cast

from spatialreasoner.core.types import CONVERSE, RELATIONS, Relation, Unit
from spatialreasoner.questions.templates import RELATION_PHRASES, UNIT_WORDS, human_length
from spatialreasoner.teachers import wording
from spatialreasoner.teachers.facts import Facts
from spatialreasoner.teachers.numbers import round_number, write_number
from spatialreasoner.teachers.perception import Belief
from spatialreasoner.teachers.profiles import Profile
from spatialreasoner.teachers.requests import Request

_T = TypeVar("_T")

A, B = "<region1>", "<region2>"
SIZE_AXIS: Mapping[str, int] = {"wide": 0, "thin": 0, "tall": 1, "short": 1}
_SIZE_WORD = ("width", "height", "depth")
_SIDES: tuple[tuple[Relation, Relation], ...] = (("right", "left"), ("above", "below"))
_COLOURS = ("red", "blue", "green", "white", "black", "yellow", "brown")
_SLIPS = (0.5, 0.7, 1.4, 1.6, 2.0)
PER_METRE: Mapping[Unit, tuple[str, float]] = {"cm": ("100", 100.0), "in": ("39", 39.0), "ft": ("3.3", 3.3)}


@dataclass(kw_only=True, slots=True)
class Step:
    """One numbered step: what it does, and its text."""

    title: str
    body: str


class Writer:
    """One answer in the making.

    Args:
        request: What is asked.
        facts: The truth; only words are taken from it.
        view: What the teacher believes; a slip in the steps changes what the conclusion says, not the view.
        profile: How it writes.
        rng: Source of all random choices.
        done: Number of steps that the prefix holds; where the deciding one, of index `core`, is among them, it is too late for
            a slip of one's own.
    """

    def __init__(self, request: Request, facts: Facts, view: Belief, profile: Profile, rng: Random, *, done: int) -> None:
        self.request, self.facts, self.view, self.profile, self.rng = request, facts, view, profile, rng
        self.names = (A, B)[: len(facts.things)]
        self.core = 1 if request.kind in {"width", "height"} else 2
        self.slip = rng.random() < profile.slip and done <= self.core
        self.titled = rng.random() < 0.5

    def description(self) -> str:
        """What the image shows: each region with its label, and some of what is believed of size and place."""
        sentences = [self._pick(wording.PLACES)]
        for k, name in enumerate(self.names):
            if self.rng.random() < self.profile.omit / 2 and name != A:
                continue
            sentences.append(self.introduction(k))
        told = [self._told_size, self._told_place, self._told_nearness, self._told_distance]
        self.rng.shuffle(told)
        sentences += [tell() for tell in told[:3] if self.rng.random() >= self.profile.omit]
        if self.facts.others and self.rng.random() < 0.4:
            sentences.append(self._pick(wording.OTHERS).format(label=_with_article(self._pick(self.facts.others))))
        return " ".join(sentence for sentence in sentences if sentence)

    def rationale(self) -> str:
        """The plan."""
        kind, what = self._family()
        return self._pick(wording.RATIONALES[kind]).format(a=A, b=B, what=what)

    def plan(self) -> tuple[list[Step], str]:
        """The numbered steps, and the conclusion that follows from them."""
        return self._relation() if self.request.kind in RELATIONS else self._quantity()

    def correction(self) -> str:
        """That something stated before is not so."""
        return self._pick(wording.CORRECTIONS)

    # What is said of size and place

    def size(self, name: str, what: str, metres: float) -> str:
        """A width, height, depth, or distance from the camera."""
        return self._pick(wording.SIZES[what]).format(a=name, v=self._hedge() + self.length(metres))

    def apart(self, what: str, metres: float) -> str:
        """A distance between the two regions."""
        return self._pick(wording.APART[what]).format(a=A, b=B, v=self._hedge() + self.length(metres))

    def relation(self, relation: Relation, *, first: str = A, second: str = B) -> str:
        """A relation that is believed to hold."""
        forms = wording.RELATIONS_HEDGED if self.rng.random() < self.profile.hedge else wording.RELATIONS_FLAT
        return self._pick(forms).format(a=first, b=second, phrase=RELATION_PHRASES[relation][0])

    def placed(self, axis: Literal[0, 1]) -> str:
        """Where the second region's middle lies, seen from the first's."""
        value = self.view.middle[axis]
        side = (("to the right of", "to the left of"), ("above", "below"))[axis][0 if value >= 0 else 1]
        return self._pick(wording.PLACED[axis]).format(a=A, b=B, v=self.length(abs(value)), side=side)

    def ahead(self) -> str:
        """By how much the second region is farther from the camera, or nearer, than the first."""
        value = self.view.offset[2]
        side = "behind" if value >= 0 else "in front of"
        return self._pick(wording.PLACED[2]).format(a=A, b=B, v=self.length(abs(value)), side=side)

    def introduction(self, k: int) -> str:
        """What a region shows."""
        thing = self.facts.things[k]
        form = self._pick(wording.INTRODUCTIONS)
        return form.format(a=self.names[k], label=_with_article(self._label(thing.label, thing.colour)))

    def bearing(self, hour: int) -> str:
        """Where the second region is, seen from the first, by the clock."""
        return self._pick(wording.APART["direction"]).format(a=A, b=B, v=hour)

    def length(self, metres: float) -> str:
        """A length as the steps write it.

        >>> from types import SimpleNamespace
        >>> Writer.length(SimpleNamespace(), 0.35)
        '0.35 m'
        """
        return f"{write_number(metres)} m"

    def _told_size(self) -> str:
        index = self.rng.randrange(len(self.names))
        axis = self.rng.randrange(2)
        return self.size(self.names[index], _SIZE_WORD[axis], self.view.sizes[index][axis])

    def _told_place(self) -> str:
        if len(self.names) < 2:
            return self.size(A, "camera", self.view.camera[0])
        axis = 0 if abs(self.view.offset[0]) >= abs(self.view.offset[1]) else 1
        one, other = _SIDES[axis]
        return self.relation(one if self.view.believes(one) else other)

    def _told_nearness(self) -> str:
        if len(self.names) < 2 or self.view.near[0] == self.view.near[1]:
            return self.size(A, "camera", self.view.camera[0])
        return self.relation("behind" if self.view.believes("behind") else "front")

    def _told_distance(self) -> str:
        return self.apart("distance", self.view.direct) if len(self.names) > 1 else ""

    # Relations

    def _relation(self) -> tuple[list[Step], str]:
        relation = cast("Relation", self.request.kind)
        if len(self.names) < 2:
            return [Step(title="Look for the regions", body=self._told_size())], "It cannot be told from one region."
        steps = self.located(relation)
        holds = self.view.believes(relation) != (self.slip and relation not in self.view.said)
        believed = relation if holds else CONVERSE[relation]
        steps.append(Step(title="Compare", body=f"{self.compared(relation, holds)} {self.relation(believed)}"))
        return self._checked(steps), self._relation_end(relation, holds)

    def located(self, relation: Relation) -> list[Step]:
        """What is going to be compared: of sizes and distances from the camera, one step for each region."""
        tell: Callable[[int], str]
        if relation in SIZE_AXIS:
            axis = SIZE_AXIS[relation]
            tell = lambda k: self.size(self.names[k], _SIZE_WORD[axis], self.view.sizes[k][axis])  # noqa: E731
        elif relation in {"big", "small"}:
            tell = self.volume
        elif relation in {"behind", "front"}:
            tell = self._nearness_told
        else:
            return [Step(title="Place the two", body=self.placed(0 if relation in {"left", "right"} else 1))]
        return [Step(title=f"Look at {name}", body=tell(k)) for k, name in enumerate(self.names)]

    def volume(self, k: int) -> str:
        """The sizes of a region, and the volume of its box, by two products."""
        width, height, depth = self.view.sizes[k]
        front = round_number(width * height)
        factors = " ".join(
            self.size(self.names[k], what, size) for what, size in zip(_SIZE_WORD, self.view.sizes[k], strict=True)
        )
        return (
            f"{factors} Its box: {write_number(width)} × {write_number(height)} = {write_number(front)}, and "
            f"{write_number(front)} × {write_number(depth)} = {write_number(self.view.volumes[k])} cubic metres."
        )

    def _nearness_told(self, k: int) -> str:
        behind = self.view.believes("behind")
        if (self.view.camera[0] > self.view.camera[1]) == behind:
            return self.size(self.names[k], "camera", self.view.camera[k])
        which = "farther" if behind == (k == 0) else "nearer"
        return f"The nearest surface of {self.names[k]} is the {which} of the two."

    def compared(self, relation: Relation, holds: bool) -> str:
        """The two values side by side, where there are numbers to compare."""
        if relation in SIZE_AXIS:
            told = [self.length(self.view.sizes[k][SIZE_AXIS[relation]]) for k in range(2)]
            more = holds == (relation in {"tall", "wide"})
        elif relation in {"big", "small"}:
            told, more = [write_number(volume) for volume in self.view.volumes], holds == (relation == "big")
        else:
            return self._pick(("Now the two can be compared.", "This settles the order.", "This tells the order."))
        if told[0] == told[1]:
            return "The two are almost equal."
        return f"{told[0]} is {'more' if more else 'less'} than {told[1]}."

    def _relation_end(self, relation: Relation, holds: bool) -> str:
        words = {"a": A, "b": B, "phrase": RELATION_PHRASES[relation][0], "converse": RELATION_PHRASES[CONVERSE[relation]][0]}
        if self.request.form == "predicate":
            return self._pick(wording.PREDICATE_ENDS[holds]).format(**words)
        winner, loser = (A, B) if holds else (B, A)
        form = self._pick(wording.CHOICE_ENDS)
        return form.format(w=winner, l=loser, most=wording.MOST[relation])

    # Quantities

    def _quantity(self) -> tuple[list[Step], str]:
        kind = self.request.kind
        if kind == "direction" and len(self.names) > 1:
            return self._direction()
        if kind in {"width", "height"} or len(self.names) < 2:
            axis = 1 if kind == "height" else 0
            return self._converted(self._between_edges(axis), self.view.sizes[0][axis], wording.SIZES[_SIZE_WORD[axis]])
        if kind == "distance":
            return self._converted(self._direct(), self.view.direct, wording.APART[kind])
        axis = 0 if kind == "horizontal_distance" else 1
        metres = abs(self.view.middle[axis])
        return self._converted(self._along_axis(kind, axis, metres), metres, wording.APART[kind])

    def _between_edges(self, axis: Literal[0, 1]) -> list[Step]:
        what = _SIZE_WORD[axis]
        return [
            Step(title=f"Place {A}", body=self.size(A, "camera", self.view.camera[0])),
            Step(title=f"Measure the {what}", body=self.size(A, what, self.view.sizes[0][axis])),
        ]

    def _along_axis(self, kind: str, axis: Literal[0, 1], metres: float) -> list[Step]:
        return [
            Step(title="Compare their depth", body=f"{self._order()} {self.size(A, 'camera', self.view.camera[0])}"),
            Step(title="Place the two", body=self.placed(axis)),
            Step(title="Take the distance", body=self.apart(kind, metres)),
        ]

    def _direct(self) -> list[Step]:
        return [
            Step(title="Compare their depth", body=f"{self._order()} {self.ahead()}"),
            Step(title="Compare their position", body=self.placed(0)),
            Step(title="Measure between the surfaces", body=self.apart("distance", self.view.direct)),
        ]

    def _order(self) -> str:
        return self.relation("behind" if self.view.believes("behind") else "front")

    def _direction(self) -> tuple[list[Step], str]:
        hour = self.view.hour
        if self.slip and self.view.said_hour is None:
            hour = (12 - hour) % 12 + 1 if self.rng.random() < 0.6 else (hour + 5) % 12 + 1
        steps = [
            Step(title="Sideways", body=self.placed(0)),
            Step(title="Forward", body=self.ahead()),
            Step(title="Find the hour", body=self.bearing(hour)),
        ]
        return self._checked(steps), self.bearing(hour)

    def _converted(self, steps: list[Step], metres: float, forms: Sequence[str]) -> tuple[list[Step], str]:
        """End with the length in a unit that people would use, with a step for its conversion; here a teacher may slip."""
        _, unit = human_length(metres, self.rng)
        slip = self._pick(_SLIPS) if self.slip else 1.0
        if unit in PER_METRE:
            worked, said = convert(metres, unit, slip=slip)
            steps.append(Step(title="Convert", body=f"{worked}, so this is {said}."))
        else:
            said = f"{write_number(round_number(metres * slip))} {UNIT_WORDS[unit]}"
        return self._checked(steps), self._pick(forms).format(a=A, b=B, v=f"{self._hedge()}{said}")

    # Words

    def _checked(self, steps: list[Step]) -> list[Step]:
        if self.rng.random() < 0.2:
            steps.append(Step(title="Check", body=self._pick(wording.CHECKS)))
        return steps

    def _family(self) -> tuple[str, str]:
        kind = self.request.kind
        if kind in SIZE_AXIS:
            return "size", _SIZE_WORD[SIZE_AXIS[kind]]
        if kind in {"big", "small"}:
            return "size", "volume"
        if kind in {"behind", "front"}:
            return "near", ""
        if kind in RELATIONS:
            return "place", ""
        if kind in {"width", "height"}:
            return "measure", kind
        return ("direction" if kind == "direction" else "apart"), ""

    def _label(self, label: str, colour: str) -> str:
        if colour and self.rng.random() < self.profile.miscolour:
            return label.replace(colour, self._pick([other for other in _COLOURS if other != colour]))
        return label if not colour or colour in label else f"{colour} {label}"

    def _hedge(self) -> str:
        return self._pick(wording.HEDGES) if self.rng.random() < self.profile.hedge else ""

    def _pick(self, choices: Sequence[_T]) -> _T:
        return self.rng.choice(choices)


def convert(metres: float, unit: Unit, *, slip: float = 1.0) -> tuple[str, str]:
    """A length in another unit than metres: the calculation, and what it comes to, off by a factor where somebody slips.

    >>> convert(0.57, "in")
    ('0.57 × 39 = 22', '22 inches')
    """
    factor, per_metre = PER_METRE[unit]
    result = write_number(round_number(metres * per_metre * slip))
    return f"{write_number(metres)} × {factor} = {result}", f"{result} {UNIT_WORDS[unit]}"


def _with_article(label: str) -> str:
    """A label after its article.

    >>> _with_article("orange box")
    'an orange box'
    """
    return f"{'an' if label[:1].lower() in 'aeiou' else 'a'} {label}"
