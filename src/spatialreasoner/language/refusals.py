"""What of a reply is not an answer at all: thinking, refusals, error texts, empty replies."""

import re
from typing import Literal

from spatialreasoner.language.idle import fields_answer, is_all_idle, is_of_own, without_idle
from spatialreasoner.language.scan import lazily, word_starts

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
    r"|(?:null|none|nan|n/?a|undefined|unknown|nil)\W{0,6}$|\{ ?[\"']error[\"'])",
    re.IGNORECASE,
)
_CODE = lazily(
    r"[45]\d\d[: ]{1,3}(?:client|server|bad|un|for|not|too|internal|service|gate|request|pay|method|time|conflict"
    r"|error)",
    re.I,
)
_NULL = lazily(
    r"\{[^{}]{0,60}: ?(?:null|none|\"\"|\"n/?a\"|\"unknown\")\s*\}|\W{0,30}(?:null"
    r"|none)\W{0,30}",
    re.IGNORECASE,
)
_CAN = (
    r"(?:(?:can|could|do|will|am|are)(?: ?not|n?'t)|cannot|won't|unable to|not able to|incapable of|no way (?:of|to)"
    r"|do(?:es)?(?: not|n't) have the (?:ability|capability)(?: to)?|not (?:possible|feasible)(?: for me)? to)"
)
_ADVERB = (
    r"(?: (?:be able to|currently|really|directly|actually|possibly|help but|in good conscience|reliably"
    r"|accurately|precisely|confidently|definitively|provide|give|make|offer|yet|go on to|able to"
    r"|comfortable|just|simply)){0,3}"
)
_ACT = (
    r"(?:assist|help(?! but)|comply|answer|respond|tell|say|see(?! any reason| how)|perceive|view|look at|access|open"
    r"|process|analy[sz]e|determine"
    r"|identify"
    r"|compare|comparing|comparison|estimate|measure|judge|decide|provide|give|fulfill|engage|discuss|make out"
    r"|do (?:that|this)"
    r"|any (?:estimate|answer|measurement)|an? (?:\w+ ){0,3}(?:answer|estimate|comparison|measurement|direction"
    r"|assessment|number|value|width|height|distance)"
    r"|inferr?|describe|display|load|(?:find|locate|spot) (?:the |any |either )?(?:image|regions?|objects?)|assess"
    r"|evaluate|speculate|guess|know"
    r"|continue|be of help|conclude|verify|establish|calculate|compute|derive|convert|infer|choose|pick|specify|quantify|gauge"
    r"|discern|narrow|confirm(?! (?:that|this|it)?\W|,)|(?:get|obtain|produce|arrive at|come up with) an?"
    r"|confirm that (?:region|the ))"
)
_CANNOT = lazily(
    rf"\b{_CAN}{_ADVERB} {_ACT}\b|\bi (?:still |really |simply |just |also )?(?:cannot|can't|couldn't|could not|won't"
    rf"|will not|am unable to)(?= [a-z])"
    r"(?! (?:be (?:more|any|fully|completely|100|too|exact|precise|specific|very|wrong)|help but|imagine"
    r"|see (?:any reason|how)|wait|agree|deny|stress|emphasi[sz]e|rule out|confirm|miss)\b)"
    r"|\bi must decline\b|\bi(?:'d| would) (?:rather|prefer) (?:not|give no\w*)\b"
    r"|\bdecline to\b|\b(?:refrain|abstain|hesitate)\b|\b(?:is|are)(?: not|n't) (?:something|anything) (?:that )?i (?:can"
    r"|could|do|am)\b"
    r"|\bi(?:'d| would) (?:only |just )?be guessing\b|\bi (?:don't|do not) (?:do|give|feel|offer|compare|want to)\b"
    r"|\b(?:leaves?|left) (?:it|that|this) (?:open|at that)\b|\bi lack\b|\bwhich i (?:do not|don't|cannot|can't)\b"
    r"|\bneither confirm nor deny\b|\bsomething (?:that )?i (?:don't|do not|won't|avoid|can't|cannot)\b"
)
_SOFT = lazily(
    r"\b(?:(?:cannot|can't|could not|couldn't)(?: \w+)? be (?:determined|computed|recovered|made out|made|judged"
    r"|derived|established|measured|known|told"
    r"|inferred|estimated|answered|decided|seen|compared|assessed|verified|identified|given|calculated|quantified|confirmed"
    r"|ascertained|gauged|concluded|deduced|resolved|specified|distinguished|read|provided|obtained|worked out|extracted"
    r"|settled|discerned|evaluated|picked|chosen|guessed|converted|checked|tested|said (?:with|for)|reliably \w+)"
    r"|(?:im|not |\w{2,6}n't )possible to (?:\w+ )?(?:determine|tell|say|know|judge|measure|estimate|answer|give|be sure)"
    r"|impossible to(?! be (?:sure|certain|precise|exact))"
    r"|(?:hard|difficult|tough|challenging|tricky) to (?:tell|say|determine|judge|know|assess|compare)|(?:i )?(?:do not"
    r"|don't) know|no idea"
    r"|(?:not|\w{2,6}n't) (?:\w+ )?(?:enough|sufficient) (?:information|context|data|detail)"
    r"|no (?:information|knowledge|data|details?) (?:about|on|regarding)\b|(?:is|are) (?:out of (?:the )?(?:frame|view"
    r"|picture|shot)"
    r"|outside (?:of )?the (?:frame|image|picture))\b"
    r"|it depends\b(?![^.!?\n]*\bbut\b)|need (?:\w+ )?more (?:information|context|details?|data)\b"
    r"|(?:does|do|did)(?: not|n't) (?:\w+ )?(?:provide|give|contain|offer|show|have|include|reveal|hold) (?:\w+ )?(?:enough"
    r"|sufficient|adequate|the necessary) (?:\w+ )?(?:information|context|data|details?|cues)"
    r"|(?:does|do|did)(?: not|n't) (?:provide|give|offer|show|have|allow|permit|contain) an? (?:clear|reliable|good|full"
    r"|sufficient"
    r"|definite)\b|(?:regions?|boxes|labels|markers|markings|objects?)\b[^.;\n]{0,24} (?:is|are|was|were)(?: not"
    r"|n't) (?:\w+ )?(?:marked"
    r"|highlighted|labell?ed|annotated|visible(?! (?:since|because|as)\b)|specified|shown|defined|indicated)|which (?:is"
    r"|are)(?: not|n't) (?:given"
    r"|known|shown|provided)"
    r"|insufficient (?:information|data|context)|(?:not|isn't) (?:\w+ly |quite |too |so |100% )?(?:clear|sure|certain"
    r"|determinable|visible(?! (?:since|because|as)\b)"
    r"|present(?= in)|shown in|depicted)"
    r"|(?:not|isn't) possible(?= *(?:[.,;!]|$))"
    r"|(?:possibly|maybe|perhaps),? (?:or )?(?:possibly|maybe|perhaps) not"
    r"|\bno (?:means|method|basis|ability|capability|capacity) (?:of|to|for)\b|neither (?:\w+ ){0,3}(?:is"
    r"|are|was|were|can be|could be|has been) (?:\w+ )?(?:visible|found|located|identified|seen|determined"
    r"|shown|present|marked|highlighted|identifiable)"
    r"|(?:information|data|measurements?|answer|details?|image|depth)(?: \w+)? (?:is|are)(?: not|n't) (?:available"
    r"|provided|known|given)"
    r"|\bi (?:can't|cannot)(?= *(?:[.!]|$))|something went wrong|error(?: has)? occurred|unclear|unsure|undecided"
    r"|uncertain(?!t)|undetermined|indeterminate"
    r"|undecidable|undefined"
    r"|(?:not|\w{2,6}n't) (?:(?:confident|certain|sure|clear|sharp) )?enough to|there (?:is|are) none\b|(?:have"
    r"|having) (?:trouble|difficult(?:y|ies))"
    r"|no (?:height|width|distance|direction|number|value|position) can\b|unknown|n/a|no telling|(?:neither answer"
    r"|either answer|both answers)\b|may or may not|(?:coin (?:flip|toss)"
    r"|guess is as good)"
    r"|beyond (?:what i can|my)|would be (?:arbitrary|speculative|a (?:pure |mere |wild )?guess)|(?:does|do)(?: not"
    r"|n't) (?:say|reveal|tell)"
    r"|may not be\b|no (?:\w+ )?regions? shown|contains? no (?:object|pixels?)|no (?:unique|clear|reliable"
    r"|definite) (?:answer|statement|verdict|number)|not (?:been )?possible to"
    r"|makes? (?:\w+ ){0,4}(?:impossible|unreliable)|too close to call"
    r"|regions?(?: [a-h]\b| ?[^\sa-z]{0,4}) (?:has been |is |was |lies )?(?:cropped out|outside|out of (?:view|the image)"
    r"|empty)|ambiguous"
    r"|anyone's guess|too \w+ (?:for me )?to (?:tell|see|say|judge|compare|measure|estimate|make|determine|identify)"
    r"|(?:nothing|no (?:\w+ )?(?:evidence|indication|cue|sign|reference|scale)) to (?:decide|tell|determine|judge|say|estimate"
    r"|compare|measure)|but not (?:from|with|based on|in) (?:this|the|an?) (?:\w+ )?(?:picture|image|photo|angle|view)"
    r"|but i (?:do not|don't|can't|cannot|haven't|couldn't)(?= *(?:[.!;]|$))"
    r"|(?:height|width|distance|size|position|direction|length|depth)\b[^.;,\n]{0,40} (?:is|are|was)(?: not|n't) (?:given|known"
    r"|stated|specified|available|provided|mentioned|indicated|measurable)"
    r"|regions?(?: [a-h]\b| ?[^\sa-z]{0,4}) (?:is|was|are|were)(?: not|n't) (?:\w+ )?(?:in the (?:image|picture|photo"
    r"|scene)|marked"
    r"|labell?ed|found"
    r"|shown|highlighted|annotated|indicated|drawn|present)"
    r"|only (?:one |a single )?regions?(?: [a-h]\b| ?[^\sa-z]{0,4}) (?:is|was) (?:\w+ )?(?:marked|visible|labell?ed|shown"
    r"|highlighted|annotated)"
    r"|regions?(?: [a-h]\b| ?[^\sa-z]{0,4}) not found|(?:found|see|spot|detect|detected|locate) (?:no|neither"
    r"|zero) (?:\w+ )?regions?"
    r"|not applicable|cannot (?:tell|say|determine|answer)|can't (?:tell|say|determine|answer)"
    r"|unable to (?:tell|say|determine|answer)"
    r"|no (?:\w+ ){0,3}(?:comparison|estimate|measurement|answer|determination|judg[e]?ment|conclusion|assessment) (?:can"
    r"|could|is"
    r"|was)\b|not determinable|unanswerable|inconclusive|no way (?:of|to)|without (?:more|further"
    r"|additional) (?:information|context))\b"
)
_ASKS = ("please", "could you", "can you", "kindly")
_HARD = lazily(
    word_starts(
        r"as an? (?:ai|artificial|language|text|large)\b[^.!?]{0,80}\b(?:can|could|do|am|will)(?: ?not|n't)\b",
        r"cannot\b(?= (?:see|view) (?:the|any|an|your) (?:image|picture|photo))",
        r"no (?:\w+ ){0,2}(?:image|picture|photo|attachment|file)s?\b(?: \w+){0,3} (?:attached|provided|uploaded"
        r"|received|shared|included|found|come through|available|visible|here|in (?:our|this|your))",
        *(rf"{asks}(?: please)? (?:re-?)?(?:upload|attach|share|provide|send|resend|include|supply)\b" for asks in _ASKS),
        *(
            rf"{image}\b[^.!?]{{0,30}}\b(?:did not|didn't|was not|wasn't|is not|isn't|has not"
            r"|hasn't) (?:\w+ )?(?:come|attached|load|loaded|arrive|uploaded|provided|included|show|display|visible"
            r"|received)"
            for image in ("image", "picture", "photo", "attachment")
        ),
        *(
            rf"{lacks} (?:seem to |appear to |currently )?(?:contain|include|have|come with|see) (?:an|any|the) (?:image"
            rf"|picture|photo|attachment)"
            for lacks in ("does not", "doesn't", "did not", "didn't", "do not", "don't")
        ),
        r"there (?:is|are) no (?:regions?|objects?|boxes|markings|labels|image|picture)\b",
        r"there (?:isn't|aren't|is not|are not) (?:any|an?) (?:\w+ )?(?:regions?|boxes|markings|labels?|image|picture)\b",
        r"neither yes nor no\b",
        r"yes and no(?=\W*(?:$|\n|[.,;!]))",
        *(rf"{maybe} yes,? (?:or |and )?(?:possibly|maybe|perhaps) no\b" for maybe in ("possibly", "maybe", "perhaps")),
        r"once you(?:'ve| have)? (?:attach|upload|share|send|provide|re)",
        r"no access to (?:the|any|your|an) (?:image|picture|photo|visual)",
        r"need (?:to see )?the (?:image|picture|photo)\b",
        *(
            rf"{we} sorry\b[^.!?]{{0,60}}\b(?:can't|cannot|unable|not able|won't"
            rf"|but i)\b"
            for we in ("i'?m", "i am", "we are")
        ),
        r"sorry,? (?:but )?(?:no[,.;!]? )?i\b",
        r"sorry[.;!] {1,2}i (?:can't|cannot|won't|am (?:not|unable)|must|do(?: not|n't))\b",
        r"i apologi[sz]e\b[^.!?]{0,60}\b(?:can't|cannot|unable|not able)\b",
        r"no (?:regions|markings|boxes|objects) (?:are|were|is) (?:\w+ )?(?:highlighted|marked|shown|visible|drawn|indicated"
        r"|labell?ed)",
        *(
            rf"{cannot} (?:\w+ )?(?:see|view|access|open|load) (?:the|any"
            r"|your|an|that|this|one)\b(?: (?:image|picture|photo|attachment|file|region|object|marking)s?|[.,;!?]|$)"
            for cannot in ("unable to", "not able to", r"can(?:not|'t|not)")
        ),
    )
    + r"|抱歉|对不起|無法|无法|不能(?:回答|协助|提供|帮)|lo siento|je suis désolé|tut mir leid|es tut mir"
)
_GIVES = lazily(
    r"\b(?:but|however|still|though|although|nevertheless|nonetheless|that said|even so|if i (?:had|were)"
    r"|best (?:guess|estimate)|(?:rough|approximate|visual|educated) (?:estimate|guess)"
    r"|estimate[ds]?|estimating|estimation|approximat\w+|assum\w+|roughly|appears?|seems?|likely|probably"
    r"|based on|answer ?:|final answer|in conclusion|it looks|i(?:'d| would) (?:say|guess|estimate|pick|choose|go)|i think"
    r"|i believe|therefore|perhaps|about|around)\b"
)
_LIST_END = lazily(r"\n\s{0,6}\d{1,2}\.\s*$")
_STOPS = (". ", "! ", "? ", "\n", "; ")
_CLAUSES = (
    ", but", " but ", ", so ", ", though", ", although", " though ", ", even though", ", yet ", ", while ", " (", ", maybe",
    ", perhaps", ", roughly", ", about", ", around", ", approx", ", probably", ", region", ", i'd ", ", since ", ","
    " because ", ", as ", ", and i ", ", it ", ", they ",
)  # fmt: skip
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


