"""`FDPOTrainer` in the place of `DPOTrainer`: the same arguments and rows; without gaps the same losses and gradients."""

import copy
import inspect
import logging

import pytest
import torch
from datasets import Dataset, DatasetDict, Image, IterableDatasetDict, List
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DPOConfig, DPOTrainer

from spatialreasoner.core.errors import ConfigError, InputError
from spatialreasoner.testing import tiny_models
from spatialreasoner.training.collate import PairCollator
from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer
from spatialreasoner.training.images import image_token_ids, last_image
from spatialreasoner.training.row_encoder import RowEncoder
from tiny import other_llama, tiny_llama

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")  # TRL reads old names

QUESTIONS = ["What is 3 plus 4?", "Which is larger, 9 or 11?", "Is the box left of the chair, or to the right of it?"]
ANSWERS = [
    (" It is 7, since 3 and 4 make 7.", " It is 8."),
    (" 11 is larger.", " 9 is larger, I would say, for it comes first."),
    (" Left of it.", " Right of it."),
]


def standard():
    return [
        {"prompt": question, "chosen": chosen, "rejected": rejected}
        for question, (chosen, rejected) in zip(QUESTIONS, ANSWERS, strict=True)
    ]


def conversational():
    return [
        {
            "prompt": [{"role": "user", "content": row["prompt"]}],
            "chosen": [{"role": "assistant", "content": row["chosen"].strip()}],
            "rejected": [{"role": "assistant", "content": row["rejected"].strip()}],
        }
        for row in standard()
    ]


def implicit(rows):
    return [{side: row["prompt"] + row[side] for side in ("chosen", "rejected")} for row in rows]


