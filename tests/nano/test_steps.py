"""Steps written out give what the decoder's modules give."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers.cache_utils import DynamicCache

from spatialreasoner.nano.steps import Steps, is_plain
from spatialreasoner.nano.tokenizer import IMAGE

OPTIONS = {"max_new_tokens": 90, "min_new_tokens": 90, "return_dict_in_generate": True, "output_scores": True}


@pytest.mark.parametrize("sample", [False, True])
def test_padded_rows_are_written_as_by_the_modules(nano, image, sample):
    prompts = [f"<|user|>{IMAGE}{'Where is it? ' * k}<region2> and <region1><|end|><|assistant|>" for k in range(3)]
    asked = nano[1](images=[[image(k)] for k in range(3)], text=prompts, padding=True)
    found = []
    for options in ({}, {"past_key_values": DynamicCache()}):
        torch.manual_seed(0)
        found.append(nano[0].generate(**asked, **OPTIONS, do_sample=sample, **options))
    assert found[0].past_key_values.steps is not None
    assert torch.equal(found[0].sequences, found[1].sequences)
    torch.testing.assert_close(torch.stack(found[0].scores), torch.stack(found[1].scores), atol=2e-4, rtol=1e-4)


def test_weights_are_those_of_the_moment(nano):
    asked = nano[1](text=["<|user|>Why?<|end|><|assistant|>"])
    model = copy.deepcopy(nano[0])
    before = model.generate(**asked, **OPTIONS, do_sample=False).sequences
    with torch.no_grad():
        for weights in model.model.language_model.layers[0].parameters():
            weights.copy_(torch.randn(weights.shape, generator=torch.Generator().manual_seed(1)))
    assert not torch.equal(model.generate(**asked, **OPTIONS, do_sample=False).sequences, before)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft reads it
def test_what_changes_the_products_goes_by_the_modules(nano):
    model = copy.deepcopy(nano[0])
    assert is_plain(model.model.language_model)
    adapted = get_peft_model(model, LoraConfig(target_modules=["q_proj"], init_lora_weights=False))
    assert not is_plain(adapted.base_model.model.model.language_model)
    asked = nano[1](text=["<|user|>Why?<|end|><|assistant|>"])
    assert adapted.generate(**asked, **OPTIONS, do_sample=False).past_key_values.steps is None
    assert is_plain(adapted.merge_and_unload().model.language_model)


def test_whoever_asks_for_hidden_states_gets_them(nano):
    asked = nano[1](text=["<|user|>Why?<|end|><|assistant|>"])
    found = nano[0].generate(**asked, max_new_tokens=3, return_dict_in_generate=True, output_hidden_states=True)
    assert len(found.hidden_states[-1]) == 1 + nano[0].config.text_config.num_hidden_layers


def test_half_precision_stays_half(nano):
    decoder = copy.deepcopy(nano[0].model.language_model).bfloat16()
    cache, embeds = DynamicCache(), torch.randn(2, 1, decoder.config.hidden_size).bfloat16()
    places = torch.zeros(2, 1, dtype=torch.long)
    stepped = Steps(decoder)(embeds, places, None, cache)
    assert stepped.dtype == torch.bfloat16
    plain = decoder(inputs_embeds=embeds, position_ids=places).last_hidden_state
    torch.testing.assert_close(stepped.float(), plain.float(), atol=0.1, rtol=0.1)
