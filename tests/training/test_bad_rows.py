"""Bad rows are all found before the first step, by number and with the reason; rows of other programs are converted."""

import base64
import json
import shutil
from pathlib import Path

import pytest
from datasets import Dataset

from spatialreasoner.cli import main
from spatialreasoner.core.errors import InputError, RecordError
from spatialreasoner.testing import tiny_models as tiny
from spatialreasoner.training import checks
from spatialreasoner.training.checks import check_rows, problems_of
from spatialreasoner.training.collate import Encoder
from spatialreasoner.training.data import read_preferences, read_sft

IMAGE, TEXT = {"type": "image"}, {"type": "text", "text": "How tall?"}
ANSWER = {"role": "assistant", "content": "1 m"}


def asked(content, *, images=("a.png",), answer=ANSWER):
    return {"images": list(images), "messages": [{"role": "user", "content": content}, answer]}


def answered(content):
    return asked([IMAGE, TEXT], answer={"role": "assistant", "content": content})


BAD = [
    ("an image token in the answer", answered("<image> 1 m"), "got an image in it"),
    ("an image in the answer", answered([IMAGE, TEXT]), "got an image in it"),
    ("no text in the answer", answered(" "), "with text"),
    ("only blank blocks in the answer", answered([{"type": "text", "text": ""}]), "with text"),
    ("an answer of the user", {"images": [], "messages": [{"role": "user", "content": "a"}] * 2}, "of the assistant"),
    ("no question", {"images": [], "messages": [ANSWER]}, "end with a message of the user"),
    ("no turns", {"images": [], "messages": []}, "end with a message of the user"),
    ("no messages", {"images": []}, "expected a conversation that ends with the answer"),
    ("a role that is not known", asked("a") | {"messages": [{"role": "human", "content": "a"}]}, "role"),
    ("content that is a number", asked(3), "content"),
    ("fewer images than places", asked([IMAGE, IMAGE, TEXT]), "got 1 images for 2 places"),
    ("more images than places", asked([IMAGE, TEXT], images=["a.png", "a.png"]), "got 2 images for 1 places"),
    ("blocks without a place", asked([TEXT]), "got 1 images for 0 places"),
    ("a place without an image", asked("<image>\nHow tall?", images=[]), "got 0 images for 1 places"),
    ("two places in a text", asked("<image>\n<image>\nHow tall?"), "got 1 images for 2 places"),
    ("a URL", asked([IMAGE, TEXT], images=["https://example.org/a.png"]), "Download it"),
    ("a URL as OpenAI has it", asked([{"type": "image_url", "image_url": {"url": "http://example.org/a.png"}}, TEXT],
                                     images=[]), "Download it"),
    ("bytes", asked([{"type": "image_url", "image_url": "data:image/png;base64,AAAA"}, TEXT], images=[]), "a complete image"),
    ("an image that is not a path", asked([{"type": "image", "image": 3}, TEXT], images=[]), "to name one path"),
    ("a block that is not known", asked([{"type": "video", "video": "a.mp4"}, TEXT]), "got 'video'"),
    ("a text block without a text", asked([IMAGE, {"type": "text"}]), "a text in each text block"),
    ("an image of the system", {"images": ["a.png"], "messages": [{"role": "system", "content": [IMAGE]},
                                {"role": "user", "content": "a"}, ANSWER]}, "only in the user's turns"),
    ("nothing asked", asked([IMAGE]), "no text in it"),
    ("an image that is not there", asked("a", images=["none.png"]), "there is none"),
    ("an image elsewhere", asked("a", images=["../a.png"]), "leads out of it"),
    ("a file that is not an image", asked("a", images=["bad.png"]), "expected a complete image"),
    ("an image that ends too soon", asked("a", images=["short.png"]), "expected a complete image"),
    ("a mask without run lengths", asked("a") | {"regions": [{"size": [4, 8]}]}, "regions"),
    ("a mask of another image", asked("a") | {"regions": [{"size": [4, 8], "counts": [32]}]}, "of the image's size (60, 90)"),
    ("runs that do not add up", asked("a") | {"regions": [{"size": [60, 90], "counts": [7]}]}, "they add up to 7"),
    ("a mask of no size", asked("a") | {"regions": [{"size": [0, 90], "counts": [0]}]}, "both at least 1"),
    ("runs of another code", asked("a") | {"regions": [{"size": [60, 90], "counts": "zzz é"}]}, "compressed run lengths"),
    ("more masks than an image carries", asked("a") | {"regions": [{"size": [60, 90], "counts": [5400]}] * 65}, "at most 64"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path, image_paths):
    shutil.copy(image_paths[0], tmp_path / "a.png")
    (tmp_path / "bad.png").write_text("no image")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "short.png").write_bytes(whole[: len(whole) // 2])
    return tmp_path


def write(folder, rows):
    path = folder / "sft.jsonl"
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return path


def test_all_kinds_of_bad_rows_are_listed_by_number_before_anything_is_loaded(folder, capsys):
    good = asked([IMAGE, TEXT])
    bad = [row for _, row, _ in BAD] + ["{not JSON\n"]
    path = write(folder, [each for row in bad for each in (good, row)])  # every second row is bad
    with pytest.raises(SystemExit, match="2"):
        main(["train", "sft", "--model", "testing:llava", "--data", str(path), "--out", str(folder / "out")])
    told = capsys.readouterr().err
    assert f"{len(bad)} of {2 * len(bad)} rows cannot be trained on" in told
    lines = [line.strip() for line in told.splitlines() if line.strip().startswith("row ")]
    assert [line.split(":")[0] for line in lines] == [f"row {2 * number}" for number in range(1, len(bad) + 1)]
    reasons = [reason for _, _, reason in BAD] + ["JSON"]
    assert [(reason, line) for reason, line in zip(reasons, lines, strict=True) if reason not in line] == []
    assert not list((folder / "out").glob("checkpoint-*"))


@pytest.mark.parametrize(
    ("content", "images"),
    [
        ([{"type": "image", "image": "a.png"}, TEXT], None),  # Qwen
        ([{"type": "image", "image": "a.png"}, TEXT], ["a.png"]),  # listed once more
        ([{"type": "image_url", "image_url": {"url": "a.png"}}, TEXT], None),  # OpenAI
        ([{"type": "input_image", "image_url": "a.png"}, {"type": "input_text", "text": "How tall?"}], None),
        ([{"type": "image", "path": "a.png"}, TEXT], None),
        ("<image>\nHow tall?", ["a.png"]),  # LLaVA
        ([{"type": "text", "text": "<image>\nHow tall?"}], ["a.png"]),
        ([IMAGE, TEXT], ["a.png"]),
    ],
)
def test_common_forms_become_one(folder, content, images):
    row = asked(content, images=images or [])
    if images is None:
        del row["images"]
    found = read_sft(write(folder, [row]))[0]
    assert found["images"] == [str(folder / "a.png")]
    blocks = [{key: value for key, value in block.items() if value is not None} for block in found["prompt"][0]["content"]]
    assert blocks == [IMAGE, TEXT]


@pytest.mark.parametrize("form", ["a data: URL", "an OpenAI block", "bytes", "a path beside null bytes", "a file: URL"])
def test_images_that_rows_hold_are_kept_as_files(folder, form):
    encoded = base64.b64encode((folder / "a.png").read_bytes()).decode()
    url = f"data:image/png;base64,{encoded}"
    row = {
        "a data: URL": asked([IMAGE, TEXT], images=[url]),
        "an OpenAI block": asked([{"type": "image_url", "image_url": {"url": url}}, TEXT], images=[]),
        "bytes": asked([IMAGE, TEXT], images=[{"bytes": encoded, "path": None}]),
        "a path beside null bytes": asked([IMAGE, TEXT], images=[{"bytes": None, "path": "a.png"}]),
        "a file: URL": asked([{"type": "image", "image": (folder / "a.png").as_uri()}, TEXT], images=[]),
    }[form]
    found = read_sft(write(folder, [row, row]), images=folder / "kept")
    assert {Path(path).read_bytes() for images in found["images"] for path in images} == {(folder / "a.png").read_bytes()}
    assert len(list((folder / "kept").glob("*"))) == (encoded in json.dumps(row))


@pytest.mark.parametrize("url", ["data:image/png;base64,?!", "data:image/png,abc", "data:image/png;base64,aGVsbG8="])
def test_bytes_that_are_not_an_image_are_refused(folder, url):
    with pytest.raises(InputError, match="row 1: "):
        read_sft(write(folder, [asked([IMAGE, TEXT], images=[url])]), images=folder / "kept")


def test_rows_that_are_bad_in_their_form_are_named_with_those_that_the_model_refuses(folder, capsys):
    long = asked([IMAGE, {"type": "text", "text": "How tall? " * 900}])
    path = write(folder, [asked([IMAGE, TEXT]), "{not JSON\n", asked([IMAGE, TEXT]), long, asked([TEXT])])
    arguments = ["--model", "testing:llava", "--data", str(path), "--out", str(folder / "out"), "max_length=500"]
    with pytest.raises(SystemExit, match="2"):
        main(["train", "sft", *arguments])
    told = capsys.readouterr().err
    assert "3 of 5 rows cannot be trained on" in told
    assert [line.split(":")[0].strip() for line in told.splitlines() if line.strip().startswith("row ")] == [
        "row 2",
        "row 4",
        "row 5",
    ]


def test_several_processes_find_what_one_finds(pairs, monkeypatch):
    encoder = Encoder(tiny.make_tiny("llava", ["How tall? 1 m"])[1], max_length=900)
    rows = [dict(pair) for pair in pairs * 10]
    rows[7] = rows[7] | {"chosen": [{"role": "assistant", "content": "It stands. " * 400}]}
    alone = problems_of("dpo", encoder, rows)
    monkeypatch.setattr(checks, "ROWS_PER_WORKER", 5)
    together = problems_of("dpo", encoder, rows)
    assert list(alone) == [8]
    assert {number: str(error) for number, error in together.items()} == {8: str(alone[8])}


def test_images_stand_where_their_places_are(folder, image_paths):
    shutil.copy(image_paths[1], folder / "b.png")
    found = read_sft(write(folder, [asked("Is <image> wider than\n<image>?", images=["b.png", "a.png"])]))[0]
    assert [block["type"] for block in found["prompt"][0]["content"]] == ["text", "image", "text", "image", "text"]
    assert [image[-5:] for image in found["images"]] == ["b.png", "a.png"]


def test_texts_beside_rows_of_blocks_keep_their_images(folder):
    rows = read_sft(write(folder, [asked("How tall?"), asked([IMAGE, TEXT])]))
    processor = tiny.make_tiny("llava", ["How tall? 1 m"])[1]
    first, second = (Encoder(processor)([row], ("completion",))[0][0][0].ids.tolist() for row in rows)
    assert first == second


def test_what_only_the_model_knows_is_found_in_every_row(folder, pairs):
    processor = tiny.make_tiny("llava", ["How tall? 1 m"])[1]
    rows = [dict(pair) for pair in pairs * 30]
    for number, text in ((70, "A <image> stands."), (88, "It stands. " * 400)):
        rows[number - 1] = rows[number - 1] | {"chosen": [{"role": "assistant", "content": text}]}
    with pytest.raises(RecordError, match="2 of 90 rows") as caught:
        check_rows("dpo", Encoder(processor, max_length=900), Dataset.from_list(rows))
    assert [line.split(": ")[0].strip() for line in str(caught.value).splitlines()[1:]] == ["row 70", "row 88"]
    assert "which marks an image in this model" in str(caught.value)


def test_preference_rows_are_converted_too(folder):
    sides = {name: [{"role": "assistant", "content": text}] for name, text in (("chosen", "1 m"), ("rejected", "2 m"))}
    path = write(folder, [{"prompt": [{"role": "user", "content": [{"type": "image", "image": "a.png"}, TEXT]}], **sides}])
    assert read_preferences(path)[0]["images"] == [str(folder / "a.png")]


def test_a_pair_given_to_sft_is_told_where_it_belongs(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "Is it wide?", "chosen": "Yes.", "rejected": "No."}\n')
    with pytest.raises(RecordError, match=r"expected a conversation .*got the keys prompt, chosen, rejected\. It is a pair"):
        read_sft(path)
