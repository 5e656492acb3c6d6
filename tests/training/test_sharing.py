"""Which architectures may share prefixes: told by their structure, and by trying."""

import logging

import pytest
import torch
import transformers
from datasets import Dataset

from spatialreasoner.testing.tiny_models import CHAT_TEMPLATE, train_tokenizer
from spatialreasoner.training import sharing, trie_attention
from spatialreasoner.training.collate import Encoder, PairCollator
from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer
from spatialreasoner.training.forward import add_token_logps, padded
from spatialreasoner.training.shared_prefix import enable_shared_prefix, packed

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")

TEXTS = [
    "<plan>Add both of them.</plan>\n<answer>7</answer>",
    "<plan>Add both, and then one more.</plan>\n<answer>8</answer>",
    "<plan>Subtract.</plan>\n<answer>1</answer>",
]
SIZE = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 8, "bos_token_id": None,
}  # fmt: skip
EXPERTS = {"num_local_experts": 4, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
LINEAR = {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 8}
STATE = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1, "mamba_d_ssm": 64}

SHARING = {
    "Llama": {},
    "Qwen3": {},
    "Gemma2": {"sliding_window": 6, "query_pre_attn_scalar": 8, "attn_logit_softcapping": 1.0},
    "Gemma3Text": {"sliding_window": 6, "query_pre_attn_scalar": 8},
    "Cohere2": {"sliding_window": 6},
    "GptOss": {"sliding_window": 6, **EXPERTS},
    "Mixtral": EXPERTS,
}
RECURRENT = {
    "Qwen3Next": {"layer_types": ["linear_attention", "full_attention"], **LINEAR, **EXPERTS},
    "Qwen3_5Text": {"layer_types": ["linear_attention", "full_attention"], **LINEAR},
    "Lfm2": {"layer_types": ["conv", "full_attention"]},
    "FalconH1": STATE,
    "Mamba": {"state_size": 8},
    "Bamba": {"attn_layer_indices": [1], **STATE},
    "RecurrentGemma": {"block_types": ["recurrent", "attention"], "lru_width": 32, "attention_window_size": 8},
}


@pytest.fixture(scope="module")
def tokenizer():
    tokenizer = train_tokenizer(["What is 3 plus 4?", *TEXTS] * 5, vocabulary=300)
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


@pytest.fixture
def rows():
    return [
        {
            "prompt": [{"role": "user", "content": "What is 3 plus 4?" + " And then?" * more}],
            "chosen": [{"role": "assistant", "content": TEXTS[0]}],
            "rejected": [{"role": "assistant", "content": rejected}],
            "gap_plan": 1.0,
            "gap_answer": 3.0,
        }
        for more in range(2)
        for rejected in TEXTS[1:]
    ]


def build(name, options, tokenizer, **more):
    """A tiny model of that class, its weights at a scale at which tokens matter."""
    config = getattr(transformers, f"{name}Config")(
        vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
        **SIZE | options, **more,
    )  # fmt: skip
    torch.manual_seed(0)
    model = getattr(transformers, f"{name.removesuffix('Text')}ForCausalLM")(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def trainer_of(model, rows, tokenizer, folder, **options):
    args = FDPOConfig(
        output_dir=str(folder), activation_checkpointing=False, use_cpu=True, report_to="none", segments=["plan", "answer"],
        **{"bf16": False, "per_device_train_batch_size": 4} | options,
    )  # fmt: skip
    return FDPOTrainer(model, args=args, processing_class=tokenizer, train_dataset=Dataset.from_list(rows))


@pytest.mark.parametrize("name", SHARING)
def test_layers_that_read_by_masks_share_and_are_right_by_the_models_own_attention(name, rows, tokenizer, tmp_path):
    model, own = (build(name, SHARING[name], tokenizer) for _ in range(2))
    assert sharing.cannot_share(model) == ""
    collator = PairCollator(Encoder(tokenizer, segments=["plan", "answer"]))
    batch, found = collator(rows), []
    add_token_logps(own)  # its attention is never touched
    add_token_logps(model)
    enable_shared_prefix(model)
    for each, inputs in ((model, packed(batch, model)), (own, padded(batch, pad_token_id=0))):
        logps = each(**inputs)
        (logps * torch.linspace(-1, 1, len(logps))).sum().backward()
        found.append((logps.detach(), {key: value.grad for key, value in each.named_parameters() if value.grad is not None}))
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-4, rtol=1e-5)
    assert found[0][1].keys() == found[1][1].keys()
    for key, gradient in found[1][1].items():
        scale = max(1.0, gradient.abs().max().item())
        torch.testing.assert_close(found[0][1][key] / scale, gradient / scale, atol=1e-4, rtol=1e-4, msg=key)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", SHARING)
def test_trying_agrees_in_every_precision(name, precision, rows, tokenizer, tmp_path):
    model = build(name, SHARING[name], tokenizer).to(getattr(torch, precision))
    trainer = trainer_of(model, rows, tokenizer, tmp_path)
    trainer.compute_loss(trainer.model, trainer.data_collator(rows))
    assert trainer.shares_prefix is True


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers_are_told_by_structure(name, tokenizer):
    assert sharing.cannot_share(build(name, RECURRENT[name], tokenizer))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["Lfm2", "Qwen3_5Text"])
