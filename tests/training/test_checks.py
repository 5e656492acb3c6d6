import logging

import pytest
from datasets import Dataset

from spatialreasoner.core.errors import ConfigError, InputError
from spatialreasoner.testing import tiny_models as tiny
from spatialreasoner.training.checks import check_rows, write_preview
from spatialreasoner.training.collate import Encoder


@pytest.fixture(scope="module")
def processor(texts):
    return tiny.make_tiny("llava", texts)[1]


def test_good_pairs_pass_in_silence(processor, pairs, caplog):
    check_rows("fdpo", Encoder(processor), Dataset.from_list(pairs))
    assert [record for record in caplog.records if "is appended" not in record.message] == []  # said once, of LLaVA's template


def test_a_segment_missing_here_and_there_is_counted(processor, pairs, caplog):
    pairs[0]["chosen"][0]["content"] = "Without a boundary."
    with caplog.at_level(logging.WARNING):
        check_rows("dpo", Encoder(processor), Dataset.from_list(pairs))
    assert "1 of 3 pairs have an answer without the segment 'description'" in caplog.text


def test_equal_gaps_only_matter_to_fdpo(processor, pairs):
    rows = Dataset.from_list([pair | {"gap_description": 1.0, "gap_reasoning": 1.0} for pair in pairs])
    check_rows("dpo", Encoder(processor), rows)
    with pytest.raises(ConfigError, match="no pair has gaps that differ"):
        check_rows("fdpo", Encoder(processor), rows)


def test_too_long_rows_are_found_before_the_first_step(processor, pairs):
    with pytest.raises(InputError, match="max_length is 30"):
        check_rows("dpo", Encoder(processor, max_length=30), Dataset.from_list(pairs))


def test_the_preview_shows_every_token_and_escapes_the_text(processor, pairs, tmp_path):
    write_preview(tmp_path / "preview.html", Encoder(processor), Dataset.from_list(pairs))
    page = (tmp_path / "preview.html").read_text()
    assert "two images, of other sizes" in page
    assert "&lt;" in page
    assert "<description>" not in page
