import os

import pytest

from spatialreasoner.core.digests import file_digest, folder_digest
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
