"""Training rows on disk: preference pairs and SFT conversations, validated, as `datasets.Dataset`.

Both are JSON lines whose `images` are paths relative to the file. The columns are TRL's own (`images`, `prompt`, `chosen`,
`rejected`; `images`, `messages`), so the files load straight into other trainers; fDPO reads `gap_<segment>` beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict

from spatialreasoner.core import progress, records
from spatialreasoner.core.errors import InputError, RecordError, RowsError
from spatialreasoner.core.types import Rle
from spatialreasoner.scenes import carry
from spatialreasoner.scenes.files import open_image
from spatialreasoner.training.messages import Message, answer_message, check_path, message_text, place_images, with_image_blocks
from spatialreasoner.training.weights import segment_weights

if TYPE_CHECKING:
    from datasets import Dataset

SEGMENTS = ("description", "reasoning")
"""The segments of the LongCoT form; the conclusion belongs to the reasoning (docs/papers.md 1.3)."""


MOST_LISTED = 1000
"""So many bad rows are listed; those beyond are counted."""


class MaskRow(TypedDict):
    """The run lengths of a region's mask; what else a row says of the region is left alone."""

    __pydantic_config__ = ConfigDict(extra="allow")  # pyright: ignore[reportGeneralTypeIssues]
    size: tuple[int, int]
    counts: str | list[int]


class PreferenceRow(TypedDict):
    """A preference pair. Columns that training does not know, other than `gap_...`, are left alone."""

    __pydantic_config__ = ConfigDict(extra="allow")  # pyright: ignore[reportGeneralTypeIssues]
    images: NotRequired[list[str]]
    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    question_id: NotRequired[str]
    regions: NotRequired[list[MaskRow]]


class SftRow(TypedDict):
    """A conversation whose last turn is the assistant's answer to learn."""

    __pydantic_config__ = ConfigDict(extra="allow")  # pyright: ignore[reportGeneralTypeIssues]
    images: NotRequired[list[str]]
    messages: list[Message]
    regions: NotRequired[list[MaskRow]]


def read_preferences(path: str | Path, *, segments: Sequence[str] = SEGMENTS) -> Dataset:
    """Read preference pairs.

    Args:
        path: The JSON-lines file.
        segments: Names of the segments; a row may hold `gap_<segment>`, the reward of chosen minus rejected. A gap that is
            absent or null leaves the pair unscored: its segments weigh the same.

    Returns:
        Columns `question_id`, `images` (absolute paths), `regions` (of the first image, as `scenes.carry` writes them),
        `prompt`, `chosen`, `rejected`, and `gap_<segment>` of each segment, and `weight_<segment>` where a row has them.

    Raises:
        MissingFileError: If the file or an image is not there.
        RecordError: If a row is not a preference pair.
    """
    rows = _rows(path, PreferenceRow, lambda number, row: _preference(path, number, row, segments))
    weighed = [key for key in (f"weight_{segment}" for segment in segments) if any(key in row for row in rows)]
    return _dataset([{**dict.fromkeys(weighed), **row} for row in rows])  # the first row's columns are everyone's


def read_sft(path: str | Path) -> Dataset:
    """Read conversations.

    Returns:
        Columns `images` (absolute paths), `regions` (of the first image), `prompt`, `completion`.

    Raises:
        MissingFileError: If the file or an image is not there.
        RecordError: If a row is not a conversation that ends with the assistant's answer.
    """
    return _dataset(_rows(path, SftRow, lambda _, row: _conversation(path, row)))


def messages_of(row: Mapping[str, Any]) -> Iterator[Message]:
    """Every turn of a row that `read_preferences` or `read_sft` gave."""
    for name in ("prompt", "chosen", "rejected", "completion"):
        yield from row.get(name, ())


_DataRow = dict[str, Any]


def refuse_rows(path: str | Path, count: int, problems: Mapping[int, InputError]) -> None:
    """Refuse bad rows, all at once.

    Args:
        path: Where the rows are from.
        count: How many rows there are.
        problems: What is wrong, by the number of the row, from 1.

    Raises:
        InputError: If there are any: the one error itself, or a list of all (of the first `MOST_LISTED`).
    """
    if not problems:
        return
    lines = [f"row {number}: {error}" for number, error in sorted(problems.items())]
    if len(lines) == 1:
        (error,) = problems.values()
        raise type(error)(f"{path}: {lines[0]}") from error
    more = [f"and {len(lines) - MOST_LISTED} more"] if len(lines) > MOST_LISTED else []
    raise RowsError(f"{path}: {len(lines)} of {count} rows cannot be trained on", [*lines[:MOST_LISTED], *more])


