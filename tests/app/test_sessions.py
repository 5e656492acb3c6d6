from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from spatialreasoner.app.regions import region
from spatialreasoner.app.sessions import MAX_DRAWN_REGIONS, begin
from spatialreasoner.core.errors import InputError


def stripe(column):
    mask = np.zeros((10, 60), bool)
    mask[:, column] = True
    return region(mask, mask.shape)


def test_regions_are_numbered_added_and_removed(tmp_path):
    session = begin(tmp_path).add(stripe(1)).add(stripe(2)).add(stripe(3))
    assert [r.id for r in session.drawn] == ["drawn1", "drawn2", "drawn3"]
    fewer = session.remove(1)
    assert [r.id for r in fewer.drawn] == ["drawn2", "drawn3"]
    assert {r.id for r in fewer.add(stripe(4)).drawn} == {"drawn1", "drawn2", "drawn3"}
    assert fewer.remove(99) == fewer
    assert session.clear().drawn == ()
    with pytest.raises(InputError, match="drawn already"):
        session.add(stripe(2))


def test_there_is_a_most_of_regions(tmp_path):
    session = begin(tmp_path)
    for column in range(MAX_DRAWN_REGIONS):
        session = session.add(stripe(column))
    with pytest.raises(InputError, match="at most 12"):
        session.add(stripe(50))


def test_questions_are_counted_over_all_versions_of_a_session(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("spatialreasoner.app.sessions.time.monotonic", lambda: now[0])
    session = begin(tmp_path)
    session.count_question(2)
    replace(deepcopy(session), drawn=(stripe(1),)).count_question(2)
    with pytest.raises(InputError, match="wait 60 s"):
        session.count_question(2)
    begin(tmp_path).count_question(2)  # another visitor is not held up
    now[0] += 61
    session.count_question(2)


def test_a_session_ends_without_a_trace(tmp_path):
    one, other = begin(tmp_path), begin(tmp_path)
    assert one.folder != other.folder
    (one.folder / "picture0.png").write_bytes(b"")
    one.end()
    assert list(tmp_path.iterdir()) == [other.folder]
