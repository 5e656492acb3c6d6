"""Write a LongCoT answer from what a teacher believes; what is wrong in its view is wrong in its steps and its conclusion."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeVar, cast

from spatialreasoner.core.types import CONVERSE, RELATIONS, Relation, Unit
from spatialreasoner.questions.templates import RELATION_PHRASES, UNIT_WORDS, human_length
from spatialreasoner.teachers import wording
from spatialreasoner.teachers.facts import Facts
from spatialreasoner.teachers.perception import Belief
from spatialreasoner.teachers.profiles import Profile
from spatialreasoner.teachers.requests import Request

T = TypeVar("T")

A, B = "<region1>", "<region2>"
SIZE_AXIS: Mapping[str, int] = {"wide": 0, "thin": 0, "tall": 1, "short": 1}
_SIZE_WORD = ("width", "height", "depth")
_SIDES: tuple[tuple[Relation, Relation], ...] = (("right", "left"), ("above", "below"))
_COLOURS = ("red", "blue", "green", "white", "black", "yellow", "brown")
_SLIPS = (0.5, 0.7, 1.4, 1.6, 2.0)
_FACTORS: Mapping[Unit, tuple[str, str]] = {"cm": ("×", "100"), "in": ("/", "0.0254"), "ft": ("/", "0.3048")}


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
        rng: Source of all choices.
        done: Number of steps that the prefix holds; where the deciding one, of index `core`, is among them, it is too late for
            a slip of one's own.
    """

    def __init__(self, request: Request, facts: Facts, view: Belief, profile: Profile, rng: Random, *, done: int) -> None:
        self.request, self.facts, self.view, self.profile, self.rng = request, facts, view, profile, rng
        self.names = (A, B)[: len(facts.things)]
        self.metric: Unit = "cm" if rng.random() < 0.15 else "m"
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

    def placed(self, k: int, axis: Literal[0, 1]) -> str:
        """Where a region's middle lies, off the camera's axis."""
        value = self.view.place[k][axis]
        side = (("to the right of", "to the left of"), ("above", "below"))[axis][0 if value >= 0 else 1]
        return self._pick(wording.OFF_AXIS).format(a=self.names[k], v=self.length(abs(value)), side=side)

    def introduction(self, k: int) -> str:
        """What a region shows."""
        thing = self.facts.things[k]
        form = self._pick(wording.INTRODUCTIONS)
        return form.format(a=self.names[k], label=_with_article(self._label(thing.label, thing.colour)))

    def bearing(self, hour: int) -> str:
        """Where the second region is, seen from the first, by the clock."""
        return self._pick(wording.APART["direction"]).format(a=A, b=B, v=hour)

    def length(self, metres: float) -> str:
        """A length as this answer writes it.

        >>> from random import Random
        >>> from types import SimpleNamespace
        >>> Writer.length(SimpleNamespace(metric="cm"), 0.35)
        '35 cm'
        """
        return f"{metres:.2f} m" if self.metric == "m" else f"{metres * 100:.0f} cm"

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
        steps = self._located(relation)
        holds = self.view.believes(relation) != (self.slip and relation not in self.view.said)
        believed = relation if holds else CONVERSE[relation]
        steps.append(Step(title="Compare", body=f"{self._compared(relation, holds)} {self.relation(believed)}"))
        return self._checked(steps), self._relation_end(relation, holds)

    def _located(self, relation: Relation) -> list[Step]:
        """One step for each region: what of it is going to be compared."""
        tell: Callable[[int], str]
        if relation in SIZE_AXIS:
            axis = SIZE_AXIS[relation]
            tell = lambda k: self.size(self.names[k], _SIZE_WORD[axis], self.view.sizes[k][axis])  # noqa: E731
        elif relation in {"big", "small"}:
            tell = self._volume_told
        elif relation in {"behind", "front"}:
            tell = self._nearness_told
        else:
            tell = lambda k: self.placed(k, 0 if relation in {"left", "right"} else 1)  # noqa: E731
        return [Step(title=f"Look at {name}", body=tell(k)) for k, name in enumerate(self.names)]

    def _volume_told(self, k: int) -> str:
        width, height, depth = self.view.sizes[k]
        product = f"{width:.2f} × {height:.2f} × {depth:.2f} = {self.view.volumes[k]:.3f}"
        return (
            f"{self.size(self.names[k], 'width', width)} {self.size(self.names[k], 'height', height)} "
            f"{self.size(self.names[k], 'depth', depth)} In cubic metres its box holds {product}."
        )

    def _nearness_told(self, k: int) -> str:
        behind = self.view.believes("behind")
        if (self.view.camera[0] > self.view.camera[1]) == behind:
            return self.size(self.names[k], "camera", self.view.camera[k])
        which = "farther" if behind == (k == 0) else "nearer"
        return f"The nearest surface of {self.names[k]} is the {which} of the two."

    def _compared(self, relation: Relation, holds: bool) -> str:
        """The two values side by side, where there are numbers to compare."""
        if relation in SIZE_AXIS:
            first, second = (self.view.sizes[k][SIZE_AXIS[relation]] for k in range(2))
            more = holds == (relation in {"tall", "wide"})
            return f"{self.length(first)} is {'more' if more else 'less'} than {self.length(second)}."
        if relation in {"big", "small"}:
            more = holds == (relation == "big")
            return f"{self.view.volumes[0]:.3f} is {'more' if more else 'less'} than {self.view.volumes[1]:.3f}."
        return self._pick(
            ("Put side by side, the positions differ.", "The two can now be compared.", "This settles the order.")
        )

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
            steps, metres = self._between_edges(axis)
            return self._converted(steps, metres, wording.SIZES[_SIZE_WORD[axis]])
        if kind == "distance":
            steps, metres = self._direct()
        else:
            steps, metres = self._along_axis(0 if kind == "horizontal_distance" else 1)
        return self._converted(steps, metres, wording.APART[kind])

    def _between_edges(self, axis: Literal[0, 1]) -> tuple[list[Step], float]:
        what = _SIZE_WORD[axis]
        extent = self.view.sizes[0][axis]
        low = round(self.view.place[0][axis] - extent / 2, 2)
        high = round(low + extent, 2)
        extent, sum_ = self._reckon(f"{high:.2f} - {_signed(low)}", extent)
        edges = ("left", "right") if axis == 0 else ("lower", "upper")
        return [
            Step(title=f"Place {A}", body=self.size(A, "camera", self.view.camera[0])),
            Step(
                title=f"Measure the {what}",
                body=f"At that distance its {edges[0]} edge is at {low:.2f} and its {edges[1]} edge at {high:.2f} in metres, "
                f"and {sum_}. {self.size(A, what, extent)}",
            ),
        ], extent

    def _along_axis(self, axis: Literal[0, 1]) -> tuple[list[Step], float]:
        kind = ("horizontal_distance", "vertical_distance")[axis]
        first, second = self.view.place[0][axis], self.view.place[1][axis]
        metres, sum_ = self._reckon(f"{max(first, second):.2f} - {_signed(min(first, second))}", abs(second - first))
        return [
            *(Step(title=f"Place {name}", body=self.placed(k, axis)) for k, name in enumerate(self.names)),
            Step(title="Take the difference", body=f"In metres, {sum_}. {self.apart(kind, metres)}"),
        ], metres

    def _direct(self) -> tuple[list[Step], float]:
        right, up, back = self.view.offset
        squares = f"sqrt({abs(right):.2f}^2 + {abs(up):.2f}^2 + {abs(back):.2f}^2)"
        centres, sum_ = self._reckon(squares, math.hypot(right, up, back))
        metres = round(max(0.01, self.view.direct * (centres / max(0.01, math.hypot(right, up, back)))), 2)
        order = self.relation("behind" if self.view.believes("behind") else "front")
        side = self.relation("right" if self.view.believes("right") else "left")
        return [
            Step(title="Compare their depth", body=f"{order} {self.size(A, 'camera', self.view.camera[0])}"),
            Step(title="Compare their position", body=side),
            Step(
                title="Combine the offsets",
                body=f"The middles differ by {abs(right):.2f} sideways, {abs(up):.2f} upwards and {abs(back):.2f} in depth, in "
                f"metres: {sum_}. Taken from surface to surface: {self.apart('distance', metres)}",
            ),
        ], metres

    def _direction(self) -> tuple[list[Step], str]:
        right, _, ahead = self.view.offset
        angle = math.degrees(math.atan2(abs(right), ahead))
        hour = self.view.hour
        if self.slip and self.view.said_hour is None:
            hour = (12 - hour) % 12 + 1 if self.rng.random() < 0.6 else (hour + 5) % 12 + 1
        side, depth = ("right", "left")[right < 0], ("behind", "in front of")[ahead < 0]
        said = self.bearing(hour)
        steps = [
            Step(title="Sideways", body=f"{B} is to the {side} of {A}. {self.apart('horizontal_distance', abs(right))}"),
            Step(title="Forward", body=f"{B} is {depth} {A}: in depth, their middles differ by {self.length(abs(ahead))}."),
            Step(
                title="Find the hour",
                body=f"That is {angle:.0f} degrees to the {side} of straight ahead. {said}",
            ),
        ]
        return self._checked(steps), self.bearing(hour)

    def _reckon(self, expression: str, metres: float) -> tuple[float, str]:
        """A sum and its result, two decimals, wrong where the teacher slips."""
        if self.slip:
            self.slip, metres = False, metres * self._pick(_SLIPS)
        metres = max(0.01, round(metres, 2))
        return metres, f"{expression} = {metres:.2f}"

    def _converted(self, steps: list[Step], metres: float, forms: Sequence[str]) -> tuple[list[Step], str]:
        """End with the length in a unit that people would use, with a step for its conversion."""
        number, unit = human_length(metres, self.rng)
        if unit != "m":
            sign, factor = _FACTORS[unit]
            said = f"{number:.2f} {UNIT_WORDS[unit]}"
            steps.append(Step(title="Convert", body=f"{metres:.2f} {sign} {factor} = {number:.2f}, so this is {said}."))
        said = f"{self._hedge()}{number:.2f} {UNIT_WORDS[unit]}"
        return self._checked(steps), self._pick(forms).format(a=A, b=B, v=said)

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

    def _pick(self, choices: Sequence[T]) -> T:
        return self.rng.choice(choices)


def _with_article(label: str) -> str:
    """A label after its article.

    >>> _with_article("orange box")
    'an orange box'
    """
    return f"{'an' if label[:1].lower() in 'aeiou' else 'a'} {label}"


def _signed(value: float) -> str:
    return f"({value:.2f})" if value < 0 else f"{value:.2f}"