def _rows(path: str | Path, kind: Any, check: Callable[[int, _DataRow], _DataRow]) -> list[_DataRow]:
    """Every row, checked; all bad ones are refused together."""
    found: list[_DataRow] = []
    problems: dict[int, InputError] = {}
    number = 0
    with progress.stage(f"check the rows of {Path(path).name}") as advance:
        for number, (_, line) in enumerate(records.read_lines(records.require_file(path)), start=1):
            try:
                found.append(check(number, records.parse_record(line, kind, where="its JSON")))
            except InputError as error:
                problems[number] = error
            advance(number)
    if not number:
        raise RecordError(f"{path}: expected one {kind.__name__} a line; the file is empty")
    refuse_rows(path, number, problems)
    return found


def _preference(path: str | Path, number: int, row: dict[str, Any], segments: Sequence[str]) -> dict[str, Any]:
    gaps = {f"gap_{segment}": row.get(f"gap_{segment}") for segment in segments}
    unknown = sorted(key for key in row if key.startswith("gap_") and key not in gaps)
    if unknown:
        raise RecordError(f"{unknown[0]!r} is not a segment's gap; the segments are {', '.join(segments)}")
    for key, gap in gaps.items():
        if gap is not None and (isinstance(gap, bool) or not isinstance(gap, int | float)):
            raise RecordError(f"{key} must be a number or null; got {gap!r}")
    chosen, rejected = (answer_message(name, row[name]) for name in ("chosen", "rejected"))
    if message_text(chosen) == message_text(rejected):
        raise RecordError("chosen and rejected are the same text, so nothing can be learned; remove the row")
    prompt, images = _prompt(path, row["prompt"], row.get("images", ()))
    return {
        "question_id": row.get("question_id") or str(number),
        "images": images,
        "regions": _regions(row),
        "prompt": prompt,
        "chosen": [chosen],
        "rejected": [rejected],
        **{key: None if gap is None else float(gap) for key, gap in gaps.items()},
        **{f"weight_{name}": weight for name, weight in zip(segments, segment_weights(row, segments) or (), strict=False)},
    }


def _conversation(path: str | Path, row: _DataRow) -> _DataRow:
    messages: list[Message] = row["messages"]
    prompt, images = _prompt(path, messages[:-1], row.get("images", ()))
    return {
        "images": images,
        "regions": _regions(row),
        "prompt": prompt,
        "completion": [answer_message("the last message", messages[-1:])],
    }


def _prompt(path: str | Path, messages: list[Message], names: Sequence[str]) -> tuple[list[Message], list[str]]:
    if not messages or messages[-1]["role"] != "user":
        raise RecordError(f"the prompt must end with a message of the user; got {str(messages)[:120]}")
    placed, images = place_images(messages, names)
    if not any(message_text(message).strip() for message in placed if message["role"] == "user"):
        raise RecordError("the prompt must ask something; got no text in it")
    return placed, _images(path, images)


def _images(path: str | Path, names: Iterable[str]) -> list[str]:
    folder = Path(path).resolve().parent
    paths = [records.require_file(records.inside(folder, check_path(name), where="images")) for name in names]
    for image in paths:
        _check_image(image, image.stat().st_mtime_ns)
    return [str(image) for image in paths]


@lru_cache(maxsize=2**17)  # many rows ask about one image
def _check_image(path: Path, changed: int) -> None:
    """Find now, not on the way, what is not an image or ends too soon; `changed` tells versions of a file apart."""
    del changed
    open_image(path)


def _regions(row: Mapping[str, Any]) -> str:
    """The row's regions as an image carries them: one type of column, whatever the run lengths are written as."""
    masks = [Rle(size=mask["size"], counts=mask["counts"]) for mask in row.get("regions", ())]
    return carry.as_text(masks) if masks else ""


def _dataset(rows: list[_DataRow]) -> Dataset:
    from datasets import Dataset

    if any(not isinstance(message["content"], str) for row in rows for message in messages_of(row)):
        for row in rows:  # Arrow wants one type a column
            with_image_blocks(row["prompt"], len(row["images"]))
            for name in ("chosen", "rejected", "completion"):
                with_image_blocks(row.get(name, ()), 0)
    return Dataset.from_list(rows)
