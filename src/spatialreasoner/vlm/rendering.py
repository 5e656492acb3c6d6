r"""Conversations as a model's own chat template writes them: one rendering that training, generation and search share.

A conversation is rendered once, its answer in it. What the template writes before the answer is the `head`, what it writes
after it the `tail`. An answer is written after the `opening`, which is the beginning of every conversation that is trained:
the template's own generation prompt, or, where no whole conversation begins with that, the head. So what is continued is
what was trained, to the character:

- LLaVA-1.5 writes `ASSISTANT: ` before an answer and ends its generation prompt with `ASSISTANT:`: the blank is the answer's.
- Qwen3.5 opens `<think>\n` and closes it at once before an answer without thinking: without `thinking` the opening holds the
  closed block; with it the opening ends where the two part, before the blanks.
- DeepSeek-R1's kind open `<think>\n` where conversations have none: without `thinking` the opening is the head.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from spatialreasoner.core.deadlines import DeadlineError, deadline
from spatialreasoner.core.errors import ConfigError, InputError
from spatialreasoner.language.thinking import before_thought, closes_thought, find_thought

Messages = Sequence[Mapping[str, Any]]
Apply = Callable[[Messages, bool], str]
"""A chat template: turns, and whether to write what an answer is to follow, to text."""

_PROBE = "Zq7answer7qZ"
"""An answer that no template writes or changes."""

_BLOCKS = "{'type': "
"""How a template that does not know blocks writes them."""

_SWITCHES = ("enable_thinking", "thinking")
"""The variables that turn thinking on or off in chat templates."""

RENDERING_SECONDS = 30.0
"""Longest time in which a template may render one conversation; those of public models take a millisecond."""

MOST_RENDERED = 50_000_000
"""Longest text that a template may make of one conversation, characters: more than a row of data may hold."""

_CHANNEL = re.compile(r"<\|channel\|>\s*final")
"""Says in gpt-oss's form that what follows is not thinking."""


_PASSING = re.compile(r"strftime_now|random|lipsum")
"""What writes another text another time, among all that transformers lets a chat template use."""


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A whole conversation.

    Attributes:
        text: All of it, from the first turn to what the template writes after the answer.
        start: Where the opening ends and what a model writes begins, blanks or thinking before the answer included.
        answer: The answer with its thinking: as it was given, or as the template writes it where it parses the thinking.
        begin: Where its first character is in the text, or would be if the template had not stripped it.
    """

    text: str
    start: int
    answer: str
    begin: int


@dataclass(frozen=True, kw_only=True)
class AnswerFrame:
    """What a template writes around an answer to given turns.

    Attributes:
        head: All before the answer.
        tail: All after it: the end of its turn.
        opening: What a model continues that has written nothing yet; see the module.
        thinking: Whether the model is to think before it answers.
    """

    head: str
    tail: str
    opening: str
    thinking: bool
    _whole: Callable[[str], str]

    def whole(self, answer: str) -> Rendered:
        """The conversation with an answer, perhaps with thinking before it.

        Raises:
            InputError: If the template changes the answer, or its thinking is not what the opening asks for.
        """
        text, written, begin = self._placed(answer)
        if not text.startswith(self.opening):
            raise InputError(self._mismatch(answer))
        return Rendered(text=text, start=len(self.opening), answer=written, begin=begin)

    def continued(self, prefix: str) -> str:
        """What a model continues that has written a prefix: the beginning of the whole conversation with any such answer.

        A prefix is the answer's own, blanks at its end included; templates that strip answers would lose them.
        """
        return self.head + prefix if prefix else self.opening

    def follows(self, prefix: str) -> tuple[str, ...]:
        """What may follow what is continued: how answers, and the parts of them, begin."""
        if prefix:
            return ("<", "#") if prefix.endswith("\n") else ("<", "#", "\n")
        return ((self.head[len(self.opening) :] if self.head.startswith(self.opening) else "") + "<",)

    def _placed(self, answer: str) -> tuple[str, str, int]:
        """The whole conversation, the answer in it, and where that begins."""
        text = self._whole(answer)
        for kept in dict.fromkeys((answer, answer.rstrip(), answer.lstrip(), answer.strip(), answer.strip("\n"))):
            if kept and text == self.head + kept + self.tail:
                return text, answer, len(self.head) - answer.index(kept)
        thought = find_thought(answer)
        if thought is None or not answer[thought.end :].strip():
            raise InputError(self._changed(answer, text))
        return self._with_thought(answer, text)

    def _with_thought(self, answer: str, text: str) -> tuple[str, str, int]:
        """An answer that the template parses: its thinking has a place and blanks of the template's own, or is left out."""
        thought = find_thought(answer)
        assert thought is not None
        said, conclusion = answer[slice(*thought.span)].strip(), answer[thought.end :].strip()
        if not text.endswith(conclusion + self.tail):
            raise InputError(self._changed(answer, text))
        begin, end = len(before_thought(text[: common_start(self.head, text)])), len(text) - len(self.tail)
        if said and said in text[begin:end]:
            return text, text[begin:end], begin
        if not self.thinking:
            raise InputError(self._mismatch(answer))
        before, kept = before_thought(self.head), answer.strip()  # the template keeps no thinking, as for turns long past
        return before + kept + self.tail, kept, len(before)

    def _changed(self, answer: str, text: str) -> str:
        return (
            f"the chat template must keep an answer's text; it turned {answer[:60]!r} into "
            f"{text[common_start(self.head, text) :][:60]!r}. Strip blanks around the answers, or fix the template"
        )

    def _mismatch(self, answer: str) -> str:
        if find_thought(answer):
            return (
                "the answer begins with thinking, and enable_thinking is off: the model would be asked to write without it. "
                "Set enable_thinking=true, or remove the thinking"
            )
        return (
            "the answer has no thinking, and enable_thinking is on: the chat template would open a block of thinking that this "
            "answer does not close. Set enable_thinking=false, or put the thinking before the answer"
        )


