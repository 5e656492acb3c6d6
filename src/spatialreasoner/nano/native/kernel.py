"""The library of `decoder.c` for Python: a decoder's weights in panels, and the keys and values of many rows."""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from spatialreasoner.core.native import DECODER, WIDE_DECODER, address, open_library
from spatialreasoner.nano.native.blocks import ROW_BLOCK, Blocks
from spatialreasoner.nano.native.rooms import lined, lined_empty

WIDEST_PANEL = 32
"""Rows of the widest panels, as in `panels.h`."""

_Array = np.ndarray[Any, Any]


class _Layer(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("attend", "attended", "expand", "contract")]


class _Sketch(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("weights", "units", "sums")),
        *((name, ctypes.c_float) for name in ("longest", "farthest")),
    ]


class _Decoder(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("layers", "hidden", "inner", "heads", "width", "vocabulary", "most")),
        ("eps", ctypes.c_float),
        ("layer", ctypes.POINTER(_Layer)),
        *((name, ctypes.c_void_p) for name in ("head", "sketch", "cos", "sin", "blocks")),
    ]


@cache
def native_library(path: Path | None = None) -> ctypes.CDLL | None:
    """The library, by default the widest for this processor beside its source; None if there is none (`core.native`)."""
    library = next(filter(None, (open_library(each, path) for each in (WIDE_DECODER, DECODER))), None)
    if library is None:
        return None
    library.nano_work.restype = library.nano_see_work.restype = library.nano_look_work.restype = ctypes.c_int64
    return library


