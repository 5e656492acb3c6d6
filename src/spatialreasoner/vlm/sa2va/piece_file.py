"""The file format of sentencepiece, as far as a tokenizer is built of it: a protocol buffer, declared here field by field.

The classes that sentencepiece brings want the major version of protobuf that they were made with, and say so only when they
are imported (`findings/sentencepiece_protobuf.sh`); a declaration works with every version. Numbers and defaults are those of
`sentencepiece_model.proto`, github.com/google/sentencepiece.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from spatialreasoner.core.errors import ConfigError, MissingExtraError

MAX_PIECE_BYTES = 64 * 2**20

UNIGRAM, BPE = 1, 2
"""Kinds of models."""

NORMAL_PIECE, USER_DEFINED_PIECE = 1, 4
"""Kinds of pieces."""

_FIELDS: dict[str, tuple[tuple[str, int, str, str], ...]] = {
    "Model": (
        ("pieces", 1, "Piece", ""),
        ("trainer_spec", 2, "Trainer", ""),
        ("normalizer_spec", 3, "Normalizer", ""),
    ),
    "Piece": (("piece", 1, "string", ""), ("score", 2, "float", "0"), ("type", 3, "int32", "1")),
    "Trainer": (
        ("model_type", 3, "int32", "1"),
        ("treat_whitespace_as_suffix", 24, "bool", "false"),
        ("byte_fallback", 35, "bool", "false"),
        ("unk_id", 40, "int32", "0"),
    ),
    "Normalizer": (
        ("precompiled_charsmap", 2, "bytes", ""),
        ("add_dummy_prefix", 3, "bool", "true"),
        ("remove_extra_whitespaces", 4, "bool", "true"),
        ("escape_whitespaces", 5, "bool", "true"),
    ),
}
"""Of each message its fields: name, number, type, default."""


def read_piece_file(path: Path) -> Any:
    """Read a `tokenizer.model`.

    Returns:
        Its `pieces`, `trainer_spec` and `normalizer_spec`, by the names of the format.

    Raises:
        ConfigError: If the file is not a sentencepiece model, or of a kind that cannot be built.
        MissingExtraError: If protobuf is not installed.
    """
    try:
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise MissingExtraError(
            "tokenizer.model is read with protobuf, which is not installed: pip install 'spatialreasoner[train]'"
        ) from error
    if path.stat().st_size > MAX_PIECE_BYTES:
        raise ConfigError(f"{path}: expected at most {MAX_PIECE_BYTES} bytes; got {path.stat().st_size}")
    try:
        model = _message().FromString(path.read_bytes())
    except DecodeError as error:
        raise ConfigError(f"{path}: expected a sentencepiece model; got something else ({error})") from None
    _refuse_others(path, model)
    return model


def _refuse_others(path: Path, model: Any) -> None:
    """Refuse kinds whose way with texts is not known here."""
    if not model.pieces or model.trainer_spec.model_type not in {UNIGRAM, BPE}:
        raise ConfigError(f"{path}: expected a sentencepiece model with pieces, BPE or unigram; got another kind")
    if model.trainer_spec.treat_whitespace_as_suffix:
        raise ConfigError(f"{path}: expected a sentencepiece model that marks blanks before words; this one marks them after")
    if not 0 <= model.trainer_spec.unk_id < len(model.pieces):
        raise ConfigError(f"{path}: expected unk_id to be one of {len(model.pieces)} pieces; got {model.trainer_spec.unk_id}")


@cache
def _message() -> Any:
    """The class of a model, in a pool of its own."""
    from google.protobuf import descriptor_pool, message_factory
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

    known: Any = FieldDescriptorProto
    file = FileDescriptorProto(name="pieces.proto", package="pieces", syntax="proto2")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind, default in fields:
            one: Any = message.field.add(name=field, number=number, label=known.LABEL_OPTIONAL)
            if kind in _FIELDS:
                one.type, one.type_name = known.TYPE_MESSAGE, f".pieces.{kind}"
            else:
                one.type, one.default_value = getattr(known, f"TYPE_{kind.upper()}"), default
            if field == "pieces":
                one.label = known.LABEL_REPEATED
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("pieces.Model"))
