"""Yes and no: verdicts that lead an answer, close it, or are passed on a statement that it quotes."""

import re

from spatialreasoner.language.scan import holds, lazily, words_in

_ADVERB = (
    r"(?:(?:i think|i believe|i'd say|i would say|my answer is|clearly|obviously|actually|in fact|well|most|very"
    r"|quite|almost|probably|possibly|likely|apparently|then|so|oh|hmm|ok|okay|right)[, ]{1,2}){0,2}"
)
_SURELY = r"(?:certainly|definitely|clearly|really|surely|simply|just|obviously|absolutely|sure|indeed)"
_YES = (
    r"(?:yes(?!,? or no\b)|yeah|yep|yup|yea|aye|y(?=\W|$)|indeed|correct(?! me\b)|true|affirmative|of course|sure"
    r"|certainly|definitely"
    r"|absolutely|exactly|precisely|agreed|positive|confirmed|obviously|undeniably|(?:most|very) likely|probably"
    r"|presumably|apparently|(?<!')t(?=\W{0,4}$)"
    r"|i (?:don't|do not) doubt (?:it|that)"
    r"|(?:i )?(?:think|believe|suppose|guess|would say|'d say) so|i(?:'d| would)?(?: have to| fully)? agree|(?:it"
    r"|that) (?:seems|appears"
    r"|looks|would (?:seem|appear)) (?:so|that way|like it)|so it (?:seems|appears|is|does|would seem)"
    r"|i can (?:indeed )?confirm"
    r"(?: (?:that|this|it))?(?= *(?:[.,;:!]|$))|(?:it )?(?:looks|seems"
    r"|sounds) like it(?= *(?:[.,!;]|$))|it (?:(?:most )?"
    + _SURELY
    + r" )?(?:does|is)(?: so)?(?= *(?:[.,!;]|$))|(?:that|this)(?:'s| is) (?:right|so|true|correct|the case)"
    r"|that (?:is|statement is) (?:a )?(?:correct|true)|by all means|(?:without|beyond) (?:a |any |all )?"
    r"(?:doubt|question|hesitation)(?!,? no\b)|you bet"
    r"|for sure|hands down|very much so|most definitely|no question(?: about it)?"
    r"|(?:i'm |i am )?(?:fairly |quite |pretty |very |reasonably |rather )?(?:sure|certain"
    r"|confident)(?: that)? it (?:is|does)"
    r"|no doubt(?: about it)?|(?<!the )(?<!to )(?<!and )(?<!or )right(?= *(?:[.,!]|$))"
    r"|undoubtedly|是的?|对|正确|sí\b|si\b|oui\b|ja\b|да\b)"
)
_NO = (
    r"(?:no(?!,? or yes\b)(?=\s*(?:$|[^\w\s'\[]|<region)|\n| (?:it|its|it's|they|they're|this|that|the|these|both"
    r"|region|because|since"
    r"|as|but|actually|in|from|not|is|based|according|definitely|i'd|i would|i think|i believe|you|rather|instead|and"
    r"|so|for)\b)"
    r"|nope|nah|n(?=\W|$)(?!\W? ?a\b)|incorrect|false|(?<!went )wrong|untrue|negative|hardly|never"
    r"|neither(?! [^.!?]{0,40}\b(?:visible|shown|present|marked|highlighted|depicted|identified|identifiable|clear"
    r"|determined|found|located"
    r"|seen|told|known|labell?ed|available|given|provided|included|possible|accessible|of (?:these|those|which))\b)"
    r"|scarcely|no way"
    r"|not (?:at all|as far as i can (?:see|tell)|really|quite|so|exactly|true|correct|right|necessarily|the case"
    r"|in the least|a chance"
    r"|even close|likely)|(?:probably|likely|certainly|definitely|absolutely|surely|clearly|of course) not"
    r"|not(?= *(?:[.,!;]|$))|(?:quite |just |exactly )?the (?:opposite|contrary|reverse|other way (?:a?round"
    r"|about))(?! (?:would be|is|seems) (?:wrong|false|incorrect|untrue))|(?:on|to) the contrary|quite the"
    r" (?:opposite|contrary|reverse)|just the opposite|by no means"
    r"|far from it|in no way|under no circumstances|anything but"
    r"|(?:it|that|this) (?:(?:most )?"
    + _SURELY
    + r" )?(?:isn't|doesn't|is not|does not|is not so|is not the case|isn't (?:so|right|true"
    r"|correct|the case))(?= *(?:[.,!;]|$))|(?:i )?(?:don't|do not) (?:think|believe) (?:so|that)|i (?:doubt"
    r"|disagree)|i(?:'d| would)? (?:have to |must |strongly |respectfully )?disagree|doubtful|(?:i )?(?:don't"
    r"|do not) (?:think|believe|suppose)(?: that)? (?:it|this|that) (?:is|does)|not on your life|no chance|(?:most |very "
    r"|highly )?unlikely|(?<!')f(?=\W{0,4}$)|i (?:wouldn't|would not) (?:say"
    r"|think) (?:so|that)|(?:nothing could|couldn't) be further"
    r"|(?:it )?(?:doesn't|does not|didn't) (?:look|seem"
    r"|appear)(?: (?:like it|so|that way|to be|to))?(?= *(?:[.,!;]|$))|(?:i'm |i am )?afraid not|i (?:can't"
    r"|cannot) confirm(?: (?:that|this))?(?= *[:;,.])"
    r"|(?:that|this)(?:'s| is)(?: not|n't) (?:right|so|true|correct|the case)|(?:that|this)(?:'s| is) (?:wrong"
    r"|incorrect|false|untrue)|不(?:是的?|对|正确)?|否|没有|错误?的?|non\b|nein\b|нет\b)"
)
_LEAD = lazily(
    rf"[\s*\"'.,:;>#({{\[\u2022-]{{0,12}}(?:(?:based on|looking at|from|judging (?:by|from)|given|in|considering"
    rf"|according to|seen from) (?:the|this|what|where|your)[^.!?\n]{{0,60}}?[,:] ?|visually,? |answer: ?|a: ?"
    rf"|\d\. ?)?[\"'*]{{0,3}}{_ADVERB}[\"'*]{{0,3}}"
    rf"(?:(?P<no>{_NO})|(?P<yes>{_YES}))(?![\w'-])"
)
_TRAIL = lazily(
    r"(?:[:,;\u2192>-]|\bbut|\bi(?:'d| would|'ll| will)? (?:say|guess|answer|go with"
    r"|lean towards?)) {0,3}[\"'*]{0,3}(?:(?P<no>no|false|nope|incorrect|not true)|(?P<yes>yes|true"
    r"|correct))[\"'*]{0,3}[.!]?\W{0,4}$"
    r"|[,;] (?:but |in fact |actually )?it (?:really |actually )?(?:(?P<isnt>isn't|is not|doesn't|does not)|(?:is"
    r"|does))[.!]?\W{0,4}$"
    r"|\bis (?:in the )?(?:(?P<affirmative>affirmative)"
    r"|(?P<negative>negative))\b"
)
_SUPPORTS = lazily(
    r"(?:obviously|undeniably|undoubtedly|certainly|definitely|absolutely|apparently|presumably|probably|(?:most|very) likely"
    r"|sure|of course|hands down|for sure|no (?:doubt|question)|(?:without|beyond) (?:a |any |all )?(?:doubt|question))"
    r" (?:that )?(?:the |an? |<)"
)
_CONCEDES = lazily(r"\W{0,6}(?:true|granted|sure|admittedly|right)\b[^.!?]{0,200}\bbut\b")
_HOLDS = lazily(
    r"(?P<said>[^\n]{4,300}?)[\"')\]]{0,3}(?:,? but (?:it|that|this)(?: (?:really|actually"
    r"|in fact))?)? (?P<not>isn't|is not|doesn't|does not|don't|cannot|fails to|'s not)(?: (?:hold|stand|apply"
    r"|match|fit))?(?: (?:the case|so|true))?(?: (?:up|here|water))?[.!]?\W{0,4}$"
)
_VERDICT_ON = lazily(
    r"(?P<said>[^\n]{4,300}?)[\"')\]]{0,3} {0,2}(?:is|:|->|=|would be|seems|must be|was) ?(?:therefore |thus "
    r"|clearly |simply |actually |just )?(?P<not>not |n't )?(?P<word>true|false|correct|incorrect|wrong|untrue"
    r"|inaccurate|accurate|mistaken|right|supported|justified|borne out|warranted|defensible|unsupported|unfounded"
    r"|unwarranted)"
    r"(?: (?:by|in|from) [a-z ]{1,40})?[.!]?\W{0,4}$"
)
_IT_IS = lazily(
    r"(?:it|that)(?:'s| is| would be) ?(?P<not>not )?(?:really )?(?P<word>true|false|correct|incorrect|wrong"
    r"|untrue|accurate|inaccurate|a mistake|an error|misleading|a stretch|an exaggeration|untenable)"
    r"(?: (?:to (?:say|claim|state|think|assert|suggest|conclude))? that"
    r"| to (?:say|claim|state|think|assert|suggest|conclude)) (?P<said>[^;]{4,300})",
    re.DOTALL,
)
_CHANCE = lazily(
    r"\b(?:chances?|odds|likelihood|probability|possibility) (?:that|of) (?P<said>[^.!?\n]{4,200}?) (?:is|are|seems?|looks?) "
    r"(?:very |close to |practically |virtually |almost |near |essentially |quite |rather |fairly |extremely ){0,2}"
    r"(?:(?P<low>nil|zero|none|low|slim|small|negligible|remote|poor|minimal|tiny|non-?existent)"
    r"|(?P<high>high|great|good|strong|certain|excellent|overwhelming))\b"
)
_DENIES = lazily(
    r"(?:i )?(?:don't|do not|wouldn't|would not|cannot|can't) (?:think|believe|say|agree|describe|call|consider"
    r"|regard)(?: that)?(?! (?:how|which|what|where|who|by|if|whether|exactly|for)\b) (?P<said>[^;]{4,300})",
    re.DOTALL,
)
_FALSE = frozenset(
    (
        "a mistake",
        "an error",
        "misleading",
        "a stretch",
        "an exaggeration",
        "untenable",
        "unsupported",
        "unfounded",
        "unwarranted",
        "false",
        "incorrect",
        "wrong",
        "untrue",
        "inaccurate",
        "mistaken",
    )
)
_WORD_YES = lazily(
    r"\b(?!(?:probably|presumably|apparently|obviously|certainly|definitely|absolutely|exactly|precisely|(?:most|very) likely"
    rf"|undoubtedly|sure|positive|correct|true)\b(?! *(?:[.,;:!?)]|$))){_YES}(?![\w'])"
)
_WORD_NO = lazily(rf"\b{_NO}(?![\w'])")
_NOT = lazily(
    r"\W{0,4}(?:(?:no|well|actually|sorry|hmm|then|so)[, ]{1,2})?(?:(?:it|that|this|they|these|the (?:first|former)) )?"
    rf"(?:(?:most )?{_SURELY} )?"
    rf"(?:(?:is|are|does|do|did|was|has|have|would|should|could|can|seems?|appears?|looks?)(?: {_SURELY})?(?:n't| not)|not)"
    r"(?: (?!(?:[a-z]{3,9}[ai]ble|clear|sure|provided|shown|given|indicated|mentioned"
    r"|stated|enough|able|included|attached|known|told|far(?=\W*$)"
    r")\b)"
    r"[a-z]{1,12}){0,4}\W{0,4}"
)
"""What a short denial is: "it really is not so"."""


