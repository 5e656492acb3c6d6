"""The forms in which other programs keep their rows, brought to `prompt`, `chosen`, `rejected` or `messages`, and `images`.

Known are TRL's (plain text, one message or a conversation for an answer, a prompt that is not given, or given as text beside
whole conversations, as UltraFeedback has it), LLaVA's and ShareGPT's `conversations` of `from` and `value`, ms-swift's
`messages` with `rejected_response` or `rejected_messages`, HH-RLHF's texts of turns, Alpaca's `instruction` and `input`, and
`question` or `query` in the place of `prompt`. `messages` are Qwen's blocks or text; `training.messages` reads those.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from spatialreasoner.core.errors import RecordError
from spatialreasoner.training.messages import refuse_unread

_Row = Mapping[str, Any]
_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_SIDES = ("chosen", "rejected")
_ASKS = ("question", "query", "instruction", "input")
"""Columns that hold the prompt's text where there is no `prompt`; Alpaca has an `input` beside its `instruction`."""
_PATHS = ("image_path", "image_paths", "img_path", "img")
_UNSEEN = ("video", "videos", "audio", "audios", *_PATHS)
"""Columns that show something, and are not read."""
_HH = re.compile(r"\n\n(Human|Assistant):")
"""How HH-RLHF begins each turn of a conversation that is one text."""
_BASE64 = re.compile(r"(?:iVBORw0KGgo|/9j/|UklGR|R0lGOD)[A-Za-z0-9+/\s]{40,}={0,2}\s*")
"""A PNG, JPEG, WebP or GIF in base64, without `data:` before it."""


def preference_form(row: _Row, *, plain: bool = False) -> dict[str, Any]:
    """A preference row of any known form in that of `data.PreferenceRow`; what is not understood is left as it is.

    Args:
        row: The row.
        plain: Leave prompt and answers that are text as text, instead of making a user's and an assistant's turn of them.

    Raises:
        RecordError: If the row is no pair, the two answers do not begin with the same prompt or have images of their own, or
            something cannot be read, such as calls of tools.
    """
    refuse_unread(row)
    found = _with_images(row)
    other = _with_images({"images": row.get("rejected_images")}).get("images")
    if other and other != found.get("images"):
        raise RecordError(
            f"expected one set of images for both answers; got rejected_images={str(other)[:80]}. Remove the row: both answers "
            "of a pair continue one prompt"
        )
    _bring_prompt(found)
    _require_pair(found, row)
    if "prompt" not in found and all(isinstance(found[name], str) for name in _SIDES):
        found |= _parted_text(found["chosen"], found["rejected"], plain=plain)
    if plain and all(isinstance(found.get(name), str) for name in ("prompt", *_SIDES)):
        return found
    for name in _SIDES:
        if name in found:
            found[name] = _answer(found[name])
    whole = "prompt" not in found or (isinstance(found["prompt"], str) and any(_asks(found.get(name)) for name in _SIDES))
    if whole and all(isinstance(found.get(name), list) for name in _SIDES):
        found |= _parted(found["chosen"], found["rejected"])
    if isinstance(found.get("prompt"), str):
        found["prompt"] = [{"role": "user", "content": found["prompt"]}]
    return _with_system(found, "prompt")


def _bring_prompt(found: dict[str, Any]) -> None:
    """Give the prompt and the answers the names that they have in TRL."""
    if "chosen_response" in found and "rejected_response" in found:
        found |= {side: found.pop(f"{side}_response") for side in _SIDES}
    if "prompt" in found:
        return
    asked = [found.pop(name) for name in _ASKS if isinstance(found.get(name), str) and found[name].strip()]
    if asked:
        found["prompt"] = "\n".join(asked)
        if "rejected_response" in found and "response" in found:
            found |= {"chosen": found.pop("response"), "rejected": found.pop("rejected_response")}
    elif isinstance(found.get("conversations"), list):
        found["prompt"] = _turns(found.pop("conversations"))
    elif isinstance(found.get("messages"), list) and "rejected_response" in found:
        messages = found.pop("messages")
        found |= {"prompt": messages[:-1], "chosen": messages[-1:], "rejected": found.pop("rejected_response")}
    elif isinstance(found.get("messages"), list) and "rejected_messages" in found:
        found |= {"chosen": found.pop("messages"), "rejected": found.pop("rejected_messages")}
    elif isinstance(found.get("messages"), list) and all(name in found for name in _SIDES):
        found["prompt"] = found.pop("messages")


def _require_pair(found: _Row, row: _Row) -> None:
    missing = [name for name in _SIDES if found.get(name) is None]
    if missing:
        raise RecordError(
            f"expected a pair, an answer that is chosen and one that is rejected; got no {' and no '.join(missing)} among the "
            f"keys {', '.join(row)}. Single answers with a label, a rating or a rank have to be made into pairs first"
        )


