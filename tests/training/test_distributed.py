"""Training in two processes: forked ones, since what they import is imported here already."""

import json
import os
import shutil
import socket
import traceback
from functools import partial
from pathlib import Path

import pytest
import torch
from accelerate.state import DistributedType, PartialState
from safetensors.torch import load_file
from torch.distributed.tensor import DTensor

from builders import build_scene
from children import begin
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.nano import WEIGHTS
from spatialreasoner.pipeline import OnlineConfig, train_online
from spatialreasoner.questions.generate import QuestionsConfig, write_questions
from spatialreasoner.training.build import refuse_mixed_rows
from spatialreasoner.training.data import read_preferences
from spatialreasoner.training.fdpo import FDPOTrainer
from spatialreasoner.training.run import run_training
from spatialreasoner.vlm.loading import load_vlm
from tiny import TINY

FSDP = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
}
"""What `accelerate launch` makes of examples/accelerate/fsdp2.yaml."""


def in_two_processes(work, folder, **environment):
    """Run work as ranks 0 and 1 of a group, with what `torchrun` would set in their environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [begin(partial(as_rank, rank, port, work, folder / f"rank-{rank}.txt", environment)) for rank in range(2)]
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert ended == [0, 0], "\n".join(said.read_text() for said in folder.glob("rank-*.txt"))


def as_rank(rank, port, work, said, environment):
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
    vars(PartialState()).clear()  # the state that processes share with what they are forks of: one process, in the tests before
    os.environ.update(environment, MASTER_ADDR="127.0.0.1", **{name: str(value) for name, value in place.items()})
    try:
        work()
        torch.distributed.barrier()
    except BaseException:
        said.write_text(traceback.format_exc())
        raise


def count_spread_parameters(counts):
    """Make trainings note the share of parameters that are spread, of the policy and of the reference, at their first step.

    accelerate spreads on accelerators alone, and would quietly keep whole copies on a CPU, so it is told that this one is one.
    Only for a process of its own: nothing is put back.
    """
    start_state, compute_loss = PartialState.__init__, FDPOTrainer.compute_loss

    def as_accelerator(self, *args, **kwargs):
        start_state(self, *args, **kwargs)
        if self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.MULTI_XPU

    def spread(parameter):
        return isinstance(parameter, DTensor) and parameter.to_local().numel() < parameter.numel()

    def counted(self, *args, **kwargs):
        if not self.state.global_step:  # later the reference keeps its outermost weights gathered
            for model in filter(None, [self.model, self.ref_model]):
                counts.append(sum(map(spread, model.parameters())) / len(list(model.parameters())))
        return compute_loss(self, *args, **kwargs)

    PartialState.__init__, FDPOTrainer.compute_loss = as_accelerator, counted


def spread_runs(run, out, counts_file):
    """A run over two processes, the same cut before its last step and resumed, one with adapters, one in half precision."""
    counts = []
    count_spread_parameters(counts)
    run(out=out / "whole")
    if PartialState().is_main_process:
        lost = shutil.ignore_patterns("checkpoint-3", "README.md", "model.safetensors")
        shutil.copytree(out / "whole", out / "cut", ignore=lost)
    torch.distributed.barrier()
    run(out=out / "cut")
    run("lora_r=4", out=out / "lora")
    run("precision=bfloat16", out=out / "half")
    if PartialState().is_main_process:
        counts_file.write_text(json.dumps(counts))


def metrics(out, name="loss"):
    return [json.loads(line)[name] for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def base(data, fast, tmp_path):
    run_training("sft", model=TINY, data=data / "sft.jsonl", out=tmp_path / "base", overrides=[*fast, "max_steps=1"])
    return tmp_path / "base"


@pytest.fixture
def run(base, data):
    """Trains with settings, into a folder."""

    def run(*overrides, out):
        run_training("fdpo", model=str(base), data=data / "pairs.jsonl", out=Path(out), overrides=overrides)

    return run


def assert_same_weights(one, other, **tolerance):
    one, other = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], **tolerance, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.timeout(240)
def test_two_processes_train_as_one_with_twice_the_batch(run, fast, tmp_path):
    common = [*fast, "max_steps=3", "save_steps=2"]
    run(*common, out=tmp_path / "one")
    in_two_processes(partial(run, *common, "per_device_train_batch_size=1", out=tmp_path / "two"), tmp_path)
    assert metrics(tmp_path / "two") == pytest.approx(metrics(tmp_path / "one"), abs=1e-5)
    assert (tmp_path / "two" / "checkpoint-2" / "rng_state_1.safetensors").is_file()


def rewarded_runs(questions, out):
    """GRPO in two processes: a whole run, and one that was cut before its last step and resumed."""
    settings = [
        "per_device_train_batch_size=2", "gradient_accumulation_steps=1", "num_generations=2", "max_completion_length=6",
        "learning_rate=1e-3", "threads=1", "max_steps=2", "save_steps=1", "lora_r=2", "rewards=description:1,reasoning:2",
    ]  # fmt: skip
    run_training("grpo", model=TINY, data=questions, out=out / "whole", overrides=settings)
    if PartialState().is_main_process:
        shutil.copytree(out / "whole", out / "cut", ignore=shutil.ignore_patterns("checkpoint-2", "README.md", "adapter"))
        (out / "cut" / "model.safetensors").unlink()
    torch.distributed.barrier()
    run_training("grpo", model=TINY, data=questions, out=out / "cut", overrides=settings)


@pytest.mark.timeout(240)
def test_two_processes_sample_and_are_rewarded_together_and_resume_to_the_same_bytes(tmp_path):
    build_scene(tmp_path / "rooms")
    questions = tmp_path / "rooms" / "questions.jsonl"
    write_questions(QuestionsConfig(scenes=str(tmp_path / "rooms"), per_scene=4), questions)
    in_two_processes(partial(rewarded_runs, questions, tmp_path), tmp_path)
    assert len(metrics(tmp_path / "whole", "rewards/reasoning_reward/mean")) == 2
    assert (tmp_path / "whole" / "checkpoint-1" / "rng_state_1.safetensors").is_file()
    assert_same_weights(tmp_path / "cut", tmp_path / "whole", atol=0, rtol=0)


@pytest.mark.skipif(not (WEIGHTS / "model.safetensors").is_file(), reason="the nano's weights are not installed")
@pytest.mark.timeout(240)
def test_two_processes_train_on_the_answers_that_one_samples(tmp_path):
    build_scene(tmp_path / "rooms")
    questions = tmp_path / "rooms" / "questions.jsonl"
    write_questions(QuestionsConfig(scenes=str(tmp_path / "rooms"), per_scene=2), questions)
    settings = ("learning_rate=1e-4", "max_steps=1", "threads=1", "gradient_accumulation_steps=1")
    config = OnlineConfig(rounds=1, samples=2, max_new_tokens=160, min_gap=0.01)
    start = partial(
        train_online, questions, model="nano", out=tmp_path / "out", config=config, overrides=settings, progress=None
    )
    in_two_processes(start, tmp_path)
    (row,) = (json.loads(line) for line in (tmp_path / "out" / "rounds.jsonl").read_text().splitlines())
    assert row["answers"] == 4
    assert len(metrics(tmp_path / "out" / "round-1" / "model")) == 1
    load_vlm(tmp_path / "out" / "round-1" / "model")


@pytest.mark.timeout(240)
def test_a_model_spread_over_two_processes_trains_as_a_whole_one(run, fast, tmp_path):
    common = [*fast, "max_steps=3", "save_steps=2", "precompute_ref_log_probs=false"]
    for name, options in {"whole": [], "lora": ["lora_r=4"], "half": ["precision=bfloat16"]}.items():
        run(*common, *options, out=tmp_path / "one" / name)
    two, counts_file = tmp_path / "two", tmp_path / "counts.json"
    in_two_processes(
        partial(spread_runs, partial(run, *common, "per_device_train_batch_size=1"), two, counts_file), tmp_path, **FSDP
    )
    assert set(json.loads(counts_file.read_text())) == {1.0}  # every parameter, of the policy and of the reference
    for name in ("loss", "rewards/margins", "grad_norm"):
        for kind in ("whole", "lora"):
            assert metrics(two / kind, name) == pytest.approx(metrics(tmp_path / "one" / kind, name), abs=1e-4), (kind, name)
    half = [metrics(tmp_path / each / "half", "rewards/margins") for each in ("one", "two")]
    assert half[1] == pytest.approx(half[0], abs=0.02)
    for kind in ("whole", "lora"):
        assert_same_weights(two / kind, tmp_path / "one" / kind, atol=1e-5, rtol=1e-4)
    assert_same_weights(two / "cut", two / "whole", atol=0, rtol=0)
    load_vlm(two / "lora")
    assert not [path for path in two.rglob("*") if path.suffix in {".bin", ".pt", ".pth", ".distcp"}]


def test_rows_without_images_are_not_mixed_in_where_weights_are_spread(data, tmp_path, pairs):
    refuse_mixed_rows(read_preferences(data / "pairs.jsonl"))
    rows = [pair | {"images": []} if index else pair for index, pair in enumerate(pairs)]
    (data / "mixed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ConfigError, match=r"2 of 3 rows have no image"):
        refuse_mixed_rows(read_preferences(data / "mixed.jsonl"))
