"""Rows of other programs train from the command line: their forms, their segments, and what is shown before training."""

import base64
import json
import re
import shutil
from pathlib import Path

import PIL.Image
import pytest
from datasets import Dataset, Image
from transformers import AutoTokenizer, LlamaForCausalLM

from spatialreasoner.cli import main
from spatialreasoner.core.errors import ConfigError, InputError, MissingFileError, RecordError
from spatialreasoner.training.config import CONFIGS, read_config
from spatialreasoner.training.data import read_preferences, read_sft
from spatialreasoner.training.row_encoder import RowEncoder
from spatialreasoner.training.rows import prepared
from spatialreasoner.training.segments import finder, heading_spans, pattern_spans
from spatialreasoner.training.sources import local_rows
from tiny import TINY, tiny_llama

GOOD, BAD = "<plan>Add both.</plan>\n<answer>7</answer>", "<plan>Subtract.</plan>\n<answer>1</answer>"
USER, ASKED = {"role": "user", "content": "What is 3 plus 4?"}, "What is 3 plus 4?"
SIDES = {"chosen": GOOD, "rejected": BAD}


def turn(text):
    return {"role": "assistant", "content": text}


NATIVE = {"prompt": [USER], "chosen": [turn(GOOD)], "rejected": [turn(BAD)]}

FORMS = {
    "messages": NATIVE,
    "text": {"prompt": ASKED, **SIDES},
    "a question": {"question": ASKED, **SIDES},
    "one message for an answer": {"prompt": [USER], "chosen": turn(GOOD), "rejected": turn(BAD)},
    "implicit prompt": {"chosen": [USER, turn(GOOD)], "rejected": [USER, turn(BAD)]},
    "UltraFeedback": {"prompt": ASKED, "chosen": [USER, turn(GOOD)], "rejected": [USER, turn(BAD)]},
    "LLaVA": {"conversations": [{"from": "human", "value": ASKED}], **SIDES},
    "ShareGPT": {
        "conversations": [{"from": "human", "value": ASKED}],
        "chosen": {"from": "gpt", "value": GOOD},
        "rejected": {"from": "gpt", "value": BAD},
    },
    "a query": {"query": ASKED, "response": GOOD, "rejected_response": BAD},
    "Alpaca": {"instruction": "What is", "input": "3 plus 4?", **SIDES},
    "argilla": {"instruction": ASKED, "chosen_response": GOOD, "rejected_response": BAD},
    "argilla's orca pairs": {"system": "", "input": ASKED, **SIDES},
    "HH-RLHF": {side: f"\n\nHuman: {ASKED}\n\nAssistant: {text}" for side, text in SIDES.items()},
    "axolotl": {"messages": [USER], "chosen": turn(GOOD), "rejected": turn(BAD)},
    "ms-swift": {"messages": [USER, turn(GOOD)], "rejected_response": BAD},
    "ms-swift, two conversations": {"messages": [USER, turn(GOOD)], "rejected_messages": [USER, turn(BAD)]},
}


def write(folder, rows, name="rows.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_other_programs_become_one(tmp_path, form):
    expected = read_preferences(write(tmp_path, [NATIVE]))[0]
    if form == "Alpaca":
        expected["prompt"][0]["content"] = "What is\n3 plus 4?"
    assert read_preferences(write(tmp_path, [FORMS[form]]))[0] == expected


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": ASKED, "completion": GOOD, "label": True}, "no chosen and no rejected among the keys prompt, completion"),
        ({"prompt": ASKED, "response_1": GOOD, "response_2": BAD, "preference_strength": 2}, "have to be made into pairs"),
        (SIDES, "text_prompts=plain"),
        ({"image_path": "a.png", "question": ASKED, **SIDES}, "Rename the column"),
        ({"video": "a.mp4", "question": ASKED, **SIDES}, "no model is shown"),
    ],
)
def test_rows_that_would_lose_something_or_are_no_pairs_are_refused_with_words(tmp_path, row, message):
    with pytest.raises(RecordError, match=message):
        read_preferences(write(tmp_path, [row]))


def test_texts_without_a_prompt_begin_with_it(tmp_path):
    row = {side: f"{ASKED} {text}" for side, text in SIDES.items()}
    found = read_preferences(write(tmp_path, [row]), plain=True)[0]
    assert all(found["prompt"] + found[side] == row[side] for side in SIDES)


