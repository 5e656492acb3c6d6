"""The value of a short sentence, as most references are: in a tenth of the time that a reply takes."""

from spatialreasoner.language import lengths, verdicts
from spatialreasoner.language.declining import declines
from spatialreasoner.language.quantities import find_quantities, fold
from spatialreasoner.language.question import Asked

_SHORT = 200
"""Characters of the longest sentence that is read so."""


def conclude_plainly(asked: Asked, text: str) -> float | None:
    """The value of a short sentence that gives one length or hour, or begins with yes or no; None if it takes `conclude`."""
    folded = fold(text)
    if len(folded) > _SHORT or "\n" in folded:
        return None
    if asked.relation is not None:
        head = None if asked.choice else verdicts.leading(folded)
        return None if head is None else float(head)
    found = find_quantities(folded)
    unit = "hour" if asked.category == "direction" else "m"
    if len(found) != 1 or found[0].unit != unit or lengths.is_measured_otherwise(folded) or declines(folded):
        return None
    return found[0].middle
