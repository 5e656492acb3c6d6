"""Pairs per second and peak memory of FDPOTrainer against TRL's DPOTrainer: same model, pairs, batch and precision.

    python benchmarks/fdpo.py                              # Qwen2.5-VL shape, 58M parameters, CPU, float32
    python benchmarks/fdpo.py --questions 1 --batch 1      # one question per image: what only a pair has in common
    python benchmarks/fdpo.py --against v1.2               # and against an earlier build of this repository
    python benchmarks/fdpo.py --threads 1 --clock cpu      # the same on a machine that others use too
    python benchmarks/fdpo.py --device cuda --shape 3b     # the shape of Qwen2.5-VL-3B, random weights, bfloat16
    python benchmarks/fdpo.py --frozen-vision              # a frozen tower: run twice per step, once per step, once per run

A batch is one image of 784 tokens and 8 questions of 216 tokens about it, each with two responses of 250 tokens. Each trainer
runs in a process of its own; the whole step is timed (images, forward, backward, optimizer). Memory is the peak above what
the imports take. The bound is what counting multiplications allows. Exits with 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from earlier import SOURCE, check_out, running

QUESTION, IMAGE, RESPONSE = 216, 784, 250
LIMITS = {"live": 3.0, "cached": 4.0}
"""Minimum ratio to TRL's pairs per second, with eight questions per image."""
SINGLE_LIMITS = {"live": 1.6, "cached": 2.2}
"""The same with one question per image."""
OF_BOUND, OF_MEMORY, OF_EARLIER, OF_EARLIER_SINGLE = 0.9, 0.6, 1.7, 0.97
"""Minimum share of the bound, maximum share of TRL's memory, minimum ratio to the earlier build."""
SHAPES: dict[str, dict[str, Any]] = {
    "60m": {
        "text": {"hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 12, "num_attention_heads": 8,
                 "num_key_value_heads": 2, "vocab_size": 8192},
        "vision": {"depth": 4, "hidden_size": 384, "intermediate_size": 1024, "num_heads": 6, "out_hidden_size": 512,
                   "fullatt_block_indexes": [3]},
        "mrope_section": [8, 12, 12],
    },
    "3b": {
        "text": {"hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
                 "num_key_value_heads": 2, "vocab_size": 151936},
        "vision": {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 2048},
        "mrope_section": [16, 24, 24],
    },
}  # fmt: skip


