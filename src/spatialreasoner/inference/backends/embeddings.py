"""Sentence-embedding models of transformers, such as MiniLM: texts of like meaning get vectors that lie near one another."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialreasoner.core.errors import ConfigError, MissingExtraError
from spatialreasoner.vlm.declared import within_weights
from spatialreasoner.vlm.safety import refuse_pickles

if TYPE_CHECKING:
    from jaxtyping import Float

MAX_TOKENS = 64
"""Maximum number of tokens read of a text: it is the name of a thing."""


class TransformersEmbedder:
    """A text encoder; a `protocols.Embedder`. The vector of a text is the mean of its tokens' last hidden states.

    Args:
        source: A folder, or the name of a repository on the Hub.

    Raises:
        ConfigError: If the model does not exist, it reads no text, or it could only be read by unpickling or by running its
            code.
        MissingExtraError: If transformers is not installed.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._tokenizer, self._model = _load(source)

    @property
    def identity(self) -> str:
        """All that decides a vector: the weights."""
        digest = hashlib.sha256()
        for path in sorted(Path(self._source).glob("*.safetensors")):
            digest.update(path.read_bytes())
        known = digest.hexdigest()[:16] if Path(self._source).is_dir() else getattr(self._model.config, "_commit_hash", None)
        return f"{self._source} {known}"

    def embed(self, words: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """One vector of length 1 per text."""
        import torch

        tokens: Any = self._tokenizer(list(words), padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        with torch.inference_mode():
            states = self._model(**tokens).last_hidden_state
        there = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)
        means = (states * there).sum(dim=1) / there.sum(dim=1)
        return torch.nn.functional.normalize(means, dim=-1).float().numpy()


def _load(source: str) -> tuple[Any, Any]:
    try:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging
    except ImportError:
        raise MissingExtraError(
            "embeddings need transformers, which is not installed: pip install 'spatialreasoner[train]'"
        ) from None
    logging.disable_progress_bar()
    if Path(source).is_dir():
        refuse_pickles(source)
    try:
        with within_weights(source):
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
            model = AutoModel.from_pretrained(source, use_safetensors=True, trust_remote_code=False)
    except ConfigError:
        raise
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"cannot load a sentence-embedding model from {source!r}: {str(error)[:500]}") from error
    if tokenizer.pad_token is None or getattr(model.config, "hidden_size", None) is None:
        raise ConfigError(f"expected a text encoder with a padding token in {source!r}; it is {type(model).__name__}")
    return tokenizer, model.eval()