def leading(text: str) -> bool | None:
    """Yes or no, where a folded text begins with it: "Based on the image, yes, ...", "I think so.", "Hardly.".

    A concession is none, "True, it looks bigger, but ...", and no word that only supports what follows: "Certainly A is".
    """
    match = _LEAD.match(text[:400])
    if match is None or _CONCEDES.match(text[:400]) or (match["yes"] and _SUPPORTS.match(text, match.start("yes"))):
        return None
    return match["yes"] is not None


_POLITE = lazily(
    r"\W{0,4}(?:(?:sure|certainly|of course|absolutely|great question|happy to help)(?: thing)?!"
    r"|(?:yes|sure|certainly|of course|absolutely),? i (?:can|could|will|would be (?:happy|glad)|'d be (?:happy"
    r"|glad))\b(?! confirm))"
)


_OFFERS = lazily(
    r"\W{0,4}(?:(?:yes|sure|certainly|of course|absolutely)[,!.:]? )?(?:i(?:'d| would| will|'ll| can| could|'m|"
    r" am)? (?:be )?(?:happy|glad|love|help|assist|try)\b|let me (?:help|take a look|have a look|see"
    r"|check)\b)[^.!?\n]{0,80}(?:[.!:]+|$)\s*"
)


def without_offer(text: str) -> str:
    """A folded text without the offer to help that it begins with: "Sure, I can help with that!"."""
    return _OFFERS.sub("", text, count=1) if text[:60].lstrip().startswith(_OFFER_WORDS) else text


