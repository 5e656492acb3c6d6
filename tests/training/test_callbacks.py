"""What a run writes while it goes."""

import resource

import pytest

from spatialreasoner.training.callbacks import _append


def test_a_line_that_does_not_fit_leaves_nothing(tmp_path):
    path = tmp_path / "metrics.jsonl"
    _append(path, '{"loss": 1}\n')
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))  # as a disk that is full after 20 bytes
    try:
        with pytest.raises(OSError, match="No space left"):
            _append(path, '{"loss": 2}\n')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text("utf-8") == '{"loss": 1}\n'
