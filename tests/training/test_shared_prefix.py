import copy

import pytest
import torch

from spatialreasoner.testing import tiny_models as tiny
from spatialreasoner.training import forward
from spatialreasoner.training.collate import Encoder, PairCollator
from spatialreasoner.training.forward import add_token_logps, padded, response_positions
from spatialreasoner.training.shared_prefix import ATTENTION, attention_of, disable_shared_prefix, enable_shared_prefix, packed


@pytest.fixture(scope="module", params=["llava", "qwen2_5_vl", "gemma3"])
def ready(request, texts):
    model, processor = tiny.make_tiny(request.param, texts)
    add_token_logps(model)
    enable_shared_prefix(model)
    return model.eval(), PairCollator(Encoder(processor))


def logps(ready, pairs, *, shared=True):
    """Log-probabilities of each pair's chosen and rejected tokens."""
    model, collator = ready
    batch = collator(pairs)
    inputs = packed(batch, model) if shared else padded(batch, pad_token_id=0)
    with torch.no_grad():
        sizes = [length for pair in batch["lengths"].tolist() for length in pair[1:]]
        return model(**inputs).split(sizes)


def test_neither_response_sees_the_other(ready, pairs):
    before = logps(ready, pairs)
    changed = copy.deepcopy(pairs)
    changed[0]["rejected"][0]["content"] += " And more, much more than before."
    after = logps(ready, changed)
    torch.testing.assert_close(after[0], before[0])
    assert len(after[1]) > len(before[1])
    changed = copy.deepcopy(pairs)
    changed[0]["chosen"][0]["content"] = "Shorter."
    torch.testing.assert_close(logps(ready, changed)[1], before[1])


def test_pairs_of_a_batch_do_not_see_each_other(ready, pairs):
    together = logps(ready, pairs)
    apart = [part for pair in pairs for part in logps(ready, [pair])]
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_text_alone_works_too(ready, pairs):
    for pair in pairs:
        pair["images"] = []
    for one, other in zip(logps(ready, pairs), logps(ready, pairs, shared=False), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_one_image_in_a_column_of_its_own_is_read(ready, pairs):
    expected = logps(ready, pairs[:1])
    pairs[0]["image"] = pairs[0].pop("images")[0]
    torch.testing.assert_close(logps(ready, pairs[:1]), expected)


def test_generation_is_unchanged(ready):
    model, _ = ready
    plain = copy.deepcopy(model)
    plain.set_attn_implementation("sdpa")
    ids = torch.tensor([[7, 8, 9, 10], [11, 12, 13, 14]])
    mask = torch.tensor([[0, 1, 1, 1], [1, 1, 1, 1]])
    options = {"max_new_tokens": 5, "do_sample": False, "attention_mask": mask, "pad_token_id": 0}
    assert torch.equal(model.generate(ids, **options), plain.generate(ids, **options))


def test_blocks_of_logits_give_the_same_values_and_gradients(ready, pairs, monkeypatch):
    model, collator = ready
    inputs = packed(collator(pairs), model)

    def value_and_gradient():
        model.zero_grad()
        found = model(**inputs)
        (found**2).sum().backward()
        return found.detach(), model.get_output_embeddings().weight.grad.clone()

    whole = value_and_gradient()
    monkeypatch.setattr(forward, "MAX_LOGITS", 7 * model.config.get_text_config().vocab_size)
    for one, other in zip(value_and_gradient(), whole, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_response_positions():
    assert response_positions([[2, 1, 2], [1, 1, 1]], device=torch.device("cpu")).tolist() == [2, 3, 4, 6, 7]


def test_the_models_own_attention_can_be_given_back(texts):
    model, _ = tiny.make_tiny("llava", texts)
    own = attention_of(model)
    enable_shared_prefix(model)
    enable_shared_prefix(model)
    assert attention_of(model) == f"{ATTENTION}_{own}"
    disable_shared_prefix(model)
    assert attention_of(model) == own
