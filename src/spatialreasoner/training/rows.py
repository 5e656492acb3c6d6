"""The rows that a trainer is given: what `DPOTrainer` takes, brought to the form that the collator reads.

_Rows are conversations or plain text, with a prompt or with one that both answers begin with; of a dataset or of a stream.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, cast

from datasets import Dataset, IterableDataset
from transformers import PreTrainedTokenizerBase, ProcessorMixin
from trl.data_utils import extract_prompt

from spatialreasoner.core.errors import ConfigError, InputError, RecordError
from spatialreasoner.training.collate import Encoder, PairCollator
from spatialreasoner.training.fdpo_config import FDPOConfig
from spatialreasoner.training.messages import refuse_unread
from spatialreasoner.training.row_encoder import RowEncoder
from spatialreasoner.training.segments import Spans, finder

logger = logging.getLogger(__name__)

_Rows = Dataset | IterableDataset
_LOOKED_AT = 16
"""Rows that are looked at before training."""

NO_STREAMS = (
    "precompute_ref_log_probs is not supported with IterableDataset: rows of a stream cannot be found again by number; "
    "set it to False, or give a Dataset"
)


def collator_of(given: Any, processor: Any, args: FDPOConfig, spans: Spans | None = None) -> PairCollator:
    """The collator that was given, or one by the options.

    Raises:
        ConfigError: If it is another's: batches are laid out for one forward pass per pair. Or if the processor is none.
    """
    if isinstance(given, PairCollator):
        return given
    if given is not None:
        raise ConfigError(f"data_collator must be a PairCollator, or None; got {type(given).__name__}")
    if not isinstance(processor, PreTrainedTokenizerBase | ProcessorMixin):
        raise ConfigError(f"processing_class must be a tokenizer or a processor; got {type(processor).__name__}")
    return PairCollator(
        RowEncoder(
            processor,
            segments=args.segments,
            spans=spans or finder(args.segments_by, args.segments, args.segment_pattern),
            markup=args.markup,
            max_length=args.max_length,
            enable_thinking=args.enable_thinking,
            truncates=args.truncation_mode == "keep_start",
        ),
        weights=args.segment_weights,
    )


def prepared(given: Any, encoder: Encoder, *, gap_columns: Sequence[str] = (), processes: int | None = None) -> Any:
    """Bring a dataset, or several by name, to the columns `prompt`, `chosen`, `rejected` and `gap_<segment>`.

    What is prepared already is left as it is. Where text is cut at `max_length`, pairs of which no answer would be left are
    dropped, as TRL does.

    Args:
        given: A dataset, a stream, several of them by name, or None.
        encoder: Turns rows into tokens.
        gap_columns: The columns of the segments' gaps, in the order of the segments; empty for `gap_<segment>`.
        processes: How many processes prepare the rows of a dataset; None for this one alone.

    Raises:
        ConfigError: If it is not a dataset, or has no rows, or a column is missing, or its first row has what cannot be
            rendered, such as calls of tools; the encoder looks at the others.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        return {
            name: prepared(each, encoder, gap_columns=gap_columns, processes=processes)
            for name, each in cast("Mapping[str, Any]", given).items()
        }
    if not isinstance(given, Dataset | IterableDataset):
        raise ConfigError(f"expected a datasets.Dataset or IterableDataset of pairs; got {type(given).__name__}")
    options: dict[str, Any] = {"num_proc": processes} if isinstance(given, Dataset) else {}
    first = _first(given)
    rows = _with_gaps(given, first, encoder.segments, gap_columns)
    if "prompt" not in first:
        rows = rows.map(extract_prompt, **options)
    if isinstance(encoder, RowEncoder) and encoder.truncates and not {"image", "images"} & first.keys():
        rows = rows.filter(encoder.leaves_answers, **options)
        if next(iter(cast("Iterable[Any]", rows)), None) is None:
            raise ConfigError(f"max_length={encoder.limit} leaves no token of an answer in any pair; raise it")
    return rows


def say_what_gaps_miss(rows: Any, encoder: Encoder) -> None:
    """Warn where gaps cannot count: those of no segment, and those of answers in which a segment is not found.

    Args:
        rows: The rows, prepared; the first ones are looked at.
        encoder: Turns rows into tokens.
    """
    first = list(islice(cast("Iterable[Mapping[str, Any]]", rows), _LOOKED_AT))
    names = [f"gap_{name}" for name in encoder.segments]
    others = sorted({key for row in first for key in row if key.startswith("gap_") and row[key] is not None} - set(names))
    if others:
        logger.warning("the columns %s are not used: the segments are %s", ", ".join(others), ", ".join(encoder.segments))
    scored = [row for row in first if any(row.get(name) is not None for name in names)]
    if not scored:
        return
    try:
        sides = [each for row in scored for each in encoder([row], ("chosen", "rejected"))[0][0][1:]]
    except (InputError, ValueError, TypeError, LookupError):  # told by its row when it is trained on
        return
    for index, name in enumerate(encoder.segments):
        if not any((side.segments == index).any() for side in sides):
            logger.warning(
                "none of the first %d pairs with gaps has the segment %r in an answer, so they are trained as in DPO: look at "
                "`segments`, `segments_by` and `spans`",
                len(scored),
                name,
            )


def is_stream(given: Any) -> bool:
    """Whether a dataset, or one of several by name, is a stream, whose rows cannot be asked for by their numbers."""
    if isinstance(given, Mapping):
        return any(is_stream(each) for each in cast("Mapping[str, Any]", given).values())
    return isinstance(given, IterableDataset)


def _first(rows: _Rows) -> Mapping[str, Any]:
    first = next(iter(cast("Iterable[Mapping[str, Any]]", rows)), None)
    if first is None:
        raise ConfigError("expected at least one pair; the dataset has no rows")
    missing = [name for name in ("chosen", "rejected") if name not in first]
    if missing:
        raise ConfigError(f"expected the columns chosen and rejected, and perhaps prompt; got {', '.join(first)}")
    try:
        refuse_unread(first)
    except RecordError as error:
        raise ConfigError(str(error)) from None
    return first


def _with_gaps(rows: _Rows, first: Mapping[str, Any], segments: Sequence[str], gap_columns: Sequence[str]) -> _Rows:
    """The rows with their gaps' columns under the names of the segments; what has such a name otherwise is left out."""
    named = {column: f"gap_{segment}" for segment, column in zip(segments, gap_columns, strict=bool(gap_columns))}
    for column, name in named.items():
        if not {column, name} & first.keys():
            wanted = name.removeprefix("gap_")
            raise ConfigError(f"expected the gap of the segment {wanted!r} in the column {column!r}; got {', '.join(first)}")
    named = {column: name for column, name in named.items() if column in first and column != name}
    stale = (set(named.values()) & first.keys()) - named.keys()
    rows = rows.remove_columns(sorted(stale)) if stale else rows
    if not named:
        return rows
    between = {column: f"{name}, renamed" for column, name in named.items()}  # streams cannot make columns change places
    return rows.rename_columns(between).rename_columns({f"{name}, renamed": name for name in named.values()})
