import io
from dataclasses import replace

from rich.console import Console

from spatialreasoner.evaluation.predictions import Prediction, QaInfo
from spatialreasoner.evaluation.score import compare, score
from spatialreasoner.evaluation.terminal import show, show_comparison


def width(index: int, said: str) -> Prediction:
    return Prediction(
        question_id=str(index), image=f"{index % 3}.png", question="How wide is <region1>?", pred=said, model_id="m",
        gt="<region1> is 2.00 meters wide.", qa_info=QaInfo(type="quantitative", category="width_data"),
    )  # fmt: skip


def shown(print_to: object, *what: object) -> str:
    console = Console(file=io.StringIO(), width=160)
    print_to(*what, console=console)  # type: ignore[operator]
    return console.file.getvalue()  # type: ignore[attr-defined]


def row(text: str, name: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.strip("│ ").startswith(name))
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_counts_shares_and_errors_are_shown() -> None:
    text = shown(show, score([width(k, "2.00 meters") for k in range(3)] + [width(3, "3.00 meters")]))
    assert row(text, "width")[1:3] == ["4", "75.0%"]
    assert row(text, "width")[-2:] == ["0", "12%"]
    assert row(text, "direction")[1:] == ["0", "-", "-", "-", "-"]


def test_too_many_unscored_answers_are_shown_as_a_range() -> None:
    text = shown(show, score([width(0, "2.00 meters"), width(1, "No idea.")]))
    assert row(text, "quantitative")[2] == "50.0% to 100.0%"


def test_a_difference_is_shown_with_what_was_gained_and_lost() -> None:
    before = [width(k, "9 meters") for k in range(4)]
    after = [replace(width(k, "2 meters"), model_id="n") for k in range(3)] + [width(3, "9 meters")]
    text = shown(show_comparison, compare(before, after))
    cells = row(text, "width")
    assert cells[1:3] == ["4", "+75.0%"]
    assert cells[4:6] == ["3", "0"]
