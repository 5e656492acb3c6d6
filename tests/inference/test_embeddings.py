"""A tiny BERT, built from its configuration."""

import numpy as np
import pytest

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.inference.backends.embeddings import TransformersEmbedder

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "sofa", "coffee", "table", "##s"]
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def test_a_text_is_the_mean_of_its_tokens_whatever_stands_beside_it(folder):
    model = TransformersEmbedder(str(folder))
    alone, together = model.embed(["sofa"]), model.embed(["sofa", "coffee tables " * 100])
    assert alone.shape == (1, 16)
    assert np.linalg.norm(together, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert alone[0] == pytest.approx(together[0], abs=1e-5)  # padding does not count
    bert = transformers.BertModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        states = bert(torch.tensor([[2, 5, 3]])).last_hidden_state[0].mean(dim=0)
    assert alone[0] == pytest.approx((states / states.norm()).numpy(), abs=1e-5)


def test_the_weights_are_its_identity(folder, tmp_path):
    first = TransformersEmbedder(str(folder)).identity
    assert first == TransformersEmbedder(str(folder)).identity
    model = transformers.BertModel.from_pretrained(folder)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight += 1
    model.save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path)
    assert TransformersEmbedder(str(tmp_path)).identity.split()[1] != first.split()[1]


def test_pickles_are_refused(folder, tmp_path):
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match="pickle"):
        TransformersEmbedder(str(tmp_path))


def test_what_is_not_a_text_encoder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="sentence-embedding"):
        TransformersEmbedder(str(tmp_path))
