"""What the wheel and the sdist hold, and what they say of themselves."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import spatialreasoner

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LIBRARIES = {
    "spatialreasoner/language/native/_patterns.so",
    "spatialreasoner/nano/native/_decoder.so",
    "spatialreasoner/nano/native/_decoder_wide.so",
    "spatialreasoner/scenes/native/_nearest.so",
    "spatialreasoner/scenes/native/_png.so",
    "spatialreasoner/scenes/synthetic/native/_furnish.so",
    "spatialreasoner/scenes/synthetic/native/_rooms.so",
}
"""What is compiled, where there is a compiler."""

REQUIREMENTS = [
    Requirement(line)
    for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for line in lines
    if not line.startswith("spatialreasoner")
]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(built):
    with zipfile.ZipFile(built[0]) as archive:
        yield archive


def package_files():
    """What of the package is under version control, or would be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "src"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return {line.removeprefix("src/") for line in listed.stdout.splitlines() if (ROOT / line).exists()}


def test_the_wheel_holds_the_package_whole_and_nothing_else(wheel):
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    if (ROOT / ".git").exists():
        assert held - LIBRARIES == package_files() - LIBRARIES
    if shutil.which("cc"):
        assert held >= LIBRARIES
    assert {name.partition("/")[0] for name in held} == {"spatialreasoner"}
    assert not [name for name in held if re.search(r"(^|/)(tests?|conftest)(/|\.|_)", name)]
    assert {"spatialreasoner/py.typed", "spatialreasoner/nano/weights/model.safetensors"} <= held


def test_the_wheel_holds_what_the_package_reads_at_run_time(wheel):
    held = set(wheel.namelist())
    source = ROOT / "src"
    data = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert data
    assert data <= held


def test_the_sdist_holds_what_its_tests_need(built):
    with tarfile.open(built[1]) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "constraints.txt", "LICENSE", "README.md", "tests/conftest.py", "Makefile"} <= held
    assert not [name for name in held if name.startswith((".venv", "demo-out", "dist/", "site/"))]


def test_neither_is_large(built):
    assert [path.name for path in built if path.stat().st_size > 100e6] == []  # the limit of the package index


def test_the_version_has_one_source(wheel):
    metadata = _metadata(wheel)
    assert "version" not in PROJECT
    assert metadata["Version"] == spatialreasoner.__version__
    assert Version(spatialreasoner.__version__).is_prerelease is False
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    assert cited is not None
    assert cited[1] == spatialreasoner.__version__
    assert f"## [{spatialreasoner.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_metadata_say_what_the_project_says(wheel):
    metadata = _metadata(wheel)
    assert metadata["Name"] == "spatialreasoner"
    assert set(metadata.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    assert metadata["License-Expression"] == "Apache-2.0"
    console = wheel.read(next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))).decode()
    assert "spatialreasoner = spatialreasoner.cli:main" in console


def test_every_declared_python_is_allowed():
    declared = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    assert declared
    assert all(SpecifierSet(PROJECT["requires-python"]).contains(f"{version}.0") for version in declared)


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_requirement_has_a_lower_bound_and_a_pin_within_it(requirement):
    assert {bound.operator for bound in requirement.specifier} & {">=", "=="}
    assert requirement.specifier.contains(_pins()[_plain(requirement.name)])


def test_constraints_pin_one_version_each():
    lines = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if line and line[0] != "#"]
    assert len(_pins()) == len(lines)
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)


def _pins():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return {_plain(name): version for name, _, version in (line.partition("==") for line in lines if line and line[0] != "#")}


def _plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def _metadata(wheel):
    return BytesParser().parsebytes(wheel.read(next(name for name in wheel.namelist() if name.endswith("/METADATA"))))
