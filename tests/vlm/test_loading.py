"""A model's templates are tried whichever way it is loaded."""

import pytest
from transformers import LlamaConfig, LlamaForCausalLM

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.testing.tiny_models import CHAT_TEMPLATE, train_tokenizer
from spatialreasoner.vlm.loading import load_text_model


@pytest.mark.parametrize(("template", "said"), [(CHAT_TEMPLATE, None), ("{% include 'x' %}", "includes another file")])
def test_a_text_models_template_is_tried(tmp_path, template, said):
    tokenizer = train_tokenizer(["How wide is it?"] * 5, vocabulary=300)
    tokenizer.chat_template = template
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    if said is None:
        assert load_text_model(tmp_path)[1].chat_template == template
    else:
        with pytest.raises(ConfigError, match=said):
            load_text_model(tmp_path)
