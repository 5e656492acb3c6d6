"""A second process in a folder that another one writes is refused, and leaves everything as it is."""

import pytest

from reliability import made
from reliability.trial import Ended, command, contents
from spatialreasoner.core.resume import hold

STAGES = {
    "scenes synthetic": (
        "out/.unfinished",
        ("scenes", "synthetic", "--count", "1", "--width", "64", "--height", "64", "--out"),
    ),
    "pairs": ("out", ("pairs", "{room}/search", "--min-gap", "0", "--out")),
    "demo": ("out", ("demo", "--out")),
    "train": ("out", ("train", "sft", "--model", "tiny", "--data", "{room}/pairs/sft.jsonl", "--out")),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_second_process_is_refused(stage, tmp_path):
    place, arguments = STAGES[stage]
    (tmp_path / place).mkdir(parents=True)
    with hold(tmp_path / place / ".lock", tmp_path):
        before = contents(tmp_path)
        with pytest.raises(Ended, match="another process works in") as ended:
            command(*(part.format(room=made.room()) for part in arguments), tmp_path / "out")()
    assert ended.value.code == 1
    assert {name for name in contents(tmp_path) if not name.endswith(("config.json", ".lock-journal"))} <= set(before)
