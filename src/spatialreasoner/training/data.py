"""Training rows on disk: preference pairs and SFT conversations, validated, as `datasets.Dataset`.

Both are JSON lines whose `images` are paths relative to the file. The columns are TRL's own (`images`, `prompt`, `chosen`,
`rejected`; `images`, `messages`), so the files load straight into other trainers; fDPO reads `gap_<segment>` beside them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, cast

from pydantic import ConfigDict
from typing_extensions import TypedDict

from spatialreasoner.core import progress, records
from spatialreasoner.core.errors import InputError, RecordError, RowsError
from spatialreasoner.core.types import Rle
from spatialreasoner.scenes import carry
from spatialreasoner.scenes.files import lies_on_its_side, open_image, stored_orientation
from spatialreasoner.scenes.masks import decode, require_size
from spatialreasoner.training.held_images import image_bytes, is_data_url, keep_image
from spatialreasoner.training.messages import Message, answer_message, check_path, message_text, place_images, with_image_blocks
from spatialreasoner.training.row_forms import conversation_form, preference_form
from spatialreasoner.training.segments import SEGMENTS as SEGMENTS
from spatialreasoner.training.sources import row_lines
from spatialreasoner.training.weights import segment_weights

if TYPE_CHECKING:
    from datasets import Dataset


Also = Callable[[Sequence[Mapping[str, Any]]], Mapping[int, InputError]]
"""What is wrong with rows that are well-formed, by their place from 1."""

MOST_LISTED = 1000
"""Maximum number of bad rows listed; the rest are counted."""


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


class PlainRow(TypedDict):
    """A preference pair of plain text, read without a chat template."""

    __pydantic_config__ = ConfigDict(extra="allow")  # pyright: ignore[reportGeneralTypeIssues]
    images: NotRequired[list[str]]
    prompt: str
    chosen: str
    rejected: str


def read_preferences(
    path: str | Path,
    *,
    segments: Sequence[str] = SEGMENTS,
    gap_columns: Sequence[str] = (),
    plain: bool = False,
    images: Path | None = None,
    also: Also | None = None,
) -> Dataset:
    """Read preference pairs; the forms of other programs (`row_forms`) are converted.

    Args:
        path: The file, JSON lines or one JSON list.
        segments: Names of the segments; a row may hold `gap_<segment>`, the reward of chosen minus rejected. A gap that is
            absent or null leaves the pair unscored: its segments have equal betas.
        gap_columns: The gaps' columns under other names, in the order of the segments; empty for `gap_<segment>`.
        plain: Leave prompt and answers that are text as text, to be read without a chat template.
        images: The folder for images that rows hold themselves, as bytes; None refuses such rows.
        also: What else is wrong with rows; asked where some are bad already, so that all bad ones are named at once.

    Returns:
        Columns `question_id`, `images` (absolute paths), `regions` (of the first image, as `scenes.carry` writes them),
        `prompt`, `chosen`, `rejected`, and `gap_<segment>` of each segment, and `weight_<segment>`, `chosen_spans` and
        `rejected_spans` where a row has them.

    Raises:
        MissingFileError: If the file or an image is not there.
        RecordError: If a row is not a preference pair.
    """
    named = dict(zip(gap_columns, segments, strict=True)) if gap_columns else {}
    place = _Place(Path(path), images)

    replaced = {f"gap_{segment}" for segment in named.values()} - named.keys()  # another column has been named for them

    def check(number: int, row: _DataRow) -> _DataRow:
        given = {_gap_name(key, named): value for key, value in row.items() if key not in replaced}
        return _preference(place, number, given, segments)

    rows = _rows(path, PlainRow if plain else PreferenceRow, check, partial(preference_form, plain=plain), also)
    missing = [column for column in named if not any(f"gap_{named[column]}" in row["given"] for row in rows)]
    if missing:
        given = list(dict.fromkeys(_column(key, named) for row in rows for key in row["given"]))
        raise RecordError(
            f"{path}: expected the gap of the segment {named[missing[0]]!r} in the column {missing[0]!r}; got the columns "
            f"{', '.join(given)}. Name the columns of the gaps in gap_columns, in the order of segments"
        )
    rows = [{key: value for key, value in row.items() if key != "given"} for row in rows]
    columns = (*(f"weight_{segment}" for segment in segments), *_SPANS)
    some = [key for key in columns if any(key in row for row in rows)]
    return _dataset([{**dict.fromkeys(some), **row} for row in rows])  # the first row's columns are everyone's


def read_sft(path: str | Path, *, images: Path | None = None, also: Also | None = None) -> Dataset:
    """Read conversations.

    Args:
        path: The file, JSON lines or one JSON list.
        images: As in `read_preferences`.
        also: As in `read_preferences`.

    Returns:
        Columns `images` (absolute paths), `regions` (of the first image), `prompt`, `completion`.

    Raises:
        MissingFileError: If the file or an image is not there.
        RecordError: If a row is not a conversation that ends with the assistant's answer.
    """
    place = _Place(Path(path), images)
    return _dataset(_rows(path, SftRow, lambda _, row: _conversation(place, row), conversation_form, also))


def messages_of(row: Mapping[str, Any]) -> Iterator[Message]:
    """Every turn of a row that `read_preferences` or `read_sft` gave."""
    for name in ("prompt", "chosen", "rejected", "completion"):
        turns = row.get(name, ())
        if isinstance(turns, str):  # plain text
            yield Message(role="user" if name == "prompt" else "assistant", content=turns)
        else:
            yield from turns


_DataRow = dict[str, Any]


class _Place(NamedTuple):
    """Where rows are, and where their images go that they hold themselves."""

    rows: Path
    images: Path | None


_SPANS = ("chosen_spans", "rejected_spans")


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


def _rows(
    path: str | Path,
    kind: Any,
    check: Callable[[int, _DataRow], _DataRow],
    form: Callable[[_DataRow], _DataRow],
    also: Also | None,
) -> list[_DataRow]:
    """Every row, converted and checked; all bad ones are refused together."""
    found: list[_DataRow] = []
    numbers: list[int] = []
    problems: dict[int, InputError] = {}
    number = 0
    with progress.progress_bar(f"check the rows of {Path(path).name}") as advance:
        for number, line in enumerate(row_lines(Path(path)), start=1):
            try:
                found.append(check(number, _parsed(line, kind, form)))
                numbers.append(number)
            except InputError as error:
                problems[number] = error
            advance(number)
    if not number:
        raise RecordError(f"{path}: expected one {kind.__name__} per line; the file is empty")
    if problems and found and also is not None:
        problems |= {numbers[place - 1]: error for place, error in also(_alike(found)).items()}
    refuse_rows(path, number, problems)
    return found


def _parsed(line: bytes, kind: Any, form: Callable[[_DataRow], _DataRow]) -> _DataRow:
    """A row in the form that it must have, whatever form it is written in."""
    row = records.parse_record(line, dict[str, Any], where="its JSON")
    try:
        converted = json.dumps(form(row))
    except ValueError as error:  # deeper than can be written, or a lone surrogate
        raise RecordError(f"its JSON: {error}") from None
    return records.parse_record(converted, kind, where="its JSON")


def _column(key: str, named: Mapping[str, str]) -> str:
    """The column that became a key of a row."""
    return next((column for column in named if _gap_name(column, named) == key), key)


def _gap_name(column: str, named: Mapping[str, str]) -> str:
    return f"gap_{named[column]}" if column in named else column


def _preference(place: _Place, number: int, row: dict[str, Any], segments: Sequence[str]) -> dict[str, Any]:
    gaps = {f"gap_{segment}": row.get(f"gap_{segment}") for segment in segments}
    unknown = sorted(key for key in row if key.startswith("gap_") and key not in gaps and row[key] is not None)
    if unknown:
        raise RecordError(
            f"{unknown[0]!r} is not a segment's gap; the segments are {', '.join(segments)}. Name yours "
            f"(segments={','.join(key.removeprefix('gap_') for key in row if key.startswith('gap_'))}), or remove the column"
        )
    for key, gap in gaps.items():
        if gap is not None and (isinstance(gap, bool) or not isinstance(gap, int | float) or not math.isfinite(gap)):
            raise RecordError(f"{key} must be a finite number or null; got {gap!r}")
    asked = _plain(place, row) if isinstance(row["prompt"], str) else _asked(place, row)
    return {
        "given": row.keys(),
        "question_id": row.get("question_id") or str(number),
        **asked,
        **{key: _spans(key, row[key], segments) for key in _SPANS if row.get(key) is not None},
        **{key: None if gap is None else float(gap) for key, gap in gaps.items()},
        **{f"weight_{name}": weight for name, weight in zip(segments, segment_weights(row, segments) or (), strict=False)},
    }


def _asked(place: _Place, row: _DataRow) -> _DataRow:
    """Prompt and answers of a conversation."""
    chosen, rejected = (answer_message(name, row[name]) for name in ("chosen", "rejected"))
    _refuse_equal(message_text(chosen), message_text(rejected))
    prompt, images = _prompt(place, row["prompt"], row.get("images", ()))
    regions = _regions(row, images)
    return {"images": images, "regions": regions, "prompt": prompt, "chosen": [chosen], "rejected": [rejected]}


def _plain(place: _Place, row: _DataRow) -> _DataRow:
    """Prompt and answers of plain text."""
    empty = next((name for name in ("prompt", "chosen", "rejected") if not row[name].strip()), None)
    if empty is not None:
        raise RecordError(f"{empty} must be text; got nothing but blanks")
    _refuse_equal(row["chosen"], row["rejected"])
    texts = {name: row[name] for name in ("prompt", "chosen", "rejected")}
    images = _images(place, row.get("images", ()))
    return {"images": images, "regions": _regions(row, images), **texts}


def _refuse_equal(chosen: str, rejected: str) -> None:
    if chosen.strip() == rejected.strip():  # blanks around an answer are lost in many chat templates
        raise RecordError("chosen and rejected are the same text, so nothing can be learned; remove the row")


def _spans(key: str, given: Any, segments: Sequence[str]) -> dict[str, list[int] | None]:
    """The spans of an answer's segments as the data has them; one that is not given is found in the text."""
    spans = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    unknown = [name for name in spans if name not in segments]
    whole = all(isinstance(span, list) and len(span) == 2 and all(type(end) is int for end in span) for span in spans.values())
    if not spans or unknown or not whole:
        raise RecordError(f"{key} must hold [start, end] of segments among {', '.join(segments)}; got {str(given)[:80]}")
    return {name: spans.get(name) for name in segments}