def test_recurrent_layers_train_by_separate_rows_and_say_so(name, precision, rows, tokenizer, tmp_path, caplog, monkeypatch):
    model = build(name, RECURRENT[name], tokenizer).to(getattr(torch, precision))
    trainer = trainer_of(model, rows, tokenizer, tmp_path)
    batch = trainer.data_collator(rows)
    with caplog.at_level(logging.WARNING):
        loss = trainer.compute_loss(trainer.model, batch)
    assert "cannot share prefixes: it has layers of the kind" in caplog.text
    apart = trainer_of(build(name, RECURRENT[name], tokenizer).to(model.dtype), rows, tokenizer, tmp_path, shared_prefix=False)
    torch.testing.assert_close(loss, apart.compute_loss(apart.model, batch))
    # Where structure does not tell, trying does, in half precision as well
    monkeypatch.setattr("spatialreasoner.training.trying.cannot_share", lambda _: "")
    tried = trainer_of(build(name, RECURRENT[name], tokenizer).to(model.dtype), rows, tokenizer, tmp_path)
    with caplog.at_level(logging.WARNING):
        tried.compute_loss(tried.model, batch)
    assert tried.shares_prefix is False
    assert "with its siblings" in caplog.text


def test_a_wrong_attention_is_found_in_half_precision(rows, tokenizer, tmp_path, monkeypatch, caplog):
    whole = slice(None)
    monkeypatch.setattr(trie_attention, "attended_spans", lambda trie: [(whole, whole, True)])
    trainer = trainer_of(build("Llama", {}, tokenizer).bfloat16(), rows, tokenizer, tmp_path)
    trainer.compute_loss(trainer.model, trainer.data_collator(rows))
    assert trainer.shares_prefix is False
    assert "change by up to" in caplog.text


def test_dropped_sinks_are_found(rows, tokenizer, tmp_path, monkeypatch, caplog):
    model = build("GptOss", SHARING["GptOss"], tokenizer)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.sinks.fill_(2.0)
    whole = trie_attention.attend_trie
    monkeypatch.setattr(
        "spatialreasoner.training.shared_prefix.attend_trie",
        lambda *args, **options: whole(*args, **{**options, "sinks": None}),
    )
    trainer = trainer_of(model, rows, tokenizer, tmp_path)
    trainer.compute_loss(trainer.model, trainer.data_collator(rows))
    assert trainer.shares_prefix is False
    assert "from those of separate rows" in caplog.text


def test_rows_that_are_tried_have_images_and_none_and_share(image_paths):
    def row(images):
        return {"images": images, "prompt": "?"}

    blind, one, other = row([]), row(image_paths[:1]), row(image_paths[1:])
    assert sharing.probes([blind, blind, blind, one, other, one]) == [blind, blind, one, one]
    assert sharing.probes([one, other, blind, one]) == [one, other, blind, one]
    assert sharing.probes([one]) == [one]


class Shifted(transformers.LlamaForCausalLM):
    """A head that depends on what else is given: no hidden state alone tells its logits."""

    def forward(self, input_ids=None, **kwargs):
        output = super().forward(input_ids=input_ids, **kwargs)
        output.logits = output.logits + torch.nn.functional.one_hot(input_ids, output.logits.shape[-1]) * 3.0
        return output


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_head_that_hidden_states_do_not_tell_is_found_on_the_first_rows(precision, rows, tokenizer, tmp_path, caplog):
    model = build("Llama", {}, tokenizer)
    odd = Shifted(model.config).eval().to(getattr(torch, precision))
    odd.load_state_dict(model.state_dict())
    with caplog.at_level(logging.WARNING):
        trainer = trainer_of(odd, rows, tokenizer, tmp_path)
        shared = trainer.compute_loss(trainer.model, trainer.data_collator(rows))
    assert "computes its logits in its own way: log-probabilities differ by up to" in caplog.text
    assert trainer.shares_prefix is True
    batch = trainer.data_collator(rows)
    with torch.no_grad():
        found = trainer.model(**packed(batch, trainer.model))
        plain = sharing.plain_logps(
            trainer.model, trainer.model, [trainer.data_collator([row]) for row in rows], pad_token_id=0
        )
    scale = 1e-5 if precision == "float32" else 0.3
    torch.testing.assert_close(found.float(), plain, atol=scale, rtol=0)
    assert torch.isfinite(shared)


def test_rows_with_images_that_come_late_are_tried_as_well():
    late = [{"images": [], "prompt": "?"}] * (sharing.PROBED + 3) + [{"images": ["a.png"], "prompt": "!"}]
    assert [row["prompt"] for row in sharing.probes(Dataset.from_list(late))] == ["?", "?", "!"]
    early = [{"images": ["a.png"], "prompt": "!"}] * (sharing.PROBED + 3) + [{"images": [], "prompt": "?"}]
    assert [row["prompt"] for row in sharing.probes(Dataset.from_list(early))] == ["!", "!", "?"]
