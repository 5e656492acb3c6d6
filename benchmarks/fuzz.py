"""Fuzzing of every parser of bytes that strangers write, guided by coverage.

    pip install 'spatialreasoner[fuzz]'
    python benchmarks/fuzz.py --minutes 60 [--only responses,rle] [--crashes DIR]

Each target has an equal share of the time in a process of its own (libFuzzer ends its process), begins with good inputs, and
breaks either by an error that its reader does not announce, or by a law that does not hold: spans inside of the text, rewards
in their range, what is rendered is read back. Inputs that broke one are kept as files. Prints a table; exits with 1 on a crash.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from reliability.targets import TARGETS, Target

MOST_BYTES = 4096
"""Of an input: parsers are linear, so what breaks them is short."""

SLOWEST = 10
"""Seconds that one input may take."""


@dataclass(frozen=True)
class Result:
    """What came of fuzzing a target: seconds, inputs tried, edges of the code reached, and crashes."""

    target: str
    seconds: int
    inputs: int
    edges: int
    crashes: int


def main() -> int:
    """Fuzz all targets; 1 on a crash."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=6.0, help="for all targets together")
    parser.add_argument("--only", default="", help="targets, with commas between")
    parser.add_argument("--crashes", type=Path, default=Path("crashes"), help="folder for inputs that broke a target")
    parser.add_argument("--target", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.target:
        return fuzz_here(TARGETS[options.target], options.rest)
    names = options.only.split(",") if options.only else list(TARGETS)
    results = [fuzz(name, int(60 * options.minutes / len(names)), options.crashes) for name in names]
    show(results)
    return int(any(result.crashes for result in results))


def fuzz(name: str, seconds: int, crashes: Path) -> Result:
    """Fuzz one target in a process of its own."""
    found = crashes / name
    found.mkdir(parents=True, exist_ok=True)
    before = set(found.iterdir())
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(TARGETS[name].seeds):
            (Path(corpus) / f"seed{number}").write_bytes(seed)
        flags = (f"-max_total_time={seconds}", f"-max_len={MOST_BYTES}", f"-timeout={SLOWEST}", "-print_final_stats=1")
        command = [sys.executable, __file__, "--target", name, "--", *flags, f"-artifact_prefix={found}/", corpus]
        said = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    new = set(found.iterdir()) - before
    if said.returncode and not new:
        raise SystemExit(f"{name} could not be fuzzed: {said.stderr[-2000:]}")
    for path in sorted(new):
        print(f"{name}: {path}\n{_traceback(said.stderr)}", file=sys.stderr)
    return Result(
        target=name, inputs=_last(r"stat::number_of_executed_units: (\d+)", said.stderr),
        edges=_last(r"cov: (\d+)", said.stderr), crashes=len(new), seconds=seconds,
    )  # fmt: skip


def fuzz_here(target: Target, flags: list[str]) -> int:
    """Fuzz a target in this process, which libFuzzer ends; the code that is its own is watched."""
    import atheris

    with atheris.instrument_imports(include=["spatialreasoner"]):
        target.load()
        target.attempt(b"")  # what it imports late is watched too, and not counted as slow

    def try_one(data: bytes) -> None:
        target.attempt(data)

    atheris.Setup([sys.argv[0], *flags], try_one)
    atheris.Fuzz()
    return 0


def show(results: list[Result]) -> None:
    """Print the table."""
    print(f"{'target':<14} {'seconds':>8} {'inputs':>10} {'edges':>7} {'crashes':>8}")
    totals = (sum(each) for each in zip(*((r.seconds, r.inputs, r.edges, r.crashes) for r in results), strict=True))
    for result in [*results, Result("all", *totals)]:
        print(f"{result.target:<14} {result.seconds:>8} {result.inputs:>10} {result.edges:>7} {result.crashes:>8}")


def _last(pattern: str, text: str) -> int:
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def _traceback(text: str) -> str:
    begin = text.find("Uncaught Python exception")
    return text[begin : begin + 2000] if begin >= 0 else text[-1000:]


if __name__ == "__main__":
    sys.exit(main())
