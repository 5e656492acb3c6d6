"""Names that the search had in the last version: accepted with a warning, and in journals and trees on disk still."""

import json
from dataclasses import replace

import pytest

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.search.m3cts import SearchConfig
from spatialreasoner.search.tree import Node, Tree, add, from_json, tree_to_json


def test_old_settings_of_a_search_are_accepted_with_a_warning_that_says_the_new_one():
    with pytest.warns(FutureWarning, match="the setting max_stages is now called max_steps$") as warned:
        config = SearchConfig(max_stages=9)
    assert config == SearchConfig(max_steps=9)
    assert warned[0].filename == __file__
    with pytest.warns(FutureWarning, match='expansion="stage" is now called expansion="step"') as warned:
        assert replace(SearchConfig(), expansion="stage") == SearchConfig(expansion="step")
    with pytest.raises(ConfigError, match="max_stages is the old name of max_steps"):
        SearchConfig(max_stages=9, max_steps=9)


def test_the_journal_of_a_search_that_began_under_the_old_names_knows_its_questions():
    assert json.dumps(SearchConfig(expansion="step", max_steps=9).journalled()) == (
        '{"exploration": 0.5, "threshold": 0.0, "max_model_rounds": 20, "expansion": "stage", "stop": "found", '
        '"ratings": "continuous", "sign_margin": 0.3333333333333333, "max_expansions": 2, "samples": 1, "max_stages": 9, '
        '"seed": 0}'
    )


def test_a_node_takes_and_tells_its_old_name_and_keeps_it_in_files():
    with pytest.warns(FutureWarning, match="the setting stage is now called step") as warned:
        node = Node(stage="step 1")
    assert warned[0].filename == __file__
    with pytest.warns(FutureWarning, match="the setting stage is now called step") as warned:
        added = add(node, stage="conclusion", text="2 m", policy="a", ratings={}, pruned=None)
    assert (node.step, added.step) == ("step 1", "conclusion")
    assert warned[0].filename == __file__
    with pytest.warns(FutureWarning, match="now called step"):
        assert added.stage == "conclusion"
    written = tree_to_json(Tree(question_id="q", root=node))
    assert [row["stage"] for row in written["nodes"]] == ["step 1", "conclusion"]
    assert tree_to_json(from_json(written)) == written