class ChatTemplate:
    """A model's chat template.

    Args:
        apply: Renders turns by it.
        special: The tokens that count as ends where they are written after an answer.
        thinking: Whether the model is to think before it answers.
        lasting: Whether the same turns are always the same text: neither the time nor chance is in it.
    """

    def __init__(self, apply: Apply, *, special: Sequence[str] = (), thinking: bool = False, lasting: bool = False) -> None:
        self._apply, self.lasting = apply, lasting
        self._special = tuple(token for token in special if token.strip())
        self.thinking = thinking

    def frame(self, messages: Messages) -> AnswerFrame:
        """What is written around an answer to these turns.

        Raises:
            InputError: If the template leaves answers out.
        """
        turns, answer, rendered = self._form(messages)
        head, _, tail = rendered.rpartition(_PROBE)
        return AnswerFrame(
            head=head,
            tail=tail,
            opening=self._opening(head, self._apply(turns, True)),
            thinking=self.thinking,
            _whole=lambda text: self._apply([*turns, answer(text)], False),
        )

    def _form(self, messages: Messages) -> tuple[Messages, Callable[[str], Mapping[str, Any]], str]:
        """The form in which the template takes turns, and what it writes of them with `_PROBE` as the answer.

        The form is all in blocks, the answer alone as text, or all as text.

        Templates of text models often join strings, and fail on blocks (Qwen2.5's, SmolLM2's).
        A template that knows blocks alone leaves texts out without a word (FastVLM's, Idefics 3's); one that writes an answer,
        but not as it is, is refused.
        """
        blocks = any(isinstance(message["content"], list | tuple) for message in messages)
        given, all_blocks = list(messages), [_with_blocks(message) for message in messages]
        forms = [(all_blocks, _in_blocks), (given, _in_blocks), (given, _as_text)]
        if not any(block["type"] != "text" for message in all_blocks for block in message["content"]):
            forms.append(([_without_blocks(message) for message in messages], _as_text))
        problem: Exception | None = None
        rendered = lost = ""
        for turns, answer in forms if blocks else [forms[2], forms[0]]:
            try:
                rendered = self._apply([*turns, answer(_PROBE)], False)
            except (TypeError, ValueError, LookupError, TemplateError) as error:
                problem = problem or error
                continue
            if _BLOCKS not in rendered:
                if _PROBE in rendered:
                    return turns, answer, rendered
                lost = rendered
                if self._apply([*turns, answer(_PROBE[::-1])], False) != rendered:
                    break
        if lost:
            raise InputError(
                f"the chat template must keep an answer's text; it turned one into {lost[-60:]!r}. Fix the template"
            )
        if _BLOCKS in rendered:  # a template that knows texts alone
            texts = [_without_blocks(message) for message in messages]
            return texts, _as_text, self._apply([*texts, _as_text(_PROBE)], False)
        assert problem is not None
        raise problem

    def end(self, tail: str) -> str | None:
        """The token that ends an answer in what the template writes after it, or None."""
        places = {tail.find(token): token for token in self._special if token in tail}
        return places[min(places)] if places else None

    def _opening(self, head: str, prompt: str) -> str:
        """What is continued, given what precedes an answer and the template's own generation prompt."""
        if not head.startswith(prompt):
            opens = before_thought(prompt) != prompt
            return prompt.rstrip() if self.thinking and opens else head.rstrip(" ")
        rest = head[len(prompt) :]
        if not self.thinking and (closes_thought(rest) or _CHANNEL.search(rest)):
            return head.rstrip(" ")
        # A run of blanks is often one token: cut before it, as a model that was trained on the whole would write all of it
        return prompt.rstrip() if rest[:1].isspace() and prompt[-1:].isspace() else prompt


