"""Training rows on disk: preference pairs and SFT conversations, validated, as `datasets.Dataset`.

Both are JSON lines whose `images` are paths relative to the file. The columns are TRL's own (`images`, `prompt`, `chosen`,
`rejected`; `images`, `messages`), so the files load straight into other trainers; fDPO reads `gap_<segment>` beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict

from spatialreasoner.core import records
from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.types import Rle
from spatialreasoner.scenes import carry

if TYPE_CHECKING:
    from datasets import Dataset

SEGMENTS = ("description", "reasoning")
"""The segments of the LongCoT form; the conclusion belongs to the reasoning (docs/papers.md 1.3)."""


class Message(TypedDict):
    """One turn; `content` is text, or blocks of `{"type": "image"}` and `{"type": "text", "text": ...}`."""

    role: Literal["system", "user", "assistant"]
    content: str | list[dict[str, Any]]


class MaskRow(TypedDict):
    """The run lengths of a region's mask; what else a row says of the region is left alone."""

    __pydantic_config__ = ConfigDict(extra="allow")  # pyright: ignore[reportGeneralTypeIssues]
    size: tuple[int, int]
    counts: str | list[int]


class PreferenceRow(TypedDict):
    """A preference pair. Columns that training does not know, other than `gap_...`, are left alone."""

    __pydantic_config__ = ConfigDict(extra="allow")  # pyright: ignore[reportGeneralTypeIssues]
    images: list[str]
    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    question_id: NotRequired[str]
    regions: NotRequired[list[MaskRow]]


class SftRow(TypedDict):
    """A conversation whose last turn is the assistant's answer to learn."""

    __pydantic_config__ = ConfigDict(extra="allow")  # pyright: ignore[reportGeneralTypeIssues]
    images: list[str]
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
        `prompt`, `chosen`, `rejected`, and `gap_<segment>` of each segment.

    Raises:
        MissingFileError: If the file or an image is not there.
        RecordError: If a row is not a preference pair.
    """
    return _dataset(path, (_preference(path, number, row, segments) for number, row in _rows(path, PreferenceRow)))


def read_sft(path: str | Path) -> Dataset:
    """Read conversations.

    Returns:
        Columns `images` (absolute paths), `regions` (of the first image), `prompt`, `completion`.

    Raises:
        MissingFileError: If the file or an image is not there.
        RecordError: If a row is not a conversation that ends with the assistant's answer.
    """
    return _dataset(path, (_conversation(path, number, row) for number, row in _rows(path, SftRow)))


def message_text(message: Message) -> str:
    """The text of a turn, its blocks joined."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(block.get("text") or "" for block in content)


def messages_of(row: Mapping[str, Any]) -> Iterator[Message]:
    """Every turn of a row that `read_preferences` or `read_sft` gave."""
    for name in ("prompt", "chosen", "rejected", "completion"):
        yield from row.get(name, ())


def _rows(path: str | Path, kind: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    return enumerate(records.read_jsonl(path, kind), start=1)


def _preference(path: str | Path, number: int, row: dict[str, Any], segments: Sequence[str]) -> dict[str, Any]:
    where = f"{path}: row {number}"
    gaps = {f"gap_{segment}": row.get(f"gap_{segment}") for segment in segments}
    unknown = sorted(key for key in row if key.startswith("gap_") and key not in gaps)
    if unknown:
        raise RecordError(f"{where}: {unknown[0]!r} is not a segment's gap; the segments are {', '.join(segments)}")
    for key, gap in gaps.items():
        if gap is not None and (isinstance(gap, bool) or not isinstance(gap, int | float)):
            raise RecordError(f"{where}: {key} must be a number or null; got {gap!r}")
    chosen, rejected = (_answer(where, name, row[name]) for name in ("chosen", "rejected"))
    if message_text(chosen) == message_text(rejected):
        raise RecordError(f"{where}: chosen and rejected are the same text, so nothing can be learned; remove the row")
    return {
        "question_id": row.get("question_id") or str(number),
        "images": _images(path, where, row["images"]),
        "regions": _regions(row),
        "prompt": _prompt(where, row["prompt"]),
        "chosen": [chosen],
        "rejected": [rejected],
        **{key: None if gap is None else float(gap) for key, gap in gaps.items()},
    }


def _conversation(path: str | Path, number: int, row: dict[str, Any]) -> dict[str, Any]:
    where = f"{path}: row {number}"
    messages: list[Message] = row["messages"]
    return {
        "images": _images(path, where, row["images"]),
        "regions": _regions(row),
        "prompt": _prompt(where, messages[:-1]),
        "completion": [_answer(where, "the last message", messages[-1:])],
    }


def _answer(where: str, name: str, messages: list[Message]) -> Message:
    if len(messages) != 1 or messages[0]["role"] != "assistant" or not message_text(messages[0]).strip():
        raise RecordError(f"{where}: {name} must be one message of the assistant with text; got {str(messages)[:120]}")
    return messages[0]


def _prompt(where: str, messages: list[Message]) -> list[Message]:
    if not messages or messages[-1]["role"] != "user":
        raise RecordError(f"{where}: the prompt must end with a message of the user; got {str(messages)[:120]}")
    return messages


def _images(path: str | Path, where: str, names: Iterable[str]) -> list[str]:
    folder = Path(path).resolve().parent
    return [str(records.require_file(records.inside(folder, name, where=where))) for name in names]


def _regions(row: Mapping[str, Any]) -> str:
    """The row's regions as an image carries them: one type of column, whatever the run lengths are written as."""
    masks = [Rle(size=mask["size"], counts=mask["counts"]) for mask in row.get("regions", ())]
    return carry.as_text(masks) if masks else ""


def _dataset(path: str | Path, rows: Iterable[dict[str, Any]]) -> Dataset:
    from datasets import Dataset

    found = list(rows)
    messages = [message for row in found for message in messages_of(row)]
    if any(not isinstance(message["content"], str) for message in messages):
        for message in messages:  # Arrow wants one type a column
            if isinstance(message["content"], str):
                message["content"] = [{"type": "text", "text": message["content"]}]
    return Dataset.from_list(found)
