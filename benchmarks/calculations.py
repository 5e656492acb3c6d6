"""How far the reasoning of a model's answers holds by itself: `python benchmarks/calculations.py PREDICTIONS`.

- A calculation is right if its result follows from the numbers written before it, whatever these have to do with the image;
  so is a comparison ("0.57 m is more than 0.38 m").
- A number is copied rightly if it was said before: each operand of a calculation but the factors of conversions, each number of
  a comparison, and each number of the conclusion.
- Yes and No are right if they are what the reference says, and they fit if they agree with the statement that follows them.
- An answer about a quantity follows from its steps if all its calculations are right and all its numbers copied rightly. How
  many are right is counted apart for those that do and those that do not: what the first have wrong was misread.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from spatialreasoner.core.errors import ResponseError
from spatialreasoner.evaluation.answers import judge
from spatialreasoner.evaluation.predictions import Prediction, read_predictions
from spatialreasoner.language.arithmetic import checks
from spatialreasoner.language.responses import parse
from spatialreasoner.language.soundness import COMPARISON, copies, is_sound

KINDS: Mapping[str, str] = {
    "roots": "sqrt",
    "conversions": r"[×x] (?:100|39|3\.3) =| / ",
    "products": " × ",
    "differences": " - ",
}
"""By what a calculation is told; the first that fits."""

_VERDICT = re.compile(r"(?:Yes|Indeed|That is right|Correct|No|That is not so|That is wrong)\b[,.:]? ?")


def main(predictions: Annotated[Path, typer.Argument(help="What `spatialreasoner generate` wrote.")]) -> None:
    """Count right calculations by kind, comparisons, copies, and Yes and No."""
    right, total = Counter[str](), Counter[str]()
    found = read_predictions(predictions)
    for prediction in found:
        for kind, holds in _findings(prediction):
            total[kind] += 1
            right[kind] += holds
    for kind in (*KINDS, "comparisons", "copies", "yes and no: right", "yes and no: fit the statement"):
        share = f", {right[kind] / total[kind]:.1%}" if total[kind] else ""
        print(f"{kind}: {right[kind]} of {total[kind]}{share}")
    for follows, answers in by_steps(found).items():
        said = "follow" if follows else "do not follow"
        print(f"quantities that {said} from their steps: {len(answers)}, right {sum(answers)}")


def by_steps(predictions: Sequence[Prediction]) -> Mapping[bool, Sequence[bool]]:
    """Whether each answer about a quantity is right, of those that follow from their steps and of those that do not."""
    right: dict[bool, list[bool]] = {True: [], False: []}
    for each in predictions:
        if each.qa_info.type == "quantitative":
            verdict = judge(each.qa_info.category, each.question, each.gt, each.pred)
            right[is_sound(each.pred)].append(verdict.success is True)
    return right


def _findings(prediction: Prediction) -> Iterator[tuple[str, bool]]:
    text = prediction.pred
    for check in checks(text):
        yield next((kind for kind, sign in KINDS.items() if re.search(sign, check.text)), "differences"), check.right
    for found in COMPARISON.finditer(text):
        first, relation, second = found.groups()
        yield "comparisons", (float(first) > float(second)) == (relation == "more")
    yield from (("copies", holds) for holds in copies(text))
    yield from _verdicts(prediction)


def _verdicts(prediction: Prediction) -> Iterator[tuple[str, bool]]:
    """Whether a Yes or No is what the reference says, and whether it agrees with the statement after it."""
    if not prediction.qa_info.category.endswith("_predicate"):
        return
    try:
        answer = parse(prediction.pred).answer.strip()
    except ResponseError:
        return
    said = _VERDICT.match(answer)
    if said is None:
        return
    word = said.group().strip(" ,.:")
    yield "yes and no: right", bool(judge(prediction.qa_info.category, prediction.question, prediction.gt, f"{word}.").success)
    statement = answer[said.end() :]
    whole, alone = (
        judge(prediction.qa_info.category, prediction.question, prediction.gt, each).success for each in (f"{word}.", statement)
    )
    if statement and alone is not None:
        yield "yes and no: fit the statement", whole == alone


if __name__ == "__main__":
    typer.run(main)
