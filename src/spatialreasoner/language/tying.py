"""Whether a length or an hour in a clause is tied to what is asked, where the reply also withholds, asks or supposes.

A clause gives it if it is nothing but the number and words such as "about"; if it speaks of a region, "it", the two, the
distance; or if it says so in the first person: "I'd say 2 m". "A 30 cm ruler", "doors are 2 m high" and "e.g. 2 m" give none.
"""

import re

from spatialreasoner.language.quantities import find_quantities
from spatialreasoner.language.scan import lazily

FIRST_PERSON = lazily(
    r"\b(?:i(?:'d| would|'ll| will|'m| am| can| could)?(?: only| just| still| have to| rather| probably)* (?:say(?= |,"
    r"|:)(?<!could i say)(?<!can i say)(?<!could say)(?<!can say)|guess\w*|estimate\w*|go (?:for|with)|put (?:it|the|its)"
    r"|think|believe|reckon|bet|lean|pick|choose|offer|settle|inclined|call (?:it|this|that))|^\W*call it"
    r"|my (?:\w+ ){0,3}(?:guess|estimate|answer|bet|pick|choice)\b(?! ha)|(?:best|educated|rough|fair|closest"
    r"|realistic) (?:\w+ )?(?:guess|estimate|approximation|i can)|(?:is|as) my (?:guess|estimate|answer)|bet on"
    r"|that figure)\b"
)
"""What is said in the first person: it answers, whatever the clauses around it say."""
_GENERAL = lazily(
    r"\b(?:typical(?:ly)?|usual(?:ly)?|on average|averages?|standard|normal(?:ly)?|general(?:ly)?|common(?:ly)?|often"
    r"|in (?:most|many|some) \w+|recommended|advis(?:able|ed)|rule of thumb"
    r"|var(?:y|ies)|ranges? (?:from|between)|tend to|come in|as a rule|for (?:example|instance|reference|phones|a person"
    r"|an? \w+ of)|e\.g|such as|anything from|anywhere|somewhere between|like [\"'h]|can (?:be|grow|reach)|works well"
    r"|formula|x tan)\b"
)
_ELSEWHERE = lazily(r"\b(?:anything|anywhere|reads?|says|timestamp|wall clock|watch|sign|focal length|lens|sensor)\b")
_REFERS = lazily(
    r"\W*(?:(?:and|but|or|so|then|even|only)[, ]+)*(?:given|giving|assuming|taking|using|with|considering|based (?:up)?on"
    r"|compared (?:to|with)|judging|since|because|as (?:the|it|there|a|i)\b|for|in a)\b"
)
_SAID_OF = lazily(
    r"\b(?<!behind )(?<!beside )(?<!next to )(?<!near )(?<!above )(?<!below )(?<!by )(?<!from )(?<!of )(?<!around )(?:it"
    r"|they|s?he|(?:the|their|its) (?:\w+ ){0,2}(?:distance|height|width|gap|size|separation)|regions?.{0,6}"
    r"|the (?:two )?regions) (?:is|are|looks?|appears?|seems?|comes?|being|should be|would be|must be)\b|\bit's (?:about"
    r"|around|approximately|roughly|some)\b"
)
_OF_IT = lazily(
    r"\W*(?:so |and )?(?:it|this|they|regions?)\b"
    r"(?!(?:'s| is) (?:\w+ly )?(?:recommended|advis|suggested|best|common|usual))"
)
_FILLS = (
    r"about around approximately approx\.? roughly nearly almost some perhaps maybe probably likely possibly say only just "
    r"at of to be is are was it's that's a an the as so then thus therefore hence but yet still however though although "
    r"and or overall visually horizontally vertically by eye total near close very in region somewhere estimated? "
    r"estimates? estimating estimations? approximation approximate rough best value answer result final guess gives? "
    r"makes? comes? which measures? seems? looks? appears? stands? well ca\.? circa something\W+like up out should "
    r"would will may might could must less more than height width distance gap separation size direction length "
    r"dimensions? wide tall high "
    r"apart no yes hmm ok okay exactly precisely good fair low confidence not sure educated on that this basis following "
    r"suggests? i'd i here now actually fact unit meters? m cm lies? sits? placed located found facing straight ahead "
    r"direct(?:ly)? behind right left front for"
)
_ASKED = (
    r"distance height width gap separation spac\w+ size answer estimate value figure result direction guess offset length "
    r"radius diameter span dimensions? extent box regions objects cent(?:er|re)s part total"
)
_NEVER = (
    "camera|photographer|viewer|room|image|picture|photo|scene|average|typical|standard|door|ceiling|table|tile|reference|model"
)
_BE = r"(?:is|are|looks?|appears?|seems?)"
_SUBJECT = (
    r"(?:it|its|an? \w+ like (?:this|that)|\w+ of this (?:kind|type)|(?:this|that) (?:one|is|makes|gives|puts|would|comes)"
    r"|they|they're|their|these|those|the (?:two|pair|first|second|former|latter|(?:[\w-]+ )?one)"
    r"|(?:approximate|rough|fair|better) one|both|between them|regions?\b.{0,6}"
    r"|(?:the |an? |my |its "
    rf"|their |whose |which |whole |total )?(?:[\w-]+ ){{0,2}}(?:{_ASKED.replace(' ', '|')})\b|he|she|his|her|you(?:'ll|'d"
    rf"| will| would)?|(?:the|this) (?!(?:{_NEVER})\b)\w+ (?:\w+ )?(?:{_BE}|has|measures|stands)|(?:the"
    rf"|this) (?!(?:{_NEVER})\b)\w+(?: \w+)? {_BE} (?:to be"
    r"|perhaps|probably|likely|maybe|about|approximately|around|roughly|at) )"
)
_TIED = lazily(rf"[\W_]*(?:(?:{_FILLS.replace(' ', '|')})\b[\W_]*){{0,8}}(?:{_SUBJECT}(?!\w).*)?", re.DOTALL)
_GIVES = lazily(r"[=~][ ~]*$")
_FOLLOWS = lazily(
    r"[\s*_\"'\])]*(?:$|[.,;:!?()\[\]*/x=±+>\u2192-]|(?:apart|away|tall|high|wide|long|deep|across|between|from|of|or|and"
    r"|to(?! the side)|vertical\w*|horizontal\w*|distan\w+|is|are|was|would|seems?|fits?|comes|looks?|at|in(?! the (?:morn"
    r"|after|even))|on|maybe|perhaps|i|i'd|though|not|give|off|as|based|but|by|direction|position|separat\w+|taller|wider"
    r"|relative|(?:above|below|higher|lower|beneath|over)(?! the (?:ground|floor))|when|with|estimated|approx\w*|total"
    r"|thick|height|width|should|may|might|could|because|since|region"
    r"|assuming|overall|visually|behind|ahead)\b)"
)
_CLOCK = lazily(r"\b\d{1,2}:\d\d\b")
_ANNOUNCES = lazily(
    r"\b(?:we|i) can (?:still )?(?:make|estimate|provide|offer|give|approximate|infer)|here's (?:an?|my|how)\b|here are\b"
    r"|estimat(?:ed|ion)s? ?:|let's (?:estimate|analy)|^\W*estimat"
)
"""What announces an estimate: lengths behind it need not be tied."""


