import json

import pytest

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.training.reference import ReferenceCache, pair_digest

KEY = {"model": "a", "dtype": "torch.float32"}


@pytest.fixture
def computed():
    """What was computed, in order."""
    return []


@pytest.fixture
def compute(computed):
    def compute(examples):
        computed.extend(example["question_id"] for example in examples)
        return [([0.1 * len(example["question_id"]), -1.0], [-2.5, 1e-30]) for example in examples]

    return compute


def test_each_pair_is_computed_once(tmp_path, pairs, compute, computed):
    path = tmp_path / "reference.jsonl"
    first = ReferenceCache(path, KEY).complete(pairs, compute, batch_size=2)
    assert len(computed) == 3
    again = ReferenceCache(path, KEY).complete(pairs[::-1], compute, batch_size=2)
    assert len(computed) == 3
    assert again == first[::-1]


def test_a_cut_off_file_goes_on_where_it_was_cut(tmp_path, pairs, compute, computed):
    path = tmp_path / "reference.jsonl"
    whole = ReferenceCache(path, KEY).complete(pairs, compute, batch_size=1)
    content = path.read_bytes()
    for cut in range(len(content.splitlines(keepends=True)[0]), len(content), 37):
        path.write_bytes(content[:cut])
        assert ReferenceCache(path, KEY).complete(pairs, compute, batch_size=1) == whole
        assert path.read_bytes() == content


def test_another_key_is_refused(tmp_path, pairs, compute):
    path = tmp_path / "reference.jsonl"
    ReferenceCache(path, KEY).complete(pairs, compute, batch_size=2)
    with pytest.raises(ConfigError, match=r"another reference.*Remove the file"):
        ReferenceCache(path, KEY | {"dtype": "torch.bfloat16"})


def test_damage_is_refused(tmp_path, pairs, compute):
    path = tmp_path / "reference.jsonl"
    path.write_text("no cache\n")
    with pytest.raises(ConfigError, match="another reference"):
        ReferenceCache(path, KEY)
    path.write_text(json.dumps({"key": KEY}) + '\n{"pair": 1}\n')
    with pytest.raises(ConfigError, match="damaged"):
        ReferenceCache(path, KEY)


def test_the_digest_sees_texts_and_pixels(pairs, tmp_path):
    import shutil

    before = pair_digest(pairs[0])
    moved = shutil.copy(pairs[0]["images"][0], tmp_path / "moved.png")
    assert pair_digest(pairs[0] | {"images": [str(moved)]}) == before
    assert pair_digest(pairs[0] | {"images": pairs[1]["images"][:1]}) != before
    assert pair_digest(pairs[0] | {"chosen": pairs[0]["rejected"]}) != before
    assert pair_digest(pairs[0] | {"gap_reasoning": 0.0}) == before
