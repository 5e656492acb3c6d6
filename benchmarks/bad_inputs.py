"""Bad inputs, hundreds of them, into every stage and the app's upload: none may crash, hang, or leave a file half-written.

    python benchmarks/bad_inputs.py [--group NAME] [--verbose]

Each input has an outcome that must come of it: a clear refusal (exit code 2 on the command line, one message, nothing written),
a clear failure (exit code 1), or a defined result. Prints a table by group; exits with 1 on a surprise.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from reliability.all import GROUPS
from reliability.trial import Outcome, attempt


def main() -> int:
    """Try all of them; 1 where something came that was not expected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--group", choices=sorted(GROUPS), action="append", help="one group alone; may be given again")
    parser.add_argument("--verbose", action="store_true", help="tell every outcome")
    parser.add_argument("--table", action="store_true", help="print a table of every input and its end, for the documentation")
    options = parser.parse_args()
    outcomes: list[Outcome] = []
    for name in options.group or GROUPS:
        outcomes += try_group(name, verbose=options.verbose)
    show(outcomes)
    if options.table:
        show_each(outcomes)
    return int(any(outcome.surprise for outcome in outcomes))


def try_group(name: str, *, slow: bool = True, verbose: bool = False) -> list[Outcome]:
    """The outcomes of a group's cases, each in a folder of its own."""
    outcomes: list[Outcome] = []
    for case in GROUPS[name]():
        if case.slow and not slow:
            continue
        with tempfile.TemporaryDirectory() as folder:
            outcomes.append(attempt(case, Path(folder)))
        if verbose or outcomes[-1].surprise:
            last = outcomes[-1]
            print(f"{case.group}: {case.name}: {last.came}: {last.surprise or last.said[:300]}", file=sys.stderr)
    return outcomes


def show_each(outcomes: Sequence[Outcome]) -> None:
    """Print every input with its end: refused with which reason, or read (and what was read is what it should be)."""
    print("\n| input | end |\n|---|---|")
    for outcome in outcomes:
        told = " ".join(outcome.said.split()).partition(": ")[2] if outcome.came == "refused" else ""
        told = re.sub(r"\S*/(?=\w)", "", told).replace("|", "\\|").replace("<", "&lt;")
        end = "SURPRISE" if outcome.surprise else f"{outcome.came}{': ' + told[:170] if told else ', as it should be'}"
        print(f"| {outcome.case.group}: {outcome.case.name} | {end} |")


def show(outcomes: Sequence[Outcome]) -> None:
    """Print the table."""
    print(f"{'group':<18} {'inputs':>6} {'tried':>6} {'refused':>8} {'failed':>7} {'read':>5} {'surprises':>10} {'seconds':>8}")
    for group in [*dict.fromkeys(outcome.case.group for outcome in outcomes), None]:
        rows = [outcome for outcome in outcomes if group is None or outcome.case.group == group]
        came = Counter(outcome.came for outcome in rows)
        print(
            f"{group or 'all':<18} {len({row.case.input for row in rows}):>6} {len(rows):>6} {came['refused']:>8} "
            f"{came['failed']:>7} {came['read']:>5} {sum(row.surprise is not None for row in rows):>10} "
            f"{sum(row.seconds for row in rows):>8.1f}"
        )


if __name__ == "__main__":
    sys.exit(main())
