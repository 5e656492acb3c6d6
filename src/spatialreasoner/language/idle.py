"""What of a reply that says "I cannot" answers nothing: what it needs, asks for, supposes, advises, gives as an example.

"I'd need a reference, e.g. a 30 cm ruler" gives no length, and "Yes, I see the regions" is no yes.
"""

import json
import re

from spatialreasoner.language.scan import lazily

_LONGEST = 2_000
"""Characters of the longest text that is looked through; few answers without an answer are longer."""
_OWN = lazily(
    r"\b(?:i(?:'d| would|'ll| will)? (?:say|guess|estimate|go|put|think|believe)|my |estimate[ds]?\b|therefore|so it"
    r"|(?<!behind )(?<!beside )(?:it|this|that|they) (?:is|are|looks?|appears?|seems?|measures?|stands?)\b"
    r"|if i (?:had|have|were|was|must)|(?<!of )(?<!in )(?<!is )regions? ?\S{1,4} (?:is|are|has|appears|looks|seems|measures))"
)
"""A piece that says it of the regions, or in the first person, is not idle for a "usually" in it."""
_GUESS = lazily(
    r"\bi(?:'d| would|'ll| will)? (?:say|guess|estimate|go|put)\b|\bbest\b|\bestimate|\bif i (?:had|have|were|must)\b"
)
_PIECE = lazily(
    r"(?<=[a-z\d)\]\"'][.!?;])\s+|\n+|, (?=(?:but|so|yet|hence|however|though|although|which|and)\b)| (?=(?:but|though|yet) )"
)
_CLAUSES = (
    r"\b(?:for example|for instance|such as)[^;)\n]{0,200}?(?=[;)\n]|\.(?!\d)|$)",
    r"\b(?:if|unless|suppose|supposing|assuming|once|as soon as|when(?:ever)?) (?!i (?:had|have|were|was|must)\b|anything"
    r"|not\b|so\b|you (?!can |could |tell|give|provide|share|know|send|let|upload|have|include))(?:[^,:;.\n]|\.(?=\d)){0,200}",
    r"\b(?:whether|wonder|(?:tell|say|know|see|determine|decide|judge|asked) if)\b(?:[^;.\n]|\.(?=\d)){0,200}?(?= but "
    r"|[;\n]|\.(?!\d)|$)",
    r"\b(?:taking|defining) \d[^,;.\n]{0,120}",
    r"\d o'? ?clock (?:means|stands for|denotes|corresponds|represents|is defined)[^;.\n]{0,120}",
    r"\b(?:somewhere |anywhere )?(?:between 1 and 12|from 1 to 12)\b(?: o'? ?clock)?",
    r"\b(?:yes|no|sure|certainly)[,.!]* (?:i (?:can |do |did |could )*(?:see|understand|found|notice|find|help|view|spot"
    r"|recogni[sz]e)\b"
    r"|(?:it|that|this)(?:'s| is) possible|(?:both|all|the (?:image|picture|photo|two))\b[^,;.\n]{0,120}\b(?:visible"
    r"|loaded|shown"
    r"|there|marked|labell?ed|present)|there (?:is|are)\b)[^,;.\n]{0,120}",
)
_CLAUSE = lazily("|".join(_CLAUSES))
_HEDGED = (
    r"\b(?:either|could|might|may|can|anything|anywhere|somewhere)\b[^;\n]{0,120}\b(?:or|could|might|and|to)\b[^;\n]{0,120}",
    r"\b(?:hypothetically|theoretically|in theory|in principle)\b",
)
_IDLE = lazily(
    r"\b(?:i|we|you|one)(?:'d| would| do|'ll| will)?(?: also| really| still| at least)? (?:need|require)\b(?! to (?:look"
    r"|rotate|turn|go|walk|move|face|step|swivel))"
    r"|\bit (?:would|will) (?:need|require|take)\b|\b(?:requires|(?:would be|is|are) (?:needed|required|necessary))\b"
    r"|\b(?:please|kindly) (?:\w+ )?(?:specify|clarify|provide|give|send|let|tell|confirm|indicate|mark|share|upload"
    r"|check|use|measure)\b"
    r"|\blet me know (?!if you (?:need|have|want|would|'d))|\bdo you (?:mean|want|know|have)\b"
    r"|\bi(?:'d| would)? (?:suggest|recommend|advise)\b|^\W*(?:use|try|consider|get|measure) an?\b"
    r"|\byou(?:'d| would|'ll)? (?:have to|could|can|may|should|might) (?:measure|use|try|also)\b|\bsome(?:one"
    r"|body) (?:with|who)\b"
    r"|^\W*(?:also,? )?(?:is|are|do|does|did|(?:could|can|would) you|which|what|who|how|in (?:met\w+|feet"
    r"|inches))\b[^?]{0,200}\?"
    r"|\bwould (?:just |only |merely |simply )?be (?:\w+ )?(?:misleading|guess\w*|made up|specul\w+|dishonest|arbitrary"
    r"|invented"
    r"|unreliable|irresponsible|wrong)\b|\bcan't just say\b|\bsaying [\"'\d]"
    r"|\bsomething (?:that )?i (?:avoid|do not|don't|won't|cannot|can't)\b"
    r"|\bwall clock\b|\b(?:clock|watch|timestamp|sign|display|label|caption|speedometer"
    r"|thermometer)\b[^;]{0,60}\b(?:shows?|reads?|says?)\b"
    r"|^\W*(?:place|put|ask me|attach)\b|\berrors (?:of|stay|are)\b|^\W*(?:an? |the )?ruler\b|\b(?:could"
    r"|can) only (?!estimate|guess|approximate|go\b|say)|\bonly if\b"
    r"|\b(?:replies|answers|numbers|figures|values|positions|directions) (?:such as|like)\b|\bin the (?:morning|afternoon"
    r"|evening)\b"
    r"|\bfor regions? ?\S{1,4} to be\b"
    r"|\bscale ambiguity\b|\bdividing\b|\bjust attach\b|^\W*what (?:does|do|is|exactly)\b[^?]{0,200}\?|\bdepth data\b"
    r"|\bbefore i (?:compare|answer)\b"
    r"|\bbe guessing\b|\bpicking\b[^.]{0,60}\barbitrary"
    r"|\b(?:laser|range ?finder|tape measure|lidar|depth (?:sensor|camera)|stereo (?:pair|camera))\b"
)
_GENERAL = lazily(
    r"\b(?:on average|averages?|usually|typical(?:ly)?|general(?:ly)?|normal(?:ly)?|standard|common(?:ly)?|for reference|often"
    r"|var(?:y|ies)|ranges? (?:from|between)|tend to)\b"
)
_OFFER = lazily(
    r"\bi(?:'ll| will| can| could) (?:then |also )?(?:calculate|compute|convert|estimate|determine|work (?:it |that )?out"
    r"|tell|help|compare"
    r"|answer)\b(?:[^:\d]|(?<=[\[<(])\d|(?<=region )\d){0,200}$"
)
_WAVERS = lazily("|".join(_HEDGED) + r"|\b(?:may|might|could) (?:\w+ )?(?:appear|look|seem)\b")
_SUPPOSED = lazily(
    r"\bif\b[^;\n]{0,120}\bif\b|\bdepend(?:s|ing)? on\b|\bif (?:it|this|that)(?:'s| is)\b|\b(?:if|suppose"
    r"|assuming)\b[^;\n]{0,120}\b(?:would|might|could)\b"
)
_POLITE = lazily(r"\W*(?:certainly|sure|of course|no problem|absolutely|gladly|okay|ok|great|but|so|also)?\W*")


