"""Texts whose last token would be another one if the text went on: what it holds is written once more, with what follows.

A colon before an answer that begins with a bracket is often one token with it. A model that was trained on `:<` has never read
that colon alone, so its prompt ends before the colon, and the first tokens that it writes have to begin with one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import LogitsProcessor


class OwedText(LogitsProcessor):
    """Keeps each row to the text that it owes until that is written; after it, or without any, a row is free.

    Args:
        owed: What each row has to begin with.
        tokenizer: The model's.
    """

    def __init__(self, owed: Sequence[str], tokenizer: Any) -> None:
        self._rest = list(owed)
        self._texts = _added_texts(tokenizer, len(tokenizer))
        self._begun = False

    def __call__(
        self, input_ids: Int[Tensor, "rows tokens"], scores: Float[Tensor, "rows vocabulary"]
    ) -> Float[Tensor, "rows vocabulary"]:
        """Leave the tokens that begin with what is owed, or that it begins with."""
        if self._begun:
            written = (self._texts[token] for token in input_ids[:, -1].tolist())
            self._rest = [
                rest[len(text) :] if rest.startswith(text) else "" for rest, text in zip(self._rest, written, strict=True)
            ]
        self._begun = True
        for row, rest in enumerate(self._rest):
            if rest:
                fits = [bool(text) and (text.startswith(rest) or rest.startswith(text)) for text in self._texts]
                allowed = torch.zeros(scores.shape[1], dtype=torch.bool, device=scores.device)
                allowed[: len(fits)] = torch.tensor(fits[: scores.shape[1]], device=scores.device)
                scores = scores.clone()
                scores[row] = scores[row].masked_fill(~allowed, -torch.inf)
        return scores


@lru_cache(maxsize=2)  # batches follow each other, and it decodes the whole vocabulary
def _added_texts(tokenizer: Any, size: int) -> list[str]:
    """What each of the tokens of a tokenizer adds to a text."""
    near: list[int] = tokenizer("a", add_special_tokens=False)["input_ids"][-1:]
    rows = [[*near, token] for token in range(size)]
    options: dict[str, Any] = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
    before = tokenizer.decode(near, **options)
    return [text[len(before) :] for text in tokenizer.batch_decode(rows, **options)]
