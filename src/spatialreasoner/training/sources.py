"""Where training rows come from: a file of JSON lines, a JSON list, or what `datasets` reads: other files, folders, the Hub."""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, MissingFileError, RecordError
from spatialreasoner.training.held_images import is_data_url, keep_image

LINES = (".jsonl", ".json", ".ndjson")
_BUILDERS = {".parquet": "parquet", ".csv": "csv", ".arrow": "arrow"}
_HUB = "hub:"
_WITH_IMAGES = ("image", "images", "rejected_images", "prompt", "messages", "chosen", "rejected", "conversations")
"""Columns that may hold images as bytes or name them; of turns, their blocks."""
_NAMES_IMAGE = ("image", "images", "rejected_images", "path", "image_url", "url")
_LONGEST_PATH = 4096


def row_lines(path: Path) -> Iterator[bytes]:
    """The JSON of each row of a file of JSON lines, or of a file that is one JSON list, as LLaVA's and LLaMA-Factory's are.

    Raises:
        MissingFileError: If there is no such file.
        RecordError: If it cannot be read, or begins as a list and is none.
    """
    with records.require_file(path).open("rb") as file:
        begins = file.read(4096).removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    if begins != b"[":
        yield from (line for _, line in records.read_lines(path))
        return
    try:
        yield from (element.encode() for element in _elements(path.read_text("utf-8-sig")))
    except (ValueError, IndexError, RecursionError) as error:
        raise RecordError(f"{path}: expected JSON lines, or one JSON list of rows: {_brief(error)}") from None


def _elements(text: str) -> Iterator[str]:
    """The elements of a JSON list as they are written, keys that are there twice included."""
    decoder, blank = json.JSONDecoder(), re.compile(r"\s*")

    def after(place: int) -> int:
        found = blank.match(text, place)
        return place if found is None else found.end()

    place = after(text.index("[") + 1)
    while text[place] != "]":
        end = decoder.raw_decode(text, place)[1]
        yield text[place:end]
        place = after(end)
        if text[place] not in ",]":
            raise ValueError(f"expected a comma behind an element; got {text[place : place + 20]!r}")
        if text[place] == ",":
            place = after(place + 1)
    if text[after(place + 1) :]:
        raise ValueError(f"expected nothing behind the list; got {text[after(place + 1) :][:20]!r}")


def local_rows(source: str | Path, folder: Path) -> Path:
    """The rows as a file of JSON lines: itself, if it is one, or else written to a folder, its images beside it.

    Args:
        source: A file (`.jsonl`; `.parquet`, `.csv`, `.arrow`), a folder that `datasets` saved or understands, or the name of
            a dataset on the Hub, `OWNER/NAME` or `hub:OWNER/NAME`, perhaps with `:SPLIT` behind it; otherwise its split is
            `train`.
        folder: Where rows and images are written.

    Raises:
        MissingFileError: If there is no such file or dataset.
        ConfigError: If it cannot be read.
    """
    path = Path(source)
    if path.is_file() and path.suffix not in _BUILDERS:
        return path
    if not path.exists() and (path.suffix in (*LINES, *_BUILDERS) or not _is_name(str(source))):
        return records.require_file(path)
    name = hashlib.sha256(str(source).encode()).hexdigest()[:16]
    target = folder / f"{name}.jsonl"
    rows = _images_apart(_load(str(source)))
    records.write_jsonl(target, _with_files(rows, _place(path, folder)))
    return target


def _is_name(source: str) -> bool:
    name = source.removeprefix(_HUB).split(":")[0]
    return source.startswith(_HUB) or (name.count("/") == 1 and not name.startswith((".", "/", "~")))