def without_idle(folded: str, *, wavers: bool = False) -> str:
    """A folded text without what answers nothing.

    Args:
        folded: The text.
        wavers: Whether what is only possible or supposed, or so of all things, is left out, too: "it could be 2 m or 20 m".

    >>> without_idle("i'd need to know more, e.g. that the door is 2 m high. it is red.")
    'it is red.'
    """
    kept = (_CLAUSE.sub(" ", piece).strip() for piece in _pieces(folded) if not _is_idle(piece, wavers=wavers))
    return folded if len(folded) > _LONGEST else "\n".join(kept)


def _pieces(folded: str) -> list[str]:
    """The sentences of a text, and the halves of those that turn: "..., but ..."."""
    return [piece for piece in _PIECE.split(folded.replace("e.g.", "for example")) if piece and piece.strip()]


def _is_idle(piece: str, *, wavers: bool) -> bool:
    if _IDLE.search(piece) and not _no_need(piece):
        return True
    if _OFFER.search(piece) and not _OWN.search(piece.replace("estimate", "")):
        return True
    if wavers and _GENERAL.search(piece) and not _OWN.search(piece):
        return True
    return wavers and bool((_SUPPOSED.search(piece) or _WAVERS.search(piece)) and not _GUESS.search(piece))


_ATTRIBUTED = lazily(
    r"^\W*(?:(?:so|but|and|then|yes|no|probably|perhaps|maybe|overall|only)[, ]+)*(?:\d|about|around|approx\w*|roughly"
    r"|almost|nearly|at least|some"
    r"|it\b|they|this|that\b|these|my\b|i\b|i'|its?\b|(?:height|width|distance|depth|regions?)\b|estimated?|both|one\b|\w+:"
    r"|(?:the|an?) (?:\w+ )?(?:distance|height|width|gap|space|separation|two|both|regions?|estimate|answer|direction|value)\b"
    r"|the (?!camera|photographer|viewer)\w+ (?:is|are|looks?|appears?|seems?|has|measures)\b)|\bregions? ?\S{1,4} (?:is"
    r"|are|has|looks|appears|seems"
    r"|measures|lies)\b"
)
_LENGTH = lazily(r"\d")
_YES = lazily(
    r"^\W*(?:yes|no|sure|absolutely|certainly)\b(?=[, ]+[a-z])(?![^.;]{0,200}(?:\w{3,}er\b|\bso\b|\bis\b|\bdoes\b|n't\b|left"
    r"|right|behind|front))"
)


