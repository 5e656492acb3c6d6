import asyncio

import pytest

from spatialreasoner.core.errors import ConfigError, EndpointError
from spatialreasoner.core.types import Completion
from spatialreasoner.search.m3cts import SearchConfig, search, stable_seed
from spatialreasoner.search.tree import tree_to_json


def run(question, prompt, policies, reward, **config):
    return asyncio.run(search(question, prompt, policies, reward, SearchConfig(**config)))


def names(node):
    return [(n.step, n.policy, n.pruned is not None) for n in node.walk()]


def test_a_right_answer_ends_the_search(question, prompt, fixed, reward, make_answer):
    policy = fixed("a", make_answer("Two metres."))
    tree = run(question, prompt, [policy], reward)
    assert (tree.outcome, tree.rounds, tree.model_rounds) == ("found", 1, 1)
    (leaf,) = tree.complete_paths()
    assert leaf.success is True
    assert leaf.prefix() == make_answer("Two metres.")
    # description, rationale, step 1, conclusion, each 0.5
    assert [n.visits for n in tree.root.walk()] == [4, 4, 3, 2, 1]
    assert all(n.value == 0.5 for n in tree.root.walk())


def test_a_completion_is_cut_at_its_first_bad_step(question, prompt, fixed, reward, make_answer):
    policy = fixed("a", make_answer("Fine.", "A bad step.", "Never rated."))
    tree = run(question, prompt, [policy], reward, max_model_rounds=1)
    assert tree.outcome == "budget"
    assert names(tree.root)[1:] == [
        ("description", "a", False),
        ("rationale", "a", False),
        ("step 1", "a", False),
        ("step 2", "a", True),
    ]
    assert not any("Never" in step for step in reward.rated)
    bad = list(tree.root.walk())[-1]
    assert bad.pruned == "rated -1.00, below 0: spatial -1.00"


def test_two_policies_share_a_tree_and_continue_each_others_prefixes(question, prompt, fixed, reward, make_answer):
    """Round 1: `a` is cut at step 2, `b` at its description. Round 2 continues a's step 1; there b is right.

    Rewards are 0.5 but for the pruned ones. After round 1: description, rationale, step 1 of `a` (N = 3, V = 0.5). In round
    2 `a` adds a bad step again (another text), `b` a right conclusion under a's step 1.
    """
    b = fixed("b", make_answer("x", description="A bad view."), make_answer("From a.", conclusion="2 m"))
    a = fixed("a", make_answer("From a.", "A bad step."), make_answer("From a.", "Another bad step."))
    tree = run(question, prompt, [a, b], reward)
    assert (tree.outcome, tree.rounds, tree.model_rounds) == ("found", 2, 4)
    (leaf,) = tree.complete_paths()
    assert [n.policy for n in leaf.path()] == ["a", "a", "a", "b"]
    assert tree.root.visits == 4
    assert a.prompts[1][0] == b.prompts[1][0] == "".join(n.text for n in leaf.path()[:-1])
    assert [round_ for round_, _ in leaf.path()[0].selections] == [1]


def test_wrong_answers_close_their_branch_until_the_tree_is_exhausted(question, prompt, fixed, reward, make_answer):
    policy = fixed("a", make_answer("Wrong.", conclusion="9 m"))
    tree = run(question, prompt, [policy], reward, max_expansions=1)
    # the root, then nothing new under step 1, rationale, description: each is expanded once and closes
    assert tree.outcome == "exhausted"
    assert tree.root.closed
    assert tree.complete_paths()[0].success is False


def test_the_budget_counts_every_policy_call(question, prompt, fixed, reward, make_answer):
    policies = [fixed(name, make_answer("bad", description=f"bad {name}")) for name in "abc"]
    tree = run(question, prompt, policies, reward, max_model_rounds=5, max_expansions=9)
    assert (tree.outcome, tree.model_rounds, tree.rounds) == ("budget", 5, 2)
    assert [len(policy.prompts) for policy in policies] == [2, 2, 1]