def test_a_file_may_be_one_json_list(tmp_path):
    rows = [FORMS["text"], FORMS["a question"]]
    path = tmp_path / "rows.json"
    path.write_text("\ufeff" + json.dumps(rows, indent=2), "utf-8")
    assert len(read_preferences(path)) == 2
    for text in ("[", "[{}", "[{} {}]", json.dumps(rows) + "x", "[" * 100_000):
        path.write_text(text)
        with pytest.raises(RecordError, match="one JSON list of rows"):
            read_preferences(path)
    path.write_text("[]")
    with pytest.raises(RecordError, match="the file is empty"):
        read_preferences(path)
    path.write_text(json.dumps([rows[0], {"prompt": 3}]))
    with pytest.raises(RecordError, match="row 2"):
        read_preferences(path)


def test_answers_with_images_of_their_own_are_refused(tmp_path, image_paths):
    for number in range(2):
        shutil.copy(image_paths[number], tmp_path / f"{number}.png")
    row = FORMS["ms-swift, two conversations"] | {"images": ["0.png"], "rejected_images": ["0.png"]}
    assert read_preferences(write(tmp_path, [row]))[0]["images"] == [str(tmp_path / "0.png")]
    with pytest.raises(RecordError, match="one set of images for both answers"):
        read_preferences(write(tmp_path, [row | {"rejected_images": ["1.png"]}]))


def test_a_system_column_is_the_first_turn(tmp_path):
    row = read_preferences(write(tmp_path, [FORMS["text"] | {"system": "Be brief."}]))[0]
    assert [turn["role"] for turn in row["prompt"]] == ["system", "user"]


def test_an_image_has_its_place_as_llava_and_qwen_write_it(tmp_path, image_paths):
    shutil.copy(image_paths[0], tmp_path / "a.png")
    place = [{"type": "image", "image": "a.png"}, {"type": "text", "text": ASKED}]
    rows = [
        {"image": "a.png", "conversations": [{"from": "human", "value": f"<image>\n{ASKED}"}], **SIDES},
        {"prompt": [{"role": "user", "content": place}], **SIDES},
        {"image": "a.png", "prompt": f"<image>\n{ASKED}", **SIDES},
        {"image": "a.png", "question": ASKED, **SIDES},
    ]
    found = read_preferences(write(tmp_path, rows))
    for row in found:
        assert row["images"] == [str(tmp_path / "a.png")]
        blocks = row["prompt"][0]["content"]
        assert [block["type"] for block in blocks] == ["image", "text"]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [USER, turn(GOOD)]},
        {"conversations": [{"from": "human", "value": ASKED}, {"from": "gpt", "value": GOOD}]},
        {"prompt": ASKED, "completion": GOOD},
        {"prompt": [USER], "completion": [turn(GOOD)]},
    ],
)
def test_conversations_of_other_programs_for_sft(tmp_path, row):
    found = read_sft(write(tmp_path, [row]))[0]
    assert (found["prompt"], found["completion"]) == ([USER], [turn(GOOD)])


def test_text_stays_text_where_it_is_asked_for(tmp_path):
    found = read_preferences(write(tmp_path, [FORMS["text"]]), plain=True)[0]
    assert (found["prompt"], found["chosen"], found["rejected"]) == (ASKED, GOOD, BAD)
    with pytest.raises(RecordError, match="prompt"):
        read_preferences(write(tmp_path, [FORMS["messages"]]), plain=True)


def test_gaps_and_spans_are_read_from_the_columns_named(tmp_path):
    spans = {"chosen_spans": {"plan": [0, 5]}, "rejected_spans": {"plan": [0, 4], "answer": [5, 9]}}
    rows = [NATIVE | {"p": 1, "a": 2.5} | spans, NATIVE | {"p": None, "a": 1}]
    path = write(tmp_path, rows)
    first, second = read_preferences(path, segments=["plan", "answer"], gap_columns=["p", "a"])
    assert (first["gap_plan"], first["gap_answer"], second["gap_plan"]) == (1.0, 2.5, None)
    assert first["chosen_spans"] == {"plan": [0, 5], "answer": None}
    assert second["chosen_spans"] is None
    with pytest.raises(RecordError, match="in the column 'q'"):
        read_preferences(path, segments=["plan", "answer"], gap_columns=["p", "q"])
    with pytest.raises(RecordError, match="chosen_spans must hold"):
        read_preferences(write(tmp_path, [NATIVE | {"chosen_spans": {"moon": [0, 5]}}]), segments=["plan"])


