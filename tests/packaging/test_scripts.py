"""What the packaging scripts conclude; running them whole is `make package` and `make audit`."""

import importlib.util
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

SCRIPTS = Path(__file__).parents[2] / "scripts"


def load(name):
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", SCRIPTS / f"{name}.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def audit():
    return load("audit")


KNOWN = {"name": "a", "version": "1", "vulns": []}
UNKNOWN = {"name": "b", "skip_reason": "Dependency not found on PyPI and could not be audited: b (1)"}
VULNERABLE = {"name": "c", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}


@pytest.mark.parametrize(
    ("packages", "code"),
    [([KNOWN], 0), ([KNOWN, VULNERABLE], 1), ([VULNERABLE, UNKNOWN], 1), ([KNOWN, UNKNOWN], 2), ([UNKNOWN], 2)],
)
def test_an_audit_passes_only_where_every_pin_was_looked_up(audit, packages, code):
    assert audit.judge(packages) == code


def test_an_audit_says_what_was_not_looked_up(audit, capsys):
    audit.judge([KNOWN, UNKNOWN, VULNERABLE])
    said = capsys.readouterr()
    assert "NOT AUDITED: 1 of 3 pins" in said.err
    assert "c 1: PYSEC-1, mended in 2" in said.out
    assert "2 pins looked up, 1 with advisories" in said.out


def test_the_lowest_versions_are_those_of_the_project(tmp_path):
    package = load("check_package")
    pins = dict(line.split("==") for line in package.lowest(tmp_path / "lowest.txt").read_text().splitlines())
    for line in package.project()["dependencies"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins[requirement.name])
        assert f">={pins[requirement.name]}" in str(requirement.specifier)
    assert "spatialreasoner" not in pins


def test_every_proof_is_of_an_extra_that_is_declared():
    package = load("check_package")
    assert set(package.BY_EXTRA) == set(package.LIBRARY_OF) <= set(package.extras())
    assert package.NEEDS_TORCH.issubset(package.extras())


def test_what_is_tried_on_the_sdist_is_there():
    package = load("check_package")
    assert set(package.ON_THE_SDIST) <= {*package.extras(), "lowest"}
    words = {word for commands in package.ON_THE_SDIST.values() for command in commands for word in command.split()}
    named = {word for word in words if word.startswith(("tests/", "benchmarks/"))}
    assert named
    assert [path for path in named if not (SCRIPTS.parent / path).exists()] == []
