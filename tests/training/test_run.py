import importlib.util
import json
import os

import pytest
import torch
from safetensors.torch import load_file

from spatialreasoner.core.errors import ConfigError, MissingExtraError, RecordError, WorkError
from spatialreasoner.training import callbacks
from spatialreasoner.training.config import CONFIGS, FDPOSettings, TrainSettings, read_config
from spatialreasoner.training.run import run_training
from spatialreasoner.vlm.loading import load_vlm
from tiny import TINY


def metrics(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_sft_then_dpo_then_fdpo(data, fast, tmp_path):
    run_training("sft", model=TINY, data=data / "sft.jsonl", out=tmp_path / "sft", overrides=[*fast, "num_train_epochs=4"])
    history = [entry["loss"] for entry in metrics(tmp_path / "sft") if "loss" in entry]
    assert history[-1] < 0.8 * history[0]
    for kind in ("dpo", "fdpo"):
        out = tmp_path / kind
        run_training(
            kind, model=f"hf:{tmp_path / 'sft'}", data=data / "pairs.jsonl", out=out, overrides=[*fast, "num_train_epochs=2"]
        )
        model, processor = load_vlm(out)
        assert type(model).__name__ == "LlavaForConditionalGeneration"
        assert metrics(out)[-1]["step"] == 6
        assert metrics(out)[-1]["rewards/margins"] > 0
        assert processor.tokenizer.eos_token == "</s>"
        settings = json.loads((out / "training.json").read_text())
        assert settings["stage"] == f"train {kind}"
        assert settings["config"]["data"]["rows"] == 6
        card = (out / "README.md").read_text()
        assert settings["config"]["data"]["sha256"] in card
        assert "| beta | 0.1 |" in card
        assert "one image" in (out / "preview.html").read_text()
        assert not [path for path in out.rglob("*") if path.suffix in {".bin", ".pt", ".pth", ".pkl"}]


@pytest.mark.parametrize("adapters", [(), ("lora_r=4", "lora_dropout=0.2")], ids=["all weights", "adapters"])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(data, fast, tmp_path, monkeypatch, adapters):
    def run(out):
        options = [*fast, *adapters, "num_train_epochs=3", "save_steps=2"]
        run_training("fdpo", model=TINY, data=data / "pairs.jsonl", out=out, overrides=options)

    run(tmp_path / "whole")
    last = callbacks.MetricsFile.on_log

    def killed(self, args, state, control, logs=None, **kwargs):
        if state.global_step == 5:
            raise KeyboardInterrupt
        last(self, args, state, control, logs=logs, **kwargs)

    monkeypatch.setattr(callbacks.MetricsFile, "on_log", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut")
    monkeypatch.undo()
    assert not (tmp_path / "cut" / "README.md").exists()
    run(tmp_path / "cut")
    for name in ("model.safetensors", "metrics.jsonl", "training.json", "README.md", "reference.jsonl", "preview.html"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_finished_run_is_left_alone_and_another_is_refused(data, fast, tmp_path):
    def run(*overrides):
        run_training("sft", model=TINY, data=data / "sft.jsonl", out=tmp_path / "out", overrides=[*fast, *overrides])

    run("max_steps=1")
    before = (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns
    run("max_steps=1")
    assert (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match=r"holds another run.*max_steps.*another `out`"):
        run("max_steps=2")


def test_lora_saves_a_merged_model_and_the_adapter(data, fast, tmp_path):
    options = [*fast, "max_steps=3"]
    run_training("sft", model=TINY, data=data / "sft.jsonl", out=tmp_path / "base", overrides=options)
    out = tmp_path / "lora"
    lora = [*options, "lora_r=4", "lora_alpha=8"]
    run_training("fdpo", model=str(tmp_path / "base"), data=data / "pairs.jsonl", out=out, overrides=lora)
    assert (out / "adapter" / "adapter_model.safetensors").is_file()
    base, merged = load_vlm(tmp_path / "base")[0].state_dict(), load_vlm(out)[0].state_dict()
    changed = {name for name in base if not torch.equal(base[name], merged[name])}
    assert changed
    assert all("language_model" in name and "proj" in name for name in changed)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_every_file_has_the_permissions_that_the_umask_gives(data, fast, tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        options = [*fast, "max_steps=1", "save_steps=1", "lora_r=4"]
        run_training("fdpo", model=TINY, data=data / "pairs.jsonl", out=tmp_path / "out", overrides=options)
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.parent.name for path in files if path.suffix == ".safetensors"} >= {"out", "tiny", "adapter", "checkpoint-1"}
    assert {str(path): oct(path.stat().st_mode & 0o777) for path in files if path.stat().st_mode & 0o777 != mode} == {}


def test_adapters_train_on_half_precision_weights(data, fast, tmp_path):
    options = [*fast, "max_steps=3", "precision=bfloat16", "lora_r=4"]
    run_training("dpo", model=TINY, data=data / "pairs.jsonl", out=tmp_path / "out", overrides=options)
    assert load_file(tmp_path / "out" / "model.safetensors").popitem()[1].dtype == torch.bfloat16
    adapter = load_file(tmp_path / "out" / "adapter" / "adapter_model.safetensors")
    assert adapter.popitem()[1].dtype == torch.float32


def test_held_out_rows_are_measured_and_the_card_names_the_best(data, fast, tmp_path):
    for kind in ("sft", "fdpo"):
        rows = data / ("sft.jsonl" if kind == "sft" else "pairs.jsonl")
        out = tmp_path / kind
        run_training(kind, model=TINY, data=rows, eval_data=rows, out=out, overrides=[*fast, "max_steps=3", "save_steps=1"])
        measured = [entry for entry in metrics(out) if "eval_loss" in entry]
        assert [entry["step"] for entry in measured] == [1, 2, 3]
        best = min(measured, key=lambda entry: entry["eval_loss"])
        assert (out / f"checkpoint-{best['step']}").is_dir()
        card = (out / "README.md").read_text()
        assert f"## Held-out rows, at best (checkpoint-{best['step']})" in card
        assert f"| eval_loss | {best['eval_loss']:.6g} |" in card
        assert json.loads((out / "training.json").read_text())["config"]["eval_data"]["rows"] == 6
    names = {"eval_rewards/margins/description", "eval_rewards/accuracies/reasoning", "eval_rewards/margins"}
    assert names < measured[0].keys()


def dequantized(folder, out):
    """A copy of a model whose language model's matrices are what four bits keep of them."""
    functional = pytest.importorskip("bitsandbytes.functional")
    model, processor = load_vlm(folder)
    for name, weight in model.named_parameters():
        if "language_model" in name and name.endswith("proj.weight"):
            packed, state = functional.quantize_4bit(weight.data, quant_type="nf4", compress_statistics=True)
            weight.data = functional.dequantize_4bit(packed, state).float()
    model.save_pretrained(out)
    processor.save_pretrained(out)
    return out


@pytest.mark.parametrize("precompute", [False, True])
def test_four_bits_train_as_what_they_stand_for(data, fast, tmp_path, precompute):
    options = [*fast, "max_steps=3"]
    run_training("sft", model=TINY, data=data / "sft.jsonl", out=tmp_path / "base", overrides=options)
    lora = [*options, "lora_r=4", "lora_alpha=8", f"precompute_ref_log_probs={precompute}"]

    def run(model, name, *more):
        run_training("fdpo", model=str(model), data=data / "pairs.jsonl", out=tmp_path / name, overrides=[*lora, *more])
        return load_file(tmp_path / name / "adapter" / "adapter_model.safetensors")

    run(dequantized(tmp_path / "base", tmp_path / "rounded"), "whole")
    quantized = run(tmp_path / "base", "quantized", "quantization=4bit")
    for one, other in zip(metrics(tmp_path / "whole"), metrics(tmp_path / "quantized"), strict=True):
        assert other["loss"] == pytest.approx(one["loss"], abs=1e-4)
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-3)
    # what is saved is the base as it was, not as it was rounded, and the adapter
    base, merged = load_vlm(tmp_path / "base")[0].state_dict(), load_vlm(tmp_path / "quantized")[0].state_dict()
    name = next(name for name in base if name.endswith("language_model.layers.0.self_attn.q_proj.weight"))
    down, up = (quantized[f"base_model.model.{name.removesuffix('.weight')}.lora_{side}.weight"] for side in "AB")
    torch.testing.assert_close(merged[name], base[name] + 2 * up @ down)


def test_four_bits_without_their_library_are_said_by_name(data, fast, tmp_path, monkeypatch):
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, find=importlib.util.find_spec: None if name == "bitsandbytes" else find(name)
    )
    run_training("sft", model=TINY, data=data / "sft.jsonl", out=tmp_path / "base", overrides=[*fast, "max_steps=1"])
    options = [*fast, "lora_r=4", "quantization=4bit"]
    with pytest.raises(MissingExtraError, match=r"needs bitsandbytes.*spatialreasoner\[qlora\]"):
        run_training("fdpo", model=str(tmp_path / "base"), data=data / "pairs.jsonl", out=tmp_path / "out", overrides=options)


def test_an_upload_that_fails_leaves_the_model_whole(data, fast, tmp_path):
    options = [*fast, "max_steps=1", "push_to_hub=nobody/nothing"]
    with pytest.raises(WorkError, match=r"the model is complete in .* could not be uploaded to 'nobody/nothing'"):
        run_training("sft", model=TINY, data=data / "sft.jsonl", out=tmp_path / "out", overrides=options)
    load_vlm(tmp_path / "out")


def test_a_frozen_vision_tower_stays_as_it_is(data, fast, tmp_path):
    options = [*fast, "max_steps=2", "freeze_vision=true"]
    run_training("sft", model=TINY, data=data / "sft.jsonl", out=tmp_path / "out", overrides=options)
    before, after = load_vlm(tmp_path / "out" / "tiny")[0].state_dict(), load_vlm(tmp_path / "out")[0].state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not any("vision_tower" in name for name in changed)


def test_equal_gaps_are_not_fdpo(data, fast, tmp_path, pairs):
    rows = [pair | {"gap_description": 2.0, "gap_reasoning": 2.0} for pair in pairs]
    (data / "equal.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ConfigError, match="no pair has gaps that differ"):
        run_training("fdpo", model=TINY, data=data / "equal.jsonl", out=tmp_path / "out", overrides=fast)


def test_a_segment_that_no_answer_has_is_refused(data, fast, tmp_path, pairs):
    for pair in pairs:
        for side in ("chosen", "rejected"):
            pair[side][0]["content"] = f"{side} without a boundary"
    (data / "plain.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs))
    with pytest.raises(ConfigError, match="segment 'description' has no tokens in any of 3 pairs"):
        run_training("fdpo", model=TINY, data=data / "plain.jsonl", out=tmp_path / "out", overrides=fast)


def test_a_file_of_the_other_kind_is_refused(data, fast, tmp_path):
    with pytest.raises(RecordError, match="expected a conversation"):
        run_training("sft", model=TINY, data=data / "pairs.jsonl", out=tmp_path / "out", overrides=fast)


@pytest.mark.parametrize("model", ["hf:/nowhere/at/all", "no-such-owner/no-such-model"])
def test_a_model_that_is_not_there_is_the_users_error(data, fast, tmp_path, model):
    with pytest.raises(ConfigError, match="cannot load a vision-language model"):
        run_training("sft", model=model, data=data / "sft.jsonl", out=tmp_path / "out", overrides=fast)


def test_settings_come_from_defaults_file_and_overrides_in_that_order(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("beta: 0.2\nlearning_rate: 1e-6\nmarkup: drop\n")
    config = read_config(FDPOSettings, file, ["beta=0.3", "fdpo_alpha=0.1", "shared_prefix=false"])
    assert (config.beta, config.fdpo_alpha, config.learning_rate, config.markup) == (0.3, 0.1, 1e-6, "drop")
    assert config.shared_prefix is False
    assert config.fdpo_lambda == 0.6
    assert config.weight_decay == 0.05


@pytest.mark.parametrize(
    ("kind", "override", "message"),
    [
        ("sft", "fdpo_alpha=0.3", "unknown setting 'fdpo_alpha'"),
        ("dpo", "fdpo_alpha=0.3", "unknown setting 'fdpo_alpha'"),
        ("fdpo", "fdpo_alhpa=0.3", "did you mean 'fdpo_alpha'"),
        ("fdpo", "batch_siz=2", "did you mean 'per_device_train_batch_size'"),
        ("sft", "tiny_width=32", "testing:llava,width=N"),
        ("fdpo", "beta", "expected key=value"),
        ("fdpo", "markup=nothing", "setting markup"),
        ("sft", "per_device_train_batch_size=two", "setting per_device_train_batch_size"),
        ("sft", "per_device_train_batch_size=0", "per_device_train_batch_size must be greater than 0"),
        ("sft", "seed=[", "not YAML"),
        ("sft", "quantization=4bit", "quantization=4bit trains adapters.*lora_r"),
        ("sft", "quantization=8bit", "setting quantization"),
    ],
)
def test_wrong_settings_are_refused_with_a_hint(kind, override, message):
    with pytest.raises(ConfigError, match=message):
        read_config(CONFIGS[kind], None, [override])


def test_a_file_that_is_not_a_mapping_is_refused(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("- beta\n")
    with pytest.raises(ConfigError, match="expected settings"):
        read_config(TrainSettings, file, [])


def test_saved_weights_are_named_as_transformers_names_them(data, fast, tmp_path):
    run_training("sft", model=TINY, data=data / "sft.jsonl", out=tmp_path / "out", overrides=[*fast, "max_steps=1"])
    names = set(load_file(tmp_path / "out" / "model.safetensors"))
    assert names == set(load_file(tmp_path / "out" / "tiny" / "model.safetensors"))


def test_a_merged_save_is_what_servers_read(data, fast, tmp_path):
    """The files and keys that vLLM's loader asks for, which cannot run here."""
    options = [*fast, "max_steps=1", "lora_r=4"]
    run_training("fdpo", model=TINY, data=data / "pairs.jsonl", out=tmp_path / "out", overrides=options)
    out = tmp_path / "out"
    config = json.loads((out / "config.json").read_text())
    assert config["architectures"] == ["LlavaForConditionalGeneration"]
    assert config["model_type"] == "llava"
    assert config["text_config"]["model_type"] == "llama"
    assert config["vision_config"]["model_type"] == "clip_vision_model"
    assert "auto_map" not in config
    assert "quantization_config" not in config
    saved = load_file(out / "model.safetensors")
    assert not [name for name in saved if "lora" in name or "base_model" in name or "base_layer" in name]
    assert set(saved) == set(load_file(out / "tiny" / "model.safetensors"))
    generation = json.loads((out / "generation_config.json").read_text())
    tokenizer = json.loads((out / "tokenizer_config.json").read_text())
    _, processor = load_vlm(out)
    assert generation["eos_token_id"] == processor.tokenizer.eos_token_id
    assert tokenizer["eos_token"] == "</s>"
    assert json.loads((out / "processor_config.json").read_text())["processor_class"] == "LlavaProcessor"
    assert "message" in (out / "chat_template.jinja").read_text()
    assert (out / "tokenizer.json").is_file()
    # Nothing beside the model's own weights that a loader of `*.safetensors` would pick up
    assert [path.name for path in out.glob("*.safetensors")] == ["model.safetensors"]
