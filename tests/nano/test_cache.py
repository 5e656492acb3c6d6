"""A cache with room gives what a plain one gives."""

import torch
from transformers import LogitsProcessorList
from transformers.cache_utils import DynamicCache, DynamicLayer

from spatialreasoner.nano.cache import ROOM, PreallocatedCache, PreallocatedLayer
from spatialreasoner.nano.tokenizer import IMAGE


def both(*changes):
    """Keys and values of a plain and a preallocated layer after the same changes: numbers of columns to add, or functions."""
    layers = DynamicLayer(), PreallocatedLayer()
    for seed, change in enumerate(changes):
        for layer in layers:
            if callable(change):
                change(layer)
            else:
                rows = layer.keys.shape[0] if layer.is_initialized else 3
                torch.manual_seed(seed)
                found = layer.update(torch.randn(rows, 2, change, 4), torch.randn(rows, 2, change, 4))
                assert found[0] is layer.keys
                assert found[1] is layer.values
    return layers


def assert_equal(plain, preallocated):
    assert torch.equal(plain.keys, preallocated.keys)
    assert torch.equal(plain.values, preallocated.values)
    assert plain.get_seq_length() == preallocated.get_seq_length()


def test_columns_are_added_in_place_until_the_room_is_full():
    plain, preallocated = both(5, 1, 1)
    first = preallocated.keys.data_ptr()
    assert_equal(plain, preallocated)
    assert preallocated.keys[0, 0, 0].data_ptr() == first
    plain, preallocated = both(ROOM - 1, 1, 1, 2 * ROOM, 1)
    assert_equal(plain, preallocated)


def test_a_step_copies_nothing():
    layer = PreallocatedLayer()
    layer.update(torch.ones(1, 1, 3, 2), torch.ones(1, 1, 3, 2))
    before = layer.keys
    layer.update(torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 2))
    assert layer.keys.data_ptr() == before.data_ptr()
    assert torch.equal(layer.keys[..., :3, :], before)


def test_rows_may_be_repeated_chosen_and_cropped_between_steps():
    rows = torch.tensor([2, 0])
    for change in (
        lambda layer: layer.batch_select_indices(rows),
        lambda layer: layer.batch_repeat_interleave(2),
        lambda layer: layer.crop(-2),
        lambda layer: layer.reset(),
    ):
        assert_equal(*both(4, change, 1, 1))


def test_answers_that_ended_are_let_go_once_they_are_a_quarter():
    cache = PreallocatedCache(1, ends=[9])
    columns = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 2, 3, 4)
    assert cache.let_go(torch.zeros(8, 3, dtype=torch.long)) is None  # the prompts
    cache.update(columns, columns, 0)
    step = torch.tensor([[1], [9], [1], [1], [1], [1], [1], [1]])
    assert cache.let_go(step) is None
    step = torch.tensor([[1], [0], [1], [9], [1], [1], [1], [1]])
    assert cache.let_go(step).tolist() == [0, 2, 4, 5, 6, 7]
    assert cache.layers[0].keys[:, 0, 0, 0].tolist() == [0, 2, 4, 5, 6, 7]
    step = torch.tensor([[9], [0], [9], [0], [1], [9], [9], [9]])
    assert cache.let_go(step).tolist() == [4]


def test_rows_that_ended_change_no_other_row(nano, image):
    prompt = f"<|user|>{IMAGE}How far apart are <region1> and <region2>?<|end|><|assistant|>"
    batch = nano[1](images=[[image(seed)] for seed in range(6)], text=[prompt + "a" * seed for seed in range(6)], padding=True)
    end = nano[0].generation_config.eos_token_id
    lengths = torch.tensor([2, 9, 4, 12, 1, 7]) + batch["input_ids"].shape[1]

    def end_it(ids, scores):  # each row ends at a length of its own
        scores[ids.shape[1] == lengths] = -torch.inf
        scores[:, end] = torch.where(ids.shape[1] == lengths, 0.0, -torch.inf)
        return scores

    sizes = []
    hook = nano[0].lm_head.register_forward_pre_hook(lambda _module, given: sizes.append(len(given[0])))
    options = {"max_new_tokens": 20, "do_sample": False, "logits_processor": LogitsProcessorList([end_it])}
    written = nano[0].generate(**batch, **options)
    hook.remove()
    plain = nano[0].generate(**batch, **options, past_key_values=DynamicCache())
    assert torch.equal(written, plain)
    assert sizes[0] == 6
    assert sizes[-1] == 1


def test_generation_takes_room_unless_it_is_given_a_cache(nano):
    asked = nano[1](text=["<|user|>Why?<|end|><|assistant|>"])
    options = {"max_new_tokens": 3, "return_dict_in_generate": True, "pad_token_id": 0}
    cache = nano[0].generate(**asked, **options).past_key_values
    assert {type(layer) for layer in cache.layers} == {PreallocatedLayer}
    own = DynamicCache()
    assert nano[0].generate(**asked, **options, past_key_values=own).past_key_values is own
    assert {type(layer) for layer in own.layers} == {DynamicLayer}
