import json

import pytest

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.testing.names import TinyModel, tiny_named
from spatialreasoner.training.config import CONFIGS, FDPOSettings, read_config
from spatialreasoner.training.fdpo import FDPOConfig
from spatialreasoner.training.old_names import OLD_NAMES, sizes_into_name
from spatialreasoner.training.run import run_training
from tiny import TINY

OLD_VALUES = {"reference": "live", "schedule": "linear", "warmup": 0.1, "alpha": 0.2, "lam": 0.2}


@pytest.mark.parametrize(("old", "new"), OLD_NAMES.items())
def test_an_old_name_is_accepted_with_a_warning_that_says_the_new_one(old, new, tmp_path):
    value = OLD_VALUES.get(old, 3)
    file = tmp_path / "settings.yaml"
    file.write_text(f"{old}: {value}\n")
    for source, overrides in ((file, []), (None, [f"{old}={value}"])):
        with pytest.warns(FutureWarning, match=f"the setting {old} is now called {new}$"):
            config = read_config(FDPOSettings, source, overrides)
        assert getattr(config, new) == (False if old == "reference" else value)


def test_both_names_of_a_setting_are_refused_in_one_place_and_layered_over_two(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("epochs: 3\nnum_train_epochs: 2\n")
    with pytest.raises(ConfigError, match="epochs is the old name of num_train_epochs"):
        read_config(CONFIGS["sft"], file, [])
    file.write_text("epochs: 3\n")
    with pytest.warns(FutureWarning, match="num_train_epochs"):
        assert read_config(CONFIGS["sft"], file, ["num_train_epochs=2"]).num_train_epochs == 2


def test_the_trainers_arguments_take_old_names(tmp_path):
    quiet = {"bf16": False, "use_cpu": True, "activation_checkpointing": False}
    with pytest.warns(FutureWarning, match=r"fdpo_alpha|fdpo_lambda|precompute_ref_log_probs") as warned:
        args = FDPOConfig(output_dir=str(tmp_path), **quiet, alpha=0.2, lam=0.5, reference="cached")
    assert (args.fdpo_alpha, args.fdpo_lambda, args.precompute_ref_log_probs) == (0.2, 0.5, True)
    assert sum(warning.category is FutureWarning for warning in warned) == 3


def test_a_run_saved_under_old_names_is_the_same_run(data, fast, tmp_path):
    def run(*overrides):
        run_training(
            "fdpo", model=TINY, data=data / "pairs.jsonl", out=tmp_path / "out", overrides=[*fast, "max_steps=1", *overrides]
        )

    run()
    path = tmp_path / "out" / "training.json"
    saved = json.loads(path.read_text())
    config = saved["config"]
    for old, new in OLD_NAMES.items():
        config[old] = config.pop(new)
    config["reference"] = "cached" if config["reference"] else "live"
    config |= {"model": "tiny", "tiny_width": 32, "tiny_layers": 2, "tiny_image": 28, "tiny_vocabulary": 1024}
    path.write_text(json.dumps(saved))
    before = (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns
    run()
    assert (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match=r"differs in fdpo_lambda\)"):
        run("fdpo_lambda=0.2")
    path.write_text(json.dumps(saved | {"config": config | {"tiny_width": 64}}))
    with pytest.raises(ConfigError, match=r"differs in model\)"):
        run()


def test_old_sizes_of_the_tiny_model_become_part_of_its_name():
    with pytest.warns(FutureWarning, match="model='testing:llava,width=32'"):
        assert sizes_into_name("tiny", ["tiny_width=32", "seed=1"]) == ("testing:llava,width=32", ["seed=1"])
    assert sizes_into_name("nano", ["tiny_width=32", "seed=1"]) == ("nano", ["seed=1"])
    for wrong in ("tiny_width=x", "tiny_width=0", "tiny_width=", "tiny_image=83", "tiny_layers=" + "9" * 5000):
        with pytest.raises(ConfigError, match=r"whole number|must be"):
            sizes_into_name("tiny", [wrong])


@pytest.mark.parametrize("name", ["testing:llava", "testing:gemma3,width=32,layers=1,image_size=28,vocabulary=300"])
def test_the_name_of_a_tiny_model_is_read_as_it_is_written(name):
    model = tiny_named(name)
    assert isinstance(model, TinyModel)
    assert str(model) == name


def test_the_alias_and_other_models():
    assert tiny_named("tiny") == tiny_named("testing:llava")
    assert tiny_named("nano") is None
    for wrong in ("testing:llava,depth=3", "testing:llava,width=-1", "testing:llava,width=²", "testing:llava,image_size=83"):
        with pytest.raises(ConfigError, match=r"expected testing:FAMILY|must be"):
            tiny_named(wrong)
