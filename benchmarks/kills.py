"""Kills at random moments, two processes at one place, full disks, folders that cannot be written, and clocks that jump.

    python benchmarks/kills.py [--kills 5] [--training-kills 3] [--seed 0] [--only search,generate] [--without-training]

Every stage is done once in peace. Then it is begun in another folder and killed again and again (SIGKILL, SIGTERM, SIGINT) at
moments from a seed, and gone on with by the same command: nothing may be lost, no row come twice, no visible file be half
written, and the end must have the same bytes. SIGTERM must end it with 143 and Ctrl-C, which reaches its whole group, with 130,
without a traceback. Then it meets a folder that cannot be written, a disk of half the room that it needs, and clocks that are
wrong by ten years and jump. Prints a table with the codes it ended with; exits with 1 where something of this does not hold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from random import Random

from reliability.disks import Harm, wrong_clock
from reliability.killing import Killing
from reliability.places import Stage, prepare, stages


def main() -> int:
    """Kill and harm every stage; 1 where one was hurt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5, help="kills of each stage that does not load torch")
    parser.add_argument("--training-kills", type=int, default=3, help="kills of each stage that does, and takes long to start")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments")
    parser.add_argument("--only", default="", help="stages, with commas between")
    parser.add_argument("--without-training", action="store_true", help="leave out the stages that load torch")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        chosen = [stage for stage in stages() if _chosen(stage, options)]
        prepare(Path(folder), training=any(stage.trains for stage in chosen))
        return int(try_all(chosen, Path(folder), options))


def _chosen(stage: Stage, options: argparse.Namespace) -> bool:
    names = options.only.split(",") if options.only else [stage.name]
    return stage.name in names and not (stage.trains and options.without_training)


def try_all(chosen: list[Stage], folder: Path, options: argparse.Namespace) -> bool:
    """Kill and harm each of them; prints the table, returns whether something did not hold."""
    clock = wrong_clock(folder)
    print(f"{'stage':<16} {Killing.TITLES} {Harm.TITLES} {'the end':<8} problems")
    kills, hurt = 0, False
    for stage in chosen:
        killing = Killing(stage, folder, Random(f"{options.seed} {stage.name}"))
        killing.run(options.training_kills if stage.trains else options.kills)
        harm = Harm(stage, folder, clock)
        harm.run()
        problems = killing.problems + harm.problems
        end = "differs" if problems else "the same"
        print(f"{stage.name:<16} {killing.row()} {harm.row()} {end:<8} {'; '.join(problems)}".rstrip(), flush=True)
        kills, hurt = kills + killing.kills, hurt or bool(problems)
    print(f"{kills} kills of {len(chosen)} stages")
    return hurt


if __name__ == "__main__":
    sys.exit(main())
