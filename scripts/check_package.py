"""Install the package as a stranger would, in every way that it says it can be installed, and use what was installed.

    make package                                             # all of it: some 10 GB of downloads the first time
    python scripts/check_package.py core app                 # some of it
    python scripts/check_package.py lowest                   # everything, in the lowest versions that pyproject.toml allows
    python scripts/check_package.py core --python python3.13

Builds the sdist, and from it the wheel. Then, for the core alone, each extra alone and all together: makes an empty
environment, installs the wheel into it, lets `pip check` look for contradictions, and runs the commands. What an extra is
needed for must work where it is installed, and where it is not must end with exit code 2 and name it. Extras for whoever
works on the project are tried on the sdist: its site is built, its readers are fuzzed, its tests run. Ends with a table,
and with 1 where anything failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
PATIENCE = 3600
"""Longest that one command may take, seconds: the network decides."""

NEEDS_TORCH = {"train", "qlora"}
"""Extras with torch in them: it is installed first and alone, so that nothing after it asks for a second build."""

FIRST = (
    "--help",
    "scenes synthetic --count 2 --width 64 --height 64 --out run/scenes",
    "questions run/scenes --per-scene 3 --out run/questions.jsonl",
    "search run/questions.jsonl --policy scripted:careful --policy scripted:hasty --rounds 4 --out run/search",
    "pairs run/search --out run/pairs",
)
"""What must work whatever is installed, in this order."""

REST = (
    "generate run/questions.jsonl --model scripted:careful --out run/predictions.jsonl",
    "score run/predictions.jsonl --out run/score.json",
    "report run --out run/report.html",
    "ask run/scenes/images/synthetic-0-000000.png 'How wide is <region1>?' --region 10,20,40,50",  # of the nano, without torch
)
"""What must work with the core alone, too; tried where the core is tried, and where everything is there."""

FEW = "max_steps=1 per_device_train_batch_size=2"
TINY = "testing:llava,width=32,layers=1"
SERVE = "app --model scripted:careful --port 0"
BY_EXTRA = {
    "train": ((f"train sft --model {TINY} --data run/pairs/sft.jsonl --out run/sft {FEW}", 0),),
    "qlora": (
        ("train sft --model run/sft --data run/pairs/sft.jsonl --out run/qlora quantization=4bit lora_r=2 max_steps=1", 0),
    ),
    # nothing listens at this port: the endpoint fails, not the installation
    "api": (("generate run/questions.jsonl --model api:none@http://127.0.0.1:9/v1 --out run/api.jsonl", 1),),
    "ray": (("search run/questions.jsonl --policy scripted:careful --rounds 2 --cluster --shards 1 --out run/cluster", 0),),
    "app": ((SERVE, 143),),
}
"""What needs an extra, and how it ends where the extra is installed."""

LONG = {"train": "demo --out run/demo"}
"""What needs an extra and takes minutes where that is installed: tried where it is not."""

LIBRARY_OF = {"train": "trl", "qlora": "bitsandbytes", "api": "genai_prices", "ray": "ray", "app": "starlette"}

TESTS = {
    "core": ("core", "language", "preferences", "scenes", "questions", "rewards", "search"),
    "train": ("training/test_loss.py", "training/test_fdpo.py", "training/test_collate.py"),
    "app": ("app",),
    "api": ("inference/test_api.py",),
}
"""Tests, by the extra that they need, that run with the lowest versions."""

PYTEST = "-m pytest -q -p no:cacheprovider"
CALM = "-W default"
"""The tests make errors of warnings; old versions use much that newer ones beneath them warn of, and work all the same."""

NO_JUDGES = "--ignore-glob=*/test_judge*.py"
"""Judges are asked with what `api` brings."""

SITE = "-m mkdocs build --quiet --site-dir ../site"
FUZZ = "benchmarks/fuzz.py --minutes 1"
ON_THE_SDIST = {
    "docs": (SITE,),
    "fuzz": (FUZZ,),
    "dev": (" ".join([PYTEST, NO_JUDGES, *(f"tests/{path}" for path in TESTS["core"])]),),
    "lowest": (SITE, FUZZ, " ".join([PYTEST, CALM, *(f"tests/{path}" for paths in TESTS.values() for path in paths)])),
}
"""What Python must do well in the sdist's folder, by environment."""


