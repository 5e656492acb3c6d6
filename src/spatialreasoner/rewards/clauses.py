"""A text cut into clauses of classified tokens, with the regions that each clause speaks of.

One pass tokenises the text; everything behind it works on classes (see `lexicon`). Every step is linear in the text.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from spatialreasoner import quantities
from spatialreasoner.quantities import Quantity
from spatialreasoner.rewards.lexicon import CODES, FACTORS, LEXICON, PHRASES, rule

Regions = tuple[str, ...]

# What `quantities` found is masked by these characters, so that it is one token and offsets stay true.
_LENGTH, _CLOCK, _REST = "\ue000", "\ue001", "\ue002"
_REGION = (
    r"[ \[]?<?(?:regions?|objects?|masks?|marks?|areas?)[ _]?"
    r"(?:\[\d{1,3}\]|<\d{1,3}>|[#\"(]?\d{1,3}(?!\d|\.\d)|(?:zero|one|two|three|four)\b(?! of))"
    r"(?:(?:,| and| &|, and) (?:\[\d{1,3}\]|\d{1,3}(?![\w.]))(?! ?(?:m|cm|ft|in)\b))?[\]>]?"
)
_TIMES = (
    r" ?(?:\d{1,9}(?:\.\d{1,9})?|two|three|four|five|six|seven|eight|nine|ten)[ -]?"
    r"(?:times\b|fold\b|x(?= (?:the|as|wider|taller|larger|bigger|higher)\b|\Z))"
    r"| ?(?:one[ -]|an? |two[ -]|three[ -])?(?:thirds?|quarters?|half)(?= (?:as|the|of|that)\b|\Z)"
    r"| ?(?:twice|thrice|double|triple|quadruple)\b"
)
_KINDS: Mapping[str, str] = {
    "AMOUNT": rf" ?{_LENGTH}{_REST}*",
    "HOUR": rf" ?{_CLOCK}{_REST}*",
    "REGION": _REGION,
    "TIMES": _TIMES,
    "BUT": r" which (?:also )?(?:means?|indicates?|implies|suggests?|makes?|shows?|places?|puts?|confirms?)\b",
    "PHRASE": rf" ?(?:{'|'.join(PHRASES)})(?![a-z])",
    "WORD": r" ?[a-z]{1,40}(?:'t\b)?",
    "NUMBER": r" ?\d[\d.,]{0,40}(?<![.,])",
    "BULLET": r"\s{0,40}\n[\s>#]{0,40}(?:[-*\u2022]|\d{1,2}[.)])(?= |\Z)",
    "LINE": r"\s{0,40}\n[\s>#]{0,40}|</?[a-z]{1,20}>",
    "STOP": r"[.!]+(?=[\s\"')*<]|\Z)",
    "PLUS": r" -(?= \S|\Z)",
    "MARK": r"'s\b|(?s: ?.)",
}
_TOKEN = re.compile("|".join(_KINDS.values()))
_KIND = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _KINDS.items()))
_INTEGER = re.compile(r"\d{1,3}")
_INTEGERS: Mapping[str, int] = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4}

_MENTION = "[REGION PAIR IT OTHER FORMER LATTER]"
_SENTENCE = rule("[STOP ASKED LINE BULLET]")
_BARE_NAME = rule("OPEN (?=REGION CLOSE) | (?<=REGION) CLOSE | IT (?=[BE MAYBE NOT WORD POSSESSIVE]{1,4} THAT)")
_APPOSED = rule("REGION [COMMA OPEN IN AS WORD AT EQUALS]{0,3} (?=REGION)")
_LISTED = rule("REGION (?:COMMA REGION){0,8} COMMA? AND REGION")
_ASIDE = rule(
    "OPEN (?P<inside>[^OPEN CLOSE]{1,60}) CLOSE"
    f"|(?<={_MENTION}) COMMA? WHETHER (?P<which>[BE MAYBE NOT] [^COMMA BUT]{{1,60}}) COMMA?"
)
_SPLIT = rule(
    "BUT | COMMA? AND? (?=ABOUT? [DIMENSION DISTANCE ALONG]{1,2} [OF BETWEEN FROM BE EQUALS])"
    f"| (?:COMMA? AND | COMMA) (?=IN? {_MENTION} POSSESSIVE? [BE MAYBE NOT DIMENSION DISTANCE EQUALS ABOUT AMOUNT])"
)
_SUPPOSED = rule("IF [^COMMA]* COMMA")
_VERB = rule("[BE MAYBE EQUALS FIND AMOUNT POSSESSIVE MORE]")
_SUBJECT = rule(f"(?<![TO FROM AT OVER THAN RELATIVE BETWEEN]) (?<![SIDE FRONT] OF) {_MENTION}")
_BETWEEN = rule(f"(?<=BETWEEN) {_MENTION}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Clause:
    """Part of a sentence about one subject.

    Attributes:
        codes: One character a token: its class.
        tokens: Index of each token in the reading.
        context: What the text spoke of just before.
        subject: The regions it speaks of, from its own words or else the context.
        start: Position in `codes` of that subject, or None if it was carried over.
        sentence: Number of its sentence.
        asked: Whether it only asks or supposes.
    """

    codes: str
    tokens: Sequence[int]
    context: Regions
    subject: Regions
    start: int | None
    sentence: int
    asked: bool


class Reading:
    """A tokenised text.

    Args:
        text: Any text.
        labels: Names of the question's regions, in order.
        base: Number of the first region where it is written without brackets, "Region 1".

    Attributes:
        words: The tokens; joined, they are the folded text.
        amounts: Quantity of each AMOUNT and HOUR token.
        mentions: Regions of each REGION token.
        count: How many regions the question has, as far as can be seen.
    """

    def __init__(self, text: str, labels: Sequence[str] = (), *, base: int = 1) -> None:
        folded = quantities.fold(text)
        found = quantities.find(folded)
        self.words: list[str] = _TOKEN.findall(_mask(folded, found))
        self.starts = list(accumulate(map(len, self.words), initial=0))
        codes = list(map(_class_of, self.words))
        self.amounts = dict(zip(_positions(codes, "AMOUNT", "HOUR"), found, strict=False))
        self.mentions = _numbered(self.words, _positions(codes, "REGION"), base, len(labels))
        if labels:
            self._find_labels(codes, _label_words(tuple(labels)))
        numbers = (int(region[6:]) for regions in self.mentions.values() for region in regions)
        self.count = len(labels) or max(numbers, default=0)
        self.kept = [index for index, code in enumerate(codes) if code]
        self.codes = "".join(codes)

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Characters from one token to another, both included, without the blank before the first."""
        return self.starts[first] + self.words[first].startswith(" "), self.starts[last + 1]

    def word(self, token: int) -> str:
        """A token without the blank before it."""
        return self.words[token].strip()

    def factor(self, token: int) -> float:
        """The number that a TIMES token says: "twice", "1.5 times", "two thirds"."""
        words = self.word(token).replace("-", " ").replace("times", "").replace("fold", "").rstrip("x ").split()
        numbers = [FACTORS.get(word) or quantities.number(word) for word in words if word not in ("a", "an", "of")]
        return math.prod(numbers)

    def everything(self) -> Regions:
        """All regions of the question."""
        return tuple(f"region{number}" for number in range(1, self.count + 1))

    def others(self, regions: Regions) -> Regions:
        """The other region, where there are two in all; else nothing."""
        return tuple(r for r in self.everything() if r != regions[0]) if self.count == 2 and len(regions) == 1 else ()

    def meant(self, code: str, token: int, context: Regions) -> Regions:
        """The regions that a mention of that class means, where the text spoke of `context` just before."""
        if code == CODES["REGION"]:
            return self.mentions[token]
        if code == CODES["IT"]:
            return context if len(context) == 1 else self.everything() if self.count == 1 else ()
        if code == CODES["PAIR"]:
            return context if len(context) == 2 else self.everything() if self.count == 2 else ()
        if code == CODES["OTHER"]:
            return self.others(context)
        return self.everything()[code == CODES["LATTER"] :][:1] if self.count == 2 else ()

    def clauses(self, context: Regions = ()) -> Iterator[Clause]:
        """The clauses of the text, in order; what stands in brackets comes before the clause that holds it.

        Args:
            context: What is spoken of before the text begins, such as the subject of the question it answers.
        """
        codes, tokens = self._joined()
        begin = 0
        for number, stop in enumerate([*(match.start() for match in _SENTENCE.finditer(codes)), len(codes)]):
            asked = codes[stop : stop + 1] == CODES["ASKED"]
            for clause in self._sentence(codes[begin:stop], tokens[begin:stop], context, number, asked):
                context = clause.subject
                yield clause
            begin = stop + 1

    def _joined(self) -> tuple[str, list[int]]:
        """Codes and tokens with "the chair (Region 1)" made one mention, and "Region 1 and Region 2" too."""
        codes, tokens = self.codes, self.kept
        if CODES["REGION"] not in codes:
            return codes, tokens
        drop = {match.start() for match in _BARE_NAME.finditer(codes)}
        for match in _APPOSED.finditer(codes):
            if self._same(tokens[match.start()], tokens[match.end()], opened=CODES["OPEN"] in match.group()):
                drop.update(range(match.start(), match.end()))
        codes, tokens = _without(codes, tokens, drop)
        drop = set[int]()
        for match in _LISTED.finditer(codes):
            if self._is_list(codes, match):
                members = [tokens[i] for i in range(*match.span()) if codes[i] == CODES["REGION"]]
                self.mentions[members[0]] = tuple(dict.fromkeys(r for m in members for r in self.mentions[m]))
                drop.update(range(match.start() + 1, match.end()))
        return _without(codes, tokens, drop)

    def _same(self, first: int, second: int, *, opened: bool) -> bool:
        """Whether two mentions side by side are one; an explicit name in brackets corrects a label before it."""
        if self.mentions[first] == self.mentions[second]:
            return True
        return opened and not _REGION_NAME.match(self.words[first]) and bool(_REGION_NAME.match(self.words[second]))

    def _is_list(self, codes: str, match: re.Match[str]) -> bool:
        """Whether "A and B" is a list, not the end of one clause and the start of the next."""
        begin = max(0, match.start() - 40)
        sentence = max((m.end() for m in _SENTENCE.finditer(codes, begin, match.start())), default=begin)
        before = codes[sentence : match.start()]
        verb_after = codes[match.end() : match.end() + 1] in (CODES["BE"], CODES["MAYBE"], CODES["POSSESSIVE"], CODES["NOT"])
        if before.endswith((CODES["BETWEEN"], CODES["DIMENSION"] + CODES["OF"])) or not verb_after:
            return True
        return not _VERB.search(before)

    def _sentence(self, codes: str, tokens: list[int], context: Regions, number: int, asked: bool) -> Iterator[Clause]:
        drop = set[int]()
        asides: list[tuple[int, int, int]] = []
        for match in _ASIDE.finditer(codes):
            group = "inside" if match["inside"] else "which"
            asides.append((match.start(), *match.span(group)))
            drop.update(range(*match.span()))
        for at, begin, end in asides:
            holder = self._holder(codes, tokens, at, context)
            yield self._clause(codes[begin:end], tokens[begin:end], holder, number, asked)
        codes, tokens = _without(codes, tokens, drop)
        for begin, end, supposed in _pieces(codes):
            clause = self._clause(codes[begin:end], tokens[begin:end], context, number, asked or supposed)
            context = clause.subject
            yield clause

    def _holder(self, codes: str, tokens: list[int], at: int, context: Regions) -> Regions:
        """The last mention before an aside."""
        for position in range(at - 1, -1, -1):
            if codes[position] in MENTIONS:
                return self.meant(codes[position], tokens[position], context)
        return context

    def _clause(self, codes: str, tokens: Sequence[int], context: Regions, number: int, asked: bool) -> Clause:
        match = _SUBJECT.search(codes) or _BETWEEN.search(codes)
        subject = self.meant(match.group(), tokens[match.start()], context) if match else context
        start = match.start() if match else None
        return Clause(codes=codes, tokens=tokens, context=context, subject=subject, start=start, sentence=number, asked=asked)

    def _find_labels(self, codes: list[str], labels: Mapping[str, Sequence[tuple[tuple[str, ...], Regions]]]) -> None:
        """Make one REGION token of each label in the text."""
        skip = 0
        for index, word in enumerate(self.words):
            bare = word.strip()
            if index < skip or bare not in labels:
                continue
            for rest, regions in labels[bare]:
                end = index + 1 + len(rest)
                if tuple(w.strip() for w in self.words[index + 1 : end]) == rest and not self._generic(codes, index):
                    codes[index:end] = [CODES["REGION"]] + [""] * len(rest)
                    self.mentions[index] = regions
                    skip = end
                    break

    def _generic(self, codes: list[str], index: int) -> bool:
        """Whether "a typical chair" speaks of chairs in general."""
        return CODES["GENERIC"] in codes[max(0, index - 3) : index]