def _conversation(place: _Place, row: _DataRow) -> _DataRow:
    messages: list[Message] = row["messages"]
    prompt, images = _prompt(place, messages[:-1], row.get("images", ()))
    return {
        "images": images,
        "regions": _regions(row, images),
        "prompt": prompt,
        "completion": [answer_message("the last message", messages[-1:])],
    }


def _prompt(place: _Place, messages: list[Message], names: Sequence[str]) -> tuple[list[Message], list[str]]:
    if not messages or messages[-1]["role"] != "user":
        raise RecordError(f"the prompt must end with a message of the user; got {str(messages)[:120]}")
    placed, images = place_images(messages, names)
    if not any(message_text(message).strip() for message in placed if message["role"] == "user"):
        raise RecordError("the prompt must ask something; got no text in it")
    return placed, _images(place, images)


def _images(place: _Place, names: Iterable[str]) -> list[str]:
    paths = [_image(place, name) for name in names]
    for image in paths:
        _check_image(image, image.stat().st_mtime_ns)
    return [str(image) for image in paths]


def _image(place: _Place, name: str) -> Path:
    if is_data_url(name):
        if place.images is None:
            raise RecordError("expected the path of an image; got its bytes in a data: URL. Save it as a file, and name that")
        return keep_image(image_bytes(name), place.images.resolve())
    folder, path = place.rows.resolve().parent, Path(check_path(name))
    named = str(path.relative_to(folder)) if path.is_absolute() and path.is_relative_to(folder) else str(path)
    return records.require_file(records.inside(folder, named, where="images"))


