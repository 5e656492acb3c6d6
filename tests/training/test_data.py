import json
import shutil

import numpy as np
import pytest
from PIL import Image

from spatialreasoner.core.errors import MissingFileError, RecordError
from spatialreasoner.scenes.carry import KEY, attached
from spatialreasoner.scenes.masks import encode
from spatialreasoner.training.data import read_preferences, read_sft
from spatialreasoner.training.messages import message_text

USER = {"role": "user", "content": "How tall?"}


def assistant(text):
    return [{"role": "assistant", "content": text}]


@pytest.fixture
def write(tmp_path, image_paths):
    (tmp_path / "images").mkdir()
    shutil.copy(image_paths[0], tmp_path / "images" / "a.png")

    def write(**changes):
        row = {
            "question_id": "q",
            "images": ["images/a.png"],
            "prompt": [USER],
            "chosen": assistant("1 m"),
            "rejected": assistant("2 m"),
            "gap_description": 1,
            "gap_reasoning": None,
            "reward_chosen": 9.0,
            "regions": [],
        }
        row = {key: value for key, value in (row | changes).items() if value != "absent"}
        path = tmp_path / "pairs.jsonl"
        path.write_text(json.dumps(row) + "\n")
        return path

    return write


def test_preferences_are_read_with_whole_paths_and_gaps(write, tmp_path):
    row = read_preferences(write())[0]
    assert row["images"] == [str(tmp_path / "images" / "a.png")]
    assert row["prompt"] == [USER]
    assert row["chosen"] == assistant("1 m")
    assert (row["gap_description"], row["gap_reasoning"]) == (1.0, None)
    assert row["regions"] == read_preferences(write(regions=None))[0]["regions"] == ""
    names = {"question_id", "images", "regions", "prompt", "chosen", "rejected", "gap_description", "gap_reasoning"}
    assert set(row) == names


@pytest.mark.parametrize("counts", [[12, 4, 16], encode(np.arange(32).reshape(8, 4).T // 4 == 3).counts])
def test_regions_are_kept_as_images_carry_them(write, counts, tmp_path):
    Image.new("RGB", (8, 4)).save(tmp_path / "images" / "a.png")
    row = read_preferences(write(regions=[{"label": "box", "size": [4, 8], "counts": counts}]))[0]
    image = Image.new("RGB", (8, 4))
    image.info[KEY] = row["regions"]
    assert [mask.sum() for mask in attached(image)] == [4]


@pytest.mark.parametrize("regions", [[{"size": [4, 8]}], [{"size": 4, "counts": "4"}], "box"])
def test_what_is_not_a_mask_is_refused(write, regions):
    with pytest.raises(RecordError, match="regions"):
        read_preferences(write(regions=regions))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"chosen": assistant("2 m")}, RecordError, "row 1: chosen and rejected are the same"),
        ({"chosen": assistant(" 2 m\n")}, RecordError, "row 1: chosen and rejected are the same"),
        ({"chosen": [USER]}, RecordError, "chosen must be one message of the assistant"),
        ({"chosen": assistant("  ")}, RecordError, "chosen must be one message of the assistant with text"),
        ({"prompt": assistant("hm")}, RecordError, "the prompt must end with a message of the user"),
        ({"prompt": "absent"}, RecordError, "'prompt' is missing"),
        ({"gap_reasonning": 1.0}, RecordError, "'gap_reasonning' is not a segment's gap"),
        ({"gap_reasoning": "4"}, RecordError, "gap_reasoning must be a finite number or null"),
        ({"gap_reasoning": True}, RecordError, "gap_reasoning must be a finite number or null"),
        ({"images": ["images/none.png"]}, MissingFileError, "none.png"),
        ({"images": ["../a.png"]}, RecordError, "leads out of it"),
        ({"images": ["/etc/passwd"]}, RecordError, "leads out of it"),
    ],
)
def test_wrong_rows_are_refused_with_what_is_wrong(write, changes, error, message):
    with pytest.raises(error, match=message):
        read_preferences(write(**changes))


def test_other_segments_have_gaps_of_their_names(write):
    path = write(gap_description="absent", gap_reasoning="absent", gap_plan=2.0)
    assert read_preferences(path, segments=["plan", "answer"])[0]["gap_plan"] == 2.0


def test_sft_rows_end_with_the_answer(tmp_path, write):
    write()
    path = tmp_path / "sft.jsonl"
    path.write_text(json.dumps({"images": ["images/a.png"], "messages": [USER, *assistant("1 m")]}) + "\n")
    row = read_sft(path)[0]
    assert (row["prompt"], row["completion"]) == ([USER], assistant("1 m"))
    path.write_text(json.dumps({"images": [], "messages": [USER, USER]}) + "\n")
    with pytest.raises(RecordError, match="the last message must be one message of the assistant"):
        read_sft(path)
    path.write_text(json.dumps({"images": [], "messages": []}) + "\n")
    with pytest.raises(RecordError, match="prompt must end"):
        read_sft(path)


def test_blocks_and_text_may_be_mixed(write):
    blocks = [{"type": "image"}, {"type": "text", "text": "How "}, {"type": "text", "text": "tall?"}]
    row = read_preferences(write(prompt=[{"role": "user", "content": blocks}]))[0]
    assert message_text(row["prompt"][0]) == "How tall?"
    assert message_text(row["chosen"][0]) == "1 m"
