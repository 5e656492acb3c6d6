"""Look up every pinned version in the advisory database of PyPI, and say clearly what could not be looked up.

    make audit

pip-audit reports "No known vulnerabilities found" and ends with 0 even where its service knew none of the packages, as behind
a mirror without advisories. Here such a run fails: 0 every pin was looked up and none has an advisory; 1 some have; 2 some or
all could not be looked up.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CONSTRAINTS = Path(__file__).parent.parent / "constraints.txt"


def main() -> int:
    """Audit what the command line names; the exit code tells the outcome."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--constraints", type=Path, default=CONSTRAINTS, help="pinned versions, one name==version per line")
    path = parser.parse_args().constraints
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(path), "--no-deps", "--disable-pip"]
    ran = subprocess.run(
        [*command, "--format", "json", "--progress-spinner", "off"], capture_output=True, text=True, check=False
    )
    try:
        packages = json.loads(ran.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        print(f"NOT AUDITED: pip-audit failed; it needs the internet:\n{ran.stderr.strip()[-600:]}", file=sys.stderr)
        return 2
    return judge(packages)


def judge(packages: list[dict[str, Any]]) -> int:
    """Print what pip-audit found of each package; returns the exit code."""
    skipped = [package for package in packages if "skip_reason" in package]
    vulnerable = [package for package in packages if package.get("vulns")]
    for package in vulnerable:
        for advisory in package["vulns"]:
            fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {advisory['id']}, mended in {fixed}")
    if skipped:
        print(f"NOT AUDITED: {len(skipped)} of {len(packages)} pins are not known to the advisory service", file=sys.stderr)
        print(f"the first: {skipped[0]['skip_reason']}", file=sys.stderr)
    print(f"{len(packages) - len(skipped)} pins looked up, {len(vulnerable)} with advisories")
    return 1 if vulnerable else 2 * bool(skipped)


if __name__ == "__main__":
    sys.exit(main())