def test_going_on_to_gather_more_paths(question, prompt, fixed, reward, make_answer):
    """Calls 2 and 3 repeat the conclusion under step 1, which closes; 4 repeats it all from the rationale; 5 is new."""
    policy = fixed("a", make_answer("One."), make_answer("Two."), make_answer("Three."))
    tree = run(question, prompt, [policy], reward, stop="budget", max_model_rounds=6)
    assert tree.outcome == "found"
    assert tree.model_rounds == 6
    assert [leaf.parent.text[11:15] for leaf in tree.complete_paths()] == ["One.", "Two."]


def test_one_step_at_a_time(question, prompt, fixed, reward, make_answer):
    policy = fixed("a", make_answer("One.", "Two."))
    tree = run(question, prompt, [policy], reward, expansion="step")
    assert (tree.outcome, tree.rounds) == ("found", 5)
    assert [prefix.count("###") for prefix, _, _ in policy.prompts] == [0, 0, 1, 2, 3]
    assert tree.complete_paths()[0].prefix() == make_answer("One.", "Two.")


def test_signs_round_the_ratings(question, prompt, fixed, reward, make_answer):
    tree = run(question, prompt, [fixed("a", make_answer("poor"))], reward, ratings="signs")
    assert [n.reward for n in tree.root.walk()] == [0.0, 1.0, 1.0, 0.0, 1.0]
    assert tree.root.value == 0.75


def test_malformed_replies_are_counted_and_stay_out(question, prompt, fixed, reward, make_answer):
    replies = [
        Completion(text=""),
        Completion(text="I cannot help with that.", finish="refusal"),
        Completion(text=make_answer("x"), finish="length"),
        Completion(text="### Step 1\nNo description."),
        Completion(text=make_answer("x").replace("Step 1", "Step 3")),
        Completion(text="<description>Only that.</description>"),
        Completion(text=make_answer("x", conclusion=" ")),
    ]
    tree = run(question, prompt, [fixed("a", *replies)], reward, max_model_rounds=7, max_expansions=9)
    assert tree.root.children == []
    assert tree.usage["a"].failures == {
        "empty": 1,
        "refusal": 1,
        "truncated": 2,
        "wrong section": 2,
        "blank section": 1,
    }


def test_the_slower_policy_changes_nothing(question, prompt, fixed, reward, make_answer):
    def policies(slow_first):
        a = fixed("a", make_answer("Wrong.", conclusion="3 m"), delay=0.02 if slow_first else 0)
        b = fixed("b", make_answer("Also wrong.", conclusion="4 m"), delay=0 if slow_first else 0.02)
        return [a, b]

    first, second = (run(question, prompt, policies(slow), reward, max_model_rounds=6) for slow in (True, False))
    assert tree_to_json(first) == tree_to_json(second)


def test_a_policy_that_fails_leaves_the_others_at_work(question, prompt, fixed, reward, make_answer):
    class Broken:
        name = "broken"

        async def complete(self, prompt, *, n, seed):
            raise EndpointError("the key is wrong; set OPENAI_API_KEY")

    tree = run(question, prompt, [Broken(), fixed("a", make_answer("x"))], reward)
    assert tree.outcome == "found"
    assert tree.usage["broken"].failures == {"unavailable": 1}
    with pytest.raises(EndpointError, match="the key is wrong"):
        run(question, prompt, [Broken()], reward)


def test_seeds_differ_by_policy_prefix_and_attempt(question, prompt, fixed, reward, make_answer):
    policies = [fixed(name, make_answer("x", conclusion="7 m")) for name in "ab"]
    run(question, prompt, policies, reward, max_model_rounds=8)
    seeds = [seed for policy in policies for _, _, seed in policy.prompts]
    assert len(set(seeds)) == len(seeds)


def test_stable_seed_is_the_same_everywhere():
    assert stable_seed(0, "q1") == 3376472808761377233
    assert stable_seed("a", "bc") != stable_seed("ab", "c")


@pytest.mark.parametrize("wrong", [{"exploration": -1}, {"threshold": 2}, {"max_model_rounds": 0}, {"samples": 0}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        SearchConfig(**wrong)
