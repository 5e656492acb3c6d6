"""fDPO for segments of your own on a plain text model: no images, no regions, no depth.

    python examples/fdpo_text_only.py --out fdpo-text                   # a tiny Qwen2, built on the spot; seconds on a CPU
    python examples/fdpo_text_only.py --out fdpo-text --model Qwen/Qwen2.5-0.5B-Instruct

Here answers to sums have two segments, a plan and an answer, and rules score each. Yours may have others, and any scorer.
"""

import argparse
import random
from pathlib import Path

# essential: what docs/fdpo-only.md shows
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer

SEGMENTS = ["plan", "answer"]


def score(text: str, plan: str, answer: str) -> dict[str, float]:
    """One number per segment, here 0..4. Any scorer will do: rules, a reward model, people."""
    return {"plan": 4.0 * (f"<plan>{plan}</plan>" in text), "answer": 4.0 * (f"<answer>{answer}</answer>" in text)}


def pair(question: str, plan: str, answer: str, chosen: str, rejected: str) -> dict:
    """A row: TRL's conversational columns, and the gap of each segment: score of chosen minus rejected."""
    better, worse = score(chosen, plan, answer), score(rejected, plan, answer)
    return {
        "prompt": [{"role": "user", "content": question}],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        **{f"gap_{name}": better[name] - worse[name] for name in SEGMENTS},
    }


def make_trainer(model: str, rows: list[dict], **options: Any) -> FDPOTrainer:
    """A TRL trainer; segments are found by the tags of their names."""
    return FDPOTrainer(
        AutoModelForCausalLM.from_pretrained(model, dtype="float32"),
        FDPOConfig(segments=SEGMENTS, fdpo_alpha=0.3, fdpo_lambda=0.6, use_cpu=not torch.cuda.is_available(), **options),
        processing_class=AutoTokenizer.from_pretrained(model),
        train_dataset=Dataset.from_list(rows),
    )


# essential ends


def sums(count: int, seed: int = 0) -> list[dict]:
    """Pairs about sums; the rejected side has a wrong plan, a wrong answer, or both."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        a, b, c = (chance.randint(2, 9) for _ in range(3))
        plan, answer = f"Add {a} and {b}, then multiply by {c}.", str((a + b) * c)
        other_plan, other_answer = f"Multiply {b} by {c}, then add {a}.", str(a + b * c)
        wrong = chance.choice([(other_plan, other_answer), (other_plan, answer), (plan, other_answer)])
        texts = [f"<plan>{one}</plan>\n<answer>{two}</answer>" for one, two in ((plan, answer), wrong)]
        rows.append(pair(f"What is the sum of {a} and {b}, times {c}?", plan, answer, *texts))
    return rows


def build_tiny(folder: Path, rows: list[dict]) -> str:
    """A Qwen2 of two layers with random weights, and a tokenizer trained on the rows."""
    from transformers import Qwen2Config, Qwen2ForCausalLM, set_seed

    from spatialreasoner.testing.tiny_models import CHAT_TEMPLATE, train_tokenizer

    texts = (row[name][0]["content"] for row in rows for name in ("prompt", "chosen", "rejected"))
    tokenizer = train_tokenizer(texts, vocabulary=400)
    tokenizer.chat_template = CHAT_TEMPLATE
    set_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )  # fmt: skip
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def main() -> None:
    """Train, and print the betas and what the trainer logged of each segment."""
    from spatialreasoner.training.loss import segment_betas

    parser = argparse.ArgumentParser(description="fDPO of a text model with segments of one's own")
    parser.add_argument("--out", type=Path, required=True, help="where the model goes")
    parser.add_argument("--model", help="a causal language model: a folder or a repository; none builds a tiny one")
    parser.add_argument("--pairs", type=int, default=64, help="how many pairs")
    parser.add_argument("--epochs", type=int, default=3)
    chosen = parser.parse_args()
    rows = sums(chosen.pairs)
    model = chosen.model or build_tiny(chosen.out / "tiny", rows)
    trainer = make_trainer(
        model, rows, output_dir=str(chosen.out), learning_rate=1e-5 if chosen.model else 1e-3, report_to="none",
        num_train_epochs=chosen.epochs, save_strategy="no", logging_steps=8, disable_tqdm=True,
    )  # fmt: skip
    trainer.train()
    trainer.save_model()
    for gaps in sorted({tuple(row[f"gap_{name}"] for name in SEGMENTS) for row in rows}):
        print(f"gaps of plan and answer {gaps}: betas {segment_betas(torch.tensor([gaps]))[0].tolist()}")
    last = next(entry for entry in reversed(trainer.state.log_history) if "loss" in entry)
    for name in SEGMENTS:
        print(
            f"{name}: margin {last[f'rewards/margins/{name}']:.3f}, right in {last[f'rewards/accuracies/{name}']:.0%} of pairs"
        )
    print(f"loss {last['loss']:.3f}; the model is in {chosen.out}")


if __name__ == "__main__":
    main()
