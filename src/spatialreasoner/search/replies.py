"""What a policy's reply must look like to enter a tree: the steps of an answer, in their order, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from spatialreasoner.core.errors import ResponseError
from spatialreasoner.core.types import Completion
from spatialreasoner.inference.backends.replies import ended
from spatialreasoner.language.responses import MAX_CHARACTERS, ResponseStep, parse, steps

_CLOSING = ("", "</description>", "</reasoning>")


class Malformed(ResponseError):
    """A reply that must not enter a tree.

    Attributes:
        kind: "empty" (also "empty: cut off", "empty: cut off while thinking", "empty: only thinking"), "refusal", "truncated",
            "too long", "no section" (text before the next heading, or none), "wrong section" (a heading out of order),
            "blank section" or "unparsable".
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


def continuation(prefix: str, completion: Completion, *, whole: bool, max_steps: int) -> list[ResponseStep]:
    """The new steps that a completion adds to a prefix.

    Args:
        prefix: The answer so far, cut between two steps.
        completion: What a policy wrote after it.
        whole: Whether the answer must be finished; otherwise only the first new step must be whole, and is returned.
        max_steps: Maximum number of steps of the answer, prefix included.

    Raises:
        Malformed: If the completion is empty, declined or cut off, or if its sections are not those that come next.
    """
    _check_text(prefix, completion, whole)
    before = steps(prefix) if prefix else []
    new = _new_steps(prefix, completion.text, len(before))
    if len(before) + len(new) > max_steps:
        raise Malformed("too long", f"expected at most {max_steps} steps; got {len(before) + len(new)}")
    if "</reasoning>" in prefix and new[0].name != "conclusion":
        raise Malformed("wrong section", f"expected the conclusion after the closed reasoning; got {new[0].name!r}")
    _check_order(before[-1].name if before else "", new if whole else new[:1])
    if not whole:
        if len(new) == 1 and completion.finish == "length":
            raise Malformed("truncated", "the reply ended within its first step")
        return new[:1]
    if new[-1].name != "conclusion":
        raise Malformed("truncated", f"expected a conclusion; the reply ends with {new[-1].name!r}")
    _check_answer(prefix + completion.text)
    return new


def _new_steps(prefix: str, text: str, num_before: int) -> list[ResponseStep]:
    """The steps of `text`, which follow the first `num_before`; a tag that closes the prefix goes with the first of them."""
    whole = prefix + text
    found = steps(whole)
    start = sum(len(step.text) for step in found[:num_before])
    if len(found) <= num_before or whole[len(prefix) : start].strip() not in _CLOSING or start < len(prefix):
        raise Malformed("no section", f"expected the next heading; got {text[:80]!r}")
    first = found[num_before]
    return [ResponseStep(name=first.name, text=whole[len(prefix) : start + len(first.text)]), *found[num_before + 1 :]]


def _check_text(prefix: str, completion: Completion, whole: bool) -> None:
    if completion.finish == "refusal":
        raise Malformed("refusal", completion.text[:80])
    if not completion.text.strip():
        raise Malformed(ended([completion]), "the reply has no text")
    if len(prefix) + len(completion.text) > MAX_CHARACTERS:
        raise Malformed("too long", f"expected at most {MAX_CHARACTERS} characters")
    if whole and completion.finish == "length":
        raise Malformed("truncated", f"cut off after {completion.text[-80:]!r}")


def _check_order(last: str, new: Sequence[ResponseStep]) -> None:
    for step in new:
        if step.name not in following(last):
            expected = " or ".join(following(last)) or "nothing"
            raise Malformed("wrong section", f"expected {expected} after {last or 'the start'}; got {step.name!r}")
        last = step.name


def following(step: str) -> tuple[str, ...]:
    """The steps that may come after one ("" for the start of an answer).

    >>> following("step 2")
    ('step 3', 'conclusion')
    """
    if step.startswith("step "):
        return (f"step {int(step[5:]) + 1}", "conclusion")
    return {"": ("description",), "description": ("rationale", "step 1"), "rationale": ("step 1",)}.get(step, ())


def _check_answer(text: str) -> None:
    try:
        response = parse(text)
    except ResponseError as error:
        raise Malformed("unparsable", str(error)) from None
    for name in ("description", "reasoning", "answer"):
        if not getattr(response, name):
            raise Malformed("blank section", f"the {name} is empty")
