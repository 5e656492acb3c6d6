import pickle
import random

import numpy as np
import pytest
import torch

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.training.checkpoints import (
    damage_of,
    latest_checkpoint,
    load_state,
    random_state,
    save_state,
    set_random_state,
)
from spatialreasoner.vlm.loading import load_vlm
from spatialreasoner.vlm.safety import refuse_pickles


class Bomb:
    """Whoever unpickles it finds out."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was read",))


def test_nested_states_come_back_as_they_were(tmp_path):
    state = {
        "state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.randn(2, 3)}, 7: {"step": torch.tensor(1.0)}},
        "param_groups": [{"lr": 1e-7, "betas": (0.9, 0.999), "foreach": None, "params": [0, 7]}],
        "half": torch.ones(2, dtype=torch.bfloat16),
    }
    save_state(tmp_path / "state.safetensors", state)
    again = load_state(tmp_path / "state.safetensors")
    assert again["state"].keys() == {0, 7}
    assert torch.equal(again["state"][0]["exp_avg"], state["state"][0]["exp_avg"])
    assert again["half"].dtype == torch.bfloat16
    assert again["param_groups"] == [{"lr": 1e-7, "betas": [0.9, 0.999], "foreach": None, "params": [0, 7]}]


def test_an_optimizer_goes_on_from_its_state(tmp_path):
    def steps(weight, optimizer, count):
        for _ in range(count):
            optimizer.zero_grad()
            (weight**2).sum().backward()
            optimizer.step()

    whole = torch.nn.Parameter(torch.ones(3))
    steps(whole, torch.optim.AdamW([whole], lr=0.1), 5)
    cut = torch.nn.Parameter(torch.ones(3))
    first = torch.optim.AdamW([cut], lr=0.1)
    steps(cut, first, 2)
    save_state(tmp_path / "optimizer.safetensors", first.state_dict())
    second = torch.optim.AdamW([cut], lr=0.5)
    second.load_state_dict(load_state(tmp_path / "optimizer.safetensors"))
    steps(cut, second, 3)
    assert torch.equal(cut, whole)


def test_random_numbers_go_on_where_they_were(tmp_path):
    def draw():
        return random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(1).item()

    random.gauss(0, 1)  # leaves a second number waiting
    np.random.randn()
    before = random_state()
    save_state(tmp_path / "rng.safetensors", before)
    drawn = draw()
    set_random_state(load_state(tmp_path / "rng.safetensors"))
    assert draw() == drawn
    set_random_state(before)


def test_what_is_not_a_state_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="expected a training state"):
        load_state(tmp_path / "missing.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(ConfigError, match="expected a training state"):
        load_state(tmp_path / "torn.safetensors")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.ckpt", "adapter_model.bin"])
def test_planted_pickles_are_refused_unread(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    with pytest.raises(ConfigError, match=rf"'{name}', a pickle.*safetensors"):
        load_vlm(tmp_path)


def test_pickled_states_are_refused_beside_safe_weights(tmp_path):
    save_state(tmp_path / "model.safetensors", {"a": torch.ones(1)})
    (tmp_path / "training_args.bin").write_bytes(pickle.dumps(Bomb()))
    refuse_pickles(tmp_path)
    (tmp_path / "optimizer.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ConfigError, match=r"'optimizer.pt', a pickle"):
        refuse_pickles(tmp_path)


@pytest.mark.parametrize("digests", ["null", "5", "true", '"abc"', '["a"]', "{}", "[" * 200_000])
def test_digests_of_another_form_are_damage(tmp_path, digests):
    (tmp_path / "digests.json").write_text(digests)
    (tmp_path / "trainer_state.json").write_text("{}")
    assert damage_of(tmp_path).startswith("digests.json cannot be read")


def test_the_latest_checkpoint_is_the_last_whole_one(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    for step, state in ((2, "{}"), (10, "{}"), (12, None), (14, '{"torn'), (16, "")):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if state is not None:
            (folder / "trainer_state.json").write_text(state)
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    (tmp_path / "checkpoint-11").write_text("a file where a folder is to be")
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    (tmp_path / "checkpoint-11").mkdir()
