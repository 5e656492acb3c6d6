import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.training.build import refuse_mixed_rows
from spatialreasoner.training.data import read_preferences
from spatialreasoner.training.run import train
from spatialreasoner.vlm.loading import load_vlm
from tiny import TINY

TRAIN = """
import sys
from pathlib import Path
from spatialreasoner.training.run import train

def run(model, data, out, *overrides):
    train("fdpo", model=model, data=Path(data), out=Path(out), overrides=overrides)
"""

ONE_RUN = TRAIN + "run(*sys.argv[1:])"

SPREAD_RUNS = """
# accelerate spreads on accelerators alone, and would quietly keep whole copies on a CPU: tell it that this one is one
from accelerate.state import DistributedType, PartialState

original = PartialState.__init__

def as_accelerator(self, *args, **kwargs):
    original(self, *args, **kwargs)
    if self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_XPU

PartialState.__init__ = as_accelerator

import json, shutil
import torch.distributed
from torch.distributed.tensor import DTensor
from spatialreasoner.training.fdpo import FDPOTrainer

counts = []
compute_loss = FDPOTrainer.compute_loss

def spread(parameter):
    return isinstance(parameter, DTensor) and parameter.to_local().numel() < parameter.numel()

def counted(self, *args, **kwargs):
    if not self.state.global_step:  # later the reference keeps its outermost weights gathered
        for model in filter(None, [self.model, self.ref_model]):
            counts.append(sum(map(spread, model.parameters())) / len(list(model.parameters())))
    return compute_loss(self, *args, **kwargs)

FDPOTrainer.compute_loss = counted
model, data, out, *overrides = sys.argv[1:]
run(model, data, out + "/whole", *overrides)
if PartialState().is_main_process:
    lost = shutil.ignore_patterns("checkpoint-3", "README.md", "model.safetensors")
    shutil.copytree(out + "/whole", out + "/cut", ignore=lost)
torch.distributed.barrier()
run(model, data, out + "/cut", *overrides)
run(model, data, out + "/lora", *overrides, "lora_r=4")
run(model, data, out + "/half", *overrides, "precision=bfloat16")
if PartialState().is_main_process:
    Path(out, "counts.json").write_text(json.dumps(counts))
"""


def metrics(out, name="loss"):
    return [json.loads(line)[name] for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def base(data, fast, tmp_path):
    train("sft", model=TINY, data=data / "sft.jsonl", out=tmp_path / "base", overrides=[*fast, "max_steps=1"])
    return tmp_path / "base"


@pytest.fixture
def launch(base, data, tmp_path):
    def launch(program, out, *overrides, **environment):
        script = tmp_path / "program.py"
        script.write_text(program)
        done = subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
             str(script), str(base), str(data / "pairs.jsonl"), str(out), *overrides],
            env=os.environ | {"OMP_NUM_THREADS": "1"} | environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[:6000]

    return launch


def assert_same_weights(one, other, **tolerance):
    one, other = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], **tolerance, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.timeout(240)
def test_two_processes_train_as_one_with_twice_the_batch(base, data, fast, launch, tmp_path):
    common = [*fast, "max_steps=3", "save_steps=2"]
    train("fdpo", model=str(base), data=data / "pairs.jsonl", out=tmp_path / "one", overrides=common)
    launch(ONE_RUN, tmp_path / "two", *common, "per_device_train_batch_size=1")
    assert metrics(tmp_path / "two") == pytest.approx(metrics(tmp_path / "one"), abs=1e-5)
    assert (tmp_path / "two" / "checkpoint-2" / "rng_state_1.safetensors").is_file()


@pytest.mark.timeout(240)
def test_a_model_spread_over_two_processes_trains_as_a_whole_one(base, data, fast, launch, tmp_path):
    common = [*fast, "max_steps=3", "save_steps=2", "precompute_ref_log_probs=false"]
    variants = {"whole": [], "lora": ["lora_r=4"], "half": ["precision=bfloat16"]}
    for name, options in variants.items():
        train("fdpo", model=str(base), data=data / "pairs.jsonl", out=tmp_path / "one" / name, overrides=[*common, *options])
    # What `accelerate launch` makes of examples/accelerate/fsdp2.yaml
    fsdp = {
        "ACCELERATE_USE_FSDP": "true",
        "FSDP_VERSION": "2",
        "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
        "FSDP_RESHARD_AFTER_FORWARD": "true",
    }
    launch(TRAIN + SPREAD_RUNS, tmp_path / "two", *common, "per_device_train_batch_size=1", **fsdp)
    counts = json.loads((tmp_path / "two" / "counts.json").read_text())
    assert set(counts) == {1.0}  # every parameter, of the policy and of the reference
    for name in ("loss", "rewards/margins", "grad_norm"):
        for run in ("whole", "lora"):
            one, two = metrics(tmp_path / "one" / run, name), metrics(tmp_path / "two" / run, name)
            assert two == pytest.approx(one, abs=1e-4), (run, name)
    half = [metrics(tmp_path / each / "half", "rewards/margins") for each in ("one", "two")]
    assert half[1] == pytest.approx(half[0], abs=0.02)
    for run in ("whole", "lora"):
        assert_same_weights(tmp_path / "two" / run, tmp_path / "one" / run, atol=1e-5, rtol=1e-4)
    assert_same_weights(tmp_path / "two" / "cut", tmp_path / "two" / "whole", atol=0, rtol=0)
    load_vlm(tmp_path / "two" / "lora")
    assert not [path for path in (tmp_path / "two").rglob("*") if path.suffix in {".bin", ".pt", ".pth", ".distcp"}]


def test_rows_without_images_are_not_mixed_in_where_weights_are_spread(data, tmp_path, pairs):
    refuse_mixed_rows(read_preferences(data / "pairs.jsonl"))
    rows = [pair | {"images": []} if index else pair for index, pair in enumerate(pairs)]
    (data / "mixed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ConfigError, match=r"2 of 3 rows have no image"):
        refuse_mixed_rows(read_preferences(data / "mixed.jsonl"))
