import os
import subprocess
import sys
from pathlib import Path

import pytest

from spatialreasoner.core.errors import WorkError
from spatialreasoner.core.resume import unfinished


def write(out: Path, key: str, lines: list[str], *, die: bool = False) -> int:
    """Append what is missing of some lines; returns how many were there."""
    with unfinished(out, key) as (file, done):
        file.writelines(lines[done:])
        if die:
            raise KeyboardInterrupt
    return done


def test_lines_of_a_process_that_ended_are_kept(tmp_path: Path):
    out = tmp_path / "rows.jsonl"
    with pytest.raises(KeyboardInterrupt):
        write(out, "a" * 64, ["1\n", "2\n"], die=True)
    assert not out.exists()
    assert write(out, "a" * 64, ["1\n", "2\n", "3\n"]) == 2
    assert out.read_text() == "1\n2\n3\n"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".unfinished"] == []


def test_a_torn_line_is_written_anew(tmp_path: Path):
    out = tmp_path / "rows.jsonl"
    with pytest.raises(KeyboardInterrupt):
        write(out, "a" * 64, ["1\n", "2\n", "thr"], die=True)
    assert write(out, "a" * 64, ["1\n", "2\n", "three\n"]) == 2
    assert out.read_text() == "1\n2\nthree\n"


def test_lines_of_other_inputs_are_not_taken_and_go_in_the_end(tmp_path: Path):
    out = tmp_path / "rows.jsonl"
    with pytest.raises(KeyboardInterrupt):
        write(out, "a" * 64, ["1\n"], die=True)
    assert write(out, "b" * 64, ["one\n"]) == 0
    assert out.read_text() == "one\n"
    assert sorted(os.listdir(tmp_path)) == [".rows.jsonl.lock", "rows.jsonl"]


def test_two_processes_do_not_write_one_output(tmp_path: Path):
    out = tmp_path / "rows.jsonl"
    other = (
        "from pathlib import Path; from spatialreasoner.core.resume import unfinished\n"
        f"with unfinished(Path({str(out)!r}), 'a'): pass"
    )
    with unfinished(out, "a"):
        result = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=False)
        assert "another process works in" in result.stderr
        with pytest.raises(WorkError, match=r"rows\.jsonl"), unfinished(out, "a"):
            pass


def test_a_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkError, match="cannot write"), unfinished(tmp_path / "file" / "rows.jsonl", "a"):
        pass