@dataclass
class Outcome:
    """What became of one environment.

    Attributes:
        name: Of the environment.
        packages: How many were installed.
        megabytes: How large they are.
        seconds: How long installing took.
        failures: What went wrong.
        done: How many commands ended as they must.
    """

    name: str
    packages: int = 0
    megabytes: float = 0.0
    seconds: float = 0.0
    done: int = 0
    failures: list[str] = field(default_factory=list)


def main() -> int:
    """Check what the command line names; 1 where something failed."""
    arguments = _arguments()
    work = Path(tempfile.mkdtemp(prefix="spatialreasoner-package-", dir=arguments.work))
    try:
        wheel, source = build(work / "dist")
        outcomes = []
        for name in arguments.environments or ["core", *extras(), "all", "lowest"]:
            print(f"--- {name}", flush=True)
            outcomes.append(check(name, wheel, source, arguments.python, work / name))
            shutil.rmtree(work / name)
    finally:
        shutil.rmtree(work)
    show(outcomes)
    return int(any(outcome.failures for outcome in outcomes))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("environments", nargs="*", help="core, all, lowest, or an extra; none are all of them")
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the environments")
    parser.add_argument("--work", type=Path, help="where to put them for the while; the system's own place if not given")
    return parser.parse_args()


def project() -> dict[str, Any]:
    """The project table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def extras() -> list[str]:
    """The extras, as declared."""
    return list(project()["optional-dependencies"])


def build(folder: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it; returns the wheel and the sdist."""
    _run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT])
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


def check(name: str, wheel: Path, source: Path, python: str, folder: Path) -> Outcome:
    """Install one environment and use it."""
    outcome = Outcome(name)
    try:
        interpreter = install(name, wheel, python, folder, outcome)
        commands(interpreter, folder, outcome)
        on_the_sdist(interpreter, source, folder, outcome)
    except subprocess.CalledProcessError as error:
        outcome.failures.append(f"{' '.join(map(str, error.cmd))[:200]}: {(error.stderr or error.stdout or '')[-600:]}")
    except (subprocess.TimeoutExpired, OSError) as error:
        outcome.failures.append(str(error))
    for failure in outcome.failures:
        print(failure, flush=True)
    return outcome


def install(name: str, wheel: Path, python: str, folder: Path, outcome: Outcome) -> Path:
    """Make an empty environment and install the wheel with its extras; returns the environment's interpreter."""
    began = time.monotonic()
    _run([python, "-m", "venv", "--without-pip", folder / "venv"])
    interpreter = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", interpreter]
    chosen = {"core": [], "all": extras(), "lowest": extras()}.get(name, [name])
    constraints = lowest(folder / "lowest.txt") if name == "lowest" else CONSTRAINTS
    options = ["--quiet", "--no-compile", "--constraint", constraints]
    if NEEDS_TORCH & set(chosen):
        _run([*pip, "install", *options, "torch"])
    _run([*pip, "install", *options, f"spatialreasoner[{','.join(chosen)}] @ {wheel.as_uri()}"])
    outcome.seconds = time.monotonic() - began
    _run([*pip, "check"])
    outcome.packages = len(json.loads(_run([*pip, "list", "--format", "json"])))
    outcome.megabytes = sum(path.lstat().st_size for path in (folder / "venv").rglob("*")) / 1e6
    return interpreter


def lowest(path: Path) -> Path:
    """Write constraints that hold every requirement to the lowest version it allows; its own requirements stay free."""
    table = project()
    lines = [*table["dependencies"], *(line for lines in table["optional-dependencies"].values() for line in lines)]
    bounds = [pin for line in lines if (pin := _lowest(Requirement(line)))]
    path.write_text("\n".join(bounds) + "\n", "utf-8")
    return path


def _lowest(requirement: Requirement) -> str | None:
    """One requirement's constraint; extras of the project itself have none."""
    bounds = [bound.version for bound in requirement.specifier if bound.operator in {">=", "=="}]
    return f"{requirement.name}=={bounds[0]}" if bounds else None


