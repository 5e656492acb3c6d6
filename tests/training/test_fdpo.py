import copy
import logging

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from safetensors.torch import load_file

from spatialreasoner.core.errors import ConfigError, InputError
from spatialreasoner.testing import tiny_models as tiny
from spatialreasoner.training import trie_attention
from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer
from spatialreasoner.training.grouping import GroupedSampler
from spatialreasoner.training.shared_prefix import attention_of
from spatialreasoner.vlm.loading import load_vlm

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")  # TRL reads old names


@pytest.fixture(scope="module")
def base(tmp_path_factory, texts):
    """A folder with a tiny model."""
    return tiny.build_tiny("llava", tmp_path_factory.mktemp("base"), texts)


@pytest.fixture
def make(base, pairs, tmp_path):
    def make(folder="out", *, rows=None, keep=None, peft_config=None, **options):
        model, processor = load_vlm(base)
        options = {"per_device_train_batch_size": 1, "max_steps": 4, "learning_rate": 1e-2, "save_steps": 2} | options
        args = FDPOConfig(
            output_dir=str(tmp_path / folder),
            activation_checkpointing=options.pop("activation_checkpointing", False),
            bf16=options.pop("bf16", False),
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
            logging_steps=1,
            **options,
        )
        data = Dataset.from_list(rows or pairs)
        return FDPOTrainer(model, args=args, processing_class=processor, train_dataset=data, peft_config=peft_config)

    return make


def losses(trainer):
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def weights(trainer):
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_training_moves_the_margins_apart(make):
    trainer = make(max_steps=12)
    history = losses(trainer)
    assert history[0] == pytest.approx(0.6931, abs=1e-3)
    assert sum(history[-3:]) < 0.5 * sum(history[:3])
    last = trainer.state.log_history[-2]
    names = {"description", "reasoning", "markup"}
    assert {key.rpartition("/")[2] for key in last if key.startswith("betas/")} == names
    for kind in ("rewards/chosen", "rewards/rejected", "rewards/margins"):
        assert last[kind] == pytest.approx(sum(last[f"{kind}/{name}"] for name in names), abs=1e-4)


def test_the_betas_logged_are_those_of_the_gaps(make):
    trainer = make()
    trainer.train()
    logged = {round(entry["betas/description"], 4) for entry in trainer.state.log_history if "betas/description" in entry}
    # gaps 1 and 4, 3 and 1, and one unscored
    assert logged <= {0.0785, 0.1161, 0.1}
    assert len(logged) == 3


def test_a_cached_reference_equals_a_live_one(make):
    live, cached = make("live"), make("cached", precompute_ref_log_probs=True)
    assert cached.ref_model is None
    assert losses(cached) == pytest.approx(losses(live), abs=1e-6)
    for name, value in weights(live).items():
        torch.testing.assert_close(weights(cached)[name], value, atol=1e-6, rtol=1e-5)


def test_a_resumed_run_ends_with_the_same_bytes(make, tmp_path):
    whole = make("whole", precompute_ref_log_probs=True)
    whole.train()
    make("cut", precompute_ref_log_probs=True, max_steps=4).train()
    for left in (tmp_path / "cut").glob("checkpoint-4"):
        for file in left.iterdir():
            file.unlink()
        left.rmdir()
    again = make("cut", precompute_ref_log_probs=True)
    again.train(resume_from_checkpoint=str(tmp_path / "cut" / "checkpoint-2"))
    assert_equal(weights(again), weights(whole))
    assert again.state.log_history[-2]["loss"] == whole.state.log_history[-2]["loss"]
    one, two = (load_file(tmp_path / name / "checkpoint-4" / "model.safetensors") for name in ("whole", "cut"))
    assert_equal(one, two)


def test_a_run_over_grouped_rows_resumes_in_their_order(make, pairs, tmp_path):
    options = {"rows": pairs * 2, "per_device_train_batch_size": 2, "max_steps": 6, "lr_scheduler_type": "constant"}
    whole = make("whole", **options)
    history = losses(whole)
    assert isinstance(whole.get_train_dataloader().batch_sampler.sampler, GroupedSampler)
    make("cut", **options | {"max_steps": 4}).train()
    again = make("cut", **options)
    again.train(resume_from_checkpoint=str(tmp_path / "cut" / "checkpoint-4"))  # in the second of two epochs
    assert_equal(weights(again), weights(whole))
    assert history[:3] != history[3:]


def test_the_reference_stays_the_start_on_resume(make, tmp_path):
    whole = make("whole")
    expected = losses(whole)
    make("cut", max_steps=2, lr_scheduler_type="constant").train()
    again = make("cut", max_steps=4)
    start, _ = load_vlm(again.model.name_or_path)
    assert_equal(dict(again.ref_model.state_dict()), dict(start.state_dict()))
    assert len(expected) == 4


@pytest.mark.parametrize("precompute", [False, True])
@pytest.mark.parametrize("adapters", [False, True])
def test_accumulating_equals_a_larger_batch(make, pairs, precompute, adapters):
    options = {"rows": (pairs * 3)[:8], "precompute_ref_log_probs": precompute, "max_steps": 1}
    if adapters:
        options["peft_config"] = LoraConfig(r=4, target_modules=r".*language_model.*\.(q|v)_proj")
    one = make("one", per_device_train_batch_size=8, **options)
    many = make("many", per_device_train_batch_size=1, gradient_accumulation_steps=8, **options)
    assert losses(many) == pytest.approx(losses(one), abs=1e-5)
    assert many.state.log_history[0]["grad_norm"] == pytest.approx(one.state.log_history[0]["grad_norm"], rel=1e-4)