def main() -> None:
    """Run every trainer in turn and compare."""
    args = arguments()
    if args.worker:
        print("RESULT " + json.dumps(measure(args)))
        return
    kinds = ["twice", "step", "run"] if args.frozen_vision else ["trl", "live", "cached"]
    with tempfile.TemporaryDirectory() as folder:
        builds = dict.fromkeys(kinds, SOURCE)
        if args.against:
            earlier = check_out(args.against, Path(folder))
            builds |= {f"earlier {kind}": earlier for kind in ("live", "cached")}
        results = [{kind: run_worker(kind, source) for kind, source in builds.items()} for _ in range(args.rounds)]
    best = {kind: min((each[kind] for each in results), key=lambda result: result["seconds"]) for kind in builds}
    if args.frozen_vision:
        report_frozen(best)
    else:
        report(best, args)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--shape", choices=list(SHAPES), default="60m")
    parser.add_argument("--questions", type=int, default=8, help="pairs about one image")
    parser.add_argument("--batch", type=int, default=8, help="pairs in a batch")
    parser.add_argument("--steps", type=int, default=2, help="steps timed, after one that is not")
    parser.add_argument("--rounds", type=int, default=1, help="how often all are run; the fastest round of each counts")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves the choice to torch")
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], default="wall", help="cpu: processor time, for a CPU that others use too"
    )
    parser.add_argument("--against", metavar="REF", help="also measure an earlier build: a commit or tag of this repository")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing, for all alike")
    parser.add_argument("--frozen-vision", action="store_true", help="compare how often a frozen tower runs")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def run_worker(kind: str, source: Path) -> dict[str, Any]:
    """Measure one trainer in a fresh process, by the sources given."""
    print(f"measure {kind} ...", file=sys.stderr, flush=True)
    command = [sys.executable, __file__, *sys.argv[1:], "--worker", kind]
    environment = running(source)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not lines:
        raise SystemExit(f"{kind} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return json.loads(lines[0].removeprefix("RESULT "))


def report(best: dict[str, dict[str, Any]], args: argparse.Namespace) -> None:
    """Print the comparison; exit with 1 where a limit is missed."""
    trl, met = best["trl"], True
    limits = SINGLE_LIMITS if args.questions == 1 else LIMITS
    print(f"{trl['parameters'] / 1e6:.1f}M parameters, {trl['machine']}, torch {trl['torch']}, trl {trl['trl']}")
    print(f"{args.questions} questions per image, {args.batch} pairs per batch")
    print(f"{'':16}{'pairs/s':>9}{'ratio':>8}{'limit':>8}{'bound':>8}{'of bound':>10}{'memory':>11}{'of TRL':>8}")
    for kind, result in best.items():
        ratio = trl["seconds"] / result["seconds"]
        bound = trl["operations"] / result["operations"]
        share = result["memory"] / trl["memory"]
        limit = limits.get(kind)
        met &= limit is None or (ratio >= limit and ratio >= OF_BOUND * bound and share <= OF_MEMORY)
        print(
            f"{kind:16}{args.batch / result['seconds']:9.3f}{ratio:8.2f}{limit or 1:8.2f}{bound:8.2f}{ratio / bound:10.0%}"
            f"{result['memory'] / 2**20:8.0f}MiB{share:8.0%}"
        )
    for kind in limits if args.against else ():
        faster = best[f"earlier {kind}"]["seconds"] / best[kind]["seconds"]
        limit = OF_EARLIER_SINGLE if args.questions == 1 else OF_EARLIER
        met &= faster >= limit
        print(f"{kind}: {faster:.2f} times {args.against} (limit {limit})")
    print("limits met" if met else f"LIMITS MISSED (a ratio, {OF_BOUND:.0%} of the bound, or {OF_MEMORY:.0%} of the memory)")
    raise SystemExit(0 if met else 1)


def report_frozen(best: dict[str, dict[str, Any]]) -> None:
    """Print what it saves to run a frozen tower less often, with a live reference."""
    twice = best["twice"]
    print(f"{twice['parameters'] / 1e6:.1f}M parameters, {twice['machine']}; the frozen tower runs")
    for kind, name in (("twice", "twice per step"), ("step", "once per step"), ("run", "once per run")):
        result = best[kind]
        ratio, bound = twice["seconds"] / result["seconds"], twice["operations"] / result["operations"]
        print(f"{name:16}{1 / result['seconds']:9.3f} steps/s{ratio:8.2f} times; multiplications allow {bound:.2f}")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Train some steps; seconds per step (median), peak memory in bytes, operations per step."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    import transformers
    import trl
    from datasets import Dataset
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer

    transformers.logging.set_verbosity_error()
    if args.threads:
        torch.set_num_threads(args.threads)
    before = memory(args.device)
    model, processor = build(args.shape, args.device)
    if args.frozen_vision:
        model.model.visual.requires_grad_(False)
    rows = pairs(processor, count=args.batch * (args.steps + 1), questions=args.questions)
    timer = clock(time.process_time if args.clock == "cpu" else time.perf_counter)
    kind = args.worker.removeprefix("earlier ")
    with tempfile.TemporaryDirectory() as folder:
        common: dict[str, Any] = {
            "output_dir": folder, "per_device_train_batch_size": args.batch, "max_steps": args.steps + 1,
            "bf16": False, "use_cpu": args.device == "cpu", "report_to": "none", "save_strategy": "no", "disable_tqdm": True,
            "activation_checkpointing": args.checkpointing, "max_length": None, "logging_steps": 1000, "learning_rate": 1e-6,
            "dataloader_pin_memory": False,
        }  # fmt: skip
        shared: dict[str, Any] = {
            "processing_class": processor, "train_dataset": Dataset.from_list(rows), "callbacks": [timer]
        }  # fmt: skip
        if kind == "trl":
            trainer: Any = DPOTrainer(model, copy.deepcopy(model), DPOConfig(**common), **shared)
        elif kind == "cached":
            trainer = FDPOTrainer(model, FDPOConfig(**cached_reference(FDPOConfig), **common), **shared)
        else:
            options = {"vision_cache_gib": 0.0} if kind in ("twice", "step") else {}
            trainer = FDPOTrainer(model, args=FDPOConfig(**options, **common), ref_model=copy.deepcopy(model), **shared)
        if kind == "twice":
            trainer._shared_vision().parts.clear()
        if kind == "run":
            trainer.evaluate(shared["train_dataset"])  # the epoch in which each image is seen for the first time
        trainer.train()
        assert kind == "trl" or trainer._shares
    return {
        "seconds": statistics.median(timer.steps[1:]),
        "memory": memory(args.device) - before,
        "operations": operations(args, model),
        "parameters": sum(each.numel() for each in model.parameters()),
        "machine": torch.cuda.get_device_name() if args.device == "cuda" else f"{torch.get_num_threads()} CPU threads",
        "torch": torch.__version__,
        "trl": trl.__version__,
    }


def cached_reference(config: Any) -> dict[str, Any]:
    """How that build is told to compute the reference once."""
    return {"reference": "cached"} if "reference" in config.__dataclass_fields__ else {"precompute_ref_log_probs": True}


def memory(device: str) -> int:
    """Peak memory so far, bytes."""
    import torch

    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def build(shape: str, device: str) -> tuple[Any, Any]:
    """A Qwen2.5-VL of that shape with random weights, and its processor."""
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    try:
        tiny: Any = importlib.import_module("spatialreasoner.testing.tiny_models")
    except ImportError:  # an earlier build
        tiny = importlib.import_module("spatialreasoner.models.tiny")
    make: Callable[..., Any] = getattr(tiny, "make_tiny", None) or tiny.make
    small, processor = make("qwen2_5_vl", [" ".join(WORDS)] * 50, image_size=784)
    ids = {name: getattr(small.config, name) for name in ("image_token_id", "video_token_id", "vision_start_token_id")}
    parts = SHAPES[shape]
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": parts["mrope_section"]}
    text = {**parts["text"], "rope_parameters": rope, "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=parts["vision"], **ids)
    torch.manual_seed(0)
    with torch.device(device):
        model = Qwen2_5_VLForConditionalGeneration(config)
    return model.to(torch.bfloat16 if device == "cuda" else torch.float32), processor


WORDS = [
    "the",
    "red",
    "box",
    "on",
    "floor",
    "is",
    "left",
    "of",
    "blue",
    "chair",
    "and",
    "about",
    "two",
    "metres",
    "behind",
    "it",
]


def pairs(processor: Any, *, count: int, questions: int) -> list[dict[str, Any]]:
    """Pairs of exactly the stated lengths, a given number per image."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)

    def text(tokens: int) -> str:
        """Words of one token each."""
        return " " + " ".join(str(rng.choice(SINGLE)) for _ in range(tokens))

    tokenizer = processor.tokenizer
    SINGLE = [word for word in set(WORDS) if len(tokenizer(" " + word, add_special_tokens=False)["input_ids"]) == 1]
    rows: list[dict[str, Any]] = []
    for number in range(count):
        if number % questions == 0:
            image = Image.fromarray(rng.integers(0, 255, (784, 784, 3), dtype=np.uint8))
        sides = {}
        for side in ("chosen", "rejected"):
            description = f"<description>{text(60)}</description>\n<reasoning>"
            have = len(tokenizer(description + "</reasoning><|im_end|>\n", add_special_tokens=False)["input_ids"])
            sides[side] = [{"role": "assistant", "content": f"{description}{text(RESPONSE - have)}</reasoning>"}]
        rows.append(
            {
                "images": [image],
                "prompt": [{"role": "user", "content": text(QUESTION - 5)}],
                **sides,
                "gap_description": float(rng.uniform(0, 3)),
                "gap_reasoning": float(rng.uniform(0, 5)),
            }
        )
    return rows


def operations(args: argparse.Namespace, model: Any) -> float:
    """Multiplications that a step needs by the trainer's own plan, up to a common factor.

    Weights times tokens for linear layers, width times pairs of tokens for attention; a backward pass is two forward passes.
    The few tokens that answers start with in common are left out.
    """
    kind = args.worker
    config = model.config.text_config
    backbone = sum(each.numel() for name, each in model.model.language_model.named_parameters() if "embed" not in name)
    vision = sum(each.numel() for each in model.model.visual.parameters()) * 4 * IMAGE
    head = config.vocab_size * config.hidden_size
    width = 2 * config.num_hidden_layers * config.hidden_size
    prompt, whole = IMAGE + QUESTION, IMAGE + QUESTION + RESPONSE
    pairs, images = args.batch, -(-args.batch // args.questions)
    if kind == "trl":
        scored = RESPONSE if args.device == "cuda" else whole  # off the GPU it scores prompts too
        seeing = 2 * pairs * vision
        language = 2 * pairs * (whole * backbone + width * whole**2 / 2 + scored * head)
    elif kind.startswith("earlier"):
        seen = prompt**2 / 2 + 2 * (RESPONSE * prompt + RESPONSE**2 / 2)
        seeing = pairs * vision
        language = pairs * ((prompt + 2 * RESPONSE) * backbone + width * seen + 2 * RESPONSE * head)
    else:
        seen = QUESTION * IMAGE + QUESTION**2 / 2 + 2 * (RESPONSE * prompt + RESPONSE**2 / 2)
        seeing = images * vision
        language = images * (IMAGE * backbone + width * IMAGE**2 / 2)
        language += pairs * ((QUESTION + 2 * RESPONSE) * backbone + width * seen + 2 * RESPONSE * head)
    if args.frozen_vision:
        return 4 * language + {"twice": 2, "step": 1, "run": 0}[kind] * seeing
    return (language + seeing) * (3 if kind.endswith("cached") else 4)


def clock(seconds: Callable[[], float]) -> Any:
    """A callback with the seconds of each optimizer step, the loading of its batch included."""
    import torch
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.steps: list[float] = []
            self._last = 0.0

        def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
            self._last = seconds()

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            now = seconds()
            self.steps.append(now - self._last)
            self._last = now

    return Clock()


if __name__ == "__main__":
    main()