def is_suited(decoder: Any) -> bool:
    """Whether the library can read with a plain decoder (`steps.is_plain`): its precision, place and shape."""
    config, weights = decoder.config, decoder.norm.weight
    whole = config.hidden_size % WIDEST_PANEL == 0 and config.intermediate_size % (WIDEST_PANEL // 2) == 0
    heads = config.num_attention_heads * config.head_dim == config.hidden_size and config.head_dim % WIDEST_PANEL == 0
    return weights.dtype == torch.float32 and weights.device.type == "cpu" and config.hidden_act == "silu" and whole and heads


class _Words(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("table", "first", "number", "ends")]


class Words:
    """What a decoder reads and writes: what each token is read as, the region that it names, and whether it ends an answer.

    Args:
        decoder: The decoder.
        table: Embeddings of the tokens.
        regions: Tokens that name the first, the second, ... region of an image.
        ends: Tokens that end an answer.
    """

    def __init__(
        self,
        decoder: RowsDecoder,
        table: Float[np.ndarray, "vocabulary hidden"],
        regions: Sequence[int],
        ends: Sequence[int],
    ) -> None:
        self.table = np.ascontiguousarray(table, np.float32)
        self._first = decoder.begin(self.table)
        self.number = np.full(len(table), -1, np.int32)
        self.number[list(regions)] = range(len(regions))
        self._ends = np.zeros(len(table), np.uint8)
        self._ends[list(ends)] = 1
        self.at = ctypes.byref(_Words(*(each.ctypes.data for each in (self.table, self._first, self.number, self._ends))))


class _Told(ctypes.Structure):
    _fields_ = [("image", ctypes.c_void_p), ("regions", ctypes.c_void_p), ("named", ctypes.c_int32)]


class ToldImage:
    """What the tokens of an answer, and of its question, are read as besides the rows of the table.

    Args:
        image: What tokens -1, -2, ... are read as.
        regions: What is added to the names of the first, the second, ... region.
    """

    def __init__(self, image: Float[np.ndarray, "tokens hidden"], regions: Float[np.ndarray, "regions hidden"]) -> None:
        self._kept = [np.ascontiguousarray(each, np.float32) for each in (image, regions)]
        self.tokens, self._told = len(image), _Told(*(each.ctypes.data for each in self._kept), len(regions))
        self.at = ctypes.addressof(self._told)


class Unread(NamedTuple):
    """Tokens of a row that have not been read.

    Attributes:
        slot: Whose they are.
        place: The place of the first of them in its row.
        tokens: The tokens; -1, -2, ... are those of an image.
        told: What is told of each.
    """

    slot: int
    place: int
    tokens: Sequence[int]
    told: Sequence[ToldImage]


class Panels:
    """A decoder's weights as the library takes them, with the values that they have now.

    Args:
        library: Of `native_library`.
        decoder: A Llama of transformers; see `is_suited`.
        head: Weights of the head.
    """

    def __init__(self, library: ctypes.CDLL, decoder: Any, head: Float[Tensor, "vocabulary hidden"]) -> None:
        self.native, self.config, self.vocabulary = library, decoder.config, len(head)
        self.width: int = library.nano_panel()
        self._room = lined_empty(self._size())  # in the order of their use, for what comes next is fetched beforehand
        self._used = 0
        self.layers = (_Layer * len(decoder.layers))(*map(self._layer, decoder.layers))
        self.head = self._packed([head], decoder.norm)
        self.sketch = self._sketched(_floats(head * decoder.norm.weight))
        self._rotary: Any = decoder.rotary_emb

    def turns(self, places: int) -> tuple[_Array, _Array]:
        """Cosines and sines of the first `places` positions."""
        found = self._rotary(torch.zeros(1), torch.arange(places)[None])
        cos, sin = (_floats(each[0, :, : each.shape[-1] // 2]) for each in found)
        return cos, sin

    def _layer(self, layer: Any) -> _Layer:
        attention, mlp = layer.self_attn, layer.mlp
        kept_first = [attention.k_proj.weight, attention.v_proj.weight, attention.q_proj.weight]
        return _Layer(
            self._packed(kept_first, layer.input_layernorm),
            self._packed([attention.o_proj.weight]),
            self._packed([self._paired(mlp.gate_proj.weight, mlp.up_proj.weight)], layer.post_attention_layernorm),
            self._packed([mlp.down_proj.weight]),
        )

    def _paired(self, *two: Tensor) -> Tensor:
        """Rows of a gate and of what it lets pass, in turn by half a panel."""
        halves = (each.detach().unflatten(0, (-1, self.width // 2)) for each in two)
        return torch.stack([*halves], dim=1).flatten(0, 2)

    def _packed(self, products: Sequence[Tensor], norm: Any = None) -> int:
        """The address of products of the same rows as one, with the norm before them folded in."""
        joined = torch.cat([each.detach() for each in products])
        matrix = _floats(joined if norm is None else joined * norm.weight.detach())
        rows, columns = matrix.shape
        size = -(-rows // self.width) * self.width * columns
        panels = self._room[self._used : self._used + size]
        self._used += size
        self.native.nano_pack(address(matrix), rows, columns, address(panels))
        return panels.ctypes.data

    def _sketched(self, head: Float[np.ndarray, "vocabulary hidden"]) -> _Sketch | None:
        """The head in bytes, in whole panels; None where the library would not use it."""
        if not self.native.nano_sketches() or not np.isfinite(head).all():
            return None
        whole = np.pad(head, ((0, -len(head) % self.width), (0, 0))).astype(np.float64)
        units = np.maximum(abs(whole).max(1), np.finfo(np.float32).tiny).astype(np.float32) / np.float32(127)
        weights = np.rint(whole / units[:, None].astype(np.float64))
        off = np.linalg.norm(whole - weights * units[:, None], axis=1).max()
        columns = len(whole), self.config.hidden_size
        by_fours = weights.astype(np.int8).reshape(-1, self.width // 2, columns[1] // 4, 4).transpose(0, 2, 1, 3)
        self._kept = np.ascontiguousarray(by_fours), units, (128 * weights.sum(1)).astype(np.int32)
        longest = np.linalg.norm(whole, axis=1).max() + off
        return _Sketch(*(each.ctypes.data for each in self._kept), longest, off)

    def _size(self) -> int:
        hidden, inner = self.config.hidden_size, self.config.intermediate_size
        layer, head = (4 * hidden + 3 * inner) * hidden, -(-self.vocabulary // self.width) * self.width * hidden
        return self.config.num_hidden_layers * layer + head


class RowsDecoder:
    """A decoder that reads many rows, each at its own pace, and keeps what it has read.

    Nothing of a row's results depends on the other rows, not even its rounding.

    Args:
        panels: The weights.
        slots: How many rows it keeps.

    Attributes:
        rooms: Working memory, as floats: addresses, hidden states and logits, row by row, as the last call left them.
    """

    def __init__(self, panels: Panels, slots: int) -> None:
        self._panels, self._native, self._slots = panels, panels.native, slots
        config = panels.config
        self._hidden: int = config.hidden_size
        self._columns = -(-panels.vocabulary // panels.width) * panels.width
        self.rooms, self._rooms_at = [lined_empty(0)] * 3, list[ctypes.c_void_p]()
        self._blocks = Blocks(slots, 2 * config.num_hidden_layers * self._hidden * ROW_BLOCK)
        self._prepare()

    def make_room(self, slot: int, places: int) -> None:
        """Let a row have room for `places` tokens."""
        if places > self._blocks.rooms[slot] and self._blocks.extend(slot, places):
            self._prepare()

    def begin(self, embeds: Float[np.ndarray, "tokens hidden"]) -> Float[np.ndarray, "tokens thrice"]:
        """What the first layer's first product makes of tokens, wherever they stand."""
        rows, first = lined(embeds), lined_empty((len(embeds), 3 * self._hidden))
        self._native.nano_begin(self._at, len(rows), address(rows), address(first), address(self._work))
        return first

    def write(
        self, words: Words, pieces: Sequence[Unread], temperature: float, chance: Float[np.ndarray, "steps rows"]
    ) -> list[list[int]]:
        """Read on, and write on until one of the rows ends its answer: as many tokens of each row, at least one.

        The last of what is written is not read yet.

        Args:
            words: What tokens are read as, and which of them end an answer.
            pieces: What is to be read of each row; there must be room for it, and for what is written.
            temperature: Sampling temperature.
            chance: Numbers in [0, 1) that decide the samples, for as many steps as are wanted at most.
        """
        steps, rows = chance.shape
        self._check(words, pieces, steps)
        slots = [each.slot for each in pieces for _ in each.tokens]
        places = [place for each in pieces for place in range(each.place, each.place + len(each.tokens))]
        tokens = [token for each in pieces for token in each.tokens]
        told = (ctypes.c_void_p * len(tokens))(*[told.at for each in pieces for told in each.told])
        lots, written = np.ascontiguousarray(chance, np.float64), np.empty((steps, rows), np.int32)
        given = _whole(slots), _whole(places), _whole(tokens), told, ctypes.c_float(temperature), address(lots)
        self._make_rooms(len(tokens), rows)
        rooms = *self._rooms_at, address(written), self._work_at
        done: int = self._native.nano_write(self._at, words.at, len(tokens), steps, *given, *rooms)
        return written[:done].T.tolist()

    def _check(self, words: Words, pieces: Sequence[Unread], steps: int) -> None:
        for slot, place, tokens, told in pieces:
            if not 0 <= slot < self._slots or place < 0 or not tokens or len(told) != len(tokens):
                raise ValueError(f"expected slots of {self._slots}, places from 0, and tokens; got {slot}, {place}, {tokens}")
            last = place + len(tokens) + steps - 2
            if last >= self._blocks.rooms[slot]:
                raise ValueError(f"expected places below {self._blocks.rooms[slot]}; got {last}; call make_room before")
            if max(tokens) >= len(words.table) or (min(tokens) < 0 and any(map(_is_not_told, tokens, told))):
                raise ValueError(f"expected tokens below {len(words.table)}, and of the image those that it has; got {tokens}")

    def _make_rooms(self, tokens: int, rows: int) -> None:
        """Have working memory for so many tokens and rows; it is kept, for new memory is slow to begin with."""
        sizes = 2 * tokens, tokens * self._hidden, rows * self._columns  # addresses, hidden states, logits
        if any(map(operator.gt, sizes, map(len, self.rooms))):
            self.rooms = [lined_empty(max(size, len(room))) for size, room in zip(sizes, self.rooms, strict=True)]
            self._rooms_at = [*map(address, self.rooms)]

    def begin_as(self, slot: int, other: int, places: int) -> None:
        """Let a row hold the first `places` tokens that another one, or itself, has read, and nothing else."""
        block, copy, tokens = self._blocks.begin_as(slot, other, places)
        if tokens:
            self._native.nano_copy(self._at, ctypes.c_void_p(block), ctypes.c_void_p(copy), tokens)

    def _prepare(self) -> None:
        """Take what there is room for into account."""
        config, most = self._panels.config, self._blocks.table.shape[1]
        self._turns = self._panels.turns(most * ROW_BLOCK)
        self._decoder = _Decoder(
            config.num_hidden_layers,
            self._hidden,
            config.intermediate_size,
            config.num_attention_heads,
            config.head_dim,
            self._panels.vocabulary,
            most,
            config.rms_norm_eps,
            self._panels.layers,
            self._panels.head,
            self._panels.sketch and ctypes.addressof(self._panels.sketch),
            *(each.ctypes.data for each in (*self._turns, self._blocks.table)),
        )
        self._at = ctypes.byref(self._decoder)
        self._work = lined_empty(self._native.nano_work(self._at))
        self._work_at = address(self._work)


def _is_not_told(token: int, told: ToldImage) -> bool:
    return -token > told.tokens


def _whole(values: Sequence[int]) -> Any:
    """Whole numbers as the library takes them, for one call."""
    return (ctypes.c_int32 * len(values))(*values)


def _floats(values: Tensor) -> _Array:
    return np.ascontiguousarray(values.detach().numpy(), np.float32)
