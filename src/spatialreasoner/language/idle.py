"""What of a reply that says "I cannot" answers nothing: what it needs, asks for, supposes, advises, gives as an example.

"I'd need a reference, e.g. a 30 cm ruler" gives no length, and "Yes, I see the regions" is no yes.
"""

import json
import re

from spatialreasoner.language.scan import Hinted, lazily

_OWN = lazily(
    r"\b(?:i(?:'d| would|'ll| will)? (?:say|guess|estimate|go|put|think|believe)|my |estimate[ds]?\b|therefore|so it"
    r"|(?:it|this|that|they) (?:is|are|looks?|appears?|seems?|measures?|stands?)\b"
    r"|if i (?:had|have|were|was|must)|(?<!of )(?<!in )(?<!is )regions? ?\S{1,4} (?:is|are|has|appears|looks|seems|measures))"
)
"""A piece that says it of the regions, or in the first person, is not idle for a "usually" in it."""
_GUESS = lazily(r"\bi(?:'d| would|'ll| will)? (?:say|guess|estimate|go|put)\b|\bbest\b|\bestimate|\bif i (?:had|have|were|must)\b")
_PIECE = lazily(
    r"(?<=[a-z\d)\]\"'][.!?;])\s+|\n+|, (?=(?:but|so|yet|hence|however|though|although|which|and)\b)| (?=(?:but|though|yet) )"
)
_CLAUSES = (
    r"\b(?:for example|for instance|such as)[^;)\n]*?(?=[;)\n]|\.(?!\d)|$)",
    r"\b(?:if|unless|suppose|supposing|assuming|once|as soon as|when(?:ever)?) (?!i (?:had|have|were|was|must)\b|anything"
    r"|not\b|so\b|you (?!can |could |tell|give|provide|share|know|send|let|upload|have|include))[^,;.\n]*(?:\.\d[^,;.\n]*)*",
    r"\b(?:whether|wonder|(?:tell|say|know|see|determine|decide|judge|asked) if)\b[^;.\n]*?(?:\.\d[^;.\n]*?)*(?= but |[;\n]|\.(?!\d)|$)",
    r"\b(?:taking|defining) \d[^,;.\n]*",
    r"\d o'? ?clock (?:means|stands for|denotes|corresponds|represents|is defined)[^;.\n]*",
    r"\b(?:somewhere |anywhere )?(?:between 1 and 12|from 1 to 12)\b(?: o'? ?clock)?",
    r"\b(?:yes|no|sure|certainly)[,.!]* (?:i (?:can |do |did |could )*(?:see|understand|found|notice|find|help|view|spot|recogni[sz]e)\b"
    r"|(?:it|that|this)(?:'s| is) possible|(?:both|all|the (?:image|picture|photo|two))\b[^,;.\n]*\b(?:visible|loaded|shown"
    r"|there|marked|labell?ed|present)|there (?:is|are)\b)[^,;.\n]*",
)
_CLAUSE = lazily("|".join(_CLAUSES))
_HEDGED = (
    r"\b(?:either|could|might|may|can|anything|anywhere|somewhere)\b[^;\n]*\b(?:or|could|might|and|to)\b[^;\n]*",
    r"\b(?:hypothetically|theoretically|in theory|in principle)\b",
)
_IDLE = lazily(
    r"\b(?:i|we|you|one)(?:'d| would| do|'ll| will)?(?: also| really| still| at least)? (?:need|require)\b(?! to (?:look|rotate|turn|go|walk|move|face|step|swivel))"
    r"|\bit (?:would|will) (?:need|require|take)\b|\b(?:requires|(?:would be|is|are) (?:needed|required|necessary))\b"
    r"|\b(?:please|kindly) (?:\w+ )?(?:specify|clarify|provide|give|send|let|tell|confirm|indicate|mark|share|upload|check|use)\b"
    r"|\blet me know (?!if you (?:need|have|want|would|'d))|\bdo you (?:mean|want|know|have)\b"
    r"|\bi(?:'d| would)? (?:suggest|recommend|advise)\b|^\W*(?:use|try|consider|get|measure) an?\b"
    r"|\byou(?:'d| would|'ll)? (?:have to|could|can|may|should|might) (?:measure|use|try|also)\b|\bsome(?:one|body) (?:with|who)\b"
    r"|^\W*(?:also,? )?(?:is|are|do|does|did|which|what|who|in (?:met\w+|feet|inches))\b[^?]*\?"
    r"|\bwould (?:just |only |merely |simply )?be (?:\w+ )?(?:misleading|guess\w*|made up|specul\w+|dishonest|arbitrary|invented"
    r"|unreliable|irresponsible|wrong)\b|\bcan't just say\b|\bsaying [\"'\d]"
    r"|\bsomething (?:that )?i (?:avoid|do not|don't|won't|cannot|can't)\b"
    r"|\bwall clock\b|\b(?:clock|watch|timestamp|sign|display|label|caption|speedometer|thermometer)\b[^;]*\b(?:shows?|reads?|says?)\b"
    r"|\b(?:laser|range ?finder|tape measure|lidar|depth (?:sensor|camera)|stereo (?:pair|camera))\b"
)
_GENERAL = lazily(
    r"\b(?:on average|averages?|usually|typical(?:ly)?|general(?:ly)?|normal(?:ly)?|standard|common(?:ly)?|for reference|often"
    r"|var(?:y|ies)|ranges? (?:from|between)|tend to)\b"
)
_OFFER = lazily(
    r"\bi(?:'ll| will| can| could) (?:then |also )?(?:calculate|compute|convert|estimate|determine|work out|tell|help|compare"
    r"|answer)\b[^:]*$"
)
_WAVERS = lazily("|".join(_HEDGED))
_SUPPOSED = lazily(r"\b(?:if|suppose|assuming)\b[^;\n]*\b(?:would|might|could)\b")
_POLITE = lazily(r"\W*(?:certainly|sure|of course|no problem|absolutely|gladly|okay|ok|great|but|so|also)?\W*")


