"""The words by which a clause withholds an answer, asks for more, or only supposes.

Each pattern is for one clause, folded. They are wide on purpose: a clause that they take for a refusal is only left out, and
what the rest of a reply asserts is still read.
"""

import re

from spatialreasoner.language.scan import lazily


def _any(words: str) -> str:
    """A pattern of one of some pieces, which are parted by a comma and a blank."""
    return "(?:" + "|".join(words.split(", ")) + ")"


_CAN_NOT = _any(
    "cannot, can't, can not, couldn't, could not, won't, will not, wouldn't, would not, unable, not able, n't able, incapable"
)
_DO_NOT = r"(?:(?:do|does|did|have|has|had)(?:n't| not)|never)"
_WAY = r"(?: (?:\w{1,12}ly|even|yet|quite|so|too|really|at all|just|\d\d%|very|enough|been|be|any|me|us)){0,3}"
_RELATED = _any(
    r"(?:the )?\w{3\,}er, behind, in front, above, below, on, over, under, left, right, to the, so, true, correct, the "
    r"case, the same"
).replace("\\,", ",")
_POINTS = _any("image, picture, photo, view, shot, frame, scene, data, pixels?")
_ABLE = (
    # "I can't ...", "cannot be told", "unable to", but not "Region [0] can't be taller", "I can't deny it"
    rf"\b{_CAN_NOT}\b(?! (?:possibly |really )?(?:be (?:\w+ly )?{_RELATED}\b|"
    + _any("agree, deny, be denied, doubt, help but, say so, think, believe, call, describe region, imagine, hesitate, swear")
    + r"))"
    # "I don't ...", but not "I don't think so"
    rf"|\b(?:i|we|you|one)(?: \w+ly| still| also)? {_DO_NOT}(?! (?:quite |really |even )?"
    + _any(
        "think, believe, say, suppose, agree, doubt, need, see how, see why, see any, mind, hesitate, have to, want to mislead"
    )
    + ")"
)
_DOES = (
    # "the picture doesn't show", "it has not been provided", but not "doesn't have more height"
    rf"\b{_DO_NOT}{_WAY} "
    + _any(
        "know, see(?! how| why), find, got, get, recogni\\w+, understand, make (?:out|sense|any), provide, want, give, "
        "offer, follow, do\\b, compare, guess, measure, possess, mean, contain, show, include, allow, permit, reveal, "
        "carry, tell, let, lend, come (?:with|through), (?:appear|seem) to (?:contain|include|have|be (?:an?|any|in) "
        "(?:image|region)), extend to, support, apply, comment, speculate, detect, spot, display, estimate, identify, "
        "determine, analy[sz]e, process, answer, discuss, judge, load, attach, receive, happen to, help, add up, perform, "
        "take (?:part|any), specify, state, mention, say(?! so), exist, work, enable, suffice, have(?! (?:an? |the "
        ")?(?:more|less|greater|larger|smaller|bigger|higher|lower|lesser|wider|taller|shorter|the same|as "
        "(?:much|great|large)|its))"
    )
    + r"\b"
)
_IS = (
    # "I'm not sure", "it isn't possible", "not enough"
    rf"(?:not|n't|neither|nor){_WAY} "
    + _any(
        "sure, certain, clear(?!ly), possible, feasible, available, visible(?! (?:since|because|as|behind)), known, given, "
        "provided, specified, stated, indicated, mentioned, described, "
        "marked, labell?ed, annotated, highlighted, shown, drawn, defined, determin\\w+, "
        "measur\\w+, recover\\w+, comput\\w+, sufficient\\w*, enough, confident, equipped, in a position, convinced, easy, "
        "straightforward, obvious, trivial, appropriate, reliabl\\w+, meaningful, supported, designed, capable, trained, "
        "allowed, permitted, something, anything, a question, present\\b, detect\\w+, found, locat\\w+, identif\\w+, "
        "applicable, answerable, attached, uploaded, loaded, received, included, come through, an expert, exact\\w*, "
        "precise\\w*, accurate\\w*, going to, my place, part of the, readable, legible, decidable, quantif\\w+, "
        "estimat\\w+, in (?:the |this |my |your |full )?(?:image|picture|photo|view|frame|scene|full), what i (?:do|can), "
        "appear in, (?:\\w+ ){0;4}(?:can|could) (?:be|i|we)\\b, worth, willing, comfortable, happy to, at liberty, fit to, "
        "read, there"
    ).replace("0;4", "0,4")
    + r"|there (?:is|are|was|were)(?:n't| not) (?:any|an?|enough|much)\b|\bnot (?:knowing|having)\b"
    r"|\bneither (?:one )?(?:is|are|of (?:these|them|those) (?:is|are)) (?:given|known|available|provided|specified)\b"
    r"|\bneither\b.{0,60}\b(?:can|could|is|are|was|were) (?:be|visible|shown|marked|in)\b"
    rf"|\b(?:not|n't) (?:from|with|based on|in) (?:this|an?|such|the {_POINTS})\b"
    r"|\b(?:image|picture|photo|file)s?\b.{0,24}(?:\bnot\b|n't)|\btoo \w+ (?:for me )?to (?:tell|see|say|judge|make"
    r"|compare|measure|estimate|determine|identify|read)\b|\b(?:don't|do not) (?:perceive|process|access|view)\b"
)
_DENIES = (
    r"\b"
    + _any(
        "impossible(?! that| for region| for it), infeasible, unfeasible, unanswerable, undecid\\w+, undetermin\\w+, "
        "undefined, unspecified, unknown, unknowable, unclear, unsure, uncertain\\w*, unavailable, unreadable, unreliable, "
        "unmeasur\\w+, unsupported, unresolv\\w+, indetermina\\w+, inconclusive, ambigu\\w+, insufficient, inadequate, "
        "meaningless, misleading, guesswork, pointless, speculat\\w+, irresponsible, inappropriate, arbitrary, made[- ]up, "
        "mak(?:e|ing) it up, invented, anyone's guess, guess is as good, coin (?:flip|toss), in the dark, no telling, who "
        "knows, depend(?:s|ing|ed)? (?:on|entirely|very|upon), (?:it|that|which|answer) depends, either way, could go "
        "either, may or may not, up to you, matter of (?:opinion|definition), (?:can|could|may|might) mean, n/a, tie "
        "between, too close to call, neither confirm, (?:neither|either|both) answers?, hesitate to, leaves? "
        "(?:it|that|this|me|us) , only if, if (?:only )?(?:i|we) (?:knew|had the|could), (?:can|could) only "
        "(?!estimate|guess|approximate|offer|say|give|be (?:an? )?(?:estimat|approx)), wouldn't know, refus\\w+, "
        "declin\\w+, refrain, abstain, have to pass, must pass, rather not, prefer not, leave (?:it|that|this) open, stay "
        "open, pass on this, be guessing, be lying, beyond (?:what|my|me\\b|the (?:scope|reach|limits)), outside (?:of "
        ")?(?:my|what|the (?:scope|frame|image|picture|shot)), "
        "(?:hard|difficult|tough|tricky|challenging|impractical|risky) (?:to|for me|one|call|angle|without), "
        "(?:makes?|making|made) (?:it|this|that)\\b[^.;]{0;20}\\b(?:hard|difficult|tough|tricky|impossible|challenging), "
        "(?:trouble|difficult(?:y|ies)|struggling) (?:with|to|in|\\w+ing), some(?:one|body) (?:with|who), "
        "error occurred, went wrong, gone wrong, "
        "unfair to, unwise to, premature to"
    ).replace("0;20", "0,20")
    + r"\b|\b(?:perhaps|maybe|possibly),? (?:or )?(?:perhaps|maybe|possibly) not\b"
    r"|\byes (?:in|if|from|for|when)\b[^.;\n]{1,60}\b(?:and|but) no (?:in|if|from|for|when)\b"
    r"|\b(?:question|height|width|size|distance|direction|answer|it) (?:remains|stays|is) open\b"
    r"|\bnothing (?:\w+ ){0,2}(?:suggests|indicates|tells|shows)\b|\bremains to be seen\b|\bonly then (?:can|could)\b"
    r"|\bneither yes nor no\b"
    # "nothing can be said", "no car is visible", "this only makes sense if I know"
    r"|\bnothing (?:\w+ ){0,2}(?:can|could) be (?!further|clear)\w|\bno \w+ (?:(?:is|are) (?:visible|shown|seen"
    r"|present)|(?:can|could) be (?:given|told|stated|determined|derived|computed|made))\b"
    r"|\bonly (?:makes? sense|works?|possible|answerable) (?:if|when|once|with)\b|\bpossible only (?:if|when|once|with)\b"
)
_WANTS = (
    # "no scale", "nothing to compare it with", but not "no taller", "by no means"
    r"\b(?:no(?<!by no)(?<!in no)(?<!need no)(?! (?:(?!ruler|marker|number|answer)\w+er\b|part|sense in|way (?:region|it"
    r"|that)))"
    r"|without(?<!even without)|nothing|none|lack\w*|missing|absence of|nowhere(?! near)|insufficient|only one"
    r"|zero(?= (?:region|object)))\b(?: \w+){0,3}? ?"
    + _any(
        "images?, pictures?, photos?, attachment, files?, scales?, reference\\w*, ruler, depth, information, info, "
        "context, data, idea, clue, way, means, method, basis, measur\\w+, calibrat\\w+, answers?, numbers?, values?, "
        "figures?, cues?, objects?, regions?, box(?:es)?, mark\\w*, labels?, labell?ed, evidence, indication, hint, "
        "guarantee, precision, estimates?, comparison, view, clock, meta\\w*, access, tools?, abilit\\w+, capabilit\\w+, "
        "expert, certainty, orientation, heading, camera, details?, perspective, comment, reason to, known, knowing, "
        "seeing, inputs?, more to go, sense to, position, something, anything, here, in (?:the|this), tell(?:s|ing)?, "
        "to (?:tell|go "
        "on|compare|decide|say|judge|scale|estimate|determine), physical, conclu\\w+, direction, verdict, judg\\w+, "
        "assess\\w+, determin\\w+"
    )
    + r"\b"
    # "I'd need a reference", but not "you need to turn left"
    r"|\bneed(?:s|ed)?\b(?! (?:to (?:look|rotate|turn|go|walk|move|face|step|swivel|reach|stand|be)|not\b|no\b|for))"
    r"|\brequir(?:e|es|ed|ing)\b|\b(?:i|we|you)(?:'d| would) (?:want|like|love|have) (?:an? |the |more |to (?!"
    + _any(
        "say, agree, disagree, admit, guess, go\\b, answer, pick, choose, look, walk, move, turn, step, face, confirm, assume"
    )
    + r"))|\bhave to (?:know|see|measure|tell)\b"
    r"|\b(?:would|might|could) (?:help|allow|be (?:needed|necessary|required|better|useful))\b|\b(?:against|violat\w+"
    r"|breach\w*|comply with) (?:\w+ ){0,3}(?:polic\w+|guidelines|rules|terms)|\b(?:sorry|apolog\w+|unfortunately"
    r"|regret\w*|afraid)\b|抱歉|对不起|無法|无法|不能(?:回答|协助|提供|帮)|lo siento|je suis désolé|tut mir leid"
)
DECLINES = lazily("|".join((_ABLE, _DOES, _IS, _DENIES, _WANTS)))
"""An ability, a knowledge, a view or a thing is denied."""
OPINION = lazily(
    r"\b(?:(?:don't|do not|wouldn't|would not) (?:quite |really )?(?:think|believe|say|suppose|call|agree"
    r"|describe)\b(?! (?:i\b|that i|we|you|anyone|one|it's possible|it is possible|anything|there|much))|i(?:'d)? (?:doubt"
    r"|disagree)|(?:can't|cannot|don't|(?:any|no) reason to) (?:be )?(?:agree|den|doubt)|no denying|no doubt|without (?:a "
    r"|any )?(?:doubt|question)|no question|(?:can't|cannot) (?:see (?:that it|how (?:regions?|any\w+|one|that"
    r"|(?:it|they) (?:could|can|would|might)|it(?:'s| is) \w+er)\b)|imagine)|not (?:as far as"
    r"|that) i (?:can|could) (?:see|tell)|see no reason|as far as i (?:can|could) (?:see|tell|judge)|if i'm not mistaken"
    r"|afraid (?:not|so)\b|(?<!verify the )(?<!confirm the )(?<!check the )(?<!evaluate the )(?<!assess the )(?:statement"
    r"|claim|assertion)\b(?! on| about| whether).{0,80}\bis\b|no way (?:region|it|that)"
    r"|(?:can't|cannot|couldn't) be(?: further from (?:the )?truth)?(?=\W*$))"
)
"""A denial that answers: "I don't think so", "I can't deny it"."""
_YOU = r"you(?:'d| would| could| can| might| may| should| must| will|'ll)(?: also| then| just| still| always)? "
_TURNING = r"(?! to (?:look|turn|go|walk|move|face|step))"
_REQUESTS = (
    r"\b(?:please|kindly|(?:could|can|would|will) you|(?:do|did|have|are) you\b|tell me|(?:send|give|ask|show) me"
    r"|one (?:could|would|might) (?:use|need|have|measure|estimate"
    r"|calculate|compute|work out|scale)|let me know (?!if you (?:need|have|want|would|'d))|upload\w*|attach(?:ed|ing)?"
    r"|re-?send\w*|clarify|specify"
    r"|(?:please|just|first) describe|point (?:it|them) out|tr(?:y|ying) again|retry|have a look at|look (?:it )?up"
    r"|have to be (?:more )?specific|i(?:'d| would)? (?:suggest|recommend|advise)|you(?:'d like| want|'re asking"
    r"| are asking| asked)"
    rf"|{_YOU}(?:get|call|measure|use|try|need{_TURNING}|have{_TURNING} to|want|tell(?! by| from| that)|give|send|provide"
    rf"|share|look it up"
    rf"|count|compare"
    r"|check|work (?:it )?out|calculate|consult|scale|mean)|(?:once|if|when|unless) you(?:'ve| have| can"
    r"| could)? (?:\w+ ){0,2}(?:give|tell|provide|share|send|know|upload|have(?! any)|let|include|mark|describe))\b"
    r"|\b(?:here's )?how (?:to|you can) (?:check|tell|find out|verify|decide)\b"
    r"|\bdividing\b|\b(?:laser|range ?finder|lidar|tape measure)\b"
)
_URGES = (
    r"(?:use|try|consider|get|measure|take(?! \w+ steps?)|ask|count|identify|place|put|check(?= (?:for|if|whether|which)))"
    r" (?!it\b|this\b|that\b)\w"
)
ASKS = lazily(rf"{_REQUESTS}|^\W*{_URGES}")
"""The reader is asked for something, or told what could be done."""
MAY_ASK = lazily(rf"{_REQUESTS}|\b{_URGES}")
"""What a clause that asks holds somewhere."""
CLOSES = lazily(
    r"\b(?:is|does|are|was) (?:this|that|it|my)\b[^?]{0,40}\b(?:correct|right|reasonable|sense|true|accurate|ok|okay|clear"
    r"|help)\b"
)
"""A question that only closes an answer."""
FRAGMENT = lazily(r"\W*the \w{2,}er(?: one| region| object| of the two)?\?\s*")
"""What asks for the region that follows: "The taller one? Region 1"."""
OF_COURSE = lazily(r"\W*(?:of course|certainly|obviously|naturally|sure)\W*")
"""What is no answer within a sentence."""
_OPENS = r"^\W*(?:(?:and|but|or|so|then|even|only|e\.g)[, ]+)*"
SUPPOSES = lazily(
    rf"{_OPENS}(?:if (?!i had to|i have to|i must|i were to|i'm not|i am not|anything|not\b|it (?:were )?up to me"
    r"|you (?:ask|look|are|were|stand|sit|face))|unless|suppose|supposing|let's (?:say|take|assume)|say,? (?:the|a|that)"
    r"|once|in case|whether|when(?:ever)? (?:you|the|a|it)|as soon as|to (?:know|tell|say|see|work|determine|decide|find"
    r"|estimate|compare|measure|judge|answer|get|calculate|be able|give|go|confirm|verify|check|establish|assess|conclude"
    r"|be \w{2,}er)\b|hypothetically|in theory|whatever)\b"
    r"|\bif (?:only )?(?:i|we|something) (?:could|knew|saw)\b|\bif something\b|\bonly if\b|\bquestion (?:of )?whether\b"
)
"""A condition, a purpose, what is assumed."""
MAY_SUPPOSE = lazily(
    r"\b(?:if|unless|suppos\w+|let's|say|once|case|whether|when(?:ever)?|as soon|hypothetically|theory|whatever|to (?:know"
    r"|tell|say|see|work|determine|decide|find|estimate|compare|measure|judge|answer|get|calculate|be able|give|go|confirm"
    r"|verify|check|establish|assess|conclude|be \w{2,}er))\b"
)
"""What a clause that supposes holds somewhere."""
CONDITION = lazily(r"\W*(?:\w+ )?(?:if|unless|suppose)\b")
CASE = lazily(r"\W*(?:(?:\w+ )?if\b|with (?:an? )?\d)")
"""One of several cases: "with 30 cm tiles"."""
HYPOTHETICAL = lazily(
    r"\b(?:if|unless|suppose|had)\b[^\n]{0,160}(?:\b(?:would|could|might|may)|(?:it|they|that|this|\])'d)\b"
    r"|\bif (?!i\b|we\b|you\b)[^\n]{1,160}, then\b"
)
IF_HIDDEN = lazily(
    r"\bif (?:the )?(?:regions? ?\S{1,4}|it|one of them|either|one|they) (?:(?:partially|partly|is|are|was|were) ){0,2}"
    r"(?:overlap|occlu|cover|block|hid|obscur|obstruct|(?:in front|behind|closer|nearer|farther|further)\b)"
)
"""What hides what is supposed: "if A overlaps B, it is in front"."""
UNLESS = lazily(r"\W*unless (?!you\b|i\b|we\b)")
EXACTLY = r"(?:directly |exactly |roughly |nearly |perfectly )?"
WAVERS = lazily(
    r"\b(?:could|might|may|can|either)\b[^;\n]{0,80}\bor\b(?! so\b| thereabouts| equal| (?:at )?the same"
    rf"| {EXACTLY}(?:aligned|level|in line|flush|even with)\b)|\b(?:may|might"
    r"|could) or\b|\bso (?:could|might|may)\b|er or \w{2,}er\b|\b(?:one|what|which) of\b.{0,20}\b(?:two"
    r"|them)\b.{0,40}\bwhich\b|\bas justified\b"
    r"|\b(?:could|might|may)\b[^;\n]{0,60}\b(?:could|might|may) (?:just|as|also|be|equally)\b|\byes,? (?:and"
    r"|or) (?:possibly |maybe |perhaps )?no\b|yes, (?:possibly|maybe|perhaps) no\b|possibly, possibly not|\byes ?/ ?no\b"
    r"|\b50 ?[/-] ?50\b|\bfifty-fifty\b|\bequally likely\b|\bif (?:that|this)(?:'s| is) (?:so|true|the case|correct)\b"
    r"|\b(?:otherwise|else|if not),? (?:then )?(?:(?:it"
    r"|the answer)(?:'s| is| would be) )?(?:yes|no|true|false|region)\b"
    r"|\b(?:yes|no|true|false),? (?:but )?(?:only )?if\b[^.\n]{1,120}\b(?:yes|no|true|false),? if\b"
)
"""It may be so or otherwise."""
APPARENT = lazily(
    r"\b(?:may|might|could|can) (?:\w+ )?(?:appear|look|seem|make)\b|\b(?:things|objects|items)\b.{0,50}\b(?:camera|viewer"
    r"|lens|us)\b.{0,40}\b(?:appear|look|seem)|\bwould (?:be|have|lie|stand|appear)\b[^;\n]{0,60}\b(?:if|unless"
    r"|provided) (?!they|both|you|we|i\b|one\b|seen|viewed|placed)|\bwould (?:have|need) to (?:be|have|measure|stand|lie)\b"
)
"""It only looks so, all things do, or it would be so if something were."""
IN_GENERAL = lazily(
    r"\b(?:usually|typically|normally|generally|commonly|as a rule|on average|by definition|in (?:general|most|many)"
    r"|in an? (?:typical|normal|standard|usual|average|ordinary)"
    r"|the one (?:with|that|which|whose)"
    r"|one (?:of (?:them|the two|these) )?(?:is|looks|seems|appears)\b.{1,40}\bthan (?:the other|another)"
    r"|(?:left|right|above|below|behind|front|\w{2,}er)[\"']? (?:means?|denotes?|refers? to|is defined))\b"
)
"""It holds of all such things, or is a definition: "objects that are behind others are usually partially hidden"."""
LISTS = lazily(
    r"^\W*(?:and |or )?for (?:example|instance)\W*$|\b(?:options|choices|alternatives|possibilities|candidates"
    r"|possible answers|choose|pick|select)\b[^:]{0,30}:\s*$"
)
"""What follows is an example, or a list of what might be."""
MAY_LIST = lazily(
    r"\bfor (?:example|instance)\b|\b(?:options|choices|alternatives|possibilities|candidates|answers|choose|pick|select)\b"
)
"""What a clause that begins a list holds."""
VIEW = lazily(
    r"\b(?:cropped|cut off|cuts|hidden|occluded|obscured|covered|blurr?y|blurred|too (?:dark|small|low|far|bright|dim"
    r"|grainy)|out of (?:frame|view|focus|the (?:frame|image|picture))|off[- ]screen|blank|empty|low[- ]resolution"
    r"|only (?:region|one).{0,12} (?:is|was|are))\b(?! (?:by|behind|from)"
    r" (?:region|it\b|the other\b|(?:the|an?) (?:\w+ ){1,3}in region))"
)
"""How a region or the picture can be seen."""
TALKS = lazily(
    r"\bi (?:can |do |could |did |only |also )*(?:see|find|spot|notice|recogni\w+|identify|understand|have|get"
    r"|got)\b(?! that)"
)
FLATLY = lazily(
    r"\b(?:rather|prefer)(?: to)? (?:not|give n)|\b(?:won't|will not|decline to|refuse to"
    r"|refrain from) (?:\w+ly )?(?:guess|answer)\b|\bleave (?:it|that|this) (?:open|at that)\b|\bno answer\b"
)
"""The answer itself is withheld, whatever was said before."""
TAKES_BACK = lazily(r"\b(?:but|however|still|my|yes|no)\b|\d")
ONLY_EXACTNESS = lazily(
    r"exact|precis|accura|certain|\bsure\b|100|how much|measure|number|figure|dimension|guarantee|verify|swear|height"
    r"|width|size|edge|depth|scale|(?:the|its|their) (?:top|base|bottom|feet|ground|full)|full|complet|entire|well\b"
    r"|quotes?|confiden|zoom|expert|clear|obvious|detail|further"
)
"""Words of a clause that only says how exact an answer is."""
ALL_OF_IT = lazily(r"compar|relative|help|assist|answer|\b(?:load|image|picture|photo|mark)|guess")
"""Words of one that withholds all of it."""
_DENY = lazily(
    r"\bi (?:can't|cannot) deny that |\bthere(?:'s| is) no denying that |\bit (?:can't|cannot) be denied that "
    r"|\bi (?:can't|cannot|don't) see how (?:anyone|anybody|one) (?:can|could) (?:doubt|deny) that "
)
_IMPOSSIBLE = lazily(r"\b((?:it is|it's) (?:simply |quite )?impossible for )(regions? ?\S{1,3}) to be(?= )")