def commands(interpreter: Path, folder: Path, outcome: Outcome) -> None:
    """Run what must work, and what must name the extra that it lacks."""
    there = set(_run([interpreter, "-c", _FIND, *LIBRARY_OF.values()]).split())
    for command in FIRST if outcome.name in extras() else (*FIRST, *REST):
        _expect(interpreter, folder, outcome, command, 0)
    for extra, needing in BY_EXTRA.items():
        if LIBRARY_OF[extra] in there:
            for command, code in needing:
                use = _serve if command == SERVE else _expect
                use(interpreter, folder, outcome, command, code)
            continue
        lacks = extra if extra != "qlora" or LIBRARY_OF["train"] in there else "train"
        for command in (*(command for command, _ in needing), *filter(None, [LONG.get(extra)])):
            _expect(interpreter, folder, outcome, command, 2, f"pip install 'spatialreasoner[{lacks}]'")


_FIND = "import sys; from importlib.util import find_spec; print(*filter(find_spec, sys.argv[1:]))"


def _expect(interpreter: Path, folder: Path, outcome: Outcome, command: str, code: int, says: str = "") -> None:
    """Run a command that must end with this code and say this, without a traceback."""
    ran = _command(interpreter, folder, command)
    said = ran.stdout + ran.stderr
    if ran.returncode == code and says in said and "Traceback" not in said:
        outcome.done += 1
    else:
        outcome.failures.append(f"{command}: exit {ran.returncode}, expected {code} {says}: {said[-600:]}")


def _serve(interpreter: Path, folder: Path, outcome: Outcome, command: str, code: int) -> None:
    """Start the app, ask it for its page, and stop it."""
    from urllib.request import urlopen

    with _start(interpreter, folder, command) as served:
        assert served.stdout is not None
        try:
            address = re.search(r"http://\S+", served.stdout.readline())
            page = urlopen(address[0], timeout=60).read() if address else b""
        finally:
            served.terminate()
        if b"SpatialReasoner" in page and served.wait(60) == code:
            outcome.done += 1
        else:
            outcome.failures.append(f"{command}: the page is {page[:100]!r}, exit {served.returncode}")


def on_the_sdist(interpreter: Path, source: Path, folder: Path, outcome: Outcome) -> None:
    """Run what an environment is to do with the sdist, against the installed package."""
    for command in ON_THE_SDIST.get(outcome.name, ()):
        ran = subprocess.run(
            [interpreter, *shlex.split(command)],
            cwd=_unpacked(source, folder / "sdist", whole=command == SITE),
            env=_environment(), capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
        print(f"{command}:\n{ran.stdout[-2000:]}", flush=True)
        if ran.returncode:
            outcome.failures.append(f"{command}: exit {ran.returncode}: {(ran.stdout + ran.stderr)[-2000:]}")
        else:
            outcome.done += 1


def _unpacked(source: Path, folder: Path, *, whole: bool) -> Path:
    """The sdist's folder; without the package's source unless whole, so that what runs is what was installed."""
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    unpacked = next(folder.iterdir())
    if not whole:
        shutil.rmtree(unpacked / "src")
    return unpacked


def show(outcomes: Sequence[Outcome]) -> None:
    """Print the table."""
    table = Table("environment", "packages", "MB", "install, s", "checks passed", "failures")
    for one in outcomes:
        table.add_row(
            one.name, str(one.packages), f"{one.megabytes:.0f}", f"{one.seconds:.0f}", str(one.done), str(len(one.failures))
        )
    Console(width=100).print(table)


def _environment() -> dict[str, str]:
    """The environment of commands: nothing of this checkout, and no keys."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "OMP_NUM_THREADS")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _command(interpreter: Path, folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    program = interpreter.parent / "spatialreasoner"
    return subprocess.run(
        [program, *shlex.split(command)],
        cwd=folder, env=_environment(), capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip


def _start(interpreter: Path, folder: Path, command: str) -> subprocess.Popen[str]:
    program = interpreter.parent / "spatialreasoner"
    return subprocess.Popen(
        [program, *shlex.split(command)],
        cwd=folder,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _run(command: Sequence[object]) -> str:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, timeout=PATIENCE).stdout


if __name__ == "__main__":
    sys.exit(main())