def test_files_and_folders_of_datasets_are_rows_too(tmp_path, image_paths):
    rows = [{"image": path, "question": ASKED, **SIDES} for path in image_paths[:2]]
    data = Dataset.from_list(rows).cast_column("image", Image())
    data.to_parquet(tmp_path / "rows.parquet")
    data.save_to_disk(tmp_path / "saved")
    Dataset.from_list([{"question": ASKED, **SIDES}]).to_csv(tmp_path / "rows.csv")
    for source in ("rows.parquet", "saved"):
        found = read_preferences(local_rows(tmp_path / source, tmp_path / "out"))
        assert len(found) == 2
        assert {len(row["images"]) for row in found} == {1}
    assert len(list((tmp_path / "out" / "images").iterdir())) == 2
    assert read_preferences(local_rows(tmp_path / "rows.csv", tmp_path / "out"))[0]["chosen"] == [turn(GOOD)]
    assert local_rows(write(tmp_path, rows), tmp_path) == tmp_path / "rows.jsonl"
    for source in ("none.jsonl", "none/there.jsonl", "no-such-thing"):
        with pytest.raises(MissingFileError):
            local_rows(source, tmp_path)
    with pytest.raises(InputError, match="nobody/nothing"):
        local_rows("nobody/nothing", tmp_path)


def test_images_are_found_wherever_a_table_has_them(tmp_path, image_paths):
    shutil.copy(image_paths[0], tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    asked = {"question": ASKED, **SIDES, "more": b"\x00"}  # bytes that are no image's are not rows of JSON either
    block = [{"type": "image", "image": {"bytes": data, "path": None}, "text": None}, {"type": "text", "text": ASKED}]
    tables = {
        "bytes": asked | {"image": data},
        "several": asked | {"images": [data, data], "question": f"<image><image>{ASKED}"},
        "a path": asked | {"image": "a.png"},
        "blocks": {"prompt": [{"role": "user", "content": block}], **SIDES},
    }
    for name, row in tables.items():
        Dataset.from_list([row]).to_parquet(tmp_path / "rows.parquet")
        found = read_preferences(local_rows(tmp_path / "rows.parquet", tmp_path / "out"))[0]
        assert {Path(path).read_bytes() for path in found["images"]} == {data}, name
    Dataset.from_list([asked | {"image": "../a.png"}]).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(RecordError, match="leads out of it"):
        local_rows(tmp_path / "rows.parquet", tmp_path / "out")
    encoded = base64.b64encode(data).decode()
    read = read_preferences(write(tmp_path, [{"image": encoded, "question": ASKED, **SIDES}]), images=tmp_path / "held")
    assert Path(read[0]["images"][0]).read_bytes() == data


def test_a_small_image_in_base64_is_no_path(tmp_path):
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "small.png")
    encoded = base64.b64encode((tmp_path / "small.png").read_bytes()).decode()
    assert len(encoded) < 200
    read = read_preferences(write(tmp_path, [{"image": encoded, "question": ASKED, **SIDES}]), images=tmp_path / "held")
    assert Path(read[0]["images"][0]).read_bytes() == (tmp_path / "small.png").read_bytes()


@pytest.mark.parametrize("streams", [False, True])
def test_columns_that_are_named_count_though_others_have_the_segments_names(tmp_path, streams, text_model):
    row = NATIVE | {"p": 1.0, "a": 2.0, "gap_plan": 8.0, "gap_answer": 9.0}
    for columns, expected in (
        (("p", "a"), (1.0, 2.0)),
        (("gap_answer", "gap_plan"), (9.0, 8.0)),
        (("gap_plan", "a"), (8.0, 2.0)),
    ):
        found = read_preferences(write(tmp_path, [row]), segments=("plan", "answer"), gap_columns=columns)[0]
        assert (found["gap_plan"], found["gap_answer"]) == expected
        data = Dataset.from_list([row])
        encoder = RowEncoder(AutoTokenizer.from_pretrained(text_model), segments=("plan", "answer"))
        first = next(iter(prepared(data.to_iterable_dataset() if streams else data, encoder, gap_columns=columns)))
        assert (first["gap_plan"], first["gap_answer"]) == expected


def test_gaps_of_other_segments_and_of_no_column_say_what_to_name(tmp_path):
    path = write(tmp_path, [NATIVE | {"gap_plan": 1.0, "gap_answer": 2.0, "p": 1.0}])
    with pytest.raises(RecordError, match=r"Name yours \(segments=plan,answer\), or remove the column"):
        read_preferences(path)
    with pytest.raises(RecordError, match=r"in the column 'a'; got the columns .*chosen.*p.*gap_columns"):
        read_preferences(path, segments=("plan", "answer"), gap_columns=("p", "a"))


