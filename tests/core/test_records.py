import gzip
import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest

from spatialreasoner.core import records
from spatialreasoner.core.errors import MissingFileError, RecordError, WorkError
from spatialreasoner.core.types import Intrinsics, Question

QUESTION = Question(
    id="a-0", scene_id="a", category="width_data", text="How wide is <region1>?", region_ids=("region1",),
    answer="<region1> is 1.00 meters wide.", value=1.0, unit="m",
)  # fmt: skip


def test_written_records_are_read_back(tmp_path: Path) -> None:
    assert records.write_jsonl(tmp_path / "q.jsonl", [QUESTION, QUESTION]) == 2
    assert list(records.read_jsonl(tmp_path / "q.jsonl", Question)) == [QUESTION, QUESTION]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"category": "weight"}, "category"),
        ({"value": "wide"}, "valid number"),
        ({"region_ids": "region1"}, "region_ids"),
        ({"id": None}, "id: Input should be a valid string"),
    ],
)
def test_a_wrong_row_is_refused_with_its_place(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(records.dumps(QUESTION) + "\n" + json.dumps({**asdict(QUESTION), **change}) + "\n")
    with pytest.raises(RecordError, match=message) as caught:
        list(records.read_jsonl(path, Question))
    assert f"{path}:2" in str(caught.value)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"fx": 1, "fy": 1, "cx": 0}')
    with pytest.raises(RecordError, match="'cy' is missing"):
        records.read_json(path, Intrinsics)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"{", b"[]", b"nonsense", b"\xff\xfe", b'{"fx": NaN}', b"[" * 100_000])
def test_broken_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(content)
    with pytest.raises(RecordError):
        list(records.read_jsonl(path, Question))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b'[{"a": 1},\n', "JSON list.*line of its own"), (gzip.compress(b"{}"), "gunzip")],
    ids=["list", "gzip"],
)
def test_lists_and_compressed_files_are_told_apart_from_broken_rows(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "rows.jsonl").write_bytes(content)
    with pytest.raises(RecordError, match=message):
        list(records.read_jsonl(tmp_path / "rows.jsonl", dict))


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_LINE_BYTES", 100)
    path = tmp_path / "q.jsonl"
    path.write_bytes(b"x" * 101)
    with pytest.raises(RecordError, match="at most 100 bytes"):
        list(records.read_jsonl(path, Question))


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="there is none"):
        list(records.read_jsonl(tmp_path / "none.jsonl", Question))
    with pytest.raises(MissingFileError, match="it is a folder"):
        records.require_file(tmp_path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    records.write_jsonl(path, [QUESTION])
    before = path.read_bytes()

    def rows() -> object:
        yield QUESTION
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        records.write_jsonl(path, rows())  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["q.jsonl"]


def test_an_unwritable_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkError, match="cannot write"):
        records.write_json(tmp_path / "file" / "x.json", {})


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../b", "link/x"])
def test_paths_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path)
    with pytest.raises(RecordError, match="leads out of it"):
        records.inside(tmp_path / "in", name, where="row 1")


def test_a_config_says_what_made_the_output(tmp_path: Path) -> None:
    records.write_config(tmp_path, "questions", Intrinsics(fx=1, fy=1, cx=0, cy=0))
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["stage"] == "questions"
    assert config["config"]["fx"] == 1
    assert {"spatialreasoner", "python", "numpy"} <= set(config["versions"])


def test_files_have_the_permissions_that_the_umask_gives(tmp_path):
    before = os.umask(0o077)
    try:
        records.write_json(tmp_path / "private.json", {})
        os.umask(0o022)
        records.write_json(tmp_path / "shared.json", {})
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("private.json", "shared.json")]
    assert modes == [0o600, 0o644]


def test_what_fails_leaves_nothing_and_what_works_keeps_its_suffix(tmp_path):
    with records.atomic_path(tmp_path / "image.png") as path:
        assert path.suffix == ".png"
        assert path.name.startswith(".")
        path.write_bytes(b"1")
    with suppress(ValueError), records.atomic_path(tmp_path / "image.png") as path:
        path.write_bytes(b"22")
        raise ValueError("mid-way")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("image.png", b"1")]
