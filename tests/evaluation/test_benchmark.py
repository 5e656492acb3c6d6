"""The official benchmark file, read as docs/papers.md 4.2 describes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spatialreasoner.core.errors import MissingFileError, RecordError
from spatialreasoner.evaluation.benchmark import BenchmarkConfig, write_benchmark
from spatialreasoner.questions.files import read_questions
from spatialreasoner.scenes.files import scene_index
from spatialreasoner.scenes.masks import decode, encode, from_box

BOXES = ([2, 3, 10, 12], [20, 5, 30, 18])
SIZE = (24, 40)


def item(number: int, category: str = "distance_data", **changes: Any) -> dict[str, Any]:
    kind = "quantitative" if category.endswith("_data") or category == "direction" else "qualitative"
    masks = [encode(from_box(box, SIZE)) for box in BOXES]
    return {
        "id": f"{kind}_{number}",
        "image_info": {"file_path": f"kitti/{number // 2}.png", "height": SIZE[0], "width": SIZE[1]},
        "text_q": "How far is Region [0] from Region [1]?",
        "qa_info": {"type": kind, "category": category},
        "conversations": [
            {"from": "human", "value": "<image>\nHow far is <mask> <depth> from <mask> <depth>?"},
            {"from": "gpt", "value": "Region [0] and Region [1] are 50.00 centimeters apart."},
        ],
        "bbox": [list(box) for box in BOXES],
        "rle": [{"size": list(mask.size), "counts": mask.counts} for mask in masks],
        **changes,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bench" / "kitti").mkdir(parents=True)
    for number in range(2):
        Image.fromarray(np.full((*SIZE, 3), 90 * number, dtype=np.uint8)).save(tmp_path / "bench" / "kitti" / f"{number}.png")
    return tmp_path / "bench"


def convert(folder: Path, items: object, out: Path) -> Any:
    (folder / "SpatialRGPT-Bench_v1.json").write_text(json.dumps(items))
    return write_benchmark(BenchmarkConfig(source=str(folder)), out)


def test_items_become_scenes_and_questions(folder: Path, tmp_path: Path) -> None:
    summary = convert(
        folder, [item(0), item(1), item(2, "left_choice", text_q="Which is left, Region [0] or Region [1]?")], tmp_path / "out"
    )
    assert (summary.questions, summary.images, summary.boxes_for_masks) == (3, 2, 0)
    scenes = scene_index(tmp_path / "out")
    questions = read_questions(tmp_path / "out" / "questions.jsonl", scenes)
    first = questions[0]
    assert first.text == "How far is <region1> from <region2>?"
    assert first.answer == "<region1> and <region2> are 50.00 centimeters apart."
    assert (first.value, first.unit) == (pytest.approx(0.5), "m")
    assert (questions[2].value, questions[2].unit, questions[2].category) == (None, None, "left_choice")
    scene = scenes[first.scene_id]
    assert len(scene.regions) == 2  # two questions on one image share its regions
    np.testing.assert_array_equal(decode(scene.region("region2").mask), from_box(BOXES[1], SIZE))
    assert Path(scene.image).read_bytes() == (folder / "kitti" / "0.png").read_bytes()


def test_json_lines_boxes_for_missing_masks_and_unknown_columns(folder: Path, tmp_path: Path) -> None:
    rows = [item(0, rle=None, extra="column")]
    (folder / "bench.json").write_text("\n".join(map(json.dumps, rows)))
    summary = write_benchmark(BenchmarkConfig(source=str(folder / "bench.json")), tmp_path / "out")
    assert summary.boxes_for_masks == 2


def test_parquet_with_images_inside(folder: Path, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [{**item(number), "image": {"bytes": (folder / "kitti/0.png").read_bytes(), "path": "x"}} for number in range(2)]
    (tmp_path / "parquet").mkdir()
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "parquet" / "val.parquet")
    summary = write_benchmark(BenchmarkConfig(source=str(tmp_path / "parquet")), tmp_path / "out")
    assert (summary.questions, summary.images) == (2, 1)
    assert len(scene_index(tmp_path / "out")) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_info": {"file_path": "../secret.png", "height": 24, "width": 40}}, "leads out of it"),
        ({"image_info": {"file_path": "kitti/0.png", "height": 25, "width": 40}}, "a mask of the image's size"),
        ({"conversations": []}, "expected a reference answer"),
        ({"qa_info": {"type": "qualitative", "category": "width_data"}}, "item 1: not a Item"),
        ({"bbox": None, "rle": None}, "at least one region"),
    ],
)
def test_refuses_what_is_not_an_item(folder: Path, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        convert(folder, [item(0, **change)], tmp_path / "out")
    assert not (tmp_path / "out" / "questions.jsonl").exists()


def test_names_missing_and_broken_files(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="found none"):
        write_benchmark(BenchmarkConfig(source=str(folder)), tmp_path / "out")
    with pytest.raises(MissingFileError, match=r"7\.png"):
        convert(folder, [item(14)], tmp_path / "out")
    with pytest.raises(RecordError, match="comes twice"):
        convert(folder, [item(0), item(0)], tmp_path / "out")
    (folder / "SpatialRGPT-Bench_v1.json").write_text("[{")
    with pytest.raises(RecordError, match="expected a JSON array"):
        write_benchmark(BenchmarkConfig(source=str(folder)), tmp_path / "out")


@pytest.mark.parametrize("spell", [repr, json.dumps])
@pytest.mark.parametrize("form", ["json", "parquet"])
def test_official_release_whose_columns_are_texts(folder: Path, tmp_path: Path, spell: Any, form: str) -> None:
    """The release on the Hub writes nested columns as Python literals; some mirrors write them as JSON."""
    nested = ("image_info", "qa_info", "conversations", "bbox", "rle")
    rows = [{name: spell(value) if name in nested else value for name, value in item(number).items()} for number in range(2)]
    source = folder / f"val.{form}"
    if form == "json":
        source.write_text(json.dumps(rows))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), source)
    summary = write_benchmark(BenchmarkConfig(source=str(source)), tmp_path / "out")
    assert (summary.questions, summary.images, summary.boxes_for_masks) == (2, 1, 0)
    questions = read_questions(tmp_path / "out" / "questions.jsonl", scene_index(tmp_path / "out"))
    assert (questions[0].category, questions[0].value, questions[0].unit) == ("distance_data", pytest.approx(0.5), "m")