_OFFER_WORDS = ("sure", "certainly", "of course", "absolutely", "yes", "i", "let me")


def is_polite(text: str) -> bool:
    """Whether a folded text begins with a yes to the request, not to the question: "Sure! Region 1 is wider"."""
    return _POLITE.match(text[:40]) is not None


def trailing(text: str) -> bool | None:
    """Yes or no, where a folded text ends with it behind a colon, a comma or a dash."""
    match = _TRAIL.search(text[-120:])
    return None if match is None else not (match["no"] or match["negative"] or match["isnt"])


_CLOSES = lazily(r"[.!?\n]\s*(?:so,? |hence,? |thus,? )?(?:(?P<no>no)|yes), (?:it|the|<)[^.!?\n]{0,80}[.!]?\s*$")


def closing(text: str) -> bool | None:
    """Yes or no, where the last sentence of a folded text begins with it: "... Yes, it is wider."."""
    match = _CLOSES.search(text[-120:]) if holds(text, ("yes, ", "no, ")) else None
    return None if match is None else match["no"] is None


_PASSES_HINTS = words_in(
    "chance", "odds", "likelihood", "probability", "possibility", "mistake", "error", "misleading", "stretch",
    "exagger", "untenable", "support", "justif", "borne", "warrant", "defens", "found", "true",
    "false", "correct", "wrong", "accurate", "mistaken", "right", "not", "fails to", "n't",
)  # fmt: skip


