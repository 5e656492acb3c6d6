"""A sentence as the rules see it: the classes of its words, the few words that they look at, and the regions that it mentions.

What a sentence says of which region depends neither on its numbers nor on its nouns, and writers have few ways to say it. So
one reading serves all sentences of the same form: see `grammar.read_sentence`.
"""

from typing import NamedTuple

from spatialreasoner.language.labels import Mention, Regions
from spatialreasoner.language.lexicon import CODES, SKIPPED, codes_of, rule
from spatialreasoner.language.tokens import Reading

MENTIONS = codes_of("REGION", "PAIR", "IT", "OTHER", "FORMER", "LATTER")
"""The classes of what may mean a region."""

MAX_SENTENCE_TOKENS = 250
"""A longer sentence is cut: rules may look back to its start, and the whole must stay linear in the text."""
SENTENCE_ENDS = codes_of("STOP", "ASKED", "LINE", "BULLET")
"""The classes of what ends a sentence."""
_SENTENCE = rule(f"[^STOP ASKED LINE BULLET]{{1,{MAX_SENTENCE_TOKENS}}} [STOP ASKED LINE BULLET]? | [STOP ASKED LINE BULLET]")
"""A run of classes with its end, or of as many as are read at once; all of them joined are the text's."""
SAYING = MENTIONS | codes_of(
    *("AMOUNT", "HOUR", "TIMES", "SIDE", "OVER", "FRONT", "COMPARED", "MOST", "CLOSER", "FARTHER", "MORE", "LESS")
)
"""The classes of what may say something of a region."""


class Sentence(NamedTuple):
    """One sentence.

    Attributes:
        words: What rules look at of each token, as in `Reading.forms`.
        codes: The class of each token, and of the one that ends the sentence if there is one.
        num_regions: How many regions the question has, as far as can be seen.
    """

    words: tuple[str | Mention, ...]
    codes: str
    num_regions: int

    @property
    def asked(self) -> bool:
        """Whether it is a question."""
        return self.codes.endswith(CODES["ASKED"])

    def word(self, token: int) -> str:
        """A token's word, "" where the rules look at its class alone."""
        word = self.words[token]
        return word if isinstance(word, str) else ""

    def everything(self) -> Regions:
        """All regions of the question."""
        return tuple(f"region{number}" for number in range(1, self.num_regions + 1))

    def pair(self) -> Regions:
        """Both regions of a question that has two."""
        return self.everything() if self.num_regions == 2 else ()

    def others(self, regions: Regions) -> Regions:
        """The other region, where there are two in all; else nothing."""
        rest = tuple(region for region in self.pair() if region not in regions)
        return rest if len(regions) == len(rest) == 1 else ()

    def meant(self, code: str, token: int, context: Regions) -> Regions:
        """The regions that a mention of that class means, where the text spoke of `context` just before."""
        if code == CODES["IT"]:
            return context if len(context) == 1 else self.everything() if self.num_regions == 1 else ()
        if code == CODES["PAIR"]:
            return context if len(context) == 2 else self.pair()
        if code == CODES["OTHER"]:
            return self.others(context)
        return self.mentioned(token)

    def mentioned(self, token: int) -> Regions:
        """The regions that a token names; none where it names a thing that is not a region."""
        word = self.words[token]
        return () if isinstance(word, str) else word.regions

    def is_explicit(self, token: int) -> bool:
        """Whether a mention names its region by number, not by a label."""
        word = self.words[token]
        return not isinstance(word, str) and word.explicit


INTRODUCES = ("WORD", SKIPPED, "BE")
"""A noun, and behind it, and behind words that say nothing, a verb: "it" may mean what they introduce."""
_INTRODUCES = rule(f"{INTRODUCES[0]} {SKIPPED}* {INTRODUCES[2]}")


SentenceForm = tuple[tuple[str | Mention, ...], str, int]
"""The attributes of a sentence: many are looked up by them, and few are new."""


def sentences(reading: Reading) -> list[tuple[int, SentenceForm]]:
    """The sentences of a text that may say something of a region, or whom "it" means, each with its first token's number."""
    codes, words, num_regions = reading.codes, reading.forms, reading.count
    refers = CODES["IT"] in codes
    found: list[tuple[int, SentenceForm]] = []
    at = 0
    for sentence in _SENTENCE.findall(codes):
        begin, at = at, at + len(sentence)
        if not SAYING.isdisjoint(sentence) or (refers and _INTRODUCES.search(sentence)):
            end = at - (sentence[-1] in SENTENCE_ENDS)
            found.append((begin, (tuple(words[begin:end]), sentence, num_regions)))
    return found
