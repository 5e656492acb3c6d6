"""Files of repositories on the Hub, one by one."""

from __future__ import annotations

from pathlib import Path


def file_of_hub(source: str | Path, name: str) -> Path | None:
    """A file of a repository, fetched if need be; None if it has none of that name, or cannot be reached."""
    from transformers.utils.hub import cached_file

    try:
        found = cached_file(
            str(source), name, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False,
            _raise_exceptions_for_gated_repo=False,
        )  # fmt: skip
    except (OSError, ValueError):
        return None
    return None if found is None else Path(found)
