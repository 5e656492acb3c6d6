"""What bad inputs and kills once broke, at the places where it was mended."""

import json
import os
import sqlite3
import subprocess
import sys

import pytest

from spatialreasoner.cli import main
from spatialreasoner.core.errors import ConfigError, RecordError, WorkError
from spatialreasoner.core.records import inside
from spatialreasoner.core.resume import hold
from spatialreasoner.evaluation.answers import judge
from spatialreasoner.inference.journal import Journal
from spatialreasoner.language.responses import MAX_CHARACTERS
from spatialreasoner.training.config import FDPOSettings, TrainSettings, read_config
from spatialreasoner.vlm.loading import load_vlm


def test_a_message_is_one_line_that_steers_no_terminal(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["report", "folder\n\x1b[31m\u202e"])
    told = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 2
    assert told.startswith("error: ")
    assert told.isprintable()


def test_a_path_with_a_nul_is_not_a_path(tmp_path):
    with pytest.raises(RecordError, match="is not a path"):
        inside(tmp_path, "a\0b", where="row 1")


def test_a_lock_that_cannot_be_made_is_a_failure(tmp_path):
    with pytest.raises(WorkError, match="cannot lock"), hold(tmp_path / "nowhere" / ".lock", tmp_path):
        pass


def test_a_journal_that_cannot_be_read_is_a_failure(tmp_path):
    with Journal(tmp_path / "journal.sqlite") as journal:
        other = sqlite3.connect(tmp_path / "journal.sqlite")
        other.execute("ALTER TABLE replies RENAME COLUMN value TO price")
        other.commit()
        other.close()
        with pytest.raises(WorkError, match=r"cannot read the journal .*journal\.sqlite"):
            journal.get("replies", "key")


@pytest.mark.parametrize(
    "setting",
    [
        "num_train_epochs=.nan",
        "learning_rate=.inf",
        "seed=-1",
        "warmup_ratio=2",
        "fdpo_alpha=1.1",
        "beta=0",
        "fdpo_lambda=-1",
        "nll_weight=.nan",
    ],
)
def test_numbers_that_train_nothing_are_refused(setting):
    with pytest.raises(ConfigError, match=setting.partition("=")[0]):
        read_config(FDPOSettings, None, [setting])


def test_anchors_that_multiply_are_told_in_few_words(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]", *(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 12))]
    (tmp_path / "bomb.yaml").write_text("\n".join([*lines[:-1], lines[-1].replace("a11:", "num_train_epochs:")]))
    with pytest.raises(ConfigError, match="unknown setting"):
        read_config(TrainSettings, tmp_path / "bomb.yaml", ())
    (tmp_path / "list.yaml").write_text("\n".join("- " + line.partition(": ")[2] for line in lines))
    with pytest.raises(ConfigError) as told:
        read_config(TrainSettings, tmp_path / "list.yaml", ())
    assert len(str(told.value)) < 1000


def test_settings_of_a_finished_run_that_are_not_settings(tmp_path):
    from spatialreasoner.training.run import run_training

    (tmp_path / "rows.jsonl").write_text(json.dumps({"images": [], "messages": []}) + "\n")
    (tmp_path / "training.json").write_text("[" * 10_000)
    with pytest.raises(RecordError, match=r"training\.json"):
        run_training("sft", model="tiny", data=tmp_path / "rows.jsonl", out=tmp_path)


def test_of_an_answer_without_end_the_end_is_read():
    answers = "It is 2 meters." + " x" * MAX_CHARACTERS, "x " * MAX_CHARACTERS + "It is 2 meters."
    verdicts = [judge("width_data", "How wide is <region1>?", "It is 2 meters.", answer) for answer in answers]
    assert [verdict.success for verdict in verdicts] == [None, True]


@pytest.mark.parametrize("name", ["../stolen.safetensors", "/tmp/stolen.safetensors", "weights.bin", 7])
def test_an_index_of_weights_that_leads_elsewhere_is_refused(name, tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": name}}))
    with pytest.raises(ConfigError, match="safetensors files of its folder"):
        load_vlm(tmp_path)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (
            {"metadata": {}, "weight_map": {"a": "model-00002-of-00002.safetensors"}},
            "model-00002-of-00002.safetensors is not there",
        ),
        ({"metadata": {}, "weight_map": {}}, "the file of each weight"),
        ({"weight_map": {"a": "model-00001-of-00002.safetensors"}}, "expected `metadata`"),
    ],
)
def test_an_index_whose_shards_are_not_there_says_which(index, said, tmp_path):
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(b"")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ConfigError, match=said):
        load_vlm(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja"])
@pytest.mark.timeout(60)
def test_a_pipe_in_the_place_of_a_models_file_is_refused(name, tmp_path):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ConfigError, match=f"{name}', which is no file but a pipe"):
        load_vlm(tmp_path)


def test_a_config_without_end_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(ConfigError, match="cannot load"):
        load_vlm(tmp_path)


def test_a_stop_within_a_task_leaves_no_traceback():
    program = (
        "import asyncio, os, signal\nfrom functools import partial\nfrom spatialreasoner.cli.running import stop\n"
        "signal.signal(signal.SIGTERM, partial(stop, 143))\n"
        "async def one():\n    os.kill(os.getpid(), signal.SIGTERM)\n    sum(range(10**5))\n"
        "async def all():\n    await asyncio.gather(one(), asyncio.sleep(1))\nasyncio.run(all())"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (143, False)
