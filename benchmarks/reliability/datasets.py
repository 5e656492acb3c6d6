"""Data sets of others: SpatialRGPT-Bench as JSON or Parquet, COCO annotations, pages to fill, masks as images."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from reliability.changes import NUMBERS, WRONG, Change, drop, dumps, literal, put, shown
from reliability.images import saved
from reliability.trial import Act, Case, Read, command
from spatialreasoner.core.errors import InputError
from spatialreasoner.scenes.annotations.finder import AnnotatedRegions

ITEM: dict[str, Any] = {
    "id": "1",
    "image_info": {"file_path": "a.png", "height": 24, "width": 32},
    "text_q": "How wide is Region [0]?",
    "qa_info": {"type": "quantitative", "category": "width_data"},
    "conversations": [{"from": "human", "value": "How wide?"}, {"from": "gpt", "value": "It is 2 meters wide."}],
    "bbox": [[1, 1, 9, 9]],
    "rle": [{"size": [24, 32], "counts": [100, 20, 648]}],
}
PLACES = (
    "../outside.png",
    "/etc/hostname",
    "a/../../outside.png",
    "link/outside.png",
    "none.png",
    "",
    ".",
    "a\0.png",
    "a" * 300,
)

FILES: tuple[tuple[str, bytes], ...] = (
    ("empty", b""),
    ("no JSON", b"id,question"),
    ("a number", b"7"),
    ("a list of numbers", b"[1, 2]"),
    ("a list of lists", b"[[]]"),
    ("null", b"null"),
    ("cut in half", json.dumps([ITEM]).encode()[:-40]),
    ("Latin-1", b'[{"id": "\xfc"}]'),
    ("a byte order mark", b"\xef\xbb\xbf" + json.dumps([ITEM]).encode()),
    ("100000 brackets", b"[" * 100_000),
    ("100000 braces", b'{"a":' * 100_000),
    ("a number of 5000 digits", b'[{"id": ' + b"9" * 5000 + b"}]"),
    ("NaN", json.dumps([ITEM]).replace("24,", "NaN,", 1).encode()),
)

COCO: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.png", "height": 24, "width": 32}],
    "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 8, 8], "segmentation": [[1, 1, 9, 1, 9, 9]]}],
    "categories": [{"id": 1, "name": "box"}],
}
SEGMENTATIONS: tuple[tuple[str, Any], ...] = (
    ("an odd number of coordinates", [[1, 1, 9, 1, 9]]),
    ("two corners", [[1, 1, 9, 9]]),
    ("no corners", [[]]),
    ("a lying mask", {"size": [24, 32], "counts": [5]}),
    ("a mask of another size", {"size": [4, 6], "counts": [24]}),
    ("packed rubbish", {"size": [24, 32], "counts": "~~~"}),
    ("words", "everything"),
    ("numbers", [1, 2, 3]),
)


def cases() -> Iterator[Case]:
    """Into `scenes benchmark`, and into the reader of annotations of `scenes images`."""
    for name, text in FILES:
        yield Case(group="benchmark files", name=name, prepare=partial(_text, text), expected=InputError)
    for name, change in (*_items(), *_masks()):
        yield Case(group="benchmark files", name=name, prepare=partial(_item, change), expected=InputError, writes=True)
    yield Case(
        group="benchmark files", name="more columns", prepare=partial(_item, partial(put, ("extra",), 1)), expected=Read()
    )
    for name, data in _tables():
        yield Case(
            group="benchmark files", name=f"Parquet: {name}", prepare=partial(_parquet, data), expected=InputError, slow=True
        )
    for name, change in _annotations():
        yield Case(group="COCO files", name=name, prepare=partial(_coco, change), expected=InputError)
    for name, text in FILES:
        yield Case(group="COCO files", name=name, prepare=partial(_coco, lambda row, text=text: text), expected=InputError)


def _items() -> Iterator[tuple[str, Change]]:
    for field in ("id", "image_info", "text_q", "qa_info", "conversations"):
        yield f"no {field}", partial(drop, field)
        for name, value in WRONG:
            if not isinstance(value, str):
                yield f"{field} is {name}", partial(put, (field,), value)
    for path in PLACES:
        yield f"an image at {shown(path)}", partial(put, ("image_info", "file_path"), path)
    for text in NUMBERS:
        yield f"a height of {shown(text)}", partial(literal, ("image_info", "height"), text)
    for value in (0, -24, 25, 10**9):
        yield f"a height of {value}", partial(put, ("image_info", "height"), value)
    yield "an item twice", lambda row: f"{dumps(row)}\n{dumps(row)}"
    yield "no turns", partial(put, ("conversations",), [])
    yield "a category of another kind", partial(put, ("qa_info", "type"), "qualitative")


def _masks() -> Iterator[tuple[str, Change]]:
    yield "a mask that lies", partial(put, ("rle", 0, "counts"), [7])
    yield "a mask of another size", partial(put, ("rle", 0, "size"), [4, 6])
    yield "a mask of rubbish", partial(put, ("rle", 0, "counts"), "~~~")
    yield "no region at all", lambda row: row | {"rle": [], "bbox": []}
    for box in ([9, 1, 1, 9], [1, 1, 1], ["a", "b", "c", "d"]):
        yield f"a box of {box}", lambda row, box=box: row | {"rle": [], "bbox": [box]}


def _annotations() -> Iterator[tuple[str, Change]]:
    for name, value in SEGMENTATIONS:
        yield name, partial(put, ("annotations", 0, "segmentation"), value)
    for name, value in WRONG:
        yield f"images are {name}", partial(put, ("images",), value)
        yield f"annotations are {name}", partial(put, ("annotations",), value)
    yield "neither mask nor box", lambda row: row | {"annotations": [{"image_id": 1, "category_id": 1}]}
    yield "another size of the image", partial(put, ("images", 0, "height"), 25)
    for box in ([9, 1, -8, 8], [1, 1, 0, 0], [1, 1, 8]):
        yield (
            f"a box of {box}",
            lambda row, box=box: put(("annotations", 0), {"image_id": 1, "category_id": 1, "bbox": box}, row),
        )


def _item(change: Change, folder: Path) -> Act:
    return _text(dumps(change(json.loads(json.dumps(ITEM)))).encode(), folder)


def _text(text: bytes, folder: Path) -> Act:
    source = _images(folder)
    (source / "bench.json").write_bytes(text)
    return command("scenes", "benchmark", source / "bench.json", "--out", folder / "out")


def _images(folder: Path) -> Path:
    source = folder / "bench"
    source.mkdir()
    Image.new("RGB", (32, 24), "red").save(source / "a.png")
    (folder / "outside.png").write_bytes(saved(Image.new("RGB", (32, 24))))
    (source / "link").symlink_to(folder)
    return source


def _tables() -> Iterator[tuple[str, bytes]]:
    import pyarrow as pa
    from pyarrow import parquet

    def table(rows: list[dict[str, Any]]) -> bytes:
        file = io.BytesIO()
        parquet.write_table(pa.Table.from_pylist(rows), file)
        return file.getvalue()

    whole = table([_flat()])
    yield "empty", b""
    yield "no Parquet", b"PAR1 is not enough" * 10
    yield "cut in half", whole[: len(whole) // 2]
    yield "rubbish within", whole[:4] + b"\xa5" * (len(whole) - 8) + whole[-4:]
    yield "other columns", table([{"a": 1}])
    yield "columns of torn JSON", table([{**_flat(), "qa_info": "{torn}"}])


def _flat() -> dict[str, Any]:
    return {key: json.dumps(value) if isinstance(value, list | dict) else value for key, value in ITEM.items()}


def _parquet(data: bytes, folder: Path) -> Act:
    source = _images(folder)
    (source / "bench.parquet").write_bytes(data)
    return command("scenes", "benchmark", source / "bench.parquet", "--out", folder / "out")


def _coco(change: Change, folder: Path) -> Act:
    changed = change(json.loads(json.dumps(COCO)))
    (folder / "coco.json").write_bytes(changed if isinstance(changed, bytes) else dumps(changed).encode())
    return lambda: [found.mask.any() for found in AnnotatedRegions(folder / "coco.json").find("a.png", (24, 32))]
