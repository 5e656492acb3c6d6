"""Text models: the same trainer, collator and reference, with a tokenizer in the place of a processor."""

import copy

import pytest
from datasets import Dataset
from transformers import AutoTokenizer, LlamaForCausalLM

from spatialreasoner.core.errors import InputError
from spatialreasoner.training.collate import Encoder
from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer
from spatialreasoner.training.reference import reference_key
from tiny import tiny_llama

SEGMENTS = ["plan", "answer"]
TEXTS = [
    ("<plan>Add both.</plan>\n<answer>7</answer>", "<plan>Subtract.</plan>\n<answer>1</answer>"),
    ("<plan>Double it.</plan>\n<answer>14</answer>", "<plan>Double it, then add one.</plan>\n<answer>14</answer>"),
    ("<plan>Halve.</plan>\n<answer>3.5</answer>", "<plan>Halve.</plan>\n<answer>4</answer>"),
]
GAPS = [(4.0, 4.0), (4.0, 0.0), (0.0, 4.0)]

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny Llama with grouped heads."""
    return tiny_llama(tmp_path_factory.mktemp("llama"), ["What is 3 plus 4?", *(side for pair in TEXTS for side in pair)])


@pytest.fixture
def rows():
    return [
        {
            "prompt": [{"role": "user", "content": "What is 3 plus 4?" * length}],
            "chosen": [{"role": "assistant", "content": chosen}],
            "rejected": [{"role": "assistant", "content": rejected}],
            **{f"gap_{name}": gap for name, gap in zip(SEGMENTS, gaps, strict=True)},
        }
        for length, ((chosen, rejected), gaps) in enumerate(zip(TEXTS, GAPS, strict=True), start=1)
    ]


def trained(folder, rows, out, **options):
    """The losses of three steps."""
    trainer = FDPOTrainer(
        LlamaForCausalLM.from_pretrained(folder),
        FDPOConfig(**arguments(out), segments=SEGMENTS, **options),
        processing_class=AutoTokenizer.from_pretrained(folder),
        train_dataset=Dataset.from_list(copy.deepcopy(rows)),
    )
    trainer.train()
    return losses(trainer), trainer


def arguments(out):
    return {
        "output_dir": str(out), "use_cpu": True, "bf16": False, "report_to": "none", "save_strategy": "no",
        "per_device_train_batch_size": 3, "max_steps": 3, "logging_steps": 1, "disable_tqdm": True, "learning_rate": 1e-2,
    }  # fmt: skip


def losses(trainer):
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("precompute", [False, True])
@pytest.mark.parametrize("shared_prefix", [True, False])
def test_at_alpha_zero_it_trains_as_trl_does(folder, rows, tmp_path, precompute, shared_prefix, caplog):
    from trl import DPOConfig, DPOTrainer

    theirs = DPOTrainer(
        LlamaForCausalLM.from_pretrained(folder),
        args=DPOConfig(**arguments(tmp_path / "theirs"), max_length=None),
        processing_class=AutoTokenizer.from_pretrained(folder),
        train_dataset=Dataset.from_list(
            [{key: value for key, value in row.items() if not key.startswith("gap_")} for row in rows]
        ),
    )
    theirs.train()
    ours, trainer = trained(
        folder, rows, tmp_path / "ours", fdpo_alpha=0.0, precompute_ref_log_probs=precompute, shared_prefix=shared_prefix
    )
    assert ours == pytest.approx(losses(theirs), abs=1e-4)
    assert ours[-1] < 0.6 < ours[0]  # ln 2 at the start
    assert trainer.shares_prefix is shared_prefix
    assert not [record for record in caplog.records if "share" in record.message]  # nothing to see is nothing to warn of


@pytest.mark.parametrize(
    ("theirs", "ours"),  # TRL's own sigmoid ignores label smoothing
    [
        ({"loss_type": ["robust"], "label_smoothing": 0.1}, {"loss_type": ["robust"], "label_smoothing": 0.1}),
        ({"loss_type": ["hinge"]}, {"loss_type": "hinge"}),
        ({"loss_type": ["ipo"]}, {"loss_type": "ipo"}),
        ({"loss_type": ["sigmoid_norm"], "beta": 2.0}, {"loss_type": "sigmoid_norm", "beta": 2.0}),
        ({"loss_type": ["sigmoid_norm"], "beta": 2.0}, {"length_normalization": "answer", "beta": 2.0}),
    ],
    ids=["robust", "hinge", "ipo", "sigmoid_norm", "per token"],
)
def test_other_losses_at_alpha_zero_train_as_trls_do(folder, rows, tmp_path, theirs, ours):
    from trl import DPOConfig, DPOTrainer

    trainer = DPOTrainer(
        LlamaForCausalLM.from_pretrained(folder),
        args=DPOConfig(**arguments(tmp_path / "theirs"), max_length=None, **theirs),
        processing_class=AutoTokenizer.from_pretrained(folder),
        train_dataset=Dataset.from_list(
            [{key: value for key, value in row.items() if not key.startswith("gap_")} for row in rows]
        ),
    )
    trainer.train()
    found, _ = trained(folder, rows, tmp_path / "ours", fdpo_alpha=0.0, **ours)
    assert found == pytest.approx(losses(trainer), abs=1e-4)
    assert abs(found[-1] - found[0]) > 1e-3


def test_simpo_needs_no_reference(folder, rows, tmp_path):
    found, trainer = trained(
        folder, rows, tmp_path, loss_type="simpo", beta=2.0, simpo_gamma=0.5, precompute_ref_log_probs=True
    )
    assert trainer.ref_model is None
    assert not (tmp_path / "reference.jsonl").exists()
    assert found[-1] < found[0]


def test_weights_take_the_place_of_gaps(folder, rows, tmp_path):
    rows[0] |= {"weight_plan": 0.0, "weight_answer": 2.0}
    rows[1] |= {"weight_plan": None, "weight_answer": None}
    rows[2] |= {"weight_plan": None, "weight_answer": None}
    _, trainer = trained(folder, rows, tmp_path, segment_weights={"plan": 3.0, "answer": 1.0}, beta=0.1)
    last = next(entry for entry in reversed(trainer.state.log_history) if "betas/plan" in entry)
    assert last["betas/plan"] == pytest.approx((0.0 + 0.15 + 0.15) / 3)
    assert last["betas/answer"] == pytest.approx((0.2 + 0.05 + 0.05) / 3)


def test_gaps_change_what_is_learned(folder, rows, tmp_path):
    plain, _ = trained(folder, rows, tmp_path / "dpo", fdpo_alpha=0.0)
    fine, trainer = trained(folder, rows, tmp_path / "fdpo", fdpo_alpha=0.9)
    assert plain[0] == pytest.approx(fine[0], abs=1e-6)
    assert plain[1:] != pytest.approx(fine[1:], abs=1e-4)
    last = next(entry for entry in reversed(trainer.state.log_history) if "loss" in entry)
    assert {"betas/plan", "betas/answer", "rewards/margins/plan"} <= last.keys()


def test_each_segment_has_its_tokens(folder, rows):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    _, chosen, _ = Encoder(tokenizer, segments=SEGMENTS, markup="drop")(rows, ("chosen", "rejected"))[0][0]
    texts = [tokenizer.decode(chosen.ids[chosen.segments == index]) for index in range(2)]
    assert "Add both" in texts[0]
    assert "7" in texts[1]


def test_images_are_refused(folder, rows, image_paths):
    encoder = Encoder(AutoTokenizer.from_pretrained(folder), segments=SEGMENTS)
    with pytest.raises(InputError, match="text model"):
        encoder([{**rows[0], "images": image_paths[:1]}], ("chosen", "rejected"))


def test_another_tokenizer_is_another_reference(folder):
    model, tokenizer = LlamaForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    key = reference_key(model, tokenizer, segments=SEGMENTS, markup="base")
    assert key == reference_key(model, tokenizer, segments=SEGMENTS, markup="base")
    tokenizer.chat_template += " "
    assert key["processor"] != reference_key(model, tokenizer, segments=SEGMENTS, markup="base")["processor"]