def without_special(text: str) -> str:
    """A reply without the special tokens of chat templates, each replaced by blanks so that offsets stay true."""
    return _SPECIAL.sub(lambda match: " " * len(match.group()), text) if "<" in text else text


def why_unanswered(folded: str) -> Refusal | None:
    """Why a reply (folded, without its thinking) is not an answer, or None if it may be one.

    "I can't measure it exactly, but I'd say 2 m" is an answer; "Yes, I understand the question, but I can't see the image" is
    not.
    """
    folded = folded.replace("*", "")
    said = folded.strip(" \n\t\r*_`\"'.#>-\u3000")
    if not said:
        return "empty"
    if said in ("maybe", "perhaps", "possibly"):
        return "refusal"
    head = folded[:300]
    error = _ERROR.match(head)
    if error and not (re.match(r"\W{0,8}[45]\d\d", head) and not _CODE.search(head[:40])):
        return "error"
    if _NULL.fullmatch(folded.strip()):
        return "empty"
    if "{" in head and (answers := fields_answer(folded)) is not None:
        return None if answers else "empty"
    folded = _CAVEAT.sub("", folded) if "precise" in folded or "specific" in folded or "exact" in folded else folded
    if is_all_idle(folded):
        return "refusal"
    hard = _HARD.search(folded)
    if hard and not _answers_after(folded, hard.end()):
        return "refusal"
    soft = _CANNOT.search(folded) or _SOFT.search(folded)
    if soft is None:
        return None
    return None if _answers(folded, soft) else "refusal"


