"""A text as classified tokens, and the regions that it mentions.

One pass tokenises the text; everything behind it works on classes (see `lexicon`). Every step is linear in the text.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache

from spatialreasoner.language import quantities
from spatialreasoner.language.labels import (
    ANY_REGION,
    NOUN_CODES,
    Mention,
    Regions,
    Way,
    is_compound,
    label_ways,
    mention_of,
)
from spatialreasoner.language.lexicon import CODES, LEXICON, PHRASES, SKIPPED, codes_of, rule
from spatialreasoner.language.looks import form_of
from spatialreasoner.language.native.engine import pattern_module
from spatialreasoner.language.quantities import Quantity
from spatialreasoner.language.scan import lazily, plain_word
from spatialreasoner.language.words import WordTable

# What `quantities` found is masked by these characters, so that it is one token and offsets stay true.
# They are of ASCII, which is searched fastest; a text that holds them itself has another control character there.
_LENGTH, _CLOCK, _REST, _IS = "\x01", "\x02", "\x03", "\x04"
_MASKS = lazily("[\x01-\x04]")
_CONTRACTED = lazily(r"'s\b(?:(?<=\bit's)|(?<=\bthat's)|(?<=\bthere's))")
"""An "is" that looks like a genitive."""
_REGION = (
    r"\[?<?(?:regions?|objects?|masks?|marks?|areas?)[ _]?"
    r"(?:\[\d{1,3}\]|<\d{1,3}>|[#\"(]?\d{1,3}(?!\d|\.\d)|(?:zero|one|two|three|four)\b(?! of))"
    r"(?:(?:,| and| &|, and) (?:\[\d{1,3}\]|\d{1,3}(?![\w.]))(?! ?(?:m|cm|ft|in)\b))?[\]>]?"
)
_TIMES = (
    r"(?:\d{1,9}(?:\.\d{1,9})?|(?:one|two|three) and a half|two|three|four|five|six|seven|eight|nine|ten)[ -]?"
    r"(?:times\b|fold\b|x(?= (?:the|as|that|width|height|wider|taller|larger|bigger|higher)\b|\Z))"
    r"|(?:one[ -]|an? |two[ -]|three[ -])?(?:thirds?|quarters?|half)(?= (?:as|the|of|that)\b|\Z)"
    r"|half again(?= as\b|\Z)|(?:twice|thrice|double|triple|quadruple)\b"
)


def _by_letter(phrases: Sequence[str]) -> str:
    """A pattern of phrases that looks only at those with the right first letter."""
    rests: dict[str, list[str]] = {}
    for phrase in phrases:
        rests.setdefault(phrase[0], []).append(phrase[1:])
    return "|".join(f"{letter}(?:{'|'.join(rest)})" for letter, rest in rests.items())


_MARKED = (
    *(
        "region",
        "object",
        "mask",
        "mark",
        "area",
        "some",
        "which",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
    ),
    *("nine", "ten", "a ", "an ", "half", "third", "quarter", "twice", "thrice", "double", "triple", "quadruple"),
    *PHRASES,
)
"""What tokens begin with that are more than a word."""
_KINDS: Mapping[str, str] = {
    "AMOUNT": rf"{_LENGTH}{_REST}*",
    "HOUR": rf"{_CLOCK}{_REST}*",
    "BE": rf"{_IS}{_REST}",
    "REGION": rf"(?=[\[<romar])(?:{_REGION})",
    "ABOUT": rf"some (?={_LENGTH}|\Z)",  # the blank is its own: "some" before anything else limits nothing
    "TIMES": rf"(?=\d|on|t[hwer]|ha|f[io]|s[ie]|ei|ni|a[ n]|qu|do)(?:{_TIMES})",
    "BUT": r"which (?:also )?(?:means?|indicates?|implies|suggests?|makes?|shows?|places?|puts?|confirms?)\b",
    "PHRASE": rf"(?:{_by_letter(PHRASES)})(?![a-z])",
    "WORD": r"[a-z]{1,40}(?:'t\b)?",
    "NUMBER": r"\d[\d.,]{0,40}(?<![.,])",
    "STOP": r"[.!]+(?=[\s\"')*<]|\Z)",
    "BULLET": r"\s{0,40}\n[\s>#]{0,40}(?:[-*\u2022]|\d{1,2}[.)])(?= |\Z)",
    "LINE": r"\s{0,40}\n[\s>#]{0,40}|</?[a-z]{1,20}>",
    "PLUS": r"(?<= )- (?=\S|\Z)",
    "MARK": r"'s\b|(?s:.)",
}
# The blank before a token belongs to it. It is taken for good: a word must not be tried again without it.
_TOKEN = lazily(rf" ?+(?:{plain_word(_MARKED)}|{'|'.join(_KINDS.values())})| ")
# Phrases are known by the lexicon, but for what else those with a dot match, which stands for any letter: "edge" for "e.g.".
_DOTTED = rf"(?:{_by_letter([phrase for phrase in PHRASES if '.' in phrase])})(?![a-z])"
_KIND = lazily(rf" ?+(?:{'|'.join(f'(?P<{name}>{pattern})' for name, pattern in {**_KINDS, 'PHRASE': _DOTTED}.items())})")
_INTEGER = lazily(r"\d{1,3}")
_INTEGERS: Mapping[str, int] = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4}

_DETERMINERS = frozenset(("the", "a", "an", "this", "another"))
_ANOTHER = " another"
_ATTRIBUTES = NOUN_CODES | {SKIPPED}
_BEFORE_NOUNS = _ATTRIBUTES | codes_of("OTHER")  # the classes of determiners, and of what may follow one
_BEFORE_NAMES = NOUN_CODES | codes_of("OTHER", "OPEN", "COMMA")
_QUALIFIED = rule("[WORD IMAGE ADJECTIVE OTHER OPEN COMMA] _{0,6} REGION")
_COMPARING = codes_of("COMPARED", "MOST", "CLOSER", "FARTHER")
_PLACED = codes_of("TO", "ON", "OVER", "FRONT")
_APPOSING = codes_of("OPEN", "COMMA")
_APPOSED_ENDS = codes_of("COMMA", "STOP")
_REGION_CODE, _WORD_CODE = CODES["REGION"], CODES["WORD"]
_BRACKETED = lazily(r"\[\d")
_PAIRS = ("both", "the two", "these two", "of the two", "of these two", "of the pair")
_TWO = frozenset((*_PAIRS, *(f" {phrase}" for phrase in _PAIRS)))
_SIZED = codes_of("AMOUNT", "HOUR")
_QUANTITIES = rule("[AMOUNT HOUR]")
_NAMED = rule("REGION")
_LOOKS_BACK = rule("FORMER|LATTER")


class Reading:
    """A tokenised text.

    Args:
        text: Any text.
        labels: Names of the question's regions, in order.
        base: Number of the first region where it is written without brackets, "Region 1".
        others: Labels of the scene's other regions.

    Attributes:
        words: The tokens; joined, they are the folded text.
        amounts: Quantity of each AMOUNT and HOUR token.
        mentions: Meaning of each REGION token.
        starts: Where each token begins, and the last ends.
        forms: What rules look at of each token: a `Mention` of what names regions, else the word; "" where its class says all.
        count: How many regions the question has, as far as can be seen.
        codes: Class of each token, one character each.
    """

    def __init__(self, text: str, labels: Sequence[str] = (), *, base: int = 1, others: Sequence[str] = ()) -> None:
        folded = quantities.fold(text)
        found = quantities.find_quantities(folded)
        called = label_ways(tuple(labels), tuple(others)) if labels or others else {}
        words, starts, codes, forms, naming = TEXT_WORDS.read(_mask(folded, found), called)
        self.words: list[str] = words
        self.starts: Sequence[int] = starts
        self.forms: list[str | Mention] = forms
        self.codes: str
        self.mentions: dict[int, Mention]
        self.amounts: dict[int, Quantity]
        native = native_names()
        if native is None:
            self._name(codes, naming, called, found, base, len(labels))
        else:
            self.codes, self.mentions, self.amounts = native(words, codes, forms, naming, called, found, base, len(labels))
        self.count = len(labels) or self._count()
        if CODES["FORMER"] in self.codes or CODES["LATTER"] in self.codes:
            self._look_back()

    def _name(
        self,
        codes: str,
        naming: Sequence[int],
        called: Mapping[str, Sequence[Way]],
        found: Sequence[Quantity],
        base: int,
        count: int,
    ) -> None:
        """Find out what is named: `native/naming.h` does the same."""
        self.amounts = dict(zip([match.start() for match in _QUANTITIES.finditer(codes)], found, strict=False))
        self.mentions = _numbered(self.words, [match.start() for match in _NAMED.finditer(codes)], base, count)
        self.codes = self._with_nouns(codes, naming, called)
        for index, mention in self.mentions.items():
            self.forms[index] = mention

    def _count(self) -> int:
        """How many regions the text names."""
        named = (region for mention in self.mentions.values() for region in mention.regions)
        most = max((int(region[6:]) for region in named if region.startswith("region")), default=0)
        return 2 if most == 1 and not _TWO.isdisjoint(self.words) else most

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Characters from one token to another, both included, without the blank before the first."""
        starts = self.starts
        return starts[first] + (self.words[first][0] == " "), starts[last + 1]

    def _look_back(self) -> None:
        """Say of "the former" and "the latter" whom they mean."""
        named = sorted(self.mentions)
        for match in _LOOKS_BACK.finditer(self.codes):
            two = self._two_before(match.start(), named)
            self.forms[match.start()] = Mention(two[match.group() == CODES["LATTER"] :][:1], explicit=False)

    def _two_before(self, token: int, mentions: Sequence[int]) -> Regions:
        """The two regions that a text named last before a token, in the order in which it named them."""
        end = bisect_left(mentions, token)
        last = mentions[max(0, end - 4) : end]
        named = tuple(dict.fromkeys(region for index in last for region in self.mentions[index].regions))
        if len(named) > 1:
            return named[-2:]
        return ("region1", "region2") if self.count == 2 else ()

    def _with_nouns(self, known: str, naming: Sequence[int], labels: Mapping[str, Sequence[Way]]) -> str:
        """Codes with each label made one REGION, and the words of "the old wooden" before a mention skipped.

        Args:
            known: Codes.
            naming: The tokens with which a label may begin.
            labels: How labels go on, by their first token.
        """
        if naming:
            codes, begin, general = [*known], 0, CODES["GENERIC"] in known
            for index in naming:
                if index >= begin and not (general and self._generic(codes, index)):
                    begin = self._match_label(codes, index, labels[self.words[index]])
            known = "".join(codes)
        parts: list[str] = []
        last = 0
        for match in _QUALIFIED.finditer(known):
            end = match.end() - 1
            begin = self._adjectives(known, end)
            if begin < end:
                parts += known[last:begin], SKIPPED * (end - begin)
                last = end
        return "".join(parts) + known[last:] if parts else known

    def _match_label(self, codes: list[str], index: int, ways: Sequence[Way]) -> int:
        """Make the longest label that begins at a token a mention; returns where it ends."""
        for rest, mention in ways:
            end = index + 1 + len(rest)
            follows = not rest or tuple([word.strip() for word in self.words[index + 1 : end]]) == rest
            if follows and not self._is_other(codes, index, end):
                codes[index:end] = [_REGION_CODE, *SKIPPED * len(rest)] if rest else _REGION_CODE
                self.mentions[index] = mention
                return end
        return index

    def _is_other(self, codes: Sequence[str], index: int, end: int) -> bool:
        """Whether a name means somebody else: "another chair", "the larger appliance", "the object behind", "table lamp"."""
        if index and (self.words[index - 1] == _ANOTHER or codes[index - 1] in _COMPARING):
            return True
        after = codes[end] if end < len(codes) else ""
        if after in _PLACED and self.words[index].strip() in ANY_REGION:
            return True
        return after == _WORD_CODE and is_compound(self.words[index], self.words[end])

    def _generic(self, codes: Sequence[str], index: int) -> bool:
        """Whether "a typical chair" or "a chair is usually" speaks of chairs in general."""
        return CODES["GENERIC"] in codes[max(0, index - 3) : index + 7]

    def _adjectives(self, codes: str, index: int) -> int:
        """Where the words of "the old wooden (chair)" begin behind "the", before the mention that they belong to."""
        first = index - 1
        apposed = first >= 0 and codes[first] in _APPOSING
        if apposed and codes[first] == CODES["COMMA"] and codes[index + 1 : index + 2] not in _APPOSED_ENDS:
            return index
        for position in range(first - apposed, max(-1, first - 6), -1):
            if codes[position] not in _BEFORE_NOUNS:
                return index
            if self.words[position].strip() in _DETERMINERS:
                return position + 1
            if codes[position] not in _ATTRIBUTES:
                return index
        return index


