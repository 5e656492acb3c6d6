"""Chat templates in the structure of families' own: which tokens are where, as the released files have it."""

from __future__ import annotations

from typing import Any

TurnForm = dict[str, Any]
"""Arguments of `turns`."""

_THOUGHT = (
    "{% set thought = text.split('</think>')[0].split('<think>')[-1] | trim if '</think>' in text else '' %}"
    "<think>\n{{ thought }}\n</think>\n\n{{ text.split('</think>')[-1] | trim }}"
)
_ROLE = "{{ message['role'] }}"
_SWITCH = "{{% if enable_thinking is defined and enable_thinking %}}{on}{{% else %}}{off}{{% endif %}}"

CHATML: TurnForm = {
    "user": f"<|im_start|>{_ROLE}\n",
    "after": "<|im_end|>\n",
    "reply": "<|im_start|>assistant\n",
    "end": "<|im_end|>\n",
}
QWEN2_VL: TurnForm = CHATML | {  # a conversation without a turn of the system's gets one
    "begin": "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}",
}
QWEN3_5: TurnForm = CHATML | {  # a block of thinking before each answer, empty where there was none
    "answer": _THOUGHT,
    "prompt": "<|im_start|>assistant\n" + _SWITCH.format(on="<think>\n", off="<think>\n\n</think>\n\n"),
}
ONEVISION: TurnForm = {
    "user": f"<|im_start|>{_ROLE} ",
    "after": "<|im_end|>",
    "reply": "<|im_start|>assistant \n",
    "end": "<|im_end|>",
    "prompt": "<|im_start|>assistant\n",
}
LLAVA: TurnForm = {  # no end after an answer: the tokenizer's own is appended
    "user": "{% if message['role'] == 'user' %}USER: {% endif %}",
    "after": " ",
    "reply": "ASSISTANT: ",
    "end": " ",
    "prompt": "ASSISTANT:",
    "images_first": True,
}
LLAVA_MISTRAL: TurnForm = {
    "user": "[INST] ",
    "after": " [/INST]",
    "reply": " ",
    "end": "<\\s> ",
    "prompt": "",
    "images_first": True,
}
MISTRAL: TurnForm = {"begin": "<s>", "user": "[INST]", "after": "[/INST]", "reply": "", "end": "</s>"}
IDEFICS2: TurnForm = {
    "user": "{{ message['role'] | capitalize }}:{% if message['content'][0]['type'] != 'image' %} {% endif %}",
    "after": "<end_of_utterance>\n",
    "reply": "Assistant: ",
    "end": "<end_of_utterance>\n",
    "prompt": "Assistant:",
}
IDEFICS3: TurnForm = IDEFICS2 | {"begin": "<|begin_of_text|>"}
SMOLVLM: TurnForm = IDEFICS2 | {"begin": "<|im_start|>"}
GEMMA3: TurnForm = {
    "begin": "{{ bos_token }}",
    "user": f"<start_of_turn>{_ROLE}\n",
    "after": "<end_of_turn>\n",
    "reply": "<start_of_turn>model\n",
    "end": "<end_of_turn>\n",
    "text": "{{ text | trim }}",
}
GEMMA4: TurnForm = {
    "begin": "<bos>",
    "user": f"<|turn>{_ROLE}\n",
    "after": "<turn|>\n",
    "reply": "<|turn>model\n",
    "end": "<turn|>\n",
    "prompt": "<|turn>model\n" + _SWITCH.format(on="", off="<|channel>thought\n<channel|>"),
    "text": "{{ text | trim }}",
}
GLM: TurnForm = {"begin": "[gMASK]<sop>", "user": f"<|{_ROLE}|>\n", "reply": "<|assistant|>\n"}
GRANITE_VISION: TurnForm = {
    "begin": "{% if messages[0]['role'] != 'system' %}<|system|>\nA chat.\n{% endif %}",
    "user": f"<|{_ROLE}|>\n",
    "after": "\n",
    "reply": "<|assistant|>\n",
    "end": "<|end_of_text|>",
}
GRANITE: TurnForm = {
    "user": f"<|start_of_role|>{_ROLE}<|end_of_role|>",
    "after": "<|end_of_text|>\n",
    "reply": "<|start_of_role|>assistant<|end_of_role|>",
    "end": "<|end_of_text|>\n",
}
COHERE: TurnForm = {
    "begin": "<BOS_TOKEN>",
    "user": "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
    "after": "<|END_OF_TURN_TOKEN|>",
    "reply": "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    "end": "<|END_OF_TURN_TOKEN|>",
}
HARMONY: TurnForm = {
    "user": f"<|start|>{_ROLE}<|message|>",
    "after": "<|end|>",
    "reply": "<|start|>assistant<|channel|>final<|message|>",
    "end": "<|return|>",
    "prompt": "<|start|>assistant",
}
FASTVLM = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] if part['type'] == 'image' %}<image>{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ '\n' + part['text'] }}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""It knows blocks alone: a text that is not in one is left out."""


def turns(
    image: str,
    *,
    user: str,
    reply: str,
    begin: str = "",
    after: str = "",
    end: str = "",
    prompt: str | None = None,
    text: str = "{{ text }}",
    answer: str | None = None,
    images_first: bool = False,
) -> str:
    """A chat template in the structure of a family's own.

    Args:
        image: The placeholder of an image.
        user: What opens every turn but the model's.
        reply: What opens the model's turn.
        begin: What is written once, before all.
        after: What closes every turn but the model's.
        end: What closes the model's turn.
        prompt: The generation prompt; None for `reply`.
        text: How a text is written.
        answer: How the model's texts are; None for `text`.
        images_first: Whether a turn's images come before all of its texts; otherwise they are where their blocks are.
    """
    asked, answered = (_said(image, each, images_first=images_first) for each in (text, text if answer is None else answer))
    return (
        f"{begin}{{% for message in messages %}}{{% if message['role'] == 'assistant' %}}"
        f"{reply}{answered}{end}{{% else %}}{user}{asked}{after}{{% endif %}}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{reply if prompt is None else prompt}{{% endif %}}"
    )


def _said(image: str, text: str, *, images_first: bool) -> str:
    """Jinja that writes what a turn says, whether it is a text or blocks."""
    images = f"{{% for part in message['content'] if part['type'] == 'image' %}}{image}{{% endfor %}}"
    texts = (
        f"{{% for part in message['content'] if part['type'] == 'text' %}}{{% set text = part['text'] %}}{text}{{% endfor %}}"
    )
    both = (
        f"{{% for part in message['content'] %}}{{% if part['type'] == 'image' %}}{image}"
        f"{{% else %}}{{% set text = part['text'] %}}{text}{{% endif %}}{{% endfor %}}"
    )
    blocks = images + texts if images_first else both
    plain = f"{{% set text = message['content'] %}}{text}"
    return f"{{% if message['content'] is string %}}{plain}{{% else %}}{blocks}{{% endif %}}"
