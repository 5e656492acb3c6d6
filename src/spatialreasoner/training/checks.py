"""Looks at the data before the first step: what would train wrongly without an error is refused, and some pairs are shown."""

from __future__ import annotations

import io
import logging
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from spatialreasoner.core import progress, records
from spatialreasoner.core.errors import ConfigError, InputError
from spatialreasoner.training.data import messages_of, refuse_rows
from spatialreasoner.training.messages import message_text

if TYPE_CHECKING:
    from datasets import Dataset
    from rich.text import Text

    from spatialreasoner.training.collate import Encoder, Tokens
    from spatialreasoner.training.config import Kind

logger = logging.getLogger(__name__)

_TOKENS = ("image_token", "video_token", "boi_token", "eoi_token")
"""Under these names processors and tokenizers keep what marks an image in a text."""

Betas = Callable[[Mapping[str, Any], Sequence[float]], Sequence[float]]
"""The betas of a pair by its row, which may have weights, and its gaps, NaN for a gap that is unscored."""

ROWS_PER_WORKER = 1000
"""Fewer rows are checked before a process has started."""

_STYLES = ("cyan", "yellow", "green", "magenta", "blue")


def check_rows(kind: Kind, encoder: Encoder, rows: Dataset, *, name: str = "the data", weighed: bool = False) -> None:
    """Check every row that `read_sft` or `read_preferences` gave, as the model will read it.

    Args:
        kind: The kind of training.
        encoder: Turns rows into tokens.
        rows: The rows.
        name: What to call them.
        weighed: Whether segments have weights by hand: then they are needed, and gaps are not.

    Raises:
        InputError: If rows cannot be trained on; all bad ones are listed, each with its number and reason.
        ConfigError: If a segment has no tokens in any pair, or no gaps differ where fDPO needs them to.
    """
    without = Counter[str]()
    problems = problems_of(kind, encoder, cast("Sequence[Mapping[str, Any]]", rows), without)
    refuse_rows(name, len(rows), problems)
    if kind != "sft":
        _check_segments(encoder.segments, without, len(rows), needed=kind == "fdpo" or weighed)
    if kind == "fdpo" and not weighed:
        check_gaps(encoder.segments, rows)