def without_idle(folded: str, *, wavers: bool = False) -> str:
    """A folded text without what answers nothing.

    Args:
        folded: The text.
        wavers: Whether what is only possible or supposed is left out, too: "it could be 2 m or 20 m".

    >>> without_idle("i'd need to know more, e.g. that the door is 2 m high. it is red.")
    'it is red.'
    """
    folded = folded.replace("e.g.", "for example")
    pieces = [piece for piece in _PIECE.split(folded) if piece and piece.strip()]
    kept = [_CLAUSE.sub(" ", piece).strip() for piece in pieces if not _is_idle(piece, wavers=wavers)]
    return "\n".join(kept)


def _is_idle(piece: str, *, wavers: bool) -> bool:
    if _IDLE.search(piece) and not _no_need(piece):
        return True
    if _OFFER.search(piece) and not _OWN.search(piece):
        return True
    if wavers and _GENERAL.search(piece) and not _OWN.search(piece):
        return True
    return wavers and bool((_SUPPOSED.search(piece) or _WAVERS.search(piece)) and not _GUESS.search(piece))


def _no_need(piece: str) -> bool:
    return re.search(r"\b(?:no|not|n't)\b[^;]{0,30}\b(?:need|require|necessary)", piece) is not None


_WANTS = Hinted(
    r"\b(?:need|needs|needed|require|requires|required|please|kindly|clarify|suggest|recommend|misleading|guessing|if|unless"
    r"|assuming|suppose|whether|which|mean|means|taking|use|someone|example|between|reads|shows"
    r"|made|such|saying|clock|laser|lidar|tape|sensor|stereo|something|usually|typically|average|standard|range|generally)\b",
    "need needs needed require requires required please kindly clarify suggest recommend misleading guessing if unless assuming"
    " suppose whether which mean means taking use someone example between reads shows made such"
    " saying clock laser lidar tape sensor stereo something usually typically average standard range generally",
)
_CONTENT = lazily(r"[a-z\d]")


def is_all_idle(folded: str) -> bool:
    """Whether nothing is left of a text without what answers nothing, but a polite word."""
    if _WANTS.search(folded) is None:
        return False
    rest = without_idle(folded)
    return _POLITE.fullmatch(rest) is not None or _CONTENT.search(rest) is None


_NOTHING = frozenset(
    ("", "null", "none", "unknown", "n/a", "na", "nan", "-", "?", "undetermined", "unclear", "unsure", "indeterminate",
     "unanswerable", "not applicable", "cannot determine", "not visible", "error", "-1")
)  # fmt: skip


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
    return None if isinstance(first, (dict, list)) else str(first).strip().lower() not in _NOTHING
