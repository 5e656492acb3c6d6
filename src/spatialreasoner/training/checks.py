"""Looks at the data before the first step: what would train wrongly without an error is refused, and some pairs are shown."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError

if TYPE_CHECKING:
    from datasets import Dataset
    from rich.text import Text

    from spatialreasoner.training.collate import Encoder, Tokens
    from spatialreasoner.training.config import Kind

logger = logging.getLogger(__name__)

SAMPLE = 64
"""So many rows are tokenized with their images; all are looked at where that costs nothing."""

_STYLES = ("cyan", "yellow", "green", "magenta", "blue")


def check_rows(kind: Kind, encoder: Encoder, rows: Dataset) -> None:
    """Check rows that `read_sft` or `read_preferences` gave.

    Raises:
        InputError: If a row is longer than the longest length allowed.
        ConfigError: If a segment has no tokens in any pair, or no gaps differ where fDPO needs them to.
    """
    answers = ("completion",) if kind == "sft" else ("chosen", "rejected")
    stride = max(1, len(rows) // SAMPLE)
    encoded = [encoder([rows[index]], answers)[0][0] for index in range(0, len(rows), stride)]
    if kind != "sft":
        _check_segments(encoder, encoded)
    if kind == "fdpo":
        check_gaps(encoder.segments, rows)


def _check_segments(encoder: Encoder, pairs: Sequence[Sequence[Tokens]]) -> None:
    for index, name in enumerate(encoder.segments):
        without = sum(any(not (answer.segments == index).any() for answer in pair[1:]) for pair in pairs)
        if without == len(pairs):
            raise ConfigError(
                f"segment {name!r} has no tokens in any of {len(pairs)} pairs looked at, so there is nothing to weigh. "
                "Check that the answers have the tags or headings of the segments"
            )
        if without:
            logger.warning(
                "%d of %d pairs looked at have an answer without the segment %r; their segments weigh the same, as in DPO",
                without,
                len(pairs),
                name,
            )


def check_gaps(segments: Sequence[str], rows: Dataset) -> None:
    """Refuse pairs by which fDPO would be plain DPO.

    Raises:
        ConfigError: If no pair has gaps that differ between its segments.
    """
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
    console.print(*(f"[{style}]{name}[/]" for name, style in zip(encoder.segments, _STYLES, strict=False)), "[dim]none[/]\n")
    for index in range(min(count, len(rows))):
        console.print(_pair(encoder, rows[index]))
    with records.atomic_write(path) as file:
        file.write(console.export_html())


def _pair(encoder: Encoder, example: Mapping[str, Any]) -> Text:
    from rich.text import Text

    prompt, *sides = encoder([example], ("chosen", "rejected"))[0][0]
    gaps = ", ".join(f"{name} {example.get(f'gap_{name}')}" for name in encoder.segments)
    text = Text(f"{example.get('question_id', '')}: {len(prompt.ids)} tokens of prompt; gaps: {gaps}\n")
    for name, side in zip(("chosen", "rejected"), sides, strict=True):
        text.append(f"{name}: ", style="bold").append_text(_coloured(encoder, side)).append("\n")
    return text


def _coloured(encoder: Encoder, answer: Tokens) -> Text:
    from rich.text import Text

    text = Text()
    for token, segment in zip(answer.ids.tolist(), answer.segments.tolist(), strict=True):
        own = 0 <= segment < len(encoder.segments)
        text.append(encoder.tokenizer.decode([token]), style=_STYLES[segment % len(_STYLES)] if own else "dim")
        text.append("|", style="dim")
    return text
