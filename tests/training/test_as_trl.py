"""What scripts written for `DPOTrainer` do beside training: what is logged and evaluated, adapters, and rows left unread."""

import copy

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, PromptTuningConfig, TaskType, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer

from spatialreasoner.core.errors import ConfigError, InputError, RecordError
from spatialreasoner.training.collate import PairCollator
from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer
from spatialreasoner.training.row_encoder import RowEncoder
from tiny import other_llama, tiny_llama

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")  # TRL reads old names

BOTH = (FDPOTrainer, DPOTrainer)
ROWS = [
    {"prompt": "What is 3 plus 4?", "chosen": " It is 7, since 3 and 4 make 7.", "rejected": " It is 8."},
    {"prompt": "Which is larger, 9 or 11?", "chosen": " 11 is larger.", "rejected": " 9 is larger, I would say."},
    {"prompt": "Is the box left of the chair?", "chosen": " Left of it.", "rejected": " Right of it."},
]


def turn(role, content, **more):
    return {"role": role, "content": content, **more}


CHAT = [
    {
        "prompt": [turn("user", row["prompt"])],
        "chosen": [turn("assistant", row["chosen"].strip())],
        "rejected": [turn("assistant", row["rejected"].strip())],
    }
    for row in ROWS
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_llama(tmp_path_factory.mktemp("llama"), [text for row in ROWS for text in row.values()])


@pytest.fixture
def make(folder, tmp_path):
    def make(trainer, rows=ROWS, *, options=None, **given):
        common = {
            "output_dir": str(tmp_path / trainer.__name__), "use_cpu": True, "bf16": False, "report_to": "none", "max_steps": 2,
            "per_device_train_batch_size": 3, "logging_steps": 1, "disable_tqdm": True, "learning_rate": 1e-2,
            "save_strategy": "no", "gradient_checkpointing": False,
        }  # fmt: skip
        data = Dataset.from_list(copy.deepcopy(rows), on_mixed_types="use_json")
        args = DPOConfig(**common | (options or {}))
        return trainer(**{"model": folder, "args": args, "train_dataset": data} | given)

    return make


def logged(trainer):
    trainer.train()
    names = ("loss", "rewards/chosen", "rewards/rejected", "rewards/margins", "logps/chosen", "grad_norm")
    return [[entry[name] for name in names] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize(
    "options", [{}, {"loss_type": "ipo"}, {"loss_type": "sigmoid_norm"}, {"loss_type": "robust", "label_smoothing": 0.2}]
)
def test_rewards_are_logged_as_in_trl(make, folder, options):
    ours, theirs = (logged(make(each, options=options, ref_model=other_llama(folder))) for each in BOTH)
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("kind", ["a configuration", "a configuration and a reference", "a trained adapter"])
def test_adapters_and_their_references_are_trls(make, folder, kind):
    def adapted():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        return get_peft_model(model, LoraConfig(init_lora_weights=False, target_modules=["q_proj", "v_proj"]))

    found = []
    for each in BOTH:
        given = {"peft_config": LoraConfig(target_modules=["q_proj", "v_proj"])}
        if kind == "a trained adapter":
            given = {"model": adapted()}
        elif kind == "a configuration and a reference":
            given["ref_model"] = other_llama(folder)
        found.append(logged(make(each, **given)))
    torch.testing.assert_close(*map(torch.tensor, found), atol=1e-3, rtol=1e-3)


def test_new_pairs_are_evaluated_against_a_given_reference_that_was_precomputed(make, folder):
    found = []
    for each in BOTH:
        trainer = make(each, options={"precompute_ref_log_probs": True}, ref_model=other_llama(folder))
        trainer.train()
        metrics = trainer.evaluate(Dataset.from_list(ROWS[:2]))
        found.append([metrics["eval_loss"], metrics["eval_rewards/margins"]])
    assert found[0] == pytest.approx(found[1], abs=1e-4)


def test_adapters_with_virtual_tokens_are_refused(make, folder):
    config = PromptTuningConfig(task_type=TaskType.CAUSAL_LM, num_virtual_tokens=4)
    with pytest.raises(ConfigError, match="virtual tokens"):
        make(FDPOTrainer, peft_config=config)
    with pytest.raises(ConfigError, match="virtual tokens"):
        make(FDPOTrainer, model=get_peft_model(AutoModelForCausalLM.from_pretrained(folder), config))


def test_what_is_no_processor_and_rows_that_are_cut_to_nothing_are_refused(make):
    with pytest.raises(ConfigError, match="processing_class must be"):
        make(FDPOTrainer, processing_class=object())
    with pytest.raises(ConfigError, match="leaves no token of an answer in any pair"):
        make(FDPOTrainer, options={"max_length": 3})


CALL = turn("assistant", "", tool_calls=[{"type": "function", "function": {"name": "add", "arguments": {"a": 3}}}])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (CHAT[0] | {"tools": '[{"type": "function"}]'}, "'tools'"),
        (CHAT[0] | {"chat_template_kwargs": {"enable_thinking": True}}, "'chat_template_kwargs'"),
        (CHAT[0] | {"prompt": [*CHAT[0]["prompt"], CALL, turn("tool", "7")]}, "'tool_calls'"),
        (CHAT[0] | {"chosen": [CALL]}, "'tool_calls'"),
        (CHAT[0] | {"chosen": [turn("assistant", "7", reasoning_content="3 and 4.")]}, "'reasoning_content'"),
        (CHAT[0] | {"chosen": [*CHAT[0]["chosen"], turn("user", "Why?"), turn("assistant", "So.")]}, "one message"),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_what_a_row_says_beside_its_texts_is_not_left_out_without_a_word(make, row, message, place):
    rows = [dict.fromkeys(row) | each for each in CHAT[1:]]  # `datasets` has the columns of the first row
    rows.insert(place, row)
    with pytest.raises(InputError, match=message):
        make(FDPOTrainer, rows, options={"max_length": None}).train()


def test_columns_that_say_nothing_are_no_matter(make):
    rows = [row | {"tools": "[]", "chat_template_kwargs": {"enable_thinking": None}} for row in CHAT]
    make(FDPOTrainer, rows).train()


def test_a_file_of_rows_is_read_as_strictly(tmp_path):
    from spatialreasoner.core import records
    from spatialreasoner.training.data import read_preferences

    records.write_jsonl(tmp_path / "rows.jsonl", [CHAT[0] | {"chosen": CALL}])
    with pytest.raises(RecordError, match="'tool_calls'"):
        read_preferences(tmp_path / "rows.jsonl")


def scored(**gaps):
    tagged = {side: f"<plan>Add.</plan><answer>{answer}</answer>" for side, answer in (("chosen", 7), ("rejected", 8))}
    return [{"prompt": row["prompt"], **tagged, **gaps} for row in ROWS]


@pytest.mark.parametrize(
    ("rows", "segments", "message"),
    [
        (scored(gap_plann=1.0, gap_answer=2.0), ["plan", "answer"], "gap_plann are not used: the segments are plan, answer"),
        (scored(gap_plan=1.0, gap_reply=2.0), ["plan", "reply"], "none of the first 3 pairs with gaps has the segment 'reply'"),
        (scored(gap_plan=1.0, gap_answer=2.0, gap_reply=None), ["plan", "answer"], None),
        (scored(), ["plan", "reply"], None),
    ],
)
def test_gaps_that_cannot_count_are_told_before_training(folder, tmp_path, caplog, rows, segments, message):
    args = FDPOConfig(str(tmp_path), use_cpu=True, report_to="none", segments=segments, max_steps=1)
    for data in (Dataset.from_list(rows), Dataset.from_list(rows).to_iterable_dataset()):
        caplog.clear()
        FDPOTrainer(folder, None, args, None, data)
        said = [record.getMessage() for record in caplog.records if record.name == "spatialreasoner.training.rows"]
        assert len(said) == (message is not None)
        assert message is None or message in said[0]


@pytest.mark.parametrize("wrong", ["2", True, float("inf"), [1.0]])
def test_gaps_that_are_no_finite_numbers_are_refused(folder, wrong):
    collator = PairCollator(RowEncoder(AutoTokenizer.from_pretrained(folder), segments=["plan", "answer"]))
    row = scored(gap_plan=1.0, gap_answer=float("nan"))[0]
    assert collator([row])["gaps"].isnan().tolist() == [[False, True]]
    with pytest.raises(InputError, match="gap_plan must be a finite number or None"):
        collator([row | {"gap_plan": wrong}])
