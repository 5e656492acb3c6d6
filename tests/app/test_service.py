import asyncio
import csv
import io
import json
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

import captures
from app.conftest import drawn_box, wish
from spatialreasoner.app.config import AppConfig
from spatialreasoner.app.opening import Wanted
from spatialreasoner.app.service import App
from spatialreasoner.core.errors import ConfigError, InputError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes import rgbd
from spatialreasoner.scenes.importers import FrameOptions

WANTED = Wanted()


def last(app, session, text, models):
    async def go():
        return [shown async for shown in app.ask(session, text, models)][-1]

    return str(asyncio.run(go()))


def test_answers_of_two_models_are_checked_statement_by_statement(app, visitor):
    html = last(app, visitor, "Is <Region1> to the left of <region2>?", ["scripted:careful", "scripted:hasty"])
    assert html.count("Statement by statement") == 2
    assert html.count("<meter") >= 6
    assert visitor.answers[-1].key == visitor.state.key
    wish(app, visitor, "remove", number=1)
    assert visitor.answers[-1].key != visitor.state.key


def test_a_free_question_has_verdicts_but_no_rewards(app, visitor):
    html = last(app, visitor, "What do you make of <region1> and <region2>?", ["scripted:careful"])
    assert "Statement by statement" in html
    assert "<meter" not in html


def test_limits(app, visitor):
    for _ in range(3):
        last(app, visitor, "How wide is <region1>?", ["scripted:careful"])
    with pytest.raises(InputError, match="3 questions per minute"):
        last(app, visitor, "How wide is <region1>?", ["scripted:careful"])
    with pytest.raises(InputError, match="not started with the model"):
        last(app, app.begin(), "How wide is <region1>?", ["hf:/etc"])


def test_a_wrong_model_is_told_at_the_start_and_none_is_needed(tmp_path):
    with pytest.raises(ConfigError):
        App(AppConfig(models=("scripted:nobody",)), tmp_path)
    bare = App(AppConfig(models=()), tmp_path)
    assert bare.about()["models"] == []
    assert bare.measures(bare.begin())["cells"]


def test_a_model_of_rooms_says_so_beside_another_image(tmp_path):
    app = App(AppConfig(max_new_tokens=4), tmp_path)
    Image.new("RGB", (64, 48), (90, 120, 150)).save(tmp_path / "photo.png")
    room, photo = app.begin(), app.begin()
    app.opener.open(photo, tmp_path / "photo.png", WANTED)
    wish(app, photo, "write", text="5,5,30,30")
    assert "trained on synthetic rooms alone" not in last(app, room, "How wide is <region1>?", ["nano"])
    assert "trained on synthetic rooms alone" in last(app, photo, "How wide is <region1>?", ["nano"])
    assert "no depth is known" in photo.answers[-1].html


def test_all_sizes_and_pairs_are_measured_at_once_with_error_bars(app, visitor):
    found = app.measures(visitor)
    told = {(cell["quantity"], *cell["regions"]): cell["told"] for cell in found["cells"]}
    assert {quantity for quantity, *_ in told} == {
        "width", "height", "depth", "camera_distance", "distance", "horizontal_distance", "vertical_distance", "direction",
    }  # fmt: skip
    assert told["distance", 1, 2].endswith("m")
    assert "o'clock" in told["direction", 1, 2]
    assert found["relations"][0]["regions"] == [1, 2]
    assert found["relations"][0]["words"]


def test_what_was_measured_of_a_region_is_not_measured_again(app, visitor):
    app.measures(visitor)
    measured = app.opened(visitor).measured(visitor.state.regions)
    before = measured.cloud(visitor.state.regions[1].id)
    wish(app, visitor, "remove", number=1)
    app.measures(visitor)
    assert app.opened(visitor).measured(visitor.state.regions).cloud(visitor.state.regions[0].id) is before


def test_a_ruler_measures_in_space(app, visitor):
    opened = app.opened(visitor)
    camera, depth = opened.scene.intrinsics, opened.depth
    reading = app.ruler(visitor, [(100.4, 300.2), (320.9, 310.0)])
    first, second = (
        np.array([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, 1.0]) * depth[y, x]
        for x, y in ((100, 300), (320, 310))
    )
    assert reading["length"]["value"] == pytest.approx(np.linalg.norm(first - second))
    assert reading["length"]["error"] > 0
    assert "±" in reading["told"]
    for ends, said in (([(1, 1)], "nothing|no depth"), ([(1, 1), (9999, 1)], "inside the image")):
        with pytest.raises(InputError, match=said):
            app.ruler(visitor, ends)


def test_depth_and_points_for_the_browser(app, visitor):
    height, width = struct.unpack("<II", app.depth(visitor)[:8])
    values = np.frombuffer(app.depth(visitor)[8:], "<f4").reshape(height, width)
    np.testing.assert_array_equal(values, app.opened(visitor).depth)
    packed = app.space(visitor)
    (length,) = struct.unpack("<I", packed[:4])
    about = json.loads(packed[4 : 4 + length])
    assert (4 + length) % 4 == 0
    assert len(packed) == 4 + length + 20 * about["count"]
    assert [box["number"] for box in about["boxes"]] == [1, 2]
    points = np.frombuffer(packed[4 + length :], "<f4", 3 * about["count"]).reshape(-1, 3)
    low, high = about["boxes"][0]["low"], about["boxes"][0]["high"]
    owners = np.frombuffer(packed[4 + length + 16 * about["count"] :], np.uint8).reshape(-1, 4)[:, 3]
    inside = ((points >= np.array(low) - 0.05) & (points <= np.array(high) + 0.05)).all(axis=1)
    assert inside[owners == 1].mean() > 0.8