def is_unsure(folded: str) -> bool:
    """Whether words say that there is no answer: "not possible to determine"."""
    return _SOFT.search(folded) is not None or _CANNOT.search(folded) is not None


def is_cut_off(text: str) -> bool:
    """Whether a text ends within a sentence; a short answer needs no full stop."""
    return len(text) > 120 and (_CUT.search(text[-40:]) is None or _LIST_END.search(text[-12:]) is not None)


_EXPLICIT = lazily(
    r"\b(?<!no )answer\W{0,6}(?:is\b|:)|\bconclusion\b|\\boxed|<answer>|\b(?:best|my) (?:guess|estimate)\b|\bi(?:'d"
    r"| would) (?:say|guess|estimate|go (?:for|with)|pick|choose)\b|\bcan only (?:estimate|guess|approximate)\b"
)


def _answers_after(folded: str, end: int) -> bool:
    """Whether an answer follows an apology: only what is announced as one counts."""
    return _EXPLICIT.search(folded, end) is not None and not is_unsure(folded[max(end, len(folded) - 60) :])


def _answers(folded: str, soft: re.Match[str]) -> bool:
    """Whether the rest of a text, before or behind the words that say "cannot", still answers."""
    begin = max(folded.rfind(mark, 0, soft.start()) for mark in (*_STOPS, *_CLAUSES))
    stops = [at for mark in (*_STOPS, *_CLAUSES, ": ") if (at := folded.find(mark, soft.end())) >= 0]
    after = folded[min(stops, default=len(folded)) :]
    before = folded[: begin + 1]
    before = _EITHER.sub("", before) if "er or " in before else before
    if _CANNOT.search(after) and not _EXPLICIT.search(after):
        return False
    if _FINAL.search(folded) and not _EXPLICIT.search(folded):
        return False
    before, after = without_idle(before, wavers=True), without_idle(after, wavers=True)
    if _is_said(after) or (_GIVES.search(after) and _TOLD.search(after)):
        return True
    return any(_is_said(piece) and is_of_own(piece) for piece in before.split("\n"))