def is_of_own(piece: str) -> bool:
    """Whether a piece of a text, which gives a number or a yes, gives it of what is asked, not of fences or cars."""
    if _YES.search(piece):
        return False
    bare = re.sub(r"regions? ?[\[<(#]?\d", "region", piece)
    return _LENGTH.search(bare) is None or _ATTRIBUTED.search(piece) is not None or _OWN.search(piece) is not None


def _no_need(piece: str) -> bool:
    return re.search(r"\b(?:no|not|n't)\b[^;]{0,30}\b(?:need|require|necessary)", piece) is not None


_WANTING = (
    "need needs needed require requires required please kindly clarify suggest recommend misleading guessing if "
    "unless assuming suppose whether which mean means taking use someone example between reads shows made such saying "
    "clock laser lidar tape sensor stereo something usually typically average standard range generally place put ask "
    "attach errors ruler only dividing what how before who replies answers numbers figures values morning afternoon "
    "evening for ambiguity"
)
_WANTS = lazily(rf"\b(?:{'|'.join(_WANTING.split())})\b")
_CONTENT = lazily(r"[a-z\d]")


def is_all_idle(folded: str) -> bool:
    """Whether nothing is left of a text without what answers nothing, but a polite word."""
    if len(folded) > _LONGEST or _WANTS.search(folded) is None:
        return False
    asks = False
    for piece in _pieces(folded):
        if _is_idle(piece, wavers=False):
            asks = True
        elif not (_GENERAL.search(piece) and not _OWN.search(piece)):
            rest = _CLAUSE.sub(" ", piece)
            if _CONTENT.search(rest) and not _POLITE.fullmatch(rest):
                return False
            asks = asks or rest != piece
    return asks


_NOTHING = frozenset(
    ("", "null", "none", "unknown", "n/a", "na", "nan", "-", "?", "undetermined", "unclear", "unsure", "indeterminate",
     "unanswerable", "not applicable", "cannot determine", "not visible", "error", "-1")
)  # fmt: skip


_ASKED_KEY = lazily(r"^(?:(?:final_?)?answer|distance|height|width|direction|clock|hour)")


def fields_answer(folded: str) -> bool | None:
    """Whether the first field of a JSON reply holds an answer; None where the reply is not a JSON object."""
    text = folded.strip().removeprefix("```json").strip("`\n ")
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not value:
        return None
    fields: dict[str, object] = value  # type: ignore[assignment]
    first = fields.get("answer", next(iter(fields.values())))
    asked = [str(value).strip().lower() for key, value in fields.items() if _ASKED_KEY.search(key.lower())]
    if asked and all(value in _NOTHING for value in asked):
        return False
    return None if isinstance(first, (dict, list)) else str(first).strip().lower() not in _NOTHING