@lru_cache(maxsize=2**17)  # many rows ask about one image
def _check_image(path: Path, changed: int) -> tuple[int, int]:
    """Find now, not on the way, what is not an image or ends too soon; `changed` tells versions of a file apart.

    Returns:
        Height and width, as a viewer shows it.
    """
    del changed
    width, height = open_image(path).size
    return (width, height) if lies_on_its_side(stored_orientation(path)) else (height, width)


def _regions(row: Mapping[str, Any], images: Sequence[str]) -> str:
    """The row's regions as an image carries them: one type of column, whatever the run lengths are written as.

    Raises:
        RecordError: If they are not masks of the first image.
    """
    masks: list[Rle] = []
    for number, mask in enumerate(row.get("regions", ()), start=1):
        try:
            rle = Rle(size=mask["size"], counts=mask["counts"])
            decode(rle)
            if images:
                require_size(rle.size, _check_image(Path(images[0]), Path(images[0]).stat().st_mtime_ns))
        except ValueError as error:
            raise RecordError(f"regions, mask {number}: {error}") from error
        masks.append(rle)
    if len(masks) > carry.MAX_CARRIED_REGIONS:
        raise RecordError(f"regions: expected at most {carry.MAX_CARRIED_REGIONS} masks; got {len(masks)}")
    return carry.as_text(masks) if masks else ""


def _dataset(rows: list[_DataRow]) -> Dataset:
    from datasets import Dataset

    return Dataset.from_list(_alike(rows))


def _alike(rows: list[_DataRow]) -> list[_DataRow]:
    """The rows, their texts as blocks if those of one are: Arrow wants one type per column."""
    if any(not isinstance(message["content"], str) for row in rows for message in messages_of(row)):
        for row in rows:
            with_image_blocks(row["prompt"], len(row["images"]))
            for name in ("chosen", "rejected", "completion"):
                with_image_blocks(row.get(name, ()), 0)
    return rows