def plainly(folded: str) -> str:
    """A folded text in which denied denials are plain: "I can't deny that", "it is impossible for Region [0] to be"."""
    if "deny" in folded or "doubt" in folded or "denie" in folded:
        folded = _DENY.sub(lambda match: " " * len(match[0]), folded)
    if "impossible for" in folded:
        folded = _IMPOSSIBLE.sub(lambda match: f"{' ' * len(match[1])}{match[2]} isn't", folded)
    return folded


def withholds_flatly(folded: str) -> bool:
    """Whether a text ends with withholding the answer itself."""
    if FLATLY.search(folded) is None:
        return False
    *_, last = FLATLY.finditer(folded)
    return TAKES_BACK.search(folded, last.end()) is None


def declines(folded: str) -> bool:
    """Whether words say that something cannot be told, done or seen."""
    return DECLINES.search(folded) is not None and OPINION.search(folded) is None


_OF_REGION = lazily(r"region ?\S{1,4} $")
_PASSIVE = lazily(r"\w+(?:n't| not)? be (?:\w+ly )?\w+(?:ed|en|wn|id|rd|ld|de|ad|ut)\b|un|not|in")


def denial(text: str) -> "re.Match[str] | None":
    """What of a clause declines, but not of a region: "Region [0] can't compete with Region [1]"."""
    found = DECLINES.search(text)
    if found is None or OPINION.search(text):
        return None
    if found.group().startswith("can") and _OF_REGION.search(text, 0, found.start()):
        return found if _PASSIVE.match(text, found.start()) else None
    return found
