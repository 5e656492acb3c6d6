"""Whether models end their answers by themselves after training on short ones, whatever their chat template writes.

python benchmarks/stopping.py                      # every form of tests/chat_forms.py, minutes
python benchmarks/stopping.py LLaVA-1.5 Qwen3.5    # these alone

For each form a tiny LLaVA with random weights learns 30 rows for 40 epochs (SFT), then 30 pairs for one (fDPO). After
each it answers 6 questions greedily, up to 60 tokens. Prints how many answers ended by themselves, and how many were the
learned ones; exits with 1 where one did not end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from chat_forms import FORMS, ChatForm, build_model  # noqa: E402
from spatialreasoner.core.types import Prompt  # noqa: E402
from spatialreasoner.inference.backends.hf import HfPolicy  # noqa: E402
from spatialreasoner.pipeline import train  # noqa: E402

COLOURS = ("red", "green", "blue")
COMMON = ["per_device_train_batch_size=15", "gradient_accumulation_steps=1", "weight_decay=0", "save_steps=1000",
          "precision=float32", "threads=1"]  # fmt: skip


def main() -> None:
    """Train, ask, and print a line for each form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="Forms; all by default.")
    names = parser.parse_args().names
    forms = [form for form in FORMS if not names or form.name in names]
    print(f"{'form':22} {'ended (SFT)':>12} {'right':>6} {'ended (fDPO)':>13}")
    failed = 0
    for form in forms:
        with TemporaryDirectory() as folder:
            sft, right, fdpo = measure(form, Path(folder))
        failed += sft + fdpo < 12
        print(f"{form.name:22} {sft:>9} / 6 {right:>6} {fdpo:>10} / 6", flush=True)
    sys.exit(bool(failed))


def measure(form: ChatForm, folder: Path) -> tuple[int, int, int]:
    """Of 6 answers, how many ended after SFT, how many were right, and how many ended after fDPO."""
    write_rows(folder)
    model = build_model(form, folder / "model")
    first = ["num_train_epochs=40", "learning_rate=1e-2"]
    train(folder / "sft.jsonl", kind="sft", model=str(model), out=folder / "sft", overrides=[*COMMON, *first])
    second = ["num_train_epochs=1", "learning_rate=1e-4"]
    train(folder / "pairs.jsonl", kind="fdpo", model=str(folder / "sft"), out=folder / "fdpo", overrides=[*COMMON, *second])
    sft, fdpo = (ask(folder / name, folder / "room.png") for name in ("sft", "fdpo"))
    right = sum(answer.text in {conversation(number)[1] for number in range(3)} for answer in sft)
    return ended(sft), right, ended(fdpo)


def ended(answers: list[Any]) -> int:
    """How many answers ended by themselves."""
    return sum(answer.finish == "stop" for answer in answers)


def conversation(number: int) -> tuple[str, str]:
    """A question and its answer."""
    colour = COLOURS[number % 3]
    return f"How tall is the {colour} one?", f"The {colour} one is {number % 3 + 1} m tall."


def write_rows(folder: Path) -> None:
    """The rows of SFT, and pairs in the LongCoT form."""
    Image.new("RGB", (28, 28)).save(folder / "room.png")
    with (folder / "sft.jsonl").open("w") as sft, (folder / "pairs.jsonl").open("w") as pairs:
        for number in range(30):
            asked, said = conversation(number)
            user = {"role": "user", "content": asked}
            sft.write(json.dumps({"images": ["room.png"], "messages": [user, {"role": "assistant", "content": said}]}) + "\n")
            sides = [f"<description>A box.</description><reasoning>{text}</reasoning>" for text in (said, "None of them.")]
            chosen, rejected = ([{"role": "assistant", "content": side}] for side in sides)
            gaps = {"gap_description": 0.5, "gap_reasoning": 2.0}
            row = {"images": ["room.png"], "prompt": [user], "chosen": chosen, "rejected": rejected, **gaps}
            pairs.write(json.dumps(row) + "\n")


def ask(model: Path, image: Path) -> list[Any]:
    """Six answers."""
    policy = HfPolicy(model, temperature=0, max_new_tokens=60)
    prompts = [Prompt(image=str(image), regions=(), request=conversation(number)[0]) for number in range(6)]

    async def each() -> list[Any]:
        return [(await policy.complete(prompt, n=1, seed=0))[0] for prompt in prompts]

    return asyncio.run(each())


if __name__ == "__main__":
    main()