def passes_verdict(text: str) -> bool:
    """Whether a text holds a word without which none of its sentences passes a verdict on a statement."""
    return _PASSES_HINTS.search(text) is not None


def on_statement(sentence: str) -> tuple[str, bool] | None:
    """A statement that a sentence quotes, and whether it holds: 'The statement "A is taller" is false.'."""
    said = _IT_IS.search(sentence) or _VERDICT_ON.match(sentence)
    if said is not None and _FOLLOWS.search(said["said"]):
        return None  # "A is right of B, so strictly speaking: false": that is said of the question
    if said is not None:
        return said["said"], (said["word"] in _FALSE) == bool(said["not"])
    if (chance := _CHANCE.search(sentence)) is not None:
        return chance["said"], chance["high"] is not None
    if (held := _HOLDS.match(sentence)) is not None:
        return held["said"], False
    denied = _DENIES.search(sentence)
    return None if denied is None else (denied["said"], False)


_FOLLOWS = lazily(r"[,;.-] ?(?:so|hence|thus|therefore)\b[^.;:]{0,30}$")
_UNSURE = lazily(r"(?:\bnot|n't) (?:[\w%]{1,12} ){0,2}(?:sure|certain|confident)\b")


def anywhere(text: str) -> bool | None:
    """Yes or no, where a text says only one of them."""
    text = _UNSURE.sub("", text.replace("yes or no", ""))
    yes = _WORD_YES.search(text)
    no = _WORD_NO.search(text) or (
        _NOT.fullmatch(text) if len(text) < 40 and "<region" not in text and " i " not in f" {text}" else None
    )
    return None if bool(yes) == bool(no) else bool(yes)
