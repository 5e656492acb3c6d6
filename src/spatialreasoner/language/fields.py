"""The answer in a reply that is a JSON object: whether it holds one at all."""

import json

from spatialreasoner.language.scan import lazily

_NOTHING = frozenset(
    ("", "null", "none", "unknown", "n/a", "na", "nan", "-", "?", "undetermined", "unclear", "unsure", "indeterminate",
     "unanswerable", "not applicable", "cannot determine", "not visible", "error", "-1")
)  # fmt: skip
_ENVELOPE = frozenset(
    ("detail", "details", "message", "status", "error", "code", "type", "retry_after", "request_id", "success")
)
"""The fields of what a server answers instead of a model."""
_VERDICTS = frozenset(("true", "false", "yes", "no"))
_UNSEEN = lazily(
    r"\b(?:no|missing|without|can't (?:see|open|load|view)|cannot (?:see|open|load|view)|unable to (?:see|open|load|view)"
    r"|could not (?:see|open|load|view)) (?:an? |the |any )?(?:image|picture|photo|attachment)s?\b(?! (?:scale|quality|of))"
    r"|\b(?:image|picture|photo) (?:is |was )?(?:missing|not (?:provided|attached|available|found|loaded))"
)
"""Why a yes or no in a field means nothing: there was no image."""
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
    if all(key.lower() in _ENVELOPE for key in fields):
        return False
    first = fields.get("answer", next(iter(fields.values())))
    asked = [str(value).strip().lower() for key, value in fields.items() if _ASKED_KEY.search(key.lower())]
    if asked and all(value in _NOTHING for value in asked):
        return False
    if str(first).strip().lower() in _VERDICTS and any(_UNSEEN.search(str(value)) for value in fields.values()):
        return False
    return None if isinstance(first, (dict, list)) else str(first).strip().lower() not in _NOTHING
