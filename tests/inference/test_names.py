from spatialreasoner.inference.names import parse_name


def test_an_effort_is_a_value_and_no_says_that_none_may_be_sent():
    assert parse_name("api:m@http://h/v1?reasoning_effort=low").capabilities() == {}
    assert parse_name("api:m@http://h/v1?reasoning_effort=no").capabilities() == {"reasoning_effort": "no"}