def _class(word: str) -> str:
    """The class of a token."""
    code = LEXICON.get(word.strip(" "))
    if code is not None:
        return code
    match = _KIND.match(word)
    kind = match.lastgroup if match else None
    return CODES.get(kind or "", SKIPPED)


def _known(word: str) -> tuple[str, int, str, str]:
    """A token, its length, its class, and what rules look at of it."""
    bare, code = word.strip(), _class(word)
    return word, len(word), code, form_of(bare, code)


TEXT_WORDS = WordTable(_TOKEN, _known, ("list", "sums", "text", "list"), _MARKED)
"""The words of a text, where each begins, their classes, and what rules look at of each."""


@cache
def native_names() -> Callable[..., tuple[str, dict[int, Mention], dict[int, Quantity]]] | None:
    """Names things as `Reading._name` does, by `native/naming.h`; None where that is not built."""
    native = pattern_module()
    if native is None:
        return None
    kinds = (_BEFORE_NAMES, _COMPARING, _PLACED, _APPOSING, _APPOSED_ENDS, _ATTRIBUTES, _BEFORE_NOUNS, _SIZED)
    others = "".join(CODES.get(name, name) for name in ("REGION", SKIPPED, "WORD", "GENERIC", "COMMA"))
    classes = tuple(map("".join, kinds))
    name: Callable[..., tuple[str, dict[int, Mention], dict[int, Quantity]]] = native.namer(
        _meanings, is_compound, tuple(_DETERMINERS), tuple(ANY_REGION), _ANOTHER, classes, others
    ).name
    return name


