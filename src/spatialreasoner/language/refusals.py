"""What of a reply is not an answer at all: thinking, refusals, error texts, empty replies."""

import re
from typing import Literal

from spatialreasoner.language.asserting import ANSWERS, asserted
from spatialreasoner.language.declining import plainly, withholds_flatly
from spatialreasoner.language.fields import fields_answer
from spatialreasoner.language.scan import lazily, words_in

Refusal = Literal["empty", "error", "refusal", "thinking never ended"]
"""Why a reply holds no answer."""

_THINKING = lazily(
    r"<(?P<close>/)?(?:think|thinking|thought|thoughts|scratchpad|reflection)>"
    r"|◁(?P<shut>/)?think▷|<\|(?:begin|(?P<end>end))_of_thought\|>",
    re.IGNORECASE,
)
_SPECIAL = lazily(
    r"<\|[a-z_]{1,30}\|>|</?s>|<(?:bos|eos|pad|end_of_turn|start_of_turn)>|<\uff5c[^>]{1,40}\uff5c>", re.IGNORECASE
)
_ERROR = lazily(
    r"[\s\[({\"'`*]{0,8}(?:error\b(?!s? (?:of|is|margin|bars?|<))|traceback \(most recent"
    r"|(?:[a-z_]+\.)+[a-z]*(?:error|exception)\b"
    r"|[a-z]+(?:error|exception)\b ?[:(]|exception\b:|(?:http(?:/\d(?:\.\d)?)? ?)?(?:error )?[45]\d\d[: ]{1,3}[a-z]"
    r"|failed to (?:load|generate|process|fetch|decode|open|connect|read|parse|get)|request (?:timed out|failed)"
    r"|(?:the )?(?:request|connection|server|model|api)(?: has)? (?:timed out|refused|reset|overloaded|unavailable)"
    r"|cuda (?:out of memory|error)|out of memory|rate limit|too many requests|internal server error|service unavailable"
    r"|(?:image|picture|photo|file)s? (?:not found|unavailable|missing|could not)|bad gateway|gateway time-?out"
    r"|connection (?:error|refused|reset|timed out|aborted)|invalid (?:image"
    r"|request|api)|no (?:response|output|answer|text|content|result|prediction)s?\b"
    r"|(?:null|none|nan|n/?a|undefined|unknown|nil)\W{0,6}$|\{ ?[\"']error[\"'])"
)
_CODE = lazily(
    r"[45]\d\d[: ]{1,3}(?:client|server|bad|un|for|not|too|internal|service|gate|request|pay|method|time|conflict"
    r"|error)"
)
_HTTP = lazily(r"(?:http |error |status |code |http error )?(?:40[0134589]|413|415|422|429|50[0-4]|529)")
"""A reply that is nothing but the number of an error; as a length it would be in no unit that a question uses."""
_LONGEST_HTTP = 20
"""Characters that it has at most."""
_RUNS_ON = lazily(
    r"\n[#*\s]{0,6}(?:q|question|user|human|instruction)\b ?\d{0,2}[*\s]{0,2}:[^\n]{0,300}(?:\?|\n[#*\s]{0,6}(?:a|answer"
    r"|assistant|response)\b)"
)
_RUN_ON_HINTS = words_in("question", "\nq", "user", "human", "instruction")
_NULL = lazily(
    r"\{[^{},]{0,60}: ?(?:null|none|\"\"|\"n/?a\"|\"unknown\")\s*\}|\W{0,30}(?:null"
    r"|none)\W{0,30}"
)
_LONGEST_NULL = 64
"""Characters that it has at most where it is not an object."""
_LIST_END = lazily(r"\n\s{0,6}\d{1,2}\.\s*$")
_CUT = lazily(r"[.!?)\]}>\"'*`:]\s*$|</\w+>\s*$")


def thinking_end(text: str) -> int | None:
    """Where the answer begins behind the thinking: 0 without any thinking, None if it never ended.

    >>> thinking_end("<think>No.</think>Yes."), thinking_end("No.</think>Yes."), thinking_end("<think>No.")
    (18, 11, None)
    """
    end, opened = 0, False
    if "<" not in text and "\u25c1" not in text:
        return 0
    for match in _THINKING.finditer(text):
        closes = bool(match["close"] or match["shut"] or match["end"])
        opened, end = not closes, match.end() if closes else end
    return None if opened else end


def run_on(folded: str, begin: int = 0) -> int | None:
    """Where a reply goes on with a question of its own, behind something that may be the answer; None if it does not.

    >>> run_on("no. question: is it red? answer: yes"), run_on(chr(10).join(("no.", "question: is it red?", "answer: yes")))
    (None, 3)
    """
    if _RUN_ON_HINTS.search(folded) is None:
        return None
    match = _RUNS_ON.search(folded, begin)
    return match.start() if match and folded[begin : match.start()].strip() else None


def without_special(text: str) -> str:
    """A reply without the special tokens of chat templates, each replaced by blanks so that offsets stay true."""
    return _SPECIAL.sub(lambda match: " " * len(match.group()), text) if "<" in text else text


def why_unanswered(folded: str) -> Refusal | None:
    """Why a reply (folded, without its thinking) is not an answer, or None if it may be one.

    "I can't measure it exactly, but I'd say 2 m" is an answer; "Yes, I understand the question, but I can't see the image" is
    not.
    """
    return heard(folded)[0]


def heard(folded: str, *, choice: bool = False) -> tuple[Refusal | None, str]:
    """Why a reply is not an answer, or None if it may be one; and the reply with blanks for what of it asserts nothing.

    Args:
        folded: The reply, folded, without its thinking.
        choice: Whether the question asks which region.
    """
    why = _why_empty(folded)
    if why is not None or folded.lstrip().startswith("{"):
        return why, folded
    folded = plainly(folded)
    if withholds_flatly(folded):
        return "refusal", folded
    kept = asserted(folded, choice=choice)
    if kept is None:
        return None, folded
    return None if ANSWERS.search(kept) else "refusal", kept.rstrip()


def _why_empty(folded: str) -> Refusal | None:
    """Why a reply holds nothing to read: it is empty, an error, a word for nothing."""
    folded = folded.replace("*", "")
    said = folded.strip(" \n\t\r*_`\"'.#>-\u3000")
    if not said:
        return "empty"
    if said in ("maybe", "perhaps", "possibly"):
        return "refusal"
    head = folded[:300]
    if len(said) <= _LONGEST_HTTP and _HTTP.fullmatch(said):
        return "error"
    error = _ERROR.match(head)
    if error and not (re.match(r"\W{0,8}[45]\d\d", head) and not _CODE.search(head[:40])):
        return "error"
    whole = folded.strip()
    if (len(whole) <= _LONGEST_NULL or whole[0] == "{") and _NULL.fullmatch(whole):
        return "empty"
    if "{" in head and (answers := fields_answer(folded)) is not None:
        return None if answers else "empty"
    return None


def is_cut_off(text: str) -> bool:
    """Whether a text ends within a sentence; a short answer needs no full stop."""
    return len(text) > 120 and (_CUT.search(text[-40:]) is None or _LIST_END.search(text[-12:]) is not None)
