"""What is installed and what is published are what they are said to be."""

import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOT_PUBLISHED = ("tests/", "research/", "benchmarks/", "findings/", "examples/", "scripts/", "docs/")


def pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", (ROOT / name).read_text("utf-8"), re.MULTILINE))


def test_every_pin_has_the_digests_of_its_files():
    """After a change of constraints.txt: `make lock`."""
    known = {re.sub(r"[-_.]+", "-", name.lower()): version for name, version in pins("constraints.txt").items()}
    assert pins("requirements.lock") == known


@pytest.mark.parametrize("name", ["requirements.lock", "release.lock"])
def test_no_package_is_without_a_digest(name):
    text = (ROOT / name).read_text("utf-8")
    entries = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_holds_the_package_alone(wheel):
    names = wheel.namelist()
    packed = {name.removeprefix("spatialreasoner/") for name in names if name.startswith("spatialreasoner/")}
    kept = {
        path.relative_to(ROOT / "src/spatialreasoner").as_posix()
        for path in (ROOT / "src/spatialreasoner").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert packed == kept
    assert all(name.startswith(("spatialreasoner/", "spatialreasoner-")) for name in names)
    assert not [name for name in names if name.startswith(NOT_PUBLISHED)]
    assert {"py.typed", "__init__.pyi", "nano/weights/model.safetensors"} <= packed


def test_the_wheel_holds_no_pickle_and_fits_a_mail(wheel):
    binary = [name for name in wheel.namelist() if name.endswith((".bin", ".pt", ".pth", ".pkl", ".npy", ".so"))]
    built = {
        "spatialreasoner/language/native/_patterns.so",
        "spatialreasoner/nano/native/_decoder.so",
        "spatialreasoner/nano/native/_decoder_wide.so",
        "spatialreasoner/scenes/native/_nearest.so",
        "spatialreasoner/scenes/native/_png.so",
        "spatialreasoner/scenes/synthetic/native/_furnish.so",
        "spatialreasoner/scenes/synthetic/native/_rooms.so",
    }
    assert set(binary) <= built  # from the sources beside them
    assert sum(entry.compress_size for entry in wheel.infolist()) < 25_000_000


def test_the_wheel_tells_its_licence(wheel):
    told = Parser().parsestr(wheel.read(next(n for n in wheel.namelist() if n.endswith("METADATA"))).decode())
    assert told["License-Expression"] == "Apache-2.0"
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
