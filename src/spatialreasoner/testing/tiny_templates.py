"""Chat templates in the structure of families' own: which tokens are where, as the released files have it."""

from __future__ import annotations

CHATML = {"user": "<|im_start|>user\n", "after": "<|im_end|>\n", "reply": "<|im_start|>assistant\n", "end": "<|im_end|>\n"}
MISTRAL = {"begin": "<s>", "user": "[INST]", "after": "[/INST]", "reply": "", "end": "</s>"}
GLM = {"begin": "[gMASK]<sop>", "user": "<|user|>\n", "reply": "<|assistant|>\n", "end": "<|end|>"}
GRANITE = {
    "user": "<|start_of_role|>user<|end_of_role|>",
    "after": "<|end_of_text|>\n",
    "reply": "<|start_of_role|>assistant<|end_of_role|>",
    "end": "<|end_of_text|>\n",
}
COHERE = {
    "begin": "<BOS_TOKEN>",
    "user": "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
    "after": "<|END_OF_TURN_TOKEN|>",
    "reply": "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    "end": "<|END_OF_TURN_TOKEN|>",
}
FASTVLM = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] if part['type'] == 'image' %}<image>{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ '\n' + part['text'] }}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""It knows blocks alone: a text that is not in one is left out."""


def turns(image: str, *, user: str, reply: str, begin: str = "", after: str = "", end: str = "") -> str:
    """A chat template in the structure of a family's own.

    Args:
        image: The placeholder of an image; images come before a turn's text.
        user: What opens the user's turn.
        reply: What opens the model's turn, and is the generation prompt.
        begin: What is written once, before all.
        after: What closes the user's turn.
        end: What closes the model's turn.
    """
    said = (
        "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
        f"{{% for part in message['content'] %}}{{% if part['type'] == 'image' %}}{image}"
        "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    )
    return (
        f"{begin}{{% for message in messages %}}{{% if message['role'] == 'assistant' %}}"
        f"{reply}{said}{end}{{% else %}}{user}{said}{after}{{% endif %}}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{reply}{{% endif %}}"
    )