def problems_of(
    kind: Kind, encoder: Encoder, rows: Sequence[Mapping[str, Any]], without: Counter[str] | None = None
) -> dict[int, InputError]:
    """What the model's template, processor and tokenizer have against rows, by their number, from 1.

    Args:
        kind: The kind of training.
        encoder: Turns rows into tokens.
        rows: The rows; many are checked by several processes.
        without: Counts the rows in which each segment has no tokens.
    """
    from torch.utils.data import DataLoader

    answers = ("completion",) if kind == "sft" else ("chosen", "rejected")
    problems: dict[int, InputError] = {}
    workers = min(os.cpu_count() or 1, len(rows) // ROWS_PER_WORKER)
    check = partial(_checked, encoder, answers)
    found = DataLoader(cast("Any", rows), batch_size=None, num_workers=workers, collate_fn=cast("Any", check))
    with progress.progress_bar(f"check {len(rows)} rows as the model reads them", len(rows)) as advance:
        for number, (missing, problem) in enumerate(found, start=1):
            if problem is not None:
                problems[number] = problem
            elif without is not None:
                without.update(missing)
            advance(number)
    return problems


def _checked(encoder: Encoder, answers: Sequence[str], row: Mapping[str, Any]) -> tuple[list[str], InputError | None]:
    """The segments that the row does not have, and what is wrong with it."""
    try:
        return _missing_segments(encoder, _encoded(encoder, row, answers)[1:]), None
    except InputError as error:
        return [], error


def _encoded(encoder: Encoder, row: Mapping[str, Any], answers: Sequence[str]) -> Sequence[Tokens]:
    """A row's tokens; whatever a template or a processor says against it is what is wrong with the row."""
    from jinja2 import TemplateError

    _check_tokens(encoder, row)
    try:
        return encoder([row], answers)[0][0]
    except InputError:
        raise
    except (ValueError, TypeError, LookupError, TemplateError) as error:
        raise InputError(f"the model's template or processor refuses it: {type(error).__name__}: {str(error)[:300]}") from error


def _check_tokens(encoder: Encoder, row: Mapping[str, Any]) -> None:
    """Refuse texts with what marks an image in this model: each would be taken for one more image."""
    owners = (encoder.processor, encoder.tokenizer)
    tokens = {token for owner in owners for key in _TOKENS if isinstance(token := getattr(owner, key, None), str) and token}
    for message in messages_of(row):
        text = message_text(message)
        found = sorted(token for token in tokens if token in text)
        if found:
            raise InputError(
                f"expected the {message['role']}'s text without {found[0]!r}, which marks an image in this model. "
                "Remove it; images of a prompt have blocks of their own"
            )


def _missing_segments(encoder: Encoder, sides: Sequence[Tokens]) -> list[str]:
    """The segments that an answer of the pair does not have."""
    named = enumerate(encoder.segments)
    return [name for index, name in named if any(not (answer.segments == index).any() for answer in sides)]


def _check_segments(segments: Sequence[str], without: Mapping[str, int], count: int, *, needed: bool) -> None:
    for name in segments:
        if needed and without[name] == count:
            raise ConfigError(
                f"segment {name!r} has no tokens in any of {count} pairs, so there is nothing to weigh. "
                "Check that the answers have the tags or headings of the segments (segments, segments_by), or train with dpo, "
                "which needs no segments"
            )
        if 0 < without[name] < count:
            logger.warning(
                "%d of %d pairs have an answer without the segment %r; their segments have equal betas, as in DPO",
                without[name],
                count,
                name,
            )


def check_gaps(segments: Sequence[str], rows: Dataset) -> None:
    """Refuse pairs by which fDPO would be plain DPO; those with weights of their own need no gaps.

    Raises:
        ConfigError: If no pair has gaps that differ between its segments.
    """
    if any(f"weight_{name}" in rows.column_names for name in segments):
        return
    columns = [rows[f"gap_{name}"] for name in segments]
    scored = [gaps for gaps in zip(*columns, strict=True) if all(gap is not None and math.isfinite(gap) for gap in gaps)]
    if len(segments) > 1 and not any(len(set(gaps)) > 1 for gaps in scored):
        raise ConfigError(
            f"no pair has gaps that differ between segments ({len(scored)} of {len(rows)} pairs are scored), so fDPO would be "
            "plain DPO. Score the answers by segment, or train with dpo"
        )


def write_preview(path: Path, encoder: Encoder, rows: Dataset, *, count: int = 3) -> None:
    """Write the first pairs as the trainer sees them, as a page: tokens between bars, segments in colours.

    Args:
        path: Where the page goes.
        encoder: Turns pairs into tokens.
        rows: What `read_preferences` gave.
        count: How many pairs are shown.
    """
    from rich.console import Console

    console = Console(record=True, width=120, file=io.StringIO())
    console.print(preview(encoder, rows, count=count))
    with records.atomic_write(path) as file:
        file.write(console.export_html())


def preview(encoder: Encoder, rows: Dataset, *, count: int = 3, betas: Betas | None = None) -> Text:
    """The first pairs as the trainer sees them: tokens between bars, segments in colours.

    Args:
        encoder: Turns pairs into tokens.
        rows: What `read_preferences` gave.
        count: How many pairs are shown.
        betas: The beta of each segment of a pair, to be shown as well.
    """
    from rich.text import Text

    text = Text()
    for name, style in zip(encoder.segments, _STYLES, strict=False):
        text.append(f"{name} ", style=style)
    text.append("none\n\n", style="dim")
    for index in range(min(count, len(rows))):
        text.append_text(_pair(encoder, rows[index], betas)).append("\n")
    return text


def _pair(encoder: Encoder, example: Mapping[str, Any], betas: Betas | None) -> Text:
    from rich.text import Text

    prompt, *sides = encoder([example], ("chosen", "rejected"))[0][0]
    gaps = [example.get(f"gap_{name}") for name in encoder.segments]
    text = Text(f"{example.get('question_id', '')}: {len(prompt.ids)} tokens of prompt; ")
    text.append(f"gaps: {_listed(encoder, gaps)}")
    if betas is not None:
        found = betas(example, [float("nan") if gap is None or _missing_segments(encoder, sides) else gap for gap in gaps])
        text.append(f"; betas: {_listed(encoder, [round(beta, 4) for beta in found])}")
    text.append("\n")
    for name, side in zip(("chosen", "rejected"), sides, strict=True):
        text.append(f"{name}: ", style="bold").append_text(_coloured(encoder, side)).append("\n")
    return text


def _listed(encoder: Encoder, values: Sequence[float | None]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(encoder.segments, values, strict=True))


def _coloured(encoder: Encoder, answer: Tokens) -> Text:
    from rich.text import Text

    text = Text()
    for token, segment in zip(answer.ids.tolist(), answer.segments.tolist(), strict=True):
        own = 0 <= segment < len(encoder.segments)
        text.append(encoder.tokenizer.decode([token]), style=_STYLES[segment % len(_STYLES)] if own else "dim")
        text.append("|", style="dim")
    return text