def common_start(left: str, right: str) -> int:
    """How many characters two texts begin with in common.

    >>> common_start("abc", "abd")
    2
    """
    if left.startswith(right):
        return len(right)
    return next(
        (place for place, (one, other) in enumerate(zip(left, right, strict=False)) if one != other), min(len(left), len(right))
    )


def chat_template_of(processor: Any, *, thinking: bool = False) -> ChatTemplate:
    """The chat template of a processor or a tokenizer.

    Raises:
        ConfigError: If it has none.
        InputError: By what is returned, if the template fails on a conversation.
    """
    tokenizer = getattr(processor, "tokenizer", processor)
    owner = next((each for each in (processor, tokenizer) if getattr(each, "chat_template", None)), None)
    if owner is None:
        raise ConfigError(
            f"{type(processor).__name__} has no chat template, so nothing says how its model reads a conversation. Put the "
            "model's own into chat_template.jinja beside its configuration"
        )

    switches = thinking_switches(owner, thinking=thinking)

    def apply(messages: Messages, prompting: bool) -> str:
        return owner.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=prompting, **switches)

    lasting = _PASSING.search(str(owner.chat_template)) is None
    return ChatTemplate(bounded(apply), special=special_tokens(tokenizer), thinking=thinking, lasting=lasting)


def bounded(apply: Apply) -> Apply:
    """The same chat template, which raises InputError where it fails, or takes too long or makes too much of a conversation."""

    def limited(messages: Messages, prompting: bool) -> str:
        try:
            with deadline(RENDERING_SECONDS):
                text = apply(messages, prompting)
        except DeadlineError:
            raise InputError(
                f"the chat template did not finish this conversation in {RENDERING_SECONDS:g} s. Fix the template, or use the "
                "one that the model came with"
            ) from None
        except (TemplateError, TypeError, LookupError, AttributeError) as error:
            raise InputError(
                f"the chat template cannot write this conversation: {type(error).__name__}: {str(error)[:300]}. Fix the "
                "template, or use the one that the model came with"
            ) from error
        if len(text) > MOST_RENDERED:
            raise InputError(
                f"the chat template made {len(text)} characters of a conversation; expected at most {MOST_RENDERED}"
            )
        return text

    return limited


def thinking_switches(owner: Any, *, thinking: bool) -> dict[str, bool]:
    """The variables of a chat template that turn thinking on or off, with their value: templates that have none take none.

    Args:
        owner: The processor or tokenizer whose `chat_template` is asked.
        thinking: Whether to think.
    """
    written = str(owner.chat_template)
    return {name: thinking for name in _SWITCHES if re.search(rf"(?<![.\w'\"]){name}(?![\w'\"])", written)}


def special_tokens(tokenizer: Any) -> list[str]:
    """The tokens that a tokenizer keeps apart from text."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    return list(dict.fromkeys([*tokenizer.all_special_tokens, *(str(each) for each in added.values() if each.special)]))


def _in_blocks(text: str) -> dict[str, Any]:
    return _with_blocks(_as_text(text))


def _with_blocks(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message["content"]
    return {**message, "content": [{"type": "text", "text": content}] if isinstance(content, str) else content}


def _as_text(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def _without_blocks(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        return dict(message)
    if any(block["type"] != "text" for block in content):
        raise InputError(
            "the chat template supports turns of plain text only, not images. Use the template of the model's "
            "vision-language release"
        )
    return {**message, "content": "".join(block["text"] for block in content)}
