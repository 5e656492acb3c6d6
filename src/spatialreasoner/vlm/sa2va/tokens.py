"""The tokenizer of a Sa2VA folder from its data alone: `tokenizer.json`, `vocab.json` and `merges.txt`, or `tokenizer.model`.

The folder's `tokenization_internlm2.py` is a tokenizer in Python. It is never run; what it would do is done here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Tokenizer, processors

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.vlm.sa2va.pieces import tokenizer_of_pieces

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

END_OF_TURN = "<|im_end|>"

_SURROUNDING = ("InternLM2Tokenizer", "InternLM2TokenizerFast", "LlamaTokenizer", "LlamaTokenizerFast")
"""Classes that put `<s>` before a text whatever `tokenizer.json` says."""

_ROLES = ("bos_token", "eos_token", "unk_token", "pad_token")


def read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a folder, its answers' end as its own: `<|im_end|>`.

    Raises:
        ConfigError: If there are no files of a tokenizer, or they do not fit together.
        MissingExtraError: If protobuf is needed and not installed.
    """
    from transformers import PreTrainedTokenizerFast

    said = _json(folder / "tokenizer_config.json")
    roles = {role: token for role in _ROLES if (token := _content(said.get(role)) or _special(folder, role))}
    surrounded = said.get("tokenizer_class") in _SURROUNDING
    if surrounded:
        roles = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"} | roles
    tokenizer = _tokenizer(folder, said, _added(folder, said))
    _add(tokenizer, _added(folder, said))
    specials = dict.fromkeys([*roles.values(), *_further(folder, said)])
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in specials])
    if surrounded:
        _surround(tokenizer, roles["bos_token"], roles["eos_token"], said)
    if tokenizer.token_to_id(END_OF_TURN) is None:
        raise ConfigError(f"{folder}: expected a tokenizer with {END_OF_TURN}, at which answers end; this one has none")
    roles.setdefault("pad_token", roles.get("eos_token", END_OF_TURN))
    roles["eos_token"] = END_OF_TURN
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, padding_side="left", clean_up_tokenization_spaces=False, **roles)


def first_token(tokenizer: PreTrainedTokenizerFast) -> str:
    """What the tokenizer puts before a text; empty if it puts nothing there."""
    ids: list[int] = tokenizer("")["input_ids"]  # pyright: ignore[reportAssignmentType] - of one text it is a list
    return str(tokenizer.convert_ids_to_tokens(ids[0])) if ids else ""


def end_tokens(folder: Path, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """The tokens at which an answer ends: of the turn, and of a text."""
    said = _content(_json(folder / "tokenizer_config.json").get("eos_token")) or _special(folder, "eos_token")
    names = dict.fromkeys([END_OF_TURN, *filter(None, [said]), "<|endoftext|>"])
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[name] for name in names if name in vocabulary]


def _tokenizer(folder: Path, said: Mapping[str, Any], added: Mapping[int, AddedToken]) -> Tokenizer:
    model, table, words = folder / "tokenizer.model", folder / "tokenizer.json", folder / "vocab.json"
    if model.is_file() and (_slow(said) or not table.is_file()):
        return tokenizer_of_pieces(model, {index: token.content for index, token in added.items()})
    if table.is_file():
        return Tokenizer.from_file(str(table))
    if words.is_file():
        from transformers import Qwen2Tokenizer

        known: Any = Qwen2Tokenizer(vocab=str(words), merges=str(folder / "merges.txt"))
        return known.backend_tokenizer
    raise ConfigError(f"{folder}: expected tokenizer.json, vocab.json and merges.txt, or tokenizer.model; there are none")


def _slow(said: Mapping[str, Any]) -> bool:
    """Whether the folder's own choice is InternLM2's tokenizer of sentencepiece, and not one of `tokenizers`."""
    auto = said.get("auto_map")
    choice = auto.get("AutoTokenizer") if isinstance(auto, dict) else None
    return said.get("tokenizer_class") == "InternLM2Tokenizer" and not (isinstance(choice, list) and choice[1:] and choice[1])


def _surround(tokenizer: Tokenizer, first: str, last: str, said: Mapping[str, Any]) -> None:
    """What comes before and after a text, as these classes have it unless the folder says otherwise."""
    begins, stops = said.get("add_bos_token", True), said.get("add_eos_token", False)
    parts = [*([first] if begins else []), "$A", *([last] if stops else [])]
    known = [(name, tokenizer.token_to_id(name)) for name in dict.fromkeys([first, last])]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=" ".join(parts),
        pair=" ".join(parts).replace("$A", "$A $B:1"),
        special_tokens=[(name, index) for name, index in known if index is not None],
    )


def _added(folder: Path, said: Mapping[str, Any]) -> dict[int, AddedToken]:
    """Tokens that the folder adds to those of its files, by id."""
    found: dict[int, AddedToken] = {}
    try:
        for content, index in _json(folder / "added_tokens.json").items():
            found[int(index)] = AddedToken(content, normalized=False, special=True)
        for index, token in said.get("added_tokens_decoder", {}).items():
            how = {name: bool(token.get(name)) for name in ("lstrip", "rstrip", "single_word", "special")}
            found[int(index)] = AddedToken(token["content"], normalized=False, **how)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{folder}: expected added tokens by id, with their content; got something else ({error})") from None
    return dict(sorted(found.items()))


def _add(tokenizer: Tokenizer, added: Mapping[int, AddedToken]) -> None:
    """Add the tokens, each at its own id.

    Raises:
        ConfigError: If one would get another id.
    """
    for index, token in added.items():
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
        if tokenizer.token_to_id(token.content) != index:
            raise ConfigError(f"expected token {token.content!r} with id {index}; got {tokenizer.token_to_id(token.content)}")


def _further(folder: Path, said: Mapping[str, Any]) -> list[str]:
    """Special tokens without a role, as older folders list them."""
    listed = [each.get("additional_special_tokens") or [] for each in (said, _json(folder / "special_tokens_map.json"))]
    return [name for tokens in listed if isinstance(tokens, list) for token in tokens if (name := _content(token))]


def _special(folder: Path, role: str) -> str | None:
    return _content(_json(folder / "special_tokens_map.json").get(role))


def _content(token: Any) -> str | None:
    """The text of a token, which stands for itself or in a mapping."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else None


def _json(path: Path) -> dict[str, Any]:
    return records.read_json(path, dict[str, Any]) if path.is_file() else {}
