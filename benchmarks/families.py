"""What works with which family of models, as the tests say: fills the table of docs/training.md.

python benchmarks/families.py                    # runs the tests (minutes) and writes the table
python benchmarks/families.py --report a.xml ... # writes it from reports of such runs: pytest --junitxml, -m "not app"
python benchmarks/families.py --check            # tells instead whether the table stands; exits with 1 where it does not
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from spatialreasoner.training.refusals import UNTRAINABLE, UNTRAINABLE_BY_PAIRS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "training.md"
BEGIN, END = "<!-- families: python benchmarks/families.py -->", "<!-- families end -->"
NAMES = {
    "llava": "LLaVA 1.5",
    "llava_next": "LLaVA-NeXT",
    "llava_onevision": "LLaVA-OneVision",
    "pixtral": "Pixtral (LLaVA)",
    "mistral3": "Mistral 3",
    "granite_vision": "Granite Vision (LLaVA-NeXT)",
    "granite4_vision": "Granite 4 Vision",
    "qwen2_vl": "Qwen2-VL",
    "qwen2_5_vl": "Qwen2.5-VL",
    "qwen3_vl": "Qwen3-VL",
    "qwen3_vl_moe": "Qwen3-VL, experts",
    "qwen3_5": "Qwen3.5",
    "qwen3_5_moe": "Qwen3.5, experts",
    "internvl": "InternVL 3.5 (HF)",
    "internvl_moe": "InternVL 3.5 (HF), experts",
    "internvl_gpt_oss": "InternVL 3.5 (HF), GPT-OSS",
    "idefics2": "Idefics 2",
    "idefics3": "Idefics 3",
    "smolvlm": "SmolVLM 2",
    "gemma3": "Gemma 3",
    "gemma4": "Gemma 4",
    "glm4v": "GLM-4.1V",
    "glm46v": "GLM-4.6V",
    "glm4v_moe": "GLM-4.5V, experts",
    "aya_vision": "Aya Vision",
    "fast_vlm": "FastVLM",
    "lfm2_vl": "LFM2-VL",
    "Llama": "Llama (text)",
    "Qwen3": "Qwen3 (text)",
    "Qwen3Moe": "Qwen3, experts (text)",
    "Qwen3Next": "Qwen3-Next (text)",
    "Gemma2": "Gemma 2 (text)",
    "Gemma3Text": "Gemma 3 (text)",
    "Granite": "Granite (text)",
    "Cohere2": "Cohere2 (text)",
    "GptOss": "GPT-OSS (text)",
    "Lfm2": "LFM2 (text)",
    "FalconH1": "Falcon-H1 (text)",
    "Bamba": "Bamba (text)",
}
ROWS = {"qwen3_5", "qwen3_5_moe", "lfm2_vl", "Qwen3Next", "Lfm2", "FalconH1", "Bamba"}
"""Families with recurrent layers: what passes for them under a shared prefix is that they train on separate rows."""

LIBRARIES = {"fast_vlm": "timm"}
"""What a family wants whose tests were skipped, where it is not torchvision alone."""

_FAMILIES, _VISION, _TINY = "training.test_families", "training.test_vision", "testing.test_tiny_models"
_SAME = f"{_FAMILIES}::test_alpha_zero_is_the_dpo_of_trl_and_a_shared_prefix_changes_nothing"
_TRIE = "training.test_trie_families::test_a_trie_is_what_separate_rows_are"
_LOGPS = "training.test_trie_families::test_log_probabilities_are_those_of_the_models_own_forward_pass"
_STORED = "training.test_frozen_features::test_each_image_is_seen_once_per_run_and_nothing_changes"
_FDPO = f"{_FAMILIES}::test_fdpo_is_not_dpo_and_is_the_same_with_a_shared_prefix"
_LORA = f"{_FAMILIES}::test_lora_with_a_cached_reference_trains_and_generates"
COLUMNS = {
    "SFT": [f"{_FAMILIES}::test_sft_learns"],
    "DPO as TRL's": [_SAME],
    "fDPO": [_FDPO],
    "shared prefix": [_SAME, _FDPO, _TRIE, _LOGPS],
    "LoRA": [_LORA],
    "cached reference": [_LORA],
    "frozen vision seen once": [f"{_VISION}::test_a_frozen_tower_runs_once_and_nothing_changes", _STORED],
    "gradient checkpointing": [f"{_FAMILIES}::test_checkpointing_all_weights_changes_nothing"],
    "generates after training": [_LORA],
    "loads from its folder": [f"{_TINY}::test_a_saved_model_loads_like_any_other"],
}
"""The tests behind each column."""


def main() -> None:
    """Run the tests and write the table, or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the page and write nothing")
    parser.add_argument("--report", type=Path, nargs="+", help="reports of runs that were made before")
    arguments = parser.parse_args()
    check: bool = arguments.check
    made = table(outcomes(arguments.report or run()))
    page = PAGE.read_text("utf-8")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    new = f"{before}{BEGIN}\n{made}\n{END}{after}"
    print(made)
    if check:
        raise SystemExit(0 if new == page else f"{PAGE} does not say this; run {Path(__file__).name}")
    PAGE.write_text(new, "utf-8")


def run() -> list[Path]:
    """Run the tests; returns their report."""
    files = sorted({f"tests/{name.partition('::')[0].replace('.', '/')}.py" for names in COLUMNS.values() for name in names})
    report = Path(tempfile.mkdtemp()) / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not app", *files, f"--junitxml={report}"]
    subprocess.run(command, cwd=ROOT, check=False)
    return [report]


def outcomes(reports: Sequence[Path]) -> dict[tuple[str, str], str]:
    """How each test ended for each family, all its cases together: passed, failed or skipped."""
    found: dict[tuple[str, str], str] = {}
    cases = {  # of a test that ran more than once the last report counts
        (case.attrib["classname"], case.attrib["name"]): case
        for report in reports
        for case in ElementTree.parse(report).iter("testcase")
    }
    for case in cases.values():
        test, _, parameters = case.attrib["name"].partition("[")
        family = re.split(r"-(?:True|False|float32|bfloat16|float16)\b|\]", parameters)[0]
        key = (f"{case.attrib['classname'].removeprefix('tests.')}::{test}", family)
        failed = any(case.find(name) is not None for name in ("failure", "error"))
        ended = "failed" if failed else "skipped" if case.find("skipped") is not None else "passed"
        found[key] = ended if found.get(key, "passed") == "passed" else found[key]
    return found


def cell(ended: Sequence[str | None], family: str, column: str) -> str:
    """What a cell says: a tick where all its tests passed, a dash where none is for this family."""
    known = {each for each in ended if each is not None}
    if not known:
        return "–"
    if known == {"skipped"}:
        return LIBRARIES.get(family, "torchvision")
    if known != {"passed"}:
        return "✗"
    return "separate rows" if column == "shared prefix" and family in ROWS else "✓"


def table(ended: Mapping[tuple[str, str], str]) -> str:
    """The table in Markdown, and the families that are refused."""
    lines = ["| | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for family, name in NAMES.items():
        cells = (cell([ended.get((test, family)) for test in tests], family, column) for column, tests in COLUMNS.items())
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    refused = [f"- `{name}`: {reason}." for name, reason in UNTRAINABLE.items()]
    refused += [f"- `{name}`, DPO and fDPO alone: {reason}." for name, reason in UNTRAINABLE_BY_PAIRS.items()]
    return "\n".join(
        [*lines, "", "Refused by name before anything is loaded (`tests/training/test_refusals.py`):", "", *refused]
    )


if __name__ == "__main__":
    main()