MENTIONS = frozenset(CODES[name] for name in ("REGION", "PAIR", "IT", "OTHER", "FORMER", "LATTER"))
_REGION_NAME = re.compile(_REGION)


@lru_cache(maxsize=1 << 14)
def _class_of(word: str) -> str:
    """The class of a token, "" for one that is skipped."""
    code = LEXICON.get(word.strip(" "))
    if code is not None:
        return code
    match = _KIND.match(word)
    kind = match.lastgroup if match else None
    return CODES.get(kind or "", "")


def _mask(folded: str, found: Sequence[Quantity]) -> str:
    parts: list[str] = []
    last = 0
    for quantity in found:
        begin, end = quantity.span
        parts += folded[last:begin], _LENGTH if quantity.unit == "m" else _CLOCK, _REST * (end - begin - 1)
        last = end
    return "".join(parts) + folded[last:] if parts else folded


def _positions(codes: Sequence[str], *names: str) -> list[int]:
    wanted = {CODES[name] for name in names}
    return [index for index, code in enumerate(codes) if code in wanted]


def _numbered(words: Sequence[str], indices: Sequence[int], base: int, count: int) -> dict[int, Regions]:
    """Regions of each mention by number.

    "Region [0]" counts from 0 and "<region1>" from 1; "Region 1" counts from `base`. Whoever writes a 0 counts from 0, and
    whoever writes a number past the last region counts from 1.
    """
    found = [(index, _form(words[index]), _integers(words[index])) for index in indices]
    bases: dict[str, int] = {}
    for form, start in (("[", 0), ("<", 1), ("", base)):
        numbers = [number for _, f, these in found if f == form for number in these]
        low, high = min(numbers, default=start), max(numbers, default=0)
        bases[form] = 0 if low == 0 else 1 if count and high >= count + start else start
    return {index: tuple(f"region{n - bases[form] + 1}" for n in numbers) for index, form, numbers in found}


