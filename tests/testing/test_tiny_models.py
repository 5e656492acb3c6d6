import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.testing import tiny_models as tiny
from spatialreasoner.vlm.loading import load_vlm
from tiny import FAMILIES, without_torchvision

TEXTS = ["The red box is 12.5 m from the chair."] * 3


@pytest.fixture(scope="module")
def tokenizer():
    return tiny.train_tokenizer(TEXTS, vocabulary=300)


@settings(deadline=None)
@given(st.text())
def test_any_text_survives_the_tokenizer(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


def test_digits_are_tokens_of_their_own(tokenizer):
    assert tokenizer.tokenize("12.5") == ["1", "2", ".", "5"]


def test_the_same_seed_makes_the_same_model_and_leaves_chance_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, two, other = (tiny.make_tiny("llava", TEXTS, seed=seed, width=32)[0].state_dict() for seed in (0, 0, 1))
    assert torch.rand(1) == expected
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert any(not torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_loads_like_any_other(family, tmp_path):
    without_torchvision(family)
    made, _ = tiny.make_tiny(family, TEXTS, width=32)
    folder = tiny.build_tiny(family, tmp_path, TEXTS, width=32)
    model, processor = load_vlm(folder)
    assert type(model) is type(made)
    ends = model.generation_config.eos_token_id  # a template may end answers by another token as well
    assert processor.tokenizer.eos_token_id in (ends if isinstance(ends, list) else [ends])
    for name, value in made.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_unknown_families_are_said_by_name():
    with pytest.raises(ConfigError, match=r"expected a family of llava, .*got 'gpt'"):
        tiny.make_tiny("gpt", TEXTS)
