"""What a model wrote, without what does not belong to its answer: thinking, special tokens, preambles.

Servers give the same reply in many forms: reasoning in a field of its own (`reasoning_content`, `reasoning`), as parts of a
list, or inside of the text between tags; chat templates leave tokens behind; models greet before they answer. The answer alone
is kept as the text, and the thinking beside it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spatialreasoner.language.scan import holds

MOST_CLEANED_CHARACTERS = 400_000
"""Of a reply's text, thinking included, so much is read: more than any model writes in 64,000 tokens."""

KEPT_THINKING = 20_000
"""Of the thinking, so much of its end is kept."""

_FIELDS = (
    "reasoning_content",
    "reasoning",
    "thinking",
    "reasoning_text",
    "thought",
    "thoughts",
    "reasoning_details",
    "thinking_blocks",
)
_TEXT_PARTS = frozenset({"text", "output_text", "input_text", ""})
_TAGS = (
    r"(?:think|thinking|thought|thoughts|seed:think|analysis|reflection|scratchpad|inner_monologue|antThinking)(?::\w{1,20})?"
)
_BLOCK = re.compile(
    rf"<(?P<tag>{_TAGS})\b(?!:)[^<>]{{0,80}}>(?P<a>.*?)(?:</(?P=tag)\s*>|\Z)"
    r"|\[THINK\](?P<b>.*?)(?:\[/THINK\]|\Z)"
    r"|◁think▷(?P<c>.*?)(?:◁/think▷|\Z)"
    r"|<\|begin_of_thought\|>(?P<d>.*?)(?:<\|end_of_thought\|>|\Z)"
    r"|<\|channel\|>(?:analysis|commentary)[^<]{0,80}<\|message\|>(?P<e>.*?)(?:<\|(?:end|return|call)\|>|(?=<\|start\|>)|\Z)"
    r"|<\|channel>\s?thought(?P<f>.*?)(?:<channel\|>|\Z)"
    r"|<unused94>thought(?P<g>.*?)(?:<unused95>|\Z)"
    r"|<\|START_THINKING\|>(?P<h>.*?)(?:<\|END_THINKING\|>|\Z)"
    r"|<\|inner_prefix\|>(?P<i>.*?)(?:<\|inner_suffix\|>|\Z)"
    r"|<details\b[^<>]{0,80}\breasoning\b[^<>]{0,80}>(?P<j>.*?)(?:</details>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_CLOSING = re.compile(rf"</(?:{_TAGS})\s*>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|<channel\|>", re.IGNORECASE)
_SOLUTION = re.compile(
    r"<\|(?:begin|end)_of_(?:solution|box)\|>|<(?:final_)?answer>|<response>|\s{0,9}</(?:answer|final_answer|response)>"
    r"|<(?P<call>tool_call|function_call)>.*?(?:</(?P=call)>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_BARE_CHANNEL = re.compile(r"\A\s*(?:assistant)?(?:analysis|commentary)(?=[A-Z<\s])|\A(?=\s{0,9}assistantfinal)")
_BARE_FINAL = re.compile(r"assistant\s?final(?![a-z])")
"""Channels whose special tokens were dropped when the text was decoded: `analysis...assistantfinal...`."""

_HARMONY = re.compile(r"(?:<\|start\|>\s?assistant)?<\|channel\|>\s?final[^<]{0,80}<\|message\|>", re.IGNORECASE)
_OPENING = re.compile(
    r"\A\s*(?:<\|(?:im_start|start_header_id|start|header_start)\|>\s{0,2}assistant(?:\s{0,2}<\|(?:end_header_id|header_end|message)\|>)?"
    r"|<start_of_turn>\s?model|<\|assistant\|>|<\|start_of_role\|>assistant<\|end_of_role\|>|\[/INST\]|ASSISTANT:|Assistant:|<s>|<bos>)\s*"
)
_END = re.compile(
    r"<\|(?:im_end|eot_id|eom_id|end|endoftext|end_of_text|eot|return|end_of_turn|eos|im_start|start_header_id|user|observation|assistant_end|end▁of▁sentence)\|>"
    r"|<end_of_turn>|<start_of_turn>|</s>|<eos>|<end_of_utterance>|<\|end_of_sentence\|>|<｜end▁of▁sentence｜>|<｜User｜>|<EOS_TOKEN>"
    r"|<turn\|>|\[INST\]|\[/INST\]|\[\|endofturn\|\]|<seed:eos>|\[e~\["
)
_ENDS = re.compile(rf"\A(?:\s{{0,20}}(?:{_END.pattern}))+\s*")
_TOKEN = re.compile(
    r"<\|[\w:.\-/▁]{1,40}\|>|\[\|\w{1,20}\|\]|<seed:\w{1,20}>|\]~b\](?:ai)?\n?|</?(?:ref|box|quad)>|<｜[^<>｜]{1,40}｜>|</?s>|<(?:bos|eos|pad|unk|mask)>|\[(?:/?INST|/?SYS|BOS|EOS|PAD)\]|<</?SYS>>|<unused\d{1,4}>"
    r"|<\|?(?:image|image_pad|img|vision_start|vision_end)\|?>|<0x[0-9A-F]{2}>"
)
_FENCE = re.compile(r"\A\s{0,20}```[a-zA-Z]{0,10}(?:\n|\s{0,20}\Z)|\n```\s{0,20}\Z")
_CONCLUDED = re.compile(r"^### In Conclusion\b.{0,9}\n*(?=\S)", re.MULTILINE | re.IGNORECASE)
_TURN = re.compile(r"\n(?:User|Human|USER|### (?:Human|User|Instruction)):")
_FAREWELL = re.compile(
    r"\n```|\n\s{0,9}(?:-{3,80}|\*{3,80}|_{3,80})\s{0,9}(?:\n|\Z)"
    r"|\n\s{0,9}(?:(?:please )?let me know|feel free|(?:i )?hope (?:this|that)|if you (?:have|need|want|would|'d)"
    r"|is there anything|would you like)\b[^\n#<>]{0,200}\s{0,20}\Z",
    re.IGNORECASE,
)
"""What may follow a conclusion in its place: the end of a fence or a rule and all after it, or a line to the reader."""

_FOREIGN = re.compile(r"[\[\]◁]|<(?!region\d|/?description>|/?reasoning>)|ssistant:|ASSISTANT:")
"""Thinking, special tokens and other tags hold one of these; most answers hold none, and are spared their patterns."""

_SPEAKERS = ("User:", "Human:", "USER:", "Instruction:")
"""One of these is in every `_TURN`."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u2060\ufeff]")
_UNSEEN = frozenset("\u115f\u1160\u2800\u3164\uffa0\ufffc")
"""Letters that are drawn as blanks: fillers of Hangul, the empty braille pattern, the place of an object."""

_FORM = re.compile(r"<description>", re.IGNORECASE)
_WHOLE_FORM = re.compile(r"<description>(?:(?!</?description>).)*</description>\s{0,80}<reasoning>", re.IGNORECASE | re.DOTALL)
"""The beginning of an answer in the form that was asked for; thinking may speak of its tags, and quote them."""

_NEXT = re.compile(
    r"</description>|<reasoning>|</reasoning>|^### (?:Rationale|Let's think|Step \d|In Conclusion)",
    re.MULTILINE | re.IGNORECASE,
)
_CHATTER = re.compile(
    r"\A\s*(?=sure|certainly|of course|absolutely|ok|alright|understood|got it|no problem|here|below)"
    r"(?:(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|alright|understood|got it|no problem)\s?[!.,:]+\s*)?"
    r"(?:i(?:'d| would) be (?:happy|glad) to [^\n.!:]{0,60}[.!:]\s*)?"
    r"(?:(?:here is|here's|here are|below is)\b[^\n:]{0,120}:\s*)?",
    re.IGNORECASE,
)
_MOST_PREAMBLE = 1_500
"""Maximum length of a preamble in characters; with more in front of it, the text is an answer of another form."""


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """A reply's answer, and what was thought before it.

    Attributes:
        text: The answer alone.
        thinking: The thinking, from wherever it was, its end where it is long.
    """

    text: str
    thinking: str = ""


def clean_reply(message: Mapping[str, Any], *, prefix: str = "") -> Cleaned:
    """The answer in a chat message of any server.

    Args:
        message: The message as it was parsed; nothing of it is trusted.
        prefix: The beginning of the answer that was continued, or "".
    """
    texts, thoughts = list[str](), list[str]()
    for thinking, text in _pieces(message.get("content")):
        (thoughts if thinking else texts).append(text)
    for name in _FIELDS:
        thoughts += (text for _, text in _pieces(message.get(name), everything=True))
    cleaned = clean_text("".join(texts), prefix=prefix)
    unique = dict.fromkeys(text.strip() for text in [*thoughts, cleaned.thinking] if text.strip())
    return Cleaned(text=cleaned.text, thinking="\n\n".join(unique)[-KEPT_THINKING:])


def clean_text(text: str, *, prefix: str = "") -> Cleaned:
    r"""The answer in a text: without thinking, special tokens, fences and preambles.

    >>> clean_text("<think>Hm.</think>Sure! Here is my answer:\n<description>A box.</description><|im_end|>").text
    '<description>A box.</description>'
    >>> clean_text("<think>It is wide, so").text
    ''
    """
    text, thinking = readable(text[:MOST_CLEANED_CHARACTERS]), ""
    if _FOREIGN.search(text):
        text, thinking = _without_thinking(text)
        text = _without_tokens(text, thought=bool(thinking))
        text = _SOLUTION.sub("", text)
    text = _ended_by(_TURN, text) if holds(text, _SPEAKERS) else text
    text = _FENCE.sub("", text) if "```" in text else text
    text, thinking = _without_bare_channels(text, thinking)
    text = text.lstrip() if thinking else text
    text = _without_prefix(text, prefix)
    text = _without_preamble(text, continued=bool(prefix))
    text = _ended_by(_FAREWELL, text)
    return Cleaned(text=text if _shows(text) else "", thinking=thinking[-KEPT_THINKING:])


def refused(message: Mapping[str, Any]) -> str | None:
    """The words of a refusal in a message, or None if it is not one."""
    said = message.get("refusal")
    if isinstance(said, str) and said.strip():
        return readable(said.strip()[:300])
    content = message.get("content")
    for part in content[:64] if isinstance(content, list) else ():
        if isinstance(part, Mapping) and part.get("type") == "refusal":
            return readable(str(part.get("refusal") or part.get("text") or "refused")[:300])
    return None


def _pieces(content: Any, *, everything: bool = False, depth: int = 0) -> Iterator[tuple[bool, str]]:
    """The texts of a content of any form, each with whether it is thinking."""
    if isinstance(content, str):
        yield False, content[:MOST_CLEANED_CHARACTERS]
    elif isinstance(content, list) and depth < 4:
        for part in content[:256]:
            yield from _pieces(part, everything=everything, depth=depth + 1)
    elif isinstance(content, Mapping) and depth < 4:
        kind = str(content.get("type") or "")
        thinking = "think" in kind or "reason" in kind or content.get("thought") is True
        if not (thinking or everything or kind in _TEXT_PARTS):
            return
        for name in ("text", "thinking", "summary", "content", "reasoning"):
            for inner, text in _pieces(content.get(name), everything=True, depth=depth + 1):
                yield thinking or inner or name in {"thinking", "reasoning", "summary"}, text


def _shows(text: str) -> bool:
    """Whether a reader sees anything: an answer of blanks, marks of direction and joiners is empty."""
    return any(not mark.isspace() and mark not in _UNSEEN and unicodedata.category(mark) not in {"Cf", "Cc"} for mark in text)


def readable(text: str) -> str:
    """Text that every file can hold: halves of surrogate pairs joined or replaced, no control characters."""
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _CONTROL.sub("", text).replace("\r\n", "\n")


def _without_thinking(text: str) -> tuple[str, str]:
    thoughts: list[str] = []

    def keep(found: re.Match[str]) -> str:
        thoughts.append(next((group for name, group in found.groupdict().items() if name != "tag" and group), ""))
        return ""

    text = _BLOCK.sub(keep, text)
    closings = list(_CLOSING.finditer(text))  # the template opened the block, and the reply begins inside of it
    if closings:
        thoughts.append(text[: closings[-1].start()])
        text = text[closings[-1].end() :]
    found = _HARMONY.search(text)
    if found:
        text = text[found.end() :]
    if thoughts:
        text = text.lstrip()
    return text, "\n\n".join(thought.strip() for thought in thoughts if thought.strip())


def _without_tokens(text: str, *, thought: bool) -> str:
    """The first turn alone: what a model wrote past its own end is not an answer of it, also where it had only thought."""
    if "<" not in text and "[" not in text and "ssistant:" not in text and "ASSISTANT:" not in text:
        return text
    while (opening := _OPENING.match(text)) and opening.end():
        text = text[opening.end() :]
    begun = None if thought else _ENDS.match(text)
    text = text[begun.end() :] if begun else text
    end = _END.search(text)
    return _TOKEN.sub("", text[: end.start()].rstrip() if end else text)


def _without_bare_channels(text: str, thinking: str) -> tuple[str, str]:
    begun = _BARE_CHANNEL.match(text)
    if begun is None:
        return text, thinking
    final = max(_BARE_FINAL.finditer(text), key=re.Match.start, default=None)
    if final is not None:
        return text[final.end() :].lstrip(), text[begun.end() : final.start()].strip() or thinking
    glued = text[begun.end() : begun.end() + 1].isupper()  # else it is a heading
    return ("", text[begun.end() :]) if glued else (text, thinking)


def _without_prefix(text: str, prefix: str) -> str:
    """What comes after a prefix that the reply repeats."""
    begun = prefix.strip()
    at = text.find(begun, 0, len(begun) + _MOST_PREAMBLE) if begun else -1
    return text[at + len(begun) :].lstrip("\n") if at >= 0 else text


def _ended_by(pattern: re.Pattern[str], text: str) -> str:
    """The text up to what follows its conclusion and does not belong to it."""
    concluded = _CONCLUDED.search(text)
    end = pattern.search(text, concluded.end()) if concluded else None
    return text[: end.start()].rstrip() if end else text


def _without_preamble(text: str, *, continued: bool) -> str:
    begun = None if continued else list(_WHOLE_FORM.finditer(text))
    if begun:
        return text[begun[-1].start() :]
    form = (_NEXT if continued else _FORM).search(text, 0, _MOST_PREAMBLE)
    if form is None:
        chatter = _CHATTER.match(text)
        rest = text[chatter.end() :] if chatter else text
        return rest if rest.strip() else text
    return text[form.start() :] if text[: form.start()].strip() else text
