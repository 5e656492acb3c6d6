import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from app.conftest import drawn_box, wish
from spatialreasoner.app import measuring
from spatialreasoner.app.regions import region
from spatialreasoner.app.sessions import MAX_DRAWN_REGIONS, DrawnRegion, Sessions, State
from spatialreasoner.core.errors import InputError
from spatialreasoner.core.types import Scene
from spatialreasoner.scenes.masks import decode


def stripe(column):
    mask = np.zeros((10, 60), bool)
    mask[:, column] = True
    return DrawnRegion(region=region(mask, mask.shape))


@pytest.fixture
def sessions(tmp_path):
    return Sessions(tmp_path, 2)


def numbers(session):
    return [each.region.id for each in session.state.drawn]


def test_regions_are_added_changed_named_and_removed_and_each_step_can_be_undone(app, visitor):
    wish(app, visitor, "clear")
    start = visitor.at
    wish(app, visitor, "add", shape=drawn_box((40, 130), (180, 350)))
    wish(app, visitor, "write", text="270,180,400,400")
    wish(app, visitor, "rename", number=2, text="  a <b>  chair ")
    wish(app, visitor, "reshape", number=1, shape=drawn_box((50, 130), (180, 350)))
    first, second = visitor.state.regions
    assert (second.label, first.region_source, int(decode(first.mask).sum())) == ("a <b> chair", "box", 130 * 220)
    wish(app, visitor, "paint", number=1, shape={"tool": "brush", "points": [[20, 200], [60, 200]], "width": 20})
    assert visitor.state.drawn[0].shape is None  # it no longer has corners
    wish(app, visitor, "paint", number=1, erase=True, shape={"tool": "brush", "points": [[100, 240]], "width": 40})
    wish(app, visitor, "remove", number=2)
    assert len(visitor.state.drawn) == 1
    visitor.step(-1)
    assert len(visitor.state.drawn) == 2
    visitor.jump(start + 2)
    assert [each.label for each in visitor.state.regions] == ["object", "object"]
    visitor.step(1)
    assert visitor.state.regions[1].label == "a <b> chair"
    wish(app, visitor, "clear")
    assert visitor.at == len(visitor.states) - 1  # what was undone is gone


def test_a_region_has_a_new_id_whenever_its_mask_is_new(app, visitor):
    wish(app, visitor, "clear")
    wish(app, visitor, "add", shape=drawn_box((40, 130), (180, 350)))
    before, key = numbers(visitor), visitor.state.key
    wish(app, visitor, "rename", number=1, text="chair")
    assert (numbers(visitor), visitor.state.key) == (before, key)
    wish(app, visitor, "reshape", number=1, shape=drawn_box((50, 130), (180, 350)))
    assert numbers(visitor) != before
    assert visitor.state.key != key


def test_what_is_cut_out_waits_to_be_used_and_can_be_changed_before(app, visitor):
    wish(app, visitor, "clear")
    around = drawn_box((20, 100), (200, 380))
    wish(app, visitor, "add", shape=around, cut=True)
    assert (visitor.state.drawn, visitor.state.draft.region.region_source) == ((), "box, cut out by depth and colour")
    pixels = decode(visitor.state.draft.region.mask).sum()
    wish(app, visitor, "paint", number=0, erase=True, shape={"tool": "brush", "points": [[100, 240]], "width": 30})
    assert decode(visitor.state.draft.region.mask).sum() < pixels
    wish(app, visitor, "use")
    assert (visitor.state.draft, visitor.state.regions[0].region_source) == (None, "box, cut out by depth and colour")
    wish(app, visitor, "add", shape=drawn_box((220, 100), (420, 380)), cut=True)
    wish(app, visitor, "whole")
    assert (visitor.state.draft, visitor.state.regions[1].region_source) == (None, "box")
    wish(app, visitor, "add", shape=drawn_box((10, 100), (220, 380)), cut=True)
    wish(app, visitor, "drop")
    assert (visitor.state.draft, len(visitor.state.drawn)) == (None, 2)


ALL = {"tool": "brush", "points": [[224, 224]], "width": 9000}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"action": "explode"}, "the drawing board cannot do that"),
        ({"action": "remove", "number": True}, "the drawing board cannot do that"),
        ({"action": "remove", "number": 9}, "there is no region 9"),
        ({"action": "remove", "number": 0}, "no shape to change"),
        ({"action": "add"}, "expected a shape"),
        ({"action": "whole"}, "no box to use whole"),
        ({"action": "write", "text": "900,900,950,960"}, "outside the image"),
        ({"action": "paint", "number": 1, "erase": True, "shape": ALL}, "nothing would be left"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told_and_changes_nothing(app, visitor, said, told):
    before = visitor.state
    with pytest.raises(InputError, match=told):
        app.edit(visitor, said)
    assert visitor.state is before


def test_there_is_a_most_of_regions_and_each_is_drawn_once():
    state = State(scene=Scene(id="a", image="a.png", regions=()))
    for column in range(MAX_DRAWN_REGIONS):
        state = state.add(stripe(column))
    with pytest.raises(InputError, match="at most 30"):
        state.add(stripe(50))
    with pytest.raises(InputError, match="drawn already"):
        State().add(stripe(1)).add(stripe(1))


def test_questions_are_counted_for_each_visitor(sessions, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("spatialreasoner.app.sessions.time.monotonic", lambda: now[0])
    session = sessions.begin()
    for _ in range(2):
        session.count_question(2)
    with pytest.raises(InputError, match="wait 60 s"):
        session.count_question(2)
    sessions.begin().count_question(2)  # another visitor is not held up
    now[0] += 61
    session.count_question(2)


def test_visitors_are_found_by_their_token_alone_and_the_one_away_longest_is_forgotten(sessions):
    one, other = sessions.begin(), sessions.begin()
    assert one.folder != other.folder
    assert sessions.find(other.token) is other
    assert sessions.find("") is sessions.find(one.token[:-1]) is None
    one.seen, other.seen = 1.0, 2.0
    (one.folder / "image.png").write_bytes(b"")
    sessions.begin()
    assert sessions.find(one.token) is None
    assert not one.folder.exists()
    assert other.folder.exists()


def test_forty_visitors_at_once_share_memory_and_places(tmp_path, monkeypatch):
    monkeypatch.setattr(measuring, "MAX_KEPT_PIXELS", 200)
    scenes = [_scene(tmp_path / f"{number}.png") for number in range(8)]
    images, sessions = measuring.OpenImages(), Sessions(tmp_path, 3)

    def visit(number):
        for scene in scenes:
            assert images.find(str(number), scene).size == (8, 8)
            assert sessions.begin().folder.parent == tmp_path

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(40) as pool:
            list(pool.map(visit, range(40)))
    finally:
        sys.setswitchinterval(before)
    assert len(images._kept) == 3
    assert len(list(tmp_path.glob("tmp*"))) == 3


def _scene(path):
    Image.new("RGB", (8, 8)).save(path)
    return Scene(id=path.stem, image=str(path), regions=())
