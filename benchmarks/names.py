"""How well the table of names, alone and with embeddings, tells whether a name may be said of a labelled thing.

    python benchmarks/names.py                          # the table alone
    python benchmarks/names.py --embeddings MODEL       # a sentence-embedding model too: a folder or a repository
    python benchmarks/names.py --embeddings MODEL --sweep   # at many thresholds, on the pairs that are not held out

The pairs are those of `tests/data/label_pairs.jsonl`, written by hand before any was scored; each second one is held out, and
thresholds are chosen on the others alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spatialreasoner.core import records
from spatialreasoner.rewards.names import LIKENESS, NameMatcher

PAIRS = Path(__file__).resolve().parents[1] / "tests" / "data" / "label_pairs.jsonl"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A scene's label and a text's name, whether the name may be said of it, and whether the pair is held out."""

    label: str
    name: str
    same: bool
    held: bool


def main() -> None:
    """Print precision and recall."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embeddings", help="a sentence-embedding model")
    parser.add_argument("--sweep", action="store_true", help="try thresholds")
    args = parser.parse_args()
    pairs = list(records.read_jsonl(PAIRS, Pair))
    tuned, held = ([pair for pair in pairs if pair.held is side] for side in (False, True))
    report("table alone, tuned on", NameMatcher(), tuned)
    report("table alone, held out", NameMatcher(), held)
    if args.embeddings is None:
        return
    from spatialreasoner.inference.backends.embeddings import TransformersEmbedder

    embedder = TransformersEmbedder(args.embeddings)
    if args.sweep:
        for percent in range(40, 90, 5):
            report(f"threshold {percent / 100:.2f}, tuned on", NameMatcher(embedder=embedder, likeness=percent / 100), tuned)
        return
    report(f"with embeddings at {LIKENESS}, tuned on", NameMatcher(embedder=embedder), tuned)
    report(f"with embeddings at {LIKENESS}, held out", NameMatcher(embedder=embedder), held)


def report(title: str, names: NameMatcher, pairs: Sequence[Pair]) -> None:
    """Print one line."""
    said = [names.fit(pair.label, pair.name) for pair in pairs]
    right = sum(yes and pair.same for yes, pair in zip(said, pairs, strict=True))
    same = sum(pair.same for pair in pairs)
    precision, recall = right / max(sum(said), 1), right / same
    print(
        f"{title:<36} {len(pairs)} pairs: precision {precision:.3f} ({right} of {sum(said)}), "
        f"recall {recall:.3f} ({right} of {same})"
    )


if __name__ == "__main__":
    main()