@lru_cache(maxsize=4096)
def _form(word: str) -> str:
    return "<" if word.strip().startswith("<") else "[" if "[" in word[1:] else ""


@lru_cache(maxsize=4096)
def _integers(word: str) -> tuple[int, ...]:
    return tuple(map(int, _INTEGER.findall(word))) or (_INTEGERS[word.split()[-1].strip("])>")],)


def _without(codes: str, tokens: list[int], drop: set[int]) -> tuple[str, list[int]]:
    if not drop:
        return codes, tokens
    left = [index for index in range(len(codes)) if index not in drop]
    return "".join(codes[index] for index in left), [tokens[index] for index in left]


def _pieces(codes: str) -> Iterator[tuple[int, int, bool]]:
    """Start and end of each clause of a sentence, and whether it only supposes ("if ...,")."""
    begin = 0
    supposed = _SUPPOSED.match(codes)
    if supposed:
        yield 0, supposed.end(), True
        begin = supposed.end()
    for match in _SPLIT.finditer(codes, begin):
        if match.group() == CODES["BUT"] or _VERB.search(codes, begin, match.start()):
            if match.start() > begin:
                yield begin, match.start(), False
            begin = match.end()
    if begin < len(codes):
        yield begin, len(codes), not supposed and codes.startswith(CODES["IF"])


@lru_cache(maxsize=1024)
def _label_words(labels: tuple[str, ...]) -> dict[str, list[tuple[tuple[str, ...], Regions]]]:
    """Each way to name a region by its label, by first word, the longest first: the whole label, or its last word alone.

    A name that fits two regions names neither.
    """
    names: dict[tuple[str, ...], set[str]] = {}
    for number, label in enumerate(labels, start=1):
        words = tuple(re.findall(r"[a-z0-9]+", quantities.fold(label[:200])))
        for name in {words, words[-1:]} - {()}:
            names.setdefault(name, set()).add(f"region{number}")
    whole = {tuple(re.findall(r"[a-z0-9]+", quantities.fold(label[:200]))) for label in labels}
    ways: dict[str, list[tuple[tuple[str, ...], Regions]]] = {}
    for name in sorted(names, key=len, reverse=True):
        regions = names[name]
        if len(regions) == 1 or name in whole:
            owner = tuple(regions) if len(regions) == 1 else ()
            if owner and LEXICON.get(name[0]) is None:
                ways.setdefault(name[0], []).append((name[1:], owner))
    return ways
