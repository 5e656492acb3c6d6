"""What works with which family of models, as the tests say: fills the table of docs/training.md.

python benchmarks/families.py            # runs the tests (minutes) and writes the table
python benchmarks/families.py --check    # tells instead whether the table stands; exits with 1 where it does not
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "training.md"
BEGIN, END = "<!-- families: python benchmarks/families.py -->", "<!-- families end -->"
NAMES = {
    "llava": "LLaVA",
    "llava_onevision": "LLaVA-OneVision",
    "qwen2_5_vl": "Qwen2.5-VL",
    "qwen3_vl": "Qwen3-VL",
    "internvl": "InternVL (HF)",
    "idefics3": "Idefics 3",
    "smolvlm": "SmolVLM",
    "gemma3": "Gemma 3",
}
_FAMILIES, _VISION, _TINY = "training.test_families", "training.test_vision", "testing.test_tiny_models"
_SAME = f"{_FAMILIES}::test_alpha_zero_is_the_dpo_of_trl_and_a_shared_prefix_changes_nothing"
_TRIE = "training.test_trie_families::test_a_trie_is_what_separate_rows_are"
_STORED = "training.test_frozen_features::test_each_image_is_seen_once_per_run_and_nothing_changes"
_FDPO = f"{_FAMILIES}::test_fdpo_is_not_dpo_and_is_the_same_with_a_shared_prefix"
_LORA = f"{_FAMILIES}::test_lora_with_a_cached_reference_trains_and_generates"
COLUMNS = {
    "SFT": [f"{_FAMILIES}::test_sft_learns"],
    "DPO as TRL's": [_SAME],
    "fDPO": [_FDPO],
    "shared prefix": [_SAME, _FDPO, _TRIE],
    "LoRA": [_LORA],
    "cached reference": [_LORA],
    "frozen vision seen once": [f"{_VISION}::test_a_frozen_tower_runs_once_and_nothing_changes", _STORED],
    "gradient checkpointing": [f"{_FAMILIES}::test_checkpointing_all_weights_changes_nothing"],
    "generates after training": [_LORA],
    "loads from its folder": [f"{_TINY}::test_a_saved_model_loads_like_any_other"],
}
"""The tests that stand behind each column."""


def main() -> None:
    """Run the tests and write the table, or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the page and write nothing")
    check: bool = parser.parse_args().check
    made = table(outcomes())
    page = PAGE.read_text("utf-8")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    new = f"{before}{BEGIN}\n{made}\n{END}{after}"
    print(made)
    if check:
        raise SystemExit(0 if new == page else f"{PAGE} does not say this; run {Path(__file__).name}")
    PAGE.write_text(new, "utf-8")


def outcomes() -> dict[tuple[str, str], bool]:
    """Whether each test passed for each family, all its cases together."""
    files = sorted({f"tests/{name.partition('::')[0].replace('.', '/')}.py" for names in COLUMNS.values() for name in names})
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run([sys.executable, "-m", "pytest", "-q", *files, f"--junitxml={report}"], cwd=ROOT, check=False)
        cases = list(ElementTree.parse(report).iter("testcase"))
    found: dict[tuple[str, str], bool] = {}
    for case in cases:
        test, _, parameters = case.attrib["name"].partition("[")
        family = re.split(r"-(?:True|False)\b|\]", parameters)[0]
        key = (f"{case.attrib['classname'].removeprefix('tests.')}::{test}", family)
        passed = not any(case.find(name) is not None for name in ("failure", "error", "skipped"))
        found[key] = found.get(key, True) and passed
    return found


def table(passed: dict[tuple[str, str], bool]) -> str:
    """The table in Markdown: a tick where all tests of a cell passed."""
    lines = ["| | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for family, name in NAMES.items():
        cells = ("✓" if all(passed.get((test, family)) for test in tests) else "✗" for tests in COLUMNS.values())
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