@pytest.mark.filterwarnings("default")  # of pycocotools
def test_exports_are_read_by_others_and_opened_again(app, visitor, tmp_path):
    wish(app, visitor, "rename", number=1, text="=cmd()")
    data, name, _ = app.export(visitor, "coco")
    (tmp_path / "regions.json").write_bytes(data)
    known = COCO(tmp_path / "regions.json")
    (annotation, _) = known.loadAnns(known.getAnnIds())
    mask = known.annToMask(annotation)
    assert mask.sum() == annotation["area"]
    assert name.endswith(".coco.json")

    rows = list(csv.DictReader(io.StringIO(app.export(visitor, "csv")[0].decode())))
    assert {row["quantity"] for row in rows} >= {"width", "distance", "direction", "relation"}
    assert {row["name"] for row in rows if row["region"] == "1"} == {"'=cmd()"}  # no formula

    packed, name, _ = app.export(visitor, "folder")
    (tmp_path / name).write_bytes(packed)
    with zipfile.ZipFile(tmp_path / name) as archive:
        archive.extractall(tmp_path / "unpacked")
    loaded = rgbd.load(tmp_path / "unpacked" / visitor.state.scene.id)
    assert [region.mask for region in loaded.regions] == [region.mask for region in visitor.state.regions]
    other = app.begin()
    app.opener.open(other, tmp_path / name, WANTED)
    assert [region.mask for region in other.state.regions] == [region.mask for region in visitor.state.regions]
    told = [
        [cell["told"] for cell in app.measures(each)["cells"] if cell["quantity"] == "distance"] for each in (visitor, other)
    ]
    assert told[0][0].split(" m")[0] == told[1][0].split(" m")[0]
    wish(app, visitor, "clear")
    app.load_regions(visitor, tmp_path / "regions.json")
    assert [region.label for region in visitor.state.regions] == [region.label for region in other.state.regions]
    wish(app, other, "clear")
    app.load_regions(other, tmp_path / "regions.json")  # its image is called otherwise, its scene is not
    assert len(other.state.regions) == 2
    assert app.export(visitor, "glb")[0][:4] == b"glTF"
    with pytest.raises(InputError, match="expected one of"):
        app.export(visitor, "passwords")


def test_a_saved_session_is_opened_by_its_name_alone_as_a_copy(app, visitor):
    wish(app, visitor, "rename", number=1, text="chair")
    last(app, visitor, "How wide is <region1>?", ["scripted:careful"])
    name = app.saved.save(visitor)
    copy = app.begin(name)
    assert copy.token != visitor.token
    assert copy.state.regions[0].label == "chair"
    assert copy.answers[-1].key == copy.state.key
    wish(app, copy, "clear")
    assert len(app.begin(name).state.drawn) == 2
    for wrong in ("../" + name, name[:-1], "x" * 30, ""):
        with pytest.raises(InputError, match="no saved session"):
            app.saved.open(app.sessions.begin(), wrong)


@pytest.mark.parametrize("kind", ["record3d", "iphone", "png", "tum"])
def test_captures_are_opened_as_their_files_tell(app, tmp_path, kind):
    path = getattr(captures, kind)(tmp_path)
    session = app.begin()
    app.opener.open(session, path, WANTED)
    scene = session.state.scene
    assert scene.depth is not None
    assert scene.intrinsics is not None
    if session.state.roll is not None:
        app.opener.turn(session, len(session.state.roll.names) - 1)
        assert session.state.scene.image != scene.image


def test_an_image_and_its_depth_are_opened_with_a_camera_that_is_told(app, tmp_path):
    folder = tmp_path / "upload"
    folder.mkdir()
    Image.new("RGB", (64, 48), (200, 100, 50)).save(folder / "kitchen.png")
    Image.fromarray(np.full((48, 64), 1500, np.uint16)).save(folder / "kitchen_depth.png")
    session = app.begin()
    with pytest.raises(InputError, match="expected its camera"):
        app.opener.open(session, folder, WANTED)
    camera = Intrinsics(fx=60, fy=60, cx=31.5, cy=23.5)
    app.opener.open(session, folder, Wanted(options=FrameOptions(intrinsics=camera)))
    wish(app, session, "add", shape=drawn_box((12, 14), (52, 34)))
    width = next(cell for cell in app.measures(session)["cells"] if cell["quantity"] == "width")
    assert width["value"] == pytest.approx(39 / 60 * 1.5, rel=0.06)  # but for its corners


def test_paths_of_the_server_stay_inside_of_the_folders_that_may_be_opened(tmp_path):
    inside, outside = tmp_path / "captures", tmp_path / "secret"
    inside.mkdir()
    outside.mkdir()
    captures.png(outside)
    captures.tum(inside)
    (inside / "link").symlink_to(outside)
    app = App(AppConfig(models=(), folders=(str(inside),)), tmp_path / "app")
    (tmp_path / "app").mkdir()
    session = app.begin()
    app.open_path(session, ".", WANTED)
    assert session.state.scene.depth is not None
    for path in ("../secret", "link", str(outside), "nothing"):
        with pytest.raises(InputError, match="expected a path inside"):
            app.open_path(session, path, WANTED)


def test_a_visitor_opens_so_many_images_and_no_more(app, visitor):
    visitor.opened = 8
    with pytest.raises(InputError, match="at most 8 images"):
        app.opener.open(visitor, visitor.folder, WANTED)
