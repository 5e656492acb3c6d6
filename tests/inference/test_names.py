import pytest

from spatialreasoner.inference.names import parse_name, read_endpoints


def test_an_effort_is_a_value_and_no_says_that_none_may_be_sent():
    assert parse_name("api:m@http://h/v1?reasoning_effort=low").capabilities() == {}
    assert parse_name("api:m@http://h/v1?reasoning_effort=no").capabilities() == {"reasoning_effort": "no"}


@pytest.mark.parametrize("thinking", ["on", "off"])
def test_thinking_is_switched_in_yaml_as_in_a_name(tmp_path, thinking):
    """YAML reads on and off as true and false."""
    path = tmp_path / "endpoints.yaml"
    path.write_text(f"teacher: {{model: m, url: 'http://h/v1', thinking: {thinking}}}\n")
    assert read_endpoints(path) == {"teacher": f"api:m@http://h/v1?thinking={thinking}"}
