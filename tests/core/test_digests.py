import os

import pytest

from spatialreasoner.core.digests import capture_digest, file_digest, folder_digest, tree_digest
from spatialreasoner.core.errors import MissingFileError


def test_a_file_that_changes_has_another_digest(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("{}")
    before = file_digest(path)
    assert file_digest(path) == before == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    path.write_text("[]")
    os.utime(path, ns=(1, 1))
    assert file_digest(path) != before
    with pytest.raises(MissingFileError, match="nowhere"):
        file_digest(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name", ["chat_template.jinja", "processor_config.json", "generation_config.json", "model.safetensors"]
)
def test_every_file_that_decides_an_answer_counts(tmp_path, name):
    (tmp_path / "config.json").write_text("{}")
    before = folder_digest(tmp_path)
    (tmp_path / "README.md").write_text("of no weight")
    assert folder_digest(tmp_path) == before
    (tmp_path / name).write_text("{ }")
    assert folder_digest(tmp_path) != before


@pytest.mark.parametrize("digest", [tree_digest, capture_digest])
def test_a_tree_is_its_names_and_bytes_wherever_it_lies(tmp_path, digest):
    for name in ("here", "there"):
        (tmp_path / name / "depth").mkdir(parents=True)
        (tmp_path / name / "depth" / "0.png").write_bytes(b"0" * 200_000)
    before = digest(tmp_path / "here")
    assert digest(tmp_path / "there") == before
    (tmp_path / "there" / "depth" / "1.png").write_bytes(b"1")
    assert digest(tmp_path / "there") != before
    (tmp_path / "here" / "depth" / "0.png").write_bytes(b"0" * 199_999 + b"1")
    assert digest(tmp_path / "here") != before
    assert digest(tmp_path / "here" / "depth" / "0.png") != digest(tmp_path / "there" / "depth" / "0.png")
    with pytest.raises(MissingFileError, match="nowhere"):
        digest(tmp_path / "nowhere")
