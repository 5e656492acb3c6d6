import asyncio

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


def test_a_request_waits_for_what_others_have_set_aside_and_may_not_take():
    """Twelve requests of at most 0.1 each, which take 0.01 each, fit into 0.25, a few at a time."""
    budget = Budget(max_cost=0.25)

    async def request(cost=0.01):
        await budget.hold(100, 0.1)
        await asyncio.sleep(0)
        budget.settle(10, cost, reserved=(100, 0.1))

    async def all_of_them():
        await asyncio.gather(*(request() for _ in range(12)))
        assert (budget.calls, budget.tokens) == (12, 120)
        assert budget.cost == pytest.approx(0.12)
        results = await asyncio.gather(request(0.1), request(), return_exceptions=True)
        assert [type(result) for result in results] == [type(None), BudgetError]

    asyncio.run(asyncio.wait_for(all_of_them(), 10))


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