def _load(source: str) -> Any:
    import datasets
    from huggingface_hub.errors import HfHubHTTPError

    path = Path(source)
    name, _, split = source.removeprefix(_HUB).partition(":")
    try:
        if path.is_file():
            return datasets.load_dataset(_BUILDERS[path.suffix], data_files=str(path), split="train")
        if (path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file():
            saved = datasets.load_from_disk(str(path))
            return saved["train"] if isinstance(saved, datasets.DatasetDict) else saved
        return datasets.load_dataset(source if path.is_dir() else name, split=(split if not path.is_dir() else "") or "train")
    except FileNotFoundError as error:  # of the Hub: not there, or not to be reached
        raise MissingFileError(f"expected a file, or a dataset on the Hub, at {source!r}: {_brief(error)}") from error
    except (ValueError, OSError, KeyError, RuntimeError, HfHubHTTPError) as error:
        raise ConfigError(f"cannot read rows from {source!r}: {_brief(error)}") from error


def _place(source: Path, folder: Path) -> _Place:
    from datasets.config import HF_DATASETS_CACHE
    from huggingface_hub.constants import HF_HUB_CACHE

    if source.exists():
        return _Place(folder, [(source if source.is_dir() else source.parent).resolve()], local=True)
    return _Place(folder, [Path(HF_DATASETS_CACHE).resolve(), Path(HF_HUB_CACHE).resolve()], local=False)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _images_apart(rows: Any) -> Any:
    """The rows with images as paths and bytes, not decoded, wherever they are: blocks of a turn may hold them."""
    for name, feature in rows.features.items():
        apart = _undecoded(feature)
        if apart != feature:
            rows = rows.cast_column(name, apart)
    return rows


def _undecoded(feature: Any) -> Any:
    import datasets

    if isinstance(feature, datasets.Image):
        return datasets.Image(decode=False)
    if isinstance(feature, dict):
        return {name: _undecoded(each) for name, each in cast("dict[str, Any]", feature).items()}
    if isinstance(feature, datasets.List):
        return datasets.List(_undecoded(feature.feature), length=feature.length)
    return feature


class _Place(NamedTuple):
    """Where the images of rows are, and where they go.

    Attributes:
        folder: Their copies.
        roots: The folder of a file, a folder itself, or the caches of what is from the Hub: names lead nowhere else.
        local: Whether the rows are no download of ours: then paths that `datasets` wrote lead anywhere.
    """

    folder: Path
    roots: Sequence[Path]
    local: bool


def _with_files(rows: Iterable[Mapping[str, Any]], place: _Place) -> Iterator[dict[str, Any]]:
    """Rows whose images are files of the folder, named by their contents; bytes of anything else are left out."""
    for row in rows:
        yield {
            name: _as_files(value, name, place) if name in _WITH_IMAGES else value
            for name, value in row.items()
            if value is not None and (name in _WITH_IMAGES or not _holds_bytes(value))
        }


def _as_files(value: Any, name: str, place: _Place) -> Any:
    """What a column or a block holds under a name, images in it as files of the folder."""
    if isinstance(value, bytes):
        return f"images/{keep_image(value, place.folder / 'images').name}"
    if isinstance(value, str):
        named = name in _NAMES_IMAGE and not is_data_url(value) and len(value) < _LONGEST_PATH
        return _as_files(_read(value, place), name, place) if named and "://" not in value else value
    if isinstance(value, list):
        return [_as_files(each, name, place) for each in cast("list[Any]", value)]
    if not isinstance(value, Mapping):
        return value
    given = {key: each for key, each in cast("Mapping[str, Any]", value).items() if each is not None}
    if given and given.keys() <= {"bytes", "path"}:  # as `datasets` writes images
        return _as_files(given["bytes"] if "bytes" in given else _read(given["path"], place, anywhere=place.local), name, place)
    return {key: _as_files(each, key, place) for key, each in given.items()}


def _read(name: str, place: _Place, *, anywhere: bool = False) -> bytes:
    """The bytes of a file that rows name.

    Raises:
        MissingFileError: If it is not there.
        RecordError: If it is not where the rows are from.
    """
    path = Path(name)
    if anywhere and path.is_absolute():
        return records.require_file(path).read_bytes()
    root = next((root for root in place.roots if path.is_relative_to(root)), place.roots[0])
    named = str(path.relative_to(root)) if path.is_relative_to(root) else name
    return records.require_file(records.inside(root, named, where="images")).read_bytes()


def _holds_bytes(value: Any) -> bool:
    if isinstance(value, list | Mapping):
        given = cast("Any", value)
        return any(_holds_bytes(each) for each in (given.values() if isinstance(given, Mapping) else given))
    return isinstance(value, bytes)
