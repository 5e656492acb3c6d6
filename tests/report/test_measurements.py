"""The table of all that can be measured of a scene."""

import json

import pytest
from typer.testing import CliRunner

from spatialreasoner.cli import app
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.report.measurements import MEASURED_SIZES, PAIRS, measurement_table, open_scene, terminal


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result


def test_every_region_and_pair_has_its_row(rgbd_folders):
    scene = open_scene(rgbd_folders[0])
    table = measurement_table(scene)
    count = len(scene.regions)
    assert len(table.sizes) == count * len(MEASURED_SIZES)
    assert len(table.pairs) == count * (count - 1) // 2 * len(PAIRS)
    for row in (*table.sizes, *table.pairs):
        assert (row.value is None) == (row.reason is not None)
        assert row.value is None or row.low <= row.value <= row.high
    text = terminal(table)
    assert "gravity is not known" in text
    assert " ± 0." in text


def test_the_command_prints_a_table_or_json(rgbd_folders):
    assert "dehumidifier" in run("measure", rgbd_folders[0]).output
    rows = json.loads(run("measure", rgbd_folders[0], "--json").stdout)
    assert rows["regions"][0]["label"] == "dehumidifier"
    assert rows["sizes"][0]["unit"] == "m"


def test_one_of_several_scenes_must_be_named(tmp_path):
    run("scenes", "synthetic", "--count", "2", "--out", tmp_path / "s")
    with pytest.raises(ConfigError, match="expected `scene`"):
        open_scene(tmp_path / "s")
    assert open_scene(tmp_path / "s", "synthetic-0-000001").id == "synthetic-0-000001"
