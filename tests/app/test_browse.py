import pytest

from spatialreasoner.app.browse import MAX_LABEL, Browser
from spatialreasoner.core.errors import InputError, MissingFileError


@pytest.fixture(scope="module")
def browser(run_dir):
    return Browser([str(run_dir)])


def test_every_question_with_a_tree_or_a_pair_can_be_browsed(browser):
    questions = browser.questions()
    assert questions
    assert max(len(label) for label, _ in questions) <= MAX_LABEL
    for _, name in questions:
        page = browser.page(name)
        assert 'class="tree"' in page or 'class="sides"' in page
        assert "<script" not in page


def test_no_script_may_run_in_its_page(browser):
    assert "script" not in browser.policy
    assert "default-src 'none'" in browser.policy


def test_a_question_that_is_not_there(browser):
    with pytest.raises(InputError, match="no such question"):
        browser.page("moon-0")


def test_folders_without_trees_or_pairs_are_refused(tmp_path):
    with pytest.raises(MissingFileError):
        Browser([str(tmp_path / "none")])
    with pytest.raises(InputError):
        Browser([str(tmp_path)])