@pytest.mark.parametrize("how", ["tags", "headings", "pattern"])
def test_what_thinking_quotes_is_not_a_segment_of_the_answer(how):
    said = "<plan>{}</plan>\n<answer>{}</answer>" if how == "tags" else "Plan: {}\nAnswer: {}"
    pattern = r"Plan: (?P<plan>.*?)\nAnswer: (?P<answer>.*)" if how == "pattern" else ""
    text = f"<think>{said.format('quoted', 'too')}</think>\n\n{said.format('Add both.', '7')}"
    for segments in (["plan", "answer"], ["thinking", "plan", "answer"]):
        found = finder(how, segments, pattern)(text)
        assert {name: text[slice(*found[name])] for name in ("plan", "answer")} == {"plan": "Add both.", "answer": "7"}
    assert text[slice(*found["thinking"])] == said.format("quoted", "too")


def test_headings_of_every_kind(tmp_path):
    text = "Well.\n## Plan\nAdd both.\n\n**Final Answer**: 7\nSo it is."
    found = heading_spans(["plan", "final_answer"])(text)
    assert {name: text[slice(*span)] for name, span in found.items()} == {"plan": "Add both.", "final_answer": "7\nSo it is."}
    assert heading_spans(["plan"])("A plan: to add.") == {}
    assert heading_spans(["plan"])("Plan: to add.") == {"plan": (6, 13)}
    assert heading_spans(["plan"])("planning: to add.") == {}


