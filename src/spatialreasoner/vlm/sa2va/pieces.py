"""A sentencepiece model as a tokenizer of the `tokenizers` library, which knows where tokens are in the text.

What sentencepiece would do with a text is built of the library's parts: the same normalization, the same merges in the order
of their scores, bytes for what is in no piece. Where sentencepiece is installed, the two are then compared.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE, Unigram

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.vlm.sa2va.piece_file import (
    NORMAL_PIECE,
    UNIGRAM,
    USER_DEFINED_PIECE,
    read_piece_file,
)

_BLANK = "▁"
_BLANKS = Regex(rf"[ {_BLANK}]+\z")

PROBES = (
    "user\nIs region1 wider than region2?",
    "\n",
    "assistant\n",
    "\nThere are 2 part regions in the picture: region1",
    ", region2",
    ".\nHow far apart are they, in metres?  Answer in steps.\n\n1. About 3.25 m (10' 8\"), +/- 5%.",
    "<description>It's the <region1>; naïve café, Größe ≈ 2½ m², 深度：三米。😀\t</description>",
    " leading, double  blanks and a trailing one ",
)
"""Texts between special tokens; on these the two must agree."""


def tokenizer_of_pieces(path: Path, added: Mapping[int, str]) -> Tokenizer:
    """Build the tokenizer of a sentencepiece model.

    Args:
        path: The `tokenizer.model`.
        added: Tokens that the folder adds, by id; one may replace a piece.

    Raises:
        ConfigError: If the file is not such a model, or of a kind that cannot be built.
        MissingExtraError: If protobuf is not installed.
    """
    model = read_piece_file(path)
    pieces = [(added.get(index, piece.piece), piece.score, piece.type) for index, piece in enumerate(model.pieces)]
    tokenizer = Tokenizer(_model(model, pieces, added))
    tokenizer.normalizer = _normalizer(model.normalizer_spec)
    defined = [piece for piece, _, kind in pieces if kind == USER_DEFINED_PIECE and piece not in added.values()]
    if defined:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_any_of(defined)), "isolated")
    tokenizer.decoder = _decoder(model.normalizer_spec)
    _check(tokenizer, path)
    return tokenizer


def _check(tokenizer: Tokenizer, path: Path) -> None:
    """Let the tokenizer read some texts, and compare it with sentencepiece itself, where that is installed."""
    try:
        found = {text: tokenizer.encode(text, add_special_tokens=False).ids for text in PROBES}
    except BaseException as error:  # a panic of Rust is not an Exception
        if type(error).__name__ != "PanicException":
            raise
        raise ConfigError(f"{path}: its mapping of characters is broken ({error})") from None
    if importlib.util.find_spec("sentencepiece") is None:
        return
    from sentencepiece import SentencePieceProcessor

    original: Any = SentencePieceProcessor(model_file=str(path))
    for text, got in found.items():
        wanted = original.encode(text)
        if wanted != got:
            raise ConfigError(f"{path}: cannot build this tokenizer: {text!r} should be {wanted[:20]}; it is {got[:20]}")


def _model(model: Any, pieces: list[tuple[str, float, int]], added: Mapping[int, str]) -> BPE | Unigram:
    trainer = model.trainer_spec
    if trainer.model_type == UNIGRAM:
        scores = [(piece, score) for piece, score, _ in pieces]
        return Unigram(scores, unk_id=trainer.unk_id, byte_fallback=trainer.byte_fallback)
    vocabulary = {piece: index for index, (piece, _, _) in enumerate(pieces)} | {name: index for index, name in added.items()}
    mergeable = {
        piece: score for index, (piece, score, kind) in enumerate(pieces) if kind == NORMAL_PIECE and index not in added
    }
    return BPE(
        vocabulary,
        merges(mergeable, vocabulary),
        unk_token=pieces[trainer.unk_id][0],
        fuse_unk=True,
        byte_fallback=trainer.byte_fallback,
        ignore_merges=any(kind == USER_DEFINED_PIECE for _, _, kind in pieces),  # a piece of these has no merges
    )


def merges(scores: Mapping[str, float], ids: Mapping[str, int]) -> list[tuple[str, str]]:
    """All pairs of pieces that make a piece, the best ones first.

    >>> merges({"a": -2.0, "b": -3.0, "ab": 0.0, "aab": -1.0}, {"a": 0, "b": 1, "ab": 2, "aab": 3})
    [('a', 'b'), ('a', 'ab')]

    Args:
        scores: Of all pieces that sentencepiece may merge or make by merging.
        ids: Of the pieces; among equal scores the smaller goes first.
    """
    found = [
        (-score, ids[piece], piece[:cut], piece[cut:])
        for piece, score in scores.items()
        for cut in range(1, len(piece))
        if piece[:cut] in scores and piece[cut:] in scores
    ]
    return [(left, right) for _, _, left, right in sorted(found)]


def _normalizer(spec: Any) -> Any:
    """As sentencepiece: its own mapping of characters, then blanks."""
    steps: list[Any] = []
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        steps += [
            normalizers.Replace(pattern, with_)
            for pattern, with_ in ((Regex(r"\A +"), ""), (_BLANKS, ""), (Regex(" {2,}"), " "))
        ]
    if spec.add_dummy_prefix:
        steps.append(normalizers.Prepend(" "))
    if spec.escape_whitespaces:
        steps.append(normalizers.Replace(" ", _BLANK))
    return normalizers.Sequence(steps)


def _decoder(spec: Any) -> Any:
    steps: list[Any] = [decoders.Replace(_BLANK, " "), decoders.ByteFallback(), decoders.Fuse()]
    if spec.add_dummy_prefix or spec.remove_extra_whitespaces:
        steps.append(decoders.Strip(" ", 1, 0))
    return decoders.Sequence(steps)


def _any_of(texts: Iterable[str]) -> str:
    """A pattern that finds any of the texts, the longest where several fit."""
    return "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
