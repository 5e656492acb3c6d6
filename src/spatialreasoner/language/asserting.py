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

from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter

from spatialreasoner.language import declining
from spatialreasoner.language.scan import lazily
from spatialreasoner.language.tying import announces, is_tied, measured
from spatialreasoner.language.utterances import SUPPORTING, WITHHOLDING, Utterance, clauses_by_sentence, held_in

_ABBREVIATED = lazily(r"\b(e\.g|i\.e|approx|ca|vs|cf)\.,?")
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
_SHORT = 6
"""Words of the longest question that is a number with a question mark: "About 2 m, maybe?"."""
ANSWERS = lazily(
    r"\d|\b(?:yes|no|not|n't|true|false|correct|incorrect|right|left|front|behind|above|below|under|over|same|equal\w*|so"
    r"|one|two|three|foot|feet|regions?|opposite|ahead|\w{3,}er|more|less|half|doubt|disagree|agree|it|does|is)\b"
)
"""What anything that answers holds one of."""


def asserted(folded: str, *, choice: bool = False) -> str | None:
    """A folded text with blanks in the place of all that asserts nothing; None where nothing in it declines or asks.

    Args:
        folded: The text.
        choice: Whether the question asks which region, so that a region that is only named might be taken for the answer.
    """
    folded = _ABBREVIATED.sub(lambda match: match[1].ljust(len(match[0])), folded)
    held = held_in(folded, WITHHOLDING)
    if not held and "?" not in folded:
        return None
    held += held_in(folded, SUPPORTING)
    sentences = list(clauses_by_sentence(folded, held, choice=choice))
    every = [clause for sentence in sentences for clause in sentence if not clause.whole]
    if not any(map(_withholds, every)):
        return None
    judge = _Judge(every, choice=choice, announced=announces(folded))
    for sentence in sentences:
        judge.judge(sentence, last=sentence is sentences[-1])
    return judge.blanked()


def _withholds(clause: Utterance) -> bool:
    return clause.declines or clause.refused is not None or (clause.asks and not clause.closes)


_is_hard = attrgetter("hard")
_is_conditional = attrgetter("conditional")


class _Judge:
    """Tells which clauses of a reply assert something."""

    def __init__(self, every: Sequence[Utterance], *, choice: bool, announced: bool) -> None:
        self._choice, self._announced = choice, announced
        self._hard = any(map(_is_hard, every))
        cases = [one for one, after in pairwise(every) if declining.CASE.match(one.text) and after.measured()]
        cases += [one for one in every if one.text.startswith("with ") and one.measured() and one not in cases]
        for case in cases if len(cases) > 1 else ():  # "if you face the door, 3 o'clock; if you face the wall, 9 o'clock"
            case.conditional = True
        self._alternatives = sum(map(_is_conditional, every)) > 1
        self._head = True  # nothing but polite words so far
        self._listing = False  # examples or options, to the end of a sentence
        self._judged: list[tuple[Utterance, bool]] = []

    def judge(self, sentence: Sequence[Utterance], *, last: bool) -> None:
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
                or (bool(clause.found) and _is_said_by_the_way(clause, before, after))
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

    def _is_alternative(self, clause: Utterance) -> bool:
        """Whether one of several cases is told, or what a condition makes true: "if it is a mug, 10 cm; if a barrel, 1 m"."""
        if clause.own:
            return False
        return _VERDICT.match(clause.text) is not None or (self._alternatives and clause.measured())

    def _is_polite(self, clause: Utterance, after: Utterance | None) -> bool:
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


def _states(clause: Utterance) -> bool:
    """Whether a clause compares, and neither declines nor asks."""
    if clause.declines or clause.asks or not clause.compares:
        return False
    return _NOR.match(clause.text) is None and _AFFIRMS.fullmatch(clause.text) is None


def _is_said_by_the_way(clause: Utterance, before: Utterance | None, after: Utterance | None) -> bool:
    """Whether a clause tells what one sees, goes on with what was declined, or concedes before one that declines."""
    talks = clause.finds(declining.TALKS) and not (clause.own or clause.compares)
    goes_on = before is not None and before.declines and _NOR.match(clause.text) is not None
    concedes = after is not None and after.declines and _CONCEDES.match(clause.text) is not None
    return (bool(talks) and not clause.measured()) or goes_on or concedes


def _only_mentions(clause: Utterance, before: Utterance | None, after: Utterance | None) -> bool:
    """Whether a clause names one region without choosing it."""
    if clause.own or clause.compares or len(_REGION.findall(clause.text)) != 1 or clause.measured():
        return False
    apposed = before is not None and before.declines and after is not None and clause.text.rstrip().endswith(",")
    return (apposed and not _TURNS.match(clause.text)) or _NAMES.fullmatch(clause.text) is None