_CAVEAT = lazily(
    r"(?:(?:i'm |i am )?sorry,? (?:that |but )?|i apologi[sz]e (?:that |but )?)?\b(?:i|they|this) (?:cannot|can't"
    r"|am unable to|could not)"
    r" be (?:any )?(?:more )?(?:completely |very |fully )?(?:precise|specific|exact)(?: than this)?\b"
)
"""That one cannot be more precise withholds nothing."""
_FINAL = lazily(
    r"\b(?:i(?:'d| would) (?:rather|prefer) (?:not|give none)|i leave (?:it|that) (?:open|at that)|no answer is possible"
    r"|i (?:won't|will not) (?:guess|answer|give)\b)"
)
_TOLD = lazily(r"\d|\b(?:yes|no|one|two|three|a (?:foot|met\w+)|\w{3,}er|left|right|front|behind|above|below|same|equal\w*)\b")


_EITHER = lazily(r"[^.!?\n]*\b(?:could|might|may|can) be (?:either )?\w{2,12}er or \w{2,12}er\b[^.!?;\n]*")
"""It could be bigger or smaller: that says neither."""
_SAYS = lazily(
    r"\d ?(?:m|cm|mm|ft|in|feet|foot|met|inch|cent|o'? ?clock|yard|:00)|\b(?:yes|no(?=\W*(?:$|[.,;:!\n]|it |they "
    r"|region))|correct|true|false"
    r"|incorrect)\b|\bhas (?:more|less|the (?:greater|larger|smaller))\b"
    r"|\b(?:is|(?:appears|seems|looks)(?: to be)?) (?:\w+ ){0,3}(?:taller|shorter|wider|thinner|"
    r"narrower|bigger|larger|smaller|higher|lower|closer|nearer|further|farther|behind|above|below"
    r"|to the (?:left|right)|in front|on the (?:left|right)|left|right)\b"
    r"|(?:^|[.:;] ?)\W*(?:the answer is |my (?:guess|pick|choice|answer) (?:is|would be) |it(?:'s| is) |probably |maybe "
    r"|perhaps "
    r"|likely )?(?:the )?regions? ?[\[<(#]?\d(?>[\])>]?)(?=\W*(?:$|[.,;:!\n)]|because|since|as\b|by\b|wins?\b"
    r"|(?:\w+ly )?(?:is|does)\W*(?:$|[.;!])))"
)


def _is_said(part: str) -> bool:
    return _SAYS.search(part) is not None
