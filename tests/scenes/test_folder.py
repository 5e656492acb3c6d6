import pytest

from spatialreasoner import __version__
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.types import Scene
from spatialreasoner.scenes import files
from spatialreasoner.scenes.folder import claim_folder

CONFIG = {"count": 2, "field_of_view": None, "names": ("a", "b")}


def scene(name):
    return Scene(id=name, image=f"images/{name}.png", regions=())


def test_scenes_come_in_the_order_asked_for_and_the_workings_go(tmp_path):
    folder = claim_folder(tmp_path / "out", "scenes test", CONFIG)
    for name in ("b", "a"):
        assert not folder.has(name)
        folder.add(scene(name), {f"images/{name}.png": name.encode()})
        assert folder.has(name)
    assert not folder.complete
    folder.finish(["a", "b"])
    assert folder.complete
    assert [made.id for made in files.load_scenes(tmp_path / "out")] == ["a", "b"]
    assert (tmp_path / "out" / "images" / "a.png").read_bytes() == b"a"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["config.json", "images", "scenes.jsonl"]


def test_what_was_begun_is_gone_on_with(tmp_path):
    claim_folder(tmp_path, "scenes test", CONFIG).add(scene("a"), {})
    again = claim_folder(tmp_path, "scenes test", CONFIG)
    assert again.has("a")
    assert not again.has("b")


def test_other_settings_or_another_stage_are_refused(tmp_path):
    claim_folder(tmp_path, "scenes test", CONFIG)
    with pytest.raises(ConfigError, match="other settings"):
        claim_folder(tmp_path, "scenes test", {**CONFIG, "count": 3})
    with pytest.raises(ConfigError, match="other settings"):
        claim_folder(tmp_path, "scenes of another kind", CONFIG)


def test_inputs_that_changed_are_named(tmp_path):
    claim_folder(tmp_path, "scenes test", CONFIG, {"photos": "1", "the masks": "2"})
    claim_folder(tmp_path, "scenes test", CONFIG, {"photos": "1", "the masks": "2"})
    with pytest.raises(ConfigError, match="of other inputs: the masks changed since"):
        claim_folder(tmp_path, "scenes test", CONFIG, {"photos": "1", "the masks": "3"})


def test_a_folder_of_another_version_is_not_continued(tmp_path):
    claim_folder(tmp_path, "scenes test", CONFIG)
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace(f'"spatialreasoner": "{__version__}"', '"spatialreasoner": "0.0.9"'))
    with pytest.raises(ConfigError, match="the version of spatialreasoner changed since"):
        claim_folder(tmp_path, "scenes test", CONFIG)


def test_a_folder_that_does_not_tell_its_inputs_is_continued(tmp_path):
    claim_folder(tmp_path, "scenes test", CONFIG)
    claim_folder(tmp_path, "scenes test", CONFIG, {"photos": "1"})


def test_leftovers_of_a_killed_write_do_not_stop_it(tmp_path):
    (tmp_path / ".config.json.x1.part").write_text("{")
    folder = claim_folder(tmp_path, "scenes test", CONFIG)
    folder.add(scene("a"), {})
    folder.finish(["a"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "scenes.jsonl"]
