"""The nano's decoder, a Llama, in NumPy: it reads a prompt at once, then token by token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from spatialreasoner.nano.numpy.layers import Array, NamedWeights, attend


class Decoder:
    """A decoder and what it has read.

    Args:
        part: Its weights.
        config: Its configuration, as transformers writes it.
    """

    def __init__(self, part: NamedWeights, config: Mapping[str, Any]) -> None:
        self._heads: int = config["num_attention_heads"]
        self._eps: float = config["rms_norm_eps"]
        width: int = config["head_dim"]
        self._frequencies = np.float32(config["rope_parameters"]["rope_theta"] ** (-np.arange(0, width, 2) / width))
        self._layers = [part["layers"][index] for index in range(config["num_hidden_layers"])]
        self._part = part
        self._read: list[tuple[Array, Array] | None] = [None] * len(self._layers)
        self._length = 0

    @property
    def embeddings(self) -> Float[Array, "vocabulary hidden"]:
        """Of the tokens; the head has the same."""
        return self._part["embed_tokens"]("weight")

    def __call__(self, embeds: Float[Array, "tokens hidden"]) -> Float[Array, " vocabulary"]:
        """Read on; the logits of the token that comes next."""
        count = len(embeds)
        places = np.arange(self._length, self._length + count)
        seen = places[:, None] >= np.arange(self._length + count)
        angles = np.tile(places[:, None].astype(np.float32) * self._frequencies, 2)
        turn = (np.cos(angles), np.sin(angles))
        hidden = embeds
        for index, layer in enumerate(self._layers):
            normed = self._normed(layer["input_layernorm"], hidden)
            hidden = hidden + self._attended(index, layer["self_attn"], normed, turn, seen)
            normed, mlp = self._normed(layer["post_attention_layernorm"], hidden), layer["mlp"]
            gate = mlp["gate_proj"].linear(normed)
            hidden = hidden + mlp["down_proj"].linear(gate * expit(gate) * mlp["up_proj"].linear(normed))
        self._length += count
        return self.embeddings @ self._normed(self._part["norm"], hidden[-1])

    def _attended(
        self, index: int, part: NamedWeights, normed: Float[Array, "tokens hidden"], turn: tuple[Array, Array], seen: Array
    ) -> Float[Array, "tokens hidden"]:
        queries, keys, values = (self._split(part[name].linear(normed)) for name in ("q_proj", "k_proj", "v_proj"))
        queries, keys = _turned(queries, *turn), _turned(keys, *turn)
        if (before := self._read[index]) is not None:
            keys, values = (np.concatenate(pair, axis=1) for pair in zip(before, (keys, values), strict=True))
        self._read[index] = keys, values
        return part["o_proj"].linear(attend(queries, keys, values, seen).swapaxes(0, 1).reshape(normed.shape))

    def _split(self, values: Float[Array, "tokens hidden"]) -> Float[Array, "heads tokens head"]:
        return values.reshape(len(values), self._heads, -1).swapaxes(0, 1)

    def _normed(self, part: NamedWeights, hidden: Float[Array, "*tokens hidden"]) -> Float[Array, "*tokens hidden"]:
        """Llama's norm: by the root of the mean square."""
        return hidden / np.sqrt((hidden**2).mean(-1, keepdims=True) + self._eps) * part("weight")


def _turned(
    vectors: Float[Array, "heads tokens head"], cos: Float[Array, "tokens head"], sin: Float[Array, "tokens head"]
) -> Float[Array, "heads tokens head"]:
    """Rotary positions, as Llama has them: halves of a head are the two parts of complex numbers."""
    left, right = np.split(vectors, 2, axis=-1)
    return vectors * cos + np.concatenate([-right, left], axis=-1) * sin