def test_gradient_checkpointing_changes_nothing(make):
    assert losses(make("with", activation_checkpointing=True)) == pytest.approx(losses(make("without")), abs=1e-5)


@pytest.mark.parametrize("precompute", [False, True])
def test_an_adapter_trains_against_the_model_without_it(make, precompute):
    lora = LoraConfig(r=4, target_modules=r".*language_model.*\.(q|v)_proj")
    trainer = make(precompute_ref_log_probs=precompute, peft_config=lora, max_steps=6)
    assert trainer.ref_model is None
    history = losses(trainer)
    assert history[0] == pytest.approx(0.6931, abs=1e-3)
    assert history[-1] < history[0]
    start, _ = load_vlm(trainer.model.get_base_model().name_or_path)
    now = trainer.model.get_base_model().state_dict()
    assert torch.equal(now["lm_head.weight"], start.state_dict()["lm_head.weight"])


def logged(trainer):
    """What the trainer logs of its last batch."""
    trainer.log({})
    return {name.removeprefix("eval_"): value for name, value in trainer.state.log_history[-1].items()}


def test_the_nll_term_is_the_mean_negative_log_likelihood_of_the_chosen(make, pairs):
    def value(weight):
        trainer = make(f"nll{weight}", nll_weight=weight)
        batch = trainer.data_collator(pairs[:1])
        return trainer.compute_loss(trainer.model, batch).item(), logged(trainer), batch

    plain, log, batch = value(0.0)
    expected = -log["logps/chosen"] / batch["lengths"][0, 1].item()
    assert value(0.5)[0] - plain == pytest.approx(0.5 * expected, abs=1e-4)


def test_dropped_markup_takes_no_part(make, pairs):
    trainer = make(markup="drop")
    assert trainer.segment_names == ("description", "reasoning")
    logs = []
    for each in (trainer, make("whole")):
        each.compute_loss(each.model, each.data_collator(pairs[:1]))
        logs.append(logged(each))
    for name in ("logps/chosen/description", "logps/chosen/reasoning"):
        assert logs[0][name] == pytest.approx(logs[1][name], abs=1e-4)
    assert logs[0]["logps/chosen"] > logs[1]["logps/chosen"]


def test_an_architecture_that_cannot_share_falls_back_loudly(make, monkeypatch, caplog):
    expected = losses(make("apart", shared_prefix=False))
    whole = slice(None)
    monkeypatch.setattr(trie_attention, "attended_spans", lambda trie: [(whole, whole, True)])  # siblings see each other
    trainer = make("shared")
    with caplog.at_level(logging.WARNING):
        assert losses(trainer) == pytest.approx(expected, abs=1e-6)
    assert "LlavaForConditionalGeneration cannot share prefixes: a response's log-probabilities change by up to" in caplog.text
    assert attention_of(trainer.model) == attention_of(trainer.ref_model) == "sdpa"


def test_half_precision_trains_too(make):
    history = losses(make(bf16=True, max_steps=12, precompute_ref_log_probs=True))
    assert history[0] == pytest.approx(0.6931, abs=0.02)
    assert sum(history[-3:]) < 0.8 * sum(history[:3])


def test_a_model_is_loaded_by_name_with_its_processor(base, pairs, tmp_path):
    args = FDPOConfig(output_dir=str(tmp_path), bf16=False, use_cpu=True, report_to="none", activation_checkpointing=False)
    trainer = FDPOTrainer(str(base), args, train_dataset=Dataset.from_list(pairs))
    loss = trainer.compute_loss(trainer.model, trainer.data_collator(pairs))
    assert loss.item() == pytest.approx(0.6931, abs=1e-3)


def test_text_and_messages_are_not_mixed_in_a_row(make, pairs):
    trainer = make()
    with pytest.raises(InputError, match="all as text or all as messages"):
        trainer.data_collator([pairs[0] | {"prompt": "How tall?"}])


def test_evaluation_gives_a_loss_and_no_logits(make, pairs):
    trainer = make()
    metrics = trainer.evaluate(Dataset.from_list(pairs))
    assert metrics["eval_loss"] == pytest.approx(0.6931, abs=1e-3)
    assert metrics["eval_betas/reasoning"] > 0


def test_a_trained_model_saves_an_ordinary_configuration(make, tmp_path):
    trainer = make(max_steps=1)
    trainer.train()
    trainer.save_model(str(tmp_path / "saved"))
    assert "spatialreasoner" not in (tmp_path / "saved" / "config.json").read_text()
    model, _ = load_vlm(tmp_path / "saved")
    assert_equal(dict(model.state_dict()), dict(trainer.model.state_dict()))


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss_type": ["bco_pair"]},
        {"loss_type": ["sigmoid", "ipo"]},
        {"label_smoothing": 0.5},
        {"label_smoothing": 0.1, "loss_type": ["ipo"]},
        {"segment_weights": {"description": 1.0}},
        {"segment_weights": {"description": 0.0, "reasoning": 0.0}},
        {"remove_unused_columns": True},
        {"fdpo_alpha": 1.5},
        {"beta": 0.0},
        {"segments": ["a", "a"]},
        {"segments": []},
    ],
)
def test_options_without_a_place_are_refused(wrong, tmp_path):
    with pytest.raises(ConfigError, match=next(iter(wrong))[:7]):
        FDPOConfig(output_dir=str(tmp_path), bf16=False, use_cpu=True, activation_checkpointing=False, **copy.deepcopy(wrong))