FORMS = {
    "standard": standard(),
    "conversational": conversational(),
    "standard, implicit prompt": implicit(standard()),
    "conversational, implicit prompt": implicit(conversational()),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny Llama whose tokenizer begins every text with a token of its own."""
    return tiny_llama(tmp_path_factory.mktemp("llama"), [*QUESTIONS, *(side for pair in ANSWERS for side in pair)])


@pytest.fixture
def make(folder, tmp_path):
    def make(trainer, rows, *, args=None, streams=False, **options):
        kind = FDPOConfig if trainer is FDPOTrainer else DPOConfig
        given = {name: options.pop(name) for name in tuple(options) if name in inspect.signature(trainer.__init__).parameters}
        common = {
            "output_dir": str(tmp_path / trainer.__name__), "use_cpu": True, "bf16": False, "report_to": "none", "max_steps": 2,
            "per_device_train_batch_size": len(rows), "logging_steps": 1, "disable_tqdm": True, "learning_rate": 1e-2,
            "save_strategy": "no", "gradient_checkpointing": False,
        }  # fmt: skip
        data = Dataset.from_list(copy.deepcopy(rows))
        given = {"model": folder, "train_dataset": data.to_iterable_dataset() if streams else data} | given
        return trainer(args=args or kind(**common | options), **given)

    return make


def loss_and_gradients(trainer):
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.train()
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    return loss.item(), {name: each.grad for name, each in trainer.model.named_parameters() if each.grad is not None}


def assert_same(ours, theirs):
    (loss, gradients), (expected, others) = loss_and_gradients(ours), loss_and_gradients(theirs)
    assert loss == pytest.approx(expected, abs=1e-5)
    assert abs(loss - 0.6931) > 1e-4  # the policy is not the reference
    assert gradients.keys() == others.keys()
    for name, gradient in others.items():
        torch.testing.assert_close(gradients[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


def test_it_takes_what_trls_takes_in_its_order_and_with_its_defaults():
    theirs = list(inspect.signature(DPOTrainer.__init__).parameters.values())
    ours = list(inspect.signature(FDPOTrainer.__init__).parameters.values())
    assert [each.name for each in ours[: len(theirs)]] == [each.name for each in theirs]
    assert [each.default for each in ours[: len(theirs)]] == [each.default for each in theirs]
    assert {each.kind for each in ours[len(theirs) :]} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("streams", [False, True], ids=["dataset", "stream"])
@pytest.mark.parametrize("form", FORMS)
def test_text_rows_of_every_form_are_trls(make, folder, form, streams):
    given = {"rows": FORMS[form], "streams": streams}
    ours, theirs = (make(each, ref_model=other_llama(folder), **given) for each in (FDPOTrainer, DPOTrainer))
    assert_same(ours, theirs)
    assert ours.shares_prefix is True


@pytest.mark.parametrize("form", FORMS)
def test_cut_rows_are_trls(make, folder, form):
    given = {"rows": FORMS[form], "max_length": 20, "truncation_mode": "keep_start"}
    ours, theirs = (make(each, ref_model=other_llama(folder), **given) for each in (FDPOTrainer, DPOTrainer))
    batch = next(iter(ours.get_train_dataloader()))
    assert batch["lengths"][:, [0, 2]].sum(1).max() <= 20
    assert len(batch["lengths"]) == len(theirs.train_dataset)
    assert_same(ours, theirs)


def test_a_begin_token_and_an_end_token_are_added_to_plain_text_as_in_trl(make, folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("x")["input_ids"]
    begun = copy.deepcopy(tokenizer)
    begun.backend_tokenizer.post_processor = _beginning_with(begun, tokenizer.pad_token)
    assert len(begun("x")["input_ids"]) == len(ids) + 1
    rows = [standard()[0], {**standard()[1], "chosen": f" 11.{tokenizer.eos_token}"}]
    ours, theirs = (
        make(each, rows, ref_model=other_llama(folder), processing_class=copy.deepcopy(begun))
        for each in (FDPOTrainer, DPOTrainer)
    )
    lengths = next(iter(ours.get_train_dataloader()))["lengths"]
    expected = {(len(row["prompt_ids"]), len(row["chosen_ids"]), len(row["rejected_ids"])) for row in theirs.train_dataset}
    assert {tuple(row) for row in lengths.tolist()} == expected
    assert_same(ours, theirs)


def _beginning_with(tokenizer, token):
    from tokenizers.processors import TemplateProcessing

    number = tokenizer.convert_tokens_to_ids(token)
    return TemplateProcessing(single=f"{token} $A", pair=f"{token} $A $B", special_tokens=[(token, number)])


def test_a_long_pair_is_refused_unless_it_may_be_cut(make):
    trainer = make(FDPOTrainer, standard(), max_length=20)
    with pytest.raises(InputError, match="max_length is 20"):
        trainer.train()


def test_trls_own_options_keep_their_meaning(make, tmp_path):
    args = DPOConfig(str(tmp_path), use_cpu=True, bf16=False, report_to="none", max_length=20, beta=0.3, max_steps=1)
    trainer = make(FDPOTrainer, standard(), args=args)
    assert isinstance(trainer.args, FDPOConfig)
    assert (trainer.args.beta, trainer.args.max_length, trainer.args.truncation_mode) == (0.3, 20, "keep_start")
    assert trainer.data_collator.encoder.truncates
    trainer.train()
    with pytest.raises(ConfigError, match="sync_ref_model"):
        make(FDPOTrainer, standard(), args=DPOConfig(str(tmp_path), use_cpu=True, bf16=False, sync_ref_model=True))


def test_options_may_be_left_out(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer = FDPOTrainer(folder, train_dataset=Dataset.from_list(standard()))
    assert trainer.args.output_dir.endswith("-FDPO")
    assert type(trainer.ref_model).__name__ == "LlamaForCausalLM"


def test_a_vision_family_is_found_by_its_name(tmp_path, image_paths):
    """Its processor is not given; without torchvision, transformers alone would refuse it for videos that nobody has."""
    folder = str(tiny_models.build_tiny("qwen2_5_vl", tmp_path / "model", ["What is 3 plus 4?"], width=32, image_size=28))
    rows = Dataset.from_list([{**row, "images": [str(image_paths[0])]} for row in conversational()])
    args = FDPOConfig(str(tmp_path / "out"), use_cpu=True, bf16=False, report_to="none", max_steps=1, disable_tqdm=True)
    trainer = FDPOTrainer(folder, args=args, train_dataset=rows)
    trainer.train()
    assert type(trainer.processing_class).__name__ == "Qwen2_5_VLProcessor"


def test_a_stream_is_as_fast_as_a_dataset_and_warns_of_nothing(make, caplog):
    with caplog.at_level(logging.WARNING):
        trainer = make(FDPOTrainer, conversational(), streams=True)
        trainer.train()
    assert trainer.shares_prefix is True
    assert not [record for record in caplog.records if "share" in record.message]
    assert len([entry for entry in trainer.state.log_history if "loss" in entry]) == 2


@pytest.mark.parametrize("where", ["train", "eval", "eval by name", "evaluate"])
def test_streams_have_no_precomputed_reference(make, where):
    data = Dataset.from_list(standard())
    stream = data.to_iterable_dataset()
    evaluated = {"eval": stream, "eval by name": IterableDatasetDict({"one": stream})}.get(where)

    def made_and_evaluated():
        trainer = make(FDPOTrainer, standard(), streams=where == "train", eval_dataset=evaluated, precompute_ref_log_probs=True)
        trainer.evaluate(stream)

    with pytest.raises(ValueError, match="precompute_ref_log_probs is not supported with IterableDataset"):
        made_and_evaluated()


@pytest.mark.parametrize("precompute", [False, True])
@pytest.mark.parametrize("kind", ["dataset", "dictionary", "DatasetDict", "streams"])
def test_evaluation_of_one_dataset_or_several_by_name(make, kind, precompute):
    if kind == "streams" and precompute:
        return
    data = Dataset.from_list(standard())
    several = {"dictionary": {"one": data, "two": data}, "DatasetDict": DatasetDict({"one": data, "two": data})}
    several["streams"] = {"one": data.to_iterable_dataset(), "two": data.to_iterable_dataset()}
    given = several.get(kind, data)
    trainer = make(
        FDPOTrainer, standard(), eval_dataset=given, precompute_ref_log_probs=precompute, eval_strategy="steps", eval_steps=1
    )
    trainer.train()
    logged = {key for entry in trainer.state.log_history for key in entry}
    names = ["eval_loss"] if kind == "dataset" else ["eval_one_loss", "eval_two_loss"]
    assert {*names} <= logged
    assert {*names} <= trainer.evaluate().keys()
    if precompute:
        with pytest.raises(ValueError, match="Cannot compute reference log-probs for a dataset passed to"):
            trainer.evaluate(given)
    else:
        assert {*names} <= trainer.evaluate(given).keys()


def test_metrics_are_computed_from_the_same_logits_as_trls(make, folder):
    found = {}

    def metrics(name):
        def compute(given):
            logits, ids = given
            real = ids >= 4  # beyond the special tokens, and beyond what fills
            found[name] = sorted(logits.max(-1)[real].tolist())
            return {"mine": 0.5}

        return compute

    for each in (FDPOTrainer, DPOTrainer):
        trainer = make(each, standard(), eval_dataset=Dataset.from_list(standard()), compute_metrics=metrics(each.__name__))
        with pytest.warns(FutureWarning) if each is DPOTrainer else _nothing():
            assert trainer.evaluate()["eval_mine"] == 0.5
    assert found["FDPOTrainer"] == pytest.approx(found["DPOTrainer"], abs=1e-4)


def _nothing():
    import contextlib

    return contextlib.nullcontext()


def test_callbacks_optimizers_and_adapters_are_those_given(make, folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    seen = []

    class Counts(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            seen.append(state.global_step)

    trainer = make(FDPOTrainer, standard(), model=model, optimizers=(optimizer, None), callbacks=[Counts()])
    trainer.train()
    assert seen == [1, 2]
    assert trainer.optimizer.optimizer is optimizer
    adapted = make(FDPOTrainer, standard(), peft_config=LoraConfig(r=2, target_modules=["q_proj"]))
    assert adapted.ref_model is None
    before = {name: each.clone() for name, each in adapted.model.named_parameters() if each.requires_grad}
    adapted.train()
    assert any(not torch.equal(before[name], each) for name, each in adapted.model.named_parameters() if name in before)


def test_what_it_has_no_place_for_is_refused_by_name(make):
    with pytest.raises(ConfigError, match="data_collator"):
        make(FDPOTrainer, standard(), data_collator=lambda rows: rows)
    with pytest.raises(ValueError, match="`train_dataset` is required"):
        make(FDPOTrainer, standard(), train_dataset=None)
    with pytest.raises(ConfigError, match="truncation_mode"), pytest.warns(FutureWarning):
        make(FDPOTrainer, standard(), truncation_mode="keep_end")
    with pytest.raises(ConfigError, match="'tools' cannot be used"):
        make(FDPOTrainer, [row | {"tools": "[1]"} for row in conversational()])
    with pytest.raises(ConfigError, match="at least one pair"):
        make(FDPOTrainer, standard(), train_dataset=Dataset.from_list([]))
    with pytest.raises(ConfigError, match="chosen and rejected"):
        make(FDPOTrainer, standard(), train_dataset=Dataset.from_list([{"prompt": "a"}]))
    with pytest.raises(ConfigError, match="list"):
        make(FDPOTrainer, standard(), train_dataset=standard())


def test_a_model_is_not_its_own_reference(make, folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with pytest.raises(ValueError, match="cannot be the same object"):
        make(FDPOTrainer, standard(), model=model, ref_model=model)


def test_options_in_the_place_of_the_reference_are_still_options(folder, tmp_path):
    args = FDPOConfig(str(tmp_path), use_cpu=True, bf16=False, report_to="none")
    assert FDPOTrainer(folder, args, train_dataset=Dataset.from_list(standard())).args.output_dir == str(tmp_path)


def test_gaps_may_have_columns_of_any_name(make):
    rows = [{**row, "plan_gap": 1.0, "better": 4.0} for row in standard()]
    options = {"segments": ["plan", "answer"], "gap_columns": ["plan_gap", "better"]}
    for streams in (False, True):
        trainer = make(FDPOTrainer, rows, streams=streams, **options)
        assert next(iter(trainer.train_dataset))["gap_plan"] == 1.0
        assert next(iter(trainer.train_dataset))["gap_answer"] == 4.0
    with pytest.raises(ConfigError, match="'plan_gap'"):
        make(FDPOTrainer, standard(), **options)


def test_segments_are_where_the_data_says(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoder = RowEncoder(tokenizer, segments=["first", "rest"], markup="drop")
    row = standard()[0] | {
        "chosen_spans": {"first": [0, 8], "rest": [8, 31]},
        "rejected_spans": {"first": [0, 3], "rest": None},
    }
    _, chosen, rejected = encoder([row], ("chosen", "rejected"))[0][0]
    assert tokenizer.decode(chosen.ids[chosen.segments == 0]) == " It is 7"
    assert tokenizer.decode(chosen.ids[chosen.segments == 1]) == ", since 3 and 4 make 7."
    assert (rejected.segments == 1).sum() == 0
    with pytest.raises(InputError, match="within 31 characters"):
        encoder([row | {"chosen_spans": {"first": [5, 99]}}], ("chosen", "rejected"))
    with pytest.raises(InputError, match="two for"):
        encoder([row, row | {"chosen_spans": {"first": [0, 2]}}], ("chosen", "rejected"))


@pytest.fixture
def vision(families):
    return families("qwen2_5_vl")


def test_images_are_cut_behind_their_last_token_alone(vision, pairs):
    _, processor = vision
    whole = RowEncoder(processor)
    prompt, chosen, _ = whole(pairs[:1], ("chosen", "rejected"))[0][0]
    size = len(prompt.ids)
    cut = RowEncoder(processor, max_length=size + 5, truncates=True)(pairs[:1], ("chosen", "rejected"))[0][0]
    assert torch.equal(cut[0].ids, prompt.ids)
    assert torch.equal(cut[1].ids, chosen.ids[:5])
    with pytest.raises(InputError, match="leaves no token of an answer"):
        RowEncoder(processor, max_length=size, truncates=True)(pairs[:1], ("chosen", "rejected"))
    inside = last_image(prompt, image_token_ids(processor)) - 1
    with pytest.raises(InputError, match="never cut"):
        RowEncoder(processor, max_length=inside, truncates=True)(pairs[:1], ("chosen", "rejected"))


def _vision_pair(make, vision, rows, **options):
    policy, processor = vision
    ref = copy.deepcopy(policy)
    with torch.no_grad():
        for parameter in ref.parameters():
            parameter.mul_(1.05)
    return [
        make(
            each, rows, model=copy.deepcopy(policy), ref_model=copy.deepcopy(ref), processing_class=copy.deepcopy(processor),
            **options,
        )
        for each in (FDPOTrainer, DPOTrainer)
    ]  # fmt: skip


def test_rows_with_images_cut_as_in_trl(make, vision, pairs):
    rows = [{name: row[name] for name in ("prompt", "chosen", "rejected")} | {"images": row["images"]} for row in pairs]
    data = Dataset.from_list(rows).cast_column("images", List(Image()))
    sizes = [len(RowEncoder(vision[1])([row], ("chosen", "rejected"))[0][0][0].ids) for row in data]
    ours, theirs = _vision_pair(make, vision, rows, train_dataset=data, max_length=max(sizes) + 9, truncation_mode="keep_start")
    assert_same(ours, theirs)


@pytest.mark.parametrize("form", ["standard", "conversational"])
def test_a_vision_model_reads_text_rows_as_trl_does(make, vision, form):
    assert_same(*_vision_pair(make, vision, FORMS[form]))


def test_a_vision_model_reads_plain_prompts_with_images(make, vision, image_paths):
    processor = vision[1]
    place = processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How tall?"}]}], add_generation_prompt=True
    )
    rows = [
        {"images": [path], "prompt": place, "chosen": "One metre.", "rejected": "Two or three metres."} for path in image_paths
    ]
    encoded, seen = RowEncoder(processor)(rows, ("chosen", "rejected"))
    assert len(encoded) == 3
    assert seen["image_grid_thw"].shape[0] == 3
    data = Dataset.from_list(rows).cast_column("images", List(Image()))
    assert_same(*_vision_pair(make, vision, rows, train_dataset=data, max_length=None))


def test_a_collator_of_ones_own_is_used(make, folder):
    collator = PairCollator(RowEncoder(AutoTokenizer.from_pretrained(folder), segments=["a"]))
    assert make(FDPOTrainer, standard(), data_collator=collator).data_collator is collator
