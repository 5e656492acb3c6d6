import json
import os
import subprocess
import sys

import pytest

from spatialreasoner.training.run import train


def losses(out):
    return [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.timeout(240)
def test_two_processes_train_as_one_with_twice_the_batch(data, fast, tmp_path):
    base = tmp_path / "base"
    train("sft", model="tiny", data=data / "sft.jsonl", out=base, overrides=[*fast, "max_steps=1"])
    common = [*fast, "max_steps=3", "save_steps=2"]
    train("fdpo", model=str(base), data=data / "pairs.jsonl", out=tmp_path / "one", overrides=common)
    program = (
        "import sys; from pathlib import Path; from spatialreasoner.training.run import train;"
        "train('fdpo', model=sys.argv[1], data=Path(sys.argv[2]), out=Path(sys.argv[3]), overrides=sys.argv[4:])"
    )
    script = tmp_path / "program.py"
    script.write_text(program)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    options = [str(base), str(data / "pairs.jsonl"), str(tmp_path / "two"), *common, "batch_size=1"]
    done = subprocess.run(
        command + options, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)
    assert (tmp_path / "two" / "checkpoint-2" / "rng_state_1.safetensors").is_file()