def _mask(folded: str, found: Sequence[Quantity]) -> str:
    folded = _MASKS.sub("\x05", folded)
    parts: list[str] = []
    last = 0
    for quantity in found:
        begin, end = quantity.span
        parts += folded[last:begin], _LENGTH if quantity.unit == "m" else _CLOCK, _REST * (end - begin - 1)
        last = end
    masked = "".join(parts) + folded[last:] if parts else folded
    return _CONTRACTED.sub(_IS + _REST, masked) if "'s" in masked else masked


def _numbered(words: Sequence[str], indices: Sequence[int], base: int, count: int) -> dict[int, Mention]:
    """The meaning of each mention by number.

    "Region [0]" counts from 0 and "<region1>" from 1; "Region 1" counts from `base`. Whoever writes a 0 counts from 0, and
    whoever writes a number past the last region counts from 1.
    """
    if not indices:
        return {}
    meant = _meanings(frozenset([words[index] for index in indices]), base, count)
    return {index: meant[words[index]] for index in indices}


@lru_cache(maxsize=4096)
def _meanings(said: frozenset[str], base: int, count: int) -> Mapping[str, Mention]:
    """What each of a text's mentions by number means, beside the others."""
    found = {word: _number_of(word) for word in said}
    ranges: dict[str, tuple[int, int]] = {}
    for form, numbers in found.values():
        low, high = ranges.get(form, (1000, 0))
        ranges[form] = min(low, *numbers), max(high, *numbers)
    bases: dict[str, int] = {}
    for form, (low, high) in ranges.items():
        start = base if form == "" else _STARTS[form]
        bases[form] = 0 if low == 0 else 1 if count and high >= count + start else start
    return {word: mention_of(_ids(numbers, bases[form]), True) for word, (form, numbers) in found.items()}


_STARTS: Mapping[str, int] = {"[": 0, "<": 1}
"""Number of the first region, by form."""


@lru_cache(maxsize=4096)
def _ids(numbers: tuple[int, ...], base: int) -> Regions:
    return tuple(f"region{number - base + 1}" for number in numbers)


@lru_cache(maxsize=4096)
def _number_of(word: str) -> tuple[str, tuple[int, ...]]:
    """The form in which a mention is written, and its numbers."""
    form = "<" if "<" in word else "[" if _BRACKETED.search(word) else ""
    numbers = tuple(map(int, _INTEGER.findall(word)))
    spelled = word.split()[-1].strip("])>")  # "region one", and where somebody left out the blank "regionone"
    return form, numbers or tuple(number for name, number in _INTEGERS.items() if spelled.endswith(name))[:1]
