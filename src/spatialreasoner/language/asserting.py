"""What a reply that somewhere withholds, asks or supposes still asserts.

Ways to decline are endless, and ways to answer are few. So where any clause of a reply says that something cannot be done,
known or seen, or asks for more, the burden is turned round: only what is asserted of what is asked counts. A clause is one of

- declining: "I can't tell", "there is no scale", "it depends on the room";
- asking: a question, or what the reader is to do ("please upload it", "you could measure it");
- supposing: a condition, a purpose, what is assumed ("if the door were 2 m", "to know whether it is");
- general: what holds of all such things, or an example ("doors are usually 2 m high");
- asserting: all else.

Only asserting clauses are read on; the others are blanked, and a length or an hour must be tied to the question (`tying`). A
yes or no that opens a reply which withholds all of it is mere politeness: "Yes, of course! Please send me the picture."
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from operator import attrgetter

from spatialreasoner.language import declining
from spatialreasoner.language.numbers import BEGINS
from spatialreasoner.language.scan import lazily, parted
from spatialreasoner.language.tying import FIRST_PERSON, announces, is_tied, measured, measures

_STOP = lazily(r"(?<=[a-z\d)\]\"'*%][.!?])[)\"'*]*\s+|(?<=[!?])\s*|\n+|(?<=[:;])\s+")
_CUT = lazily(
    r",\s+|\s(?=(?:but|yet|though|although|however|while|only that|so i'd)\b)|\s-\s|\s?\((?=[a-z~\d])|\)|;\s*|(?<=\w)\.\s+"
    r"|…\s*|\.\.\.\s*"
)
_ABBREVIATED = lazily(r"\b(e\.g|i\.e|approx|ca|vs|cf)\.,?")
_NOT_COMPARING = (
    "however either neither whether rather together another other over under per order user number paper later never "
    "answer corner center after meter centimeter ruler consider cover enter remember rest interest request suggest best "
    "test latest honest guest"
)
_COMPARES = lazily(
    rf"\b(?!(?:{'|'.join(_NOT_COMPARING.split())})\b)\w{{2,}}(?:er|est)\b|\b(?:more|less|wins?|first|second|former|latter"
    rf"|opposite"
    r"|in front|behind|above|below|over|under|left|right|same|equal\w*|as (?:tall|wide|big|high)|towers|dwarfs)\b"
)
_REGION = lazily(r"\bregions? ?[\[<(#]?\d[\])>]?")
_NAMES = lazily(
    r"\W*(?:(?:but|so|then|it's|that's|it|is|was|probably|most|likely|maybe|perhaps|possibly|say|the|answer|that|i|i'd|go"
    r"|with|for"
    r"|think|rather|clearly|must|be|actually|instead|would|choice|pick|my|and|final|correct|taller"
    r"|one)\W+)*regions? ?\S{1,3}\W*(?:\w+ly )?(?:is|does|has|wins|it is|i think|then|i'd say|probably|though|instead)?\W*"
)
"""A clause that does nothing but choose a region."""
_AFFIRMS = lazily(
    r"\W*(?:sorry|oh|well|hmm|ok|okay)?\W*(?:but )?(?:yes|no|sure(?: thing)?|certainly|absolutely|of course|gladly|yeah"
    r"|yep|right|you're right|true|correct|definitely|indeed|false|neither)\W*(?:of course|sure|certainly)?\W*"
)
_POLITE = lazily(
    r"\W*(?:and )?(?:i (?:can|do|see|did|understand|found|have|could|notice)\b(?!n't)|(?:that|it|this)(?:'s| is) (?:a |an "
    r"|possible)|there (?:is|are)\b|you\b|(?:both|all|the (?:image|picture|photo|two))\b.{0,60}\b(?:visible|there|marked"
    r"|shown|loaded|present|load))"
)
_TURNS = lazily(r"\W*(?:but|yet|however|though|although|so|still|instead|even so)\b")
_OF_SIGHT = lazily(r"\b(?:do|can|could) (?:i|we)\b|\b(?:is|are) there\b")
_JOINS = lazily(r"\W*(?:but|yet|however|though|although|so|and|even|then|still|even so)\b[\s,]*")
_CONCEDES = lazily(r"\W*(?:even )?(?:though|although|while|even if)\b")
_NOR = lazily(r"\W*(?:nor|and|or) (?:that|whether|if|do|does|can|is)\b")
_IT = lazily(r"\W*(?:(?:but|yet|so|still|and|even|though)\W+)*(?:it|its)\b")
_REACHES_ON = lazily(r"\b(?:make up|invent|whether|if (?:it|region|they|that)|need|want|requir\w+)\b")
"""Words of a declining clause that also governs what follows it in its sentence."""
_SORRY = lazily(r"sorry|apolog|afraid")
_GLUED = lazily(rf"[)…](?:{BEGINS})")
"""Where a clause may give a length that the whole text, in which a number must stand apart, does not."""
_LONG = 40
"""Characters of the longest "yes, of course"."""
_SHORT = 6
"""Words of the longest question that is a number with a question mark: "About 2 m, maybe?"."""
ANSWERS = lazily(
    r"\d|\b(?:yes|no|not|n't|true|false|correct|incorrect|right|left|front|behind|above|below|under|over|same|equal\w*|so"
    r"|one|two|three|foot|feet|regions?|opposite|ahead|\w{3,}er|more|less|half|doubt|disagree|agree|it|does|is)\b"
)
"""What anything that answers holds one of."""
_Patterns = Collection["re.Pattern[str]"]
_Sought = tuple["re.Pattern[str]", "re.Pattern[str]"]
_Held = tuple["re.Pattern[str]", "re.Pattern[str]", list["re.Match[str]"]]


class _Clause:
    """A clause of a sentence, or sentences in a row that only assert and measure nothing: those are left in one piece.

    Attributes:
        start: Where it begins.
        end: Where it ends, with what parts it from the next.
        text: What it says.
        asked: Whether its sentence is a question.
        whole: Whether it is sentences left in one piece.
        refused: What in front of it declines, (start, end), where it answers behind that: "without a scale I'd say 2 m".
        declines: Whether it declines.
        asks: Whether it asks for something.
        found: What may be found in it, as its sentence holds it.
        closes: Whether its sentence only repeats the question, or asks whether the answer is right.
        own: Whether it says something in the first person.
        supposes: Whether it supposes something.
        conditional: Whether it is a condition.
        hard: Whether what it declines or asks leaves nothing to be answered, rather than only how exact that is.
    """

    refused: tuple[int, int] | None = None
    declines = asks = closes = own = supposes = conditional = hard = False

    def __init__(
        self, start: int, end: int, text: str, asked: bool, found: _Patterns, *, sized: bool, whole: bool = False
    ) -> None:
        self.start, self.end, self.text, self.asked, self.whole = start, end, text, asked, whole
        self.found = found
        self._measured = None if sized else False
        if found or asked:  # else it holds no word by which it could be anything but an assertion
            self._look(text)

    def _look(self, text: str) -> None:
        """Find out what it does but assert."""
        found = declining.denial(text) if declining.DECLINES in self.found else None
        own = found and self.finds(FIRST_PERSON, found.end())
        if own and not declining.DECLINES.search(text, own.end()):
            self.refused, found = (self.start, self.start + own.start()), None
            self.start, self.text = self.refused[1], text[own.start() :]
            text = self.text
        self.own = self.finds(FIRST_PERSON) is not None
        self.supposes = self.finds(declining.SUPPOSES) is not None
        self.conditional = self.supposes and declining.CONDITION.match(text) is not None
        hidden = self.finds(declining.VIEW) is not None and not self.compares
        self.declines = found is not None or hidden or (not self.own and self.finds(declining.WAVERS) is not None)
        self.asks = self.asked or self.finds(declining.ASKS) is not None
        echo = self.asked and "region" in text and " you" not in text and self.compares
        echo = echo or (self.asked and declining.FRAGMENT.fullmatch(text) is not None)
        self.closes = self.asked and (echo or declining.CLOSES.search(text) is not None)
        exact = found is None or (
            declining.ONLY_EXACTNESS.search(text) is not None and declining.ALL_OF_IT.search(text) is None
        )
        self.hard = (self.declines and not exact) or (not echo and " you" in text if self.asked else self.asks)

    def finds(self, pattern: "re.Pattern[str]", begin: int = 0) -> "re.Match[str] | None":
        """The first match of a pattern, which is not looked for where its sentence has none."""
        return pattern.search(self.text, begin) if pattern in self.found else None

    @property
    def compares(self) -> bool:
        """Whether it holds a word that compares."""
        return _COMPARES.search(self.text) is not None

    def measured(self) -> bool:
        """Whether it holds a length or an hour."""
        if self._measured is None:
            self._measured = measured(self.text) is not None
        return self._measured


def asserted(folded: str, *, choice: bool = False) -> str | None:
    """A folded text with blanks in the place of all that asserts nothing; None where nothing in it declines or asks.

    Args:
        folded: The text.
        choice: Whether the question asks which region, so that a region that is only named might be taken for the answer.
    """
    folded = _ABBREVIATED.sub(lambda match: match[1].ljust(len(match[0])), folded)
    held = _held_in(folded, _WITHHOLDING)
    if not held and "?" not in folded:
        return None
    held += _held_in(folded, _SUPPORTING)
    sentences = list(_sentences(folded, held, choice=choice))
    every = [clause for sentence in sentences for clause in sentence if not clause.whole]
    if not any(map(_withholds, every)):
        return None
    judge = _Judge(every, choice=choice, announced=announces(folded))
    for sentence in sentences:
        judge.judge(sentence, last=sentence is sentences[-1])
    return judge.blanked()


def _sentences(folded: str, held: Sequence[_Held], *, choice: bool) -> Iterator[list[_Clause]]:
    """The clauses of each sentence; sentences in a row that only assert, and measure nothing, are left in one piece.

    Args:
        folded: A text.
        held: The patterns that its clauses may match.
        choice: Whether every sentence is cut up.
    """
    sizes = sorted(measures(folded))
    glued = _GLUED.search(folded) is not None
    spans = list(parted(_STOP, folded, 0, len(folded)))
    whole: int | None = None  # where a run of sentences begins that are left in one piece
    asserts = False  # whether one that does more than to be polite came before
    questions = "?" in folded
    for (begin, end), found in zip(spans, _found_in(folded, spans, held), strict=True):
        asked = questions and _asks(folded, begin, end)
        size = bisect_left(sizes, begin)
        sized = size < len(sizes) and sizes[size] < end
        if not (choice or asked or found or sized) and (asserts or end - begin > _LONG):
            whole = begin if whole is None else whole
            asserts = True
            continue
        if whole is not None:
            yield [_Clause(whole, begin, folded[whole:begin], False, found=(), sized=False, whole=True)]
            whole = None
        clauses = [
            _Clause(first, last, folded[first:last], asked, found, sized=sized or glued)
            for first, last in parted(_CUT, folded, begin, end)
        ]
        if len(clauses) > 1 and declining.WAVERS in found:
            for clause in clauses:
                clause.declines = clause.declines or not clause.own
        yield clauses
    if whole is not None:
        yield [_Clause(whole, len(folded), folded[whole:], False, found=(), sized=False, whole=True)]


def _asks(folded: str, begin: int, end: int) -> bool:
    """Whether a sentence is a question."""
    asks = folded.rfind("?", begin, end)
    return asks >= 0 and not folded[asks + 1 : end].strip(" \n*\"')")


_WITHHOLDING = (
    (declining.DECLINES, declining.DECLINES),
    (declining.WAVERS, declining.WAVERS),
    (declining.VIEW, declining.VIEW),
    (declining.ASKS, declining.MAY_ASK),
)
_SUPPORTING = (
    (declining.APPARENT, declining.APPARENT),
    (declining.IN_GENERAL, declining.IN_GENERAL),
    (declining.LISTS, declining.MAY_LIST),
    (declining.TALKS, declining.TALKS),
    (declining.SUPPOSES, declining.MAY_SUPPOSE),
    (FIRST_PERSON, FIRST_PERSON),
)
"""Patterns for a clause, each with one that finds it anywhere: some look at how a clause begins."""


def _held_in(text: str, patterns: Iterable[_Sought]) -> list[_Held]:
    """Those of some patterns that a clause of a text may match, with its matches: most texts withhold nothing, and stay whole."""
    return [(own, anywhere, found) for own, anywhere in patterns if (found := list(anywhere.finditer(text)))]


def _found_in(text: str, spans: Sequence[tuple[int, int]], held: Iterable[_Held]) -> Sequence[_Patterns]:
    """For each sentence the patterns that its clauses may match: a sentence is searched where the text has a match."""
    begins = [begin for begin, _ in spans]
    found: list[set[re.Pattern[str]]] = [set() for _ in spans]
    for own, anywhere, matches in held:
        if own is FIRST_PERSON and "call it" in text:  # for which it looks at how a sentence begins
            for at, (begin, end) in enumerate(spans):
                if anywhere.search(text[begin:end]):
                    found[at].add(own)
            continue
        for match in matches:
            first, last = match.span()
            at = bisect_right(begins, first) - 1
            if last <= spans[at][1]:
                found[at].add(own)
                continue
            for reached in range(at, bisect_left(begins, last)):
                if anywhere.search(text[slice(*spans[reached])]):
                    found[reached].add(own)
    return found


def _withholds(clause: _Clause) -> bool:
    return clause.declines or clause.refused is not None or (clause.asks and not clause.closes)


_is_hard = attrgetter("hard")
_is_conditional = attrgetter("conditional")


class _Judge:
    """Tells which clauses of a reply assert something."""

    def __init__(self, every: Sequence[_Clause], *, choice: bool, announced: bool) -> None:
        self._choice, self._announced = choice, announced
        self._hard = any(map(_is_hard, every))
        cases = [one for one, after in pairwise(every) if declining.CASE.match(one.text) and after.measured()]
        cases += [one for one in every if one.text.startswith("with ") and one.measured() and one not in cases]
        for case in cases if len(cases) > 1 else ():  # "if you face the door, 3 o'clock; if you face the wall, 9 o'clock"
            case.conditional = True
        self._alternatives = sum(map(_is_conditional, every)) > 1
        self._head = True  # nothing but polite words so far
        self._listing = False  # examples or options, to the end of a sentence
        self._judged: list[tuple[_Clause, bool]] = []

    def judge(self, sentence: Sequence[_Clause], *, last: bool) -> None:
        """Judge the clauses of the next sentence."""
        before = self._judged[-1][0] if self._judged else None
        told = before is not None and self._hard and before.asked and _OF_SIGHT.search(before.text) is not None
        if told and all(_AFFIRMS.fullmatch(clause.text) for clause in sentence):
            self._judged += [(clause, True) for clause in sentence]  # "Do I see Region 1? No."
            return
        if sentence[0].whole:
            listed = self._listing and ". " not in sentence[0].text.rstrip()
            self._judged.append((sentence[0], listed))
            self._head = False
            return
        conditional = any(map(_is_conditional, sentence))
        asked = sentence[0].asked
        whole = " ".join(clause.text.strip() for clause in sentence) if conditional or asked else ""
        supposed = conditional and (
            declining.HYPOTHETICAL.search(whole) is not None or declining.IF_HIDDEN.search(whole) is not None
        )
        supposed = supposed or (self._choice and sentence[0].text.startswith("assuming region"))
        guess = last and asked and len(whole.split()) <= _SHORT and measured(whole) is not None and is_tied(whole)
        compares = self._head and any(map(_states, sentence))
        contrast = governed = aside = general = False
        brackets = any("(" in clause.text for clause in sentence)
        before = None
        for at, clause in enumerate(sentence):
            after = sentence[at + 1] if at + 1 < len(sentence) else None
            governed = governed and not _TURNS.match(clause.text)
            opens = brackets and before is not None and before.text.rstrip().endswith("(")
            example = aside and not opens and not clause.own and clause.measured()  # "(focal length of, say, 50 mm)"
            aside = (aside or opens) and not clause.text.rstrip().endswith(")")
            # "a door is 2 m (6.6 ft)", "if it is a door (2 m), you can"
            doubled = opens and before is not None and self._judged[-1][1] and (before.measured() or before.supposes)
            example = example or (doubled and not self._announced and clause.measured())
            example = example or ("otherwise" in clause.text and bool(self._judged) and self._judged[-1][1])
            idle = clause.declines or (clause.asks and not guess) or clause.supposes or example
            idle = idle or (governed and not clause.own) or (at > 0 and declining.OF_COURSE.fullmatch(clause.text) is not None)
            general = (general and not _TURNS.match(clause.text)) or (clause.found and clause.finds(declining.IN_GENERAL))
            unsaid = supposed or self._listing or (clause.found and clause.finds(declining.APPARENT))
            unsaid = unsaid or (bool(general) and not clause.measured() and _REGION.search(clause.text) is None)
            idle = idle or (bool(unsaid) and not clause.own)
            idle = (
                idle
                or (conditional and not declining.UNLESS.match(sentence[0].text) and self._is_alternative(clause))
                or _is_said_by_the_way(clause, before, after)
            )
            idle = idle or (self._choice and _only_mentions(clause, before, after))
            idle = idle or (self._head and not contrast and not compares and self._is_polite(clause, after))
            known = before.text if self._announced and before is not None and not self._judged[-1][1] else ""
            idle = idle or (clause.measured() and not is_tied(clause.text, announced=self._announced, behind=known))
            self._judged.append((clause, idle))
            contrast = contrast or (clause.declines and _SORRY.search(clause.text) is None)
            reaches = clause.declines and _REACHES_ON.search(clause.text) is not None
            governed = governed or reaches or (clause.asks and not clause.asked)
            self._head = self._head and (idle or _AFFIRMS.fullmatch(clause.text) is not None)
            self._listing = self._listing or (not self._announced and clause.finds(declining.LISTS) is not None)
            before = clause
        self._listing = self._listing and sentence[-1].text.rstrip(" ").endswith((":", ",", ";"))
        told = self._judged[-1][1] and _AFFIRMS.fullmatch(sentence[-1].text) is not None  # "* Yes" of "* Yes * No"
        self._head = self._head and (told or not sentence[-1].text.strip(" \n*>#."))

    def _is_alternative(self, clause: _Clause) -> bool:
        """Whether one of several cases is told, or what a condition makes true: "if it is a mug, 10 cm; if a barrel, 1 m"."""
        if clause.own:
            return False
        return _VERDICT.match(clause.text) is not None or (self._alternatives and clause.measured())

    def _is_polite(self, clause: _Clause, after: _Clause | None) -> bool:
        """Whether a yes or no only opens a reply that withholds or talks about itself."""
        if not _AFFIRMS.fullmatch(clause.text):
            return False
        refuses = after is not None and (bool(_POLITE.match(after.text)) or (after.declines and after.text.startswith("i")))
        return self._hard or refuses

    def blanked(self) -> str:
        """The text without what asserts nothing; a region to which "it" refers back stays."""
        following = [*self._judged[1:], None]
        kept: list[str] = []
        reached, idle_before, opened = 0, False, False
        for (clause, idle), behind in zip(self._judged, following, strict=True):
            begin, end = clause.start, clause.end
            kept.append(" " * (begin - reached))  # what in front of it declines
            reached = end
            ends = clause.text.rstrip().endswith((".", "!", "?", ":"))
            if idle:
                named = list(_REGION.finditer(clause.text))
                refers = behind is not None and not behind[1] and _IT.match(behind[0].text)
                if behind and refers and len(named) == 1 and (behind[0].compares or not self._choice):
                    first, last = named[0].span()
                    kept.append(" " * first + clause.text[first:last] + " " * (end - begin - last))
                else:
                    said = len(clause.text.rstrip()) - 1  # what is kept must not run on into the next sentence
                    kept.append((" " * said + "." * (ends and opened)).ljust(end - begin))
                opened = opened and not ends
            else:
                opened = not ends
                joins = _JOINS.match(clause.text) if idle_before else None
                text = clause.text.replace("?", ".") if clause.asked else clause.text  # "about 2 m?" gives 2 m
                kept.append(" " * joins.end() + text[joins.end() :] if joins else text)
            idle_before = idle
        return "".join(kept)


_VERDICT = lazily(r"\W*(?:then )?(?:yes|no)\b")


def _states(clause: _Clause) -> bool:
    """Whether a clause compares, and neither declines nor asks."""
    if clause.declines or clause.asks or not clause.compares:
        return False
    return _NOR.match(clause.text) is None and _AFFIRMS.fullmatch(clause.text) is None


def _is_said_by_the_way(clause: _Clause, before: _Clause | None, after: _Clause | None) -> bool:
    """Whether a clause tells what one sees, goes on with what was declined, or concedes before one that declines."""
    talks = clause.found and clause.finds(declining.TALKS) and not (clause.own or clause.compares)
    goes_on = before is not None and before.declines and _NOR.match(clause.text) is not None
    concedes = after is not None and after.declines and _CONCEDES.match(clause.text) is not None
    return (bool(talks) and not clause.measured()) or goes_on or concedes


def _only_mentions(clause: _Clause, before: _Clause | None, after: _Clause | None) -> bool:
    """Whether a clause names one region without choosing it."""
    if clause.own or clause.compares or len(_REGION.findall(clause.text)) != 1 or clause.measured():
        return False
    apposed = before is not None and before.declines and after is not None and clause.text.rstrip().endswith(",")
    return (apposed and not _TURNS.match(clause.text)) or _NAMES.fullmatch(clause.text) is None