def test_a_pattern_that_takes_too_long_is_refused():
    spans = pattern_spans(r"(?P<a>(?:x|xx)+)!|q", ["a"])
    with pytest.raises(InputError, match="took more than"):
        spans("x" * 60)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["segments_by=pattern"], "go together"),
        (["segment_pattern=(?P<plan>.*)"], "go together"),
        (["segments_by=pattern", "segment_pattern=(?P<plan"], "not a regular expression"),
        (["segments=plan,answer", "segments_by=pattern", "segment_pattern=(?P<plan>.*)"], r"\(\?P<answer>"),
        (["segments=a,a"], "each named once"),
        (["segments=a,b", "gap_columns=x"], "gap_columns"),
        (["truncation_mode=keep_start"], "set max_length"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        read_config(CONFIGS["fdpo"], None, settings)


def test_a_pattern_is_taken_as_it_is_written():
    pattern = r"(?P<plan>.*?)[:#]\s*(?P<answer>\d+: .*)"
    for given in (pattern, json.dumps(pattern)):
        config = read_config(CONFIGS["fdpo"], None, ["segments=plan,answer", "segments_by=pattern", f"segment_pattern={given}"])
        assert config.segment_pattern == pattern
    assert finder("pattern", ["plan"], r"(?P<plan>\w+)")("Add.") == {"plan": (0, 3)}


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    return tiny_llama(tmp_path_factory.mktemp("text"), [ASKED, GOOD, BAD], width=16, layers=1, heads=2)


def train(path, out, *settings, model, flags=()):
    fast = ("max_steps=1", "threads=1", "per_device_train_batch_size=2")
    words = ["train", "fdpo", "--model", model, "--data", path, "--out", out, *flags, *fast, *settings]
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def metrics(out):
    return json.loads((out / "metrics.jsonl").read_text().splitlines()[0])


MIXED = [
    {"prompt": ASKED, **SIDES, "p": 1.0, "a": 3.0},
    {"prompt": "Twice 7?", "chosen": GOOD.replace("7", "14"), "rejected": BAD, "p": 2.0, "a": 0.5},
]


@pytest.mark.parametrize("text_prompts", ["chat", "plain"])
def test_a_text_model_trains_on_string_prompts_with_segments_of_its_own(tmp_path, text_model, text_prompts, capsys):
    path = write(tmp_path, MIXED)
    settings = ("segments=plan,answer", "gap_columns=p,a", f"text_prompts={text_prompts}")
    assert train(path, tmp_path / "out", *settings, model=text_model) == 0, capsys.readouterr().err
    assert {"betas/plan", "betas/answer"} <= metrics(tmp_path / "out").keys()
    assert type(LlamaForCausalLM.from_pretrained(tmp_path / "out")).__name__ == "LlamaForCausalLM"
    assert AutoTokenizer.from_pretrained(tmp_path / "out").chat_template


@pytest.mark.parametrize(
    ("settings", "texts"),
    [
        (["segments_by=headings"], ("### Plan\nAdd.\n### Answer\n7", "### Plan\nNo.\n### Answer\n1")),
        (["segments_by=pattern", r"segment_pattern=(?P<plan>.*?)\s*So: (?P<answer>.*)"], ("Add. So: 7", "No. So: 1")),
    ],
)
def test_a_tiny_vision_family_trains_on_llavas_rows(tmp_path, image_paths, settings, texts, capsys):
    shutil.copy(image_paths[0], tmp_path / "a.png")
    asked = {"image": "a.png", "conversations": [{"from": "human", "value": f"<image>\n{ASKED}"}]}
    sides = dict(zip(("chosen", "rejected"), texts, strict=True))
    path = write(tmp_path, [asked | sides | {"gap_plan": 1.0, "gap_answer": 2.0}])
    model = "testing:qwen2_5_vl,width=32,image_size=28"
    code = train(path, tmp_path / "out", "segments=plan,answer", *settings, model=model)
    assert code == 0, capsys.readouterr().err
    logged = metrics(tmp_path / "out")
    assert logged["betas/answer"] > logged["betas/plan"]
    assert logged["logps/chosen/plan"] < 0


def test_a_dry_run_shows_three_rows_as_tokens_in_colour_with_gaps_and_betas(tmp_path, text_model, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    path = write(tmp_path, MIXED * 3)
    settings = ("segments=plan,answer", "gap_columns=p,a")
    assert train(path, tmp_path / "out", *settings, model=text_model, flags=["--dry-run"]) == 0
    said = capsys.readouterr().out
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    assert plain.count("chosen: ") == 3
    assert "gaps: plan 1.0, answer 3.0" in plain
    assert "betas: plan 0.0839, answer 0.1161" in plain  # as in the paper's formula for gaps that differ by 2
    assert "\x1b[36m" in said
    assert "in one process 1 steps" in plain
    assert not (tmp_path / "out").exists()


def test_a_dry_run_shows_the_betas_of_weights(tmp_path, text_model, capsys):
    path = write(tmp_path, [MIXED[0], MIXED[1] | {"weight_plan": 1, "weight_answer": 0}])
    settings = ("segments=plan,answer", "gap_columns=p,a", "segment_weights=plan:1,answer:3")
    assert train(path, tmp_path / "out", *settings, model=text_model, flags=["--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "betas: plan 0.05, answer 0.15" in said
    assert "betas: plan 0.2, answer 0.0" in said


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("segments=plan,anser", "gap_columns=p,a"), "segment 'anser' has no tokens in any of 2 pairs"),
        (("segments=plan,answer", "gap_columns=p,a", "max_length=9"), "truncation_mode=keep_start"),
    ],
)
def test_a_dry_run_refuses_what_training_would_refuse_as_the_model_reads_it(tmp_path, text_model, capsys, settings, message):
    path = write(tmp_path, MIXED)
    said = []
    for flags in ((), ("--dry-run",)):
        assert train(path, tmp_path / "out", *settings, model=text_model, flags=list(flags)) == 2
        said.append(capsys.readouterr().err)
    assert all(message in each for each in said)
    assert (
        train(
            path,
            tmp_path / "o",
            *settings[:1],
            "segments=plan,answer",
            "gap_columns=p,a",
            model=text_model,
            flags=["--dry-run"],
        )
        == 0
    )


def test_answers_without_segments_train_with_dpo_and_are_refused_by_fdpo(tmp_path, text_model, capsys):
    path = write(tmp_path, [{"prompt": ASKED, "chosen": "7", "rejected": "1", "gap_description": 1.0, "gap_reasoning": 2.0}])
    assert train(path, tmp_path / "out", model=text_model) == 2
    assert "train with dpo" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        main(["train", "dpo", "--model", str(text_model), "--data", str(path), "--out", str(tmp_path / "o"), "max_steps=1"])


def test_long_pairs_are_cut_where_it_is_asked_for(tmp_path, text_model, capsys):
    path = write(tmp_path, [MIXED[0] | {"chosen": GOOD + " so" * 60}])
    settings = ("segments=plan,answer", "gap_columns=p,a", "max_length=60")
    assert train(path, tmp_path / "out", *settings, model=text_model) == 2
    assert "max_length is 60" in capsys.readouterr().err
    assert train(path, tmp_path / "out", *settings, "truncation_mode=keep_start", model=text_model) == 0
    assert TINY