def _parted_text(chosen: str, rejected: str, *, plain: bool) -> dict[str, Any]:
    """Prompt and answers of two texts that begin alike: as texts, or in HH-RLHF's form as turns."""
    if plain:
        from trl.data_utils import extract_prompt

        return dict(extract_prompt({"chosen": chosen, "rejected": rejected}))
    if not all(_HH.match(text) for text in (chosen, rejected)):
        raise RecordError(
            "the key 'prompt' is missing, and the answers are text. Add the prompt, or set text_prompts=plain, which takes "
            "what both texts begin with as the prompt"
        )
    return _parted(_hh_turns(chosen), _hh_turns(rejected))


def _hh_turns(text: str) -> list[dict[str, str]]:
    pieces = _HH.split(text)[1:]
    return [{"role": _ROLES[who.lower()], "content": said.strip()} for who, said in zip(pieces[::2], pieces[1::2], strict=True)]


def conversation_form(row: _Row) -> dict[str, Any]:
    """A row for SFT of any known form in that of `data.SftRow`; what cannot be read is refused with a `RecordError`."""
    refuse_unread(row)
    found = _with_images(row)
    if "messages" not in found and isinstance(found.get("conversations"), list):
        found["messages"] = _turns(found.pop("conversations"))
    if "messages" not in found and "prompt" in found and "completion" in found:
        prompt = found.pop("prompt")
        turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        answer = _answer(found.pop("completion"))
        found["messages"] = [*turns, *answer] if isinstance(turns, list) and isinstance(answer, list) else turns
    if "messages" not in found:
        pair = " It is a pair, which train dpo and train fdpo read." if all(name in row for name in _SIDES) else ""
        raise RecordError(
            "expected a conversation that ends with the answer in `messages`, `conversations`, or `prompt` and `completion`; "
            f"got the keys {', '.join(row)}.{pair}"
        )
    return _with_system(found, "messages")


def _with_images(row: _Row) -> dict[str, Any]:
    """The row with `images`; a single `image`, as LLaVA has it, is one of them."""
    _refuse_unseen(row)
    found = {name: value for name, value in row.items() if name != "regions" or value is not None}
    for name in ("images", "image"):
        images = found.get(name)
        if images is None:
            found.pop(name, None)
        elif name == "image" and "images" not in found:
            found["images"] = found.pop("image")
    images = found.get("images")
    if isinstance(images, str | Mapping):
        images = [images]
    if isinstance(images, list):
        found["images"] = [_named(image) for image in cast("list[Any]", images)]
    return found


def _refuse_unseen(row: _Row) -> None:
    """Refuse rows that would be trained on without what they show."""
    shown = next((name for name in _UNSEEN if row.get(name)), None)
    if shown in _PATHS and not row.get("image") and not row.get("images"):
        raise RecordError(f"expected images in the column image or images; got them in {shown!r}. Rename the column")
    if shown is not None and shown not in _PATHS:
        raise RecordError(f"expected rows of text and images; got {shown!r}, which no model is shown here. Remove the row")


def _named(image: Any) -> Any:
    """An image by its path or its `data:` URL; `datasets` writes both the path and the bytes, one of which may be null."""
    if isinstance(image, str) and _BASE64.fullmatch(image):
        return f"data:image/png;base64,{image}"
    if not isinstance(image, Mapping):
        return image
    given = cast("_Row", image)
    if isinstance(given.get("bytes"), str):
        return f"data:image/png;base64,{given['bytes']}"
    return given.get("path") or image


def _with_system(row: dict[str, Any], turns: str) -> dict[str, Any]:
    """The row with the text of its column `system`, if it has one, as the first turn."""
    said = row.get("system")
    given = row.get(turns)
    if isinstance(said, str) and said.strip() and isinstance(given, list):
        row[turns] = [{"role": "system", "content": row.pop("system")}, *cast("list[Any]", given)]
    return row


def _turns(conversation: Sequence[Any]) -> list[Any]:
    return [_turn(turn) for turn in conversation]


def _turn(turn: Any) -> Any:
    """One turn; ShareGPT's of `from` and `value` as one of `role` and `content`."""
    if isinstance(turn, Mapping) and {"from", "value"} <= cast("_Row", turn).keys():
        given = cast("_Row", turn)
        return {"role": _ROLES.get(str(given["from"]).lower(), given["from"]), "content": given["value"]}
    return turn


def _answer(given: Any) -> Any:
    if isinstance(given, str):
        return [{"role": "assistant", "content": given}]
    if isinstance(given, Mapping):
        return [_turn(given)]
    return _turns(cast("list[Any]", given)) if isinstance(given, list) else given


def _asks(answer: Any) -> bool:
    """Whether what should be an answer is a whole conversation."""
    return isinstance(answer, list) and len(cast("list[Any]", answer)) > 1


def _parted(chosen: list[Any], rejected: list[Any]) -> dict[str, Any]:
    """Prompt and answers of two conversations that begin alike."""
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    if not shared:
        raise RecordError("the key 'prompt' is missing, and chosen and rejected do not begin with the same turns")
    return {"prompt": chosen[:shared], "chosen": chosen[shared:], "rejected": rejected[shared:]}
