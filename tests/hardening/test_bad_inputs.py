"""Every bad input that is quick to try comes to the end that it must; `benchmarks/bad_inputs.py` tries the slow ones, too."""

import pytest

from bad_inputs import try_group
from reliability.all import GROUPS

SLOW = {"JSON lines", "scenes", "settings", "models"}
"""Groups of many folders, or of torch."""


@pytest.mark.parametrize("group", sorted(GROUPS.keys() - SLOW))
def test_bad_inputs_come_to_their_ends(group):
    outcomes = try_group(group, slow=False)
    assert [f"{outcome.case.name}: {outcome.surprise}" for outcome in outcomes if outcome.surprise] == []
    assert outcomes
