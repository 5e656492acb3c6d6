"""How far training has moved a model: log-ratios to its reference on answers that the model itself gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from spatialreasoner.core.types import Question, Scene
from spatialreasoner.evaluation.predictions import Prediction
from spatialreasoner.scenes import carry

BATCH = 16
_PARTS = ("description", "reasoning", "markup")


def divergence(policy: str, ref: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean of log policy - log reference over answers sampled from the policy: an unbiased estimate of KL(policy | ref).

    Args:
        policy: Folder of the model whose answers they are, sampled at temperature 1.
        ref: Folder of its reference.
        rows: The answers, of `rows_of`.

    Returns:
        Nats an answer: of each segment, of what lies between them (`markup`), of the whole (`total`), and its standard error
        (`error`).
    """
    ratios = _logps(policy, rows) - _logps(ref, rows)
    total = ratios.sum(axis=1)
    means = dict(zip(_PARTS, ratios.mean(axis=0).tolist(), strict=True))
    return {**means, "total": float(total.mean()), "error": float(total.std(ddof=1) / np.sqrt(len(total)))}


def rows_of(
    predictions: Sequence[Prediction], questions: Mapping[str, Question], scenes: Mapping[str, Scene]
) -> list[dict[str, Any]]:
    """Sampled answers as pairs of the trainer; answers that say nothing are left out. The rejected side is not looked at."""
    return [_row(each, questions[each.question_id], scenes) for each in predictions if each.pred.strip()]


def _row(prediction: Prediction, question: Question, scenes: Mapping[str, Scene]) -> dict[str, Any]:
    scene = scenes[question.scene_id]
    masks = [scene.region(region_id).mask for region_id in question.region_ids]
    return {
        "images": [scene.image],
        "regions": carry.as_text(masks),
        "prompt": [{"role": "user", "content": question.text}],
        "chosen": [{"role": "assistant", "content": prediction.pred.strip()}],
        "rejected": [{"role": "assistant", "content": "-"}],
    }


def _logps(model: str, rows: Sequence[Mapping[str, Any]]) -> Float[np.ndarray, "n columns"]:
    return np.array([logps for batch in _batches(model, rows) for logps in batch], dtype=float)


def _batches(source: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[list[list[float]]]:
    import torch

    from spatialreasoner.training.collate import Encoder, PairCollator
    from spatialreasoner.training.forward import add_token_logps, padded, pair_logps
    from spatialreasoner.vlm.loading import load_vlm

    model, processor = load_vlm(source, precision="float32")
    loaded: Any = model.eval()
    add_token_logps(loaded)
    collate, pad = PairCollator(Encoder(processor)), loaded.generation_config.pad_token_id
    with torch.inference_mode():
        for start in range(0, len(rows), BATCH):
            batch = collate(rows[start : start + BATCH])
            chosen, _ = pair_logps(loaded(**padded(batch, pad_token_id=pad)), batch, len(_PARTS))
            yield chosen.tolist()