_ON_CONDITION = lazily(r"\b(?:if|once|when|after|as soon as|with)\b[^.!?\n]*$")


def announces(folded: str) -> bool:
    """Whether an estimate is announced, and not only promised: "if you upload it, I can give an estimate"."""
    return any(
        not _ON_CONDITION.search(folded, max(0, match.start() - 120), match.start()) for match in _ANNOUNCES.finditer(folded)
    )


_WHICH_IS = lazily(r"\W*which (?:(?:is|are|has|have|measures?|stands?|comes?|\w+ly) )+")
_IS_A = lazily(r"\b(?:region ?\S{1,6}|it|this)\W{1,4}(?:is|appears to be|seems to be|looks like) an? ")


def measured(clause: str) -> tuple[int, int] | None:
    """Where the first length or hour of a clause is; None if it has none."""
    found = find_quantities(clause)
    if found:
        return found[0].span
    clock = _CLOCK.search(clause) if ":" in clause else None
    return None if clock is None else clock.span()


def measures(text: str) -> list[int]:
    """Where the lengths and hours of a text begin, as `measured` sees them."""
    clocks = [match.start() for match in _CLOCK.finditer(text)] if ":" in text else []
    return [quantity.span[0] for quantity in find_quantities(text)] + clocks


def is_tied(clause: str, *, announced: bool = False, behind: str = "") -> bool:
    """Whether the lengths and hours of a clause, if it has any, are said of what is asked.

    Args:
        clause: The folded text of the clause.
        announced: Whether the reply announces an estimate.
        behind: What is asserted in front of it, where an estimate is announced: "it is an office chair, which usually is 1 m
            tall" tells how tall it is.

    >>> is_tied("about 2 m."), is_tied("they are 2 m apart"), is_tied("a 30 cm ruler"), is_tied("doors are 2 m high")
    (True, True, False, False)
    """
    span = measured(clause)
    if span is None:
        return True
    if behind and _WHICH_IS.match(clause) and _IS_A.search(behind):
        return True
    before = clause[: span[0]]
    if _ELSEWHERE.search(clause) and not FIRST_PERSON.search(clause):
        return False
    hedged = _GENERAL.search(clause) or _REFERS.match(clause)
    if hedged and not (_SAID_OF.search(before) or _OF_IT.match(clause) or FIRST_PERSON.search(clause)):
        return False
    if not _FOLLOWS.match(clause, span[1]):
        return False
    ties = (
        announced or _GIVES.search(before) or _TIED.fullmatch(before) or _SAID_OF.search(before) or FIRST_PERSON.search(clause)
    )
    return bool(ties)
