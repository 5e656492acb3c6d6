import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.inference.budget import Budget, BudgetError, Price


def test_price_by_hand():
    price = Price(prompt=2.5, completion=10.0)
    assert price.cost(1000, 300) == pytest.approx(0.0025 + 0.003)
    assert price.most(1000) == pytest.approx(0.01)


def test_what_is_set_aside_counts_until_it_is_settled():
    budget = Budget(max_tokens=1000)
    budget.reserve(600, 0.0)
    with pytest.raises(BudgetError, match="max_tokens` allows 1000"):
        budget.reserve(600, 0.0)
    budget.settle(200, 0.0, reserved=(600, 0.0))
    budget.reserve(600, 0.0)
    assert (budget.calls, budget.tokens) == (2, 800)


@pytest.mark.parametrize("limit", ["max_calls", "max_tokens", "max_cost"])
def test_limits_must_be_positive(limit):
    with pytest.raises(ConfigError, match=limit):
        Budget(**{limit: 0})


@given(st.lists(st.tuples(st.integers(1, 500), st.floats(0, 1)), max_size=50), st.integers(1, 20), st.integers(1, 5000))
def test_no_limit_is_ever_passed(requests, max_calls, max_tokens):
    """However much of what was set aside is used, in whatever order, the limits hold."""
    budget = Budget(max_calls=max_calls, max_tokens=max_tokens)
    open_requests = []
    for tokens, share in requests:
        try:
            budget.reserve(tokens, 0.0)
        except BudgetError:
            if open_requests:
                reserved, used = open_requests.pop(0)
                budget.settle(int(reserved * used), 0.0, reserved=(reserved, 0.0))
            continue
        open_requests.append((tokens, share))
        assert budget.calls <= max_calls
        assert budget.tokens <= max_tokens
