"""Writes `language/vocabulary.json`: what `vocabulary.toml` holds, in a form that is read thirty times as fast.

python scripts/vocabulary.py
"""

from __future__ import annotations

import json
import sys
import tomllib

from spatialreasoner.language.vocabulary import COMPILED, CURATED


def compiled() -> str:
    """What the file holds."""
    return json.dumps(tomllib.loads(CURATED.read_text("utf-8")), indent=0) + "\n"


if __name__ == "__main__":
    COMPILED.write_text(compiled(), encoding="utf-8")
    sys.exit(0)
