"""How conversations of well-known families are written: which tokens are where, as facts, in templates of our own.

Each form says what comes before and after a turn. Jinja of one pattern is made of it, and a tiny tokenizer that keeps the
family's special tokens apart, so that tests can say which tokens are trained and which are continued.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

TEXTS = [
    "<description>A red box.</description>\n<reasoning>It is tall.</reasoning>\n### In Conclusion\nYes, 1.5 m.",
    "USER: How tall is it? ASSISTANT: Yes. User: Assistant: user assistant system model [INST] [/INST] <think> </think>",
] * 8
"""What the tokenizers are trained on."""

_KEEP = "{{ text }}"
_TRIM = "{{ text | trim }}"
_PARSED = (
    "{% set thought = text.split('</think>')[0].split('<think>')[-1] | trim if '</think>' in text else '' %}"
    "<think>\n{{ thought }}\n</think>\n\n{{ text.split('</think>')[-1] | trim }}"
)
"""A last answer in the form of models that think: a block of its own, empty where there was no thinking."""


@dataclass(frozen=True, kw_only=True)
class ChatForm:
    """How one family writes a conversation.

    Attributes:
        name: The family.
        user: What is written before and after a question.
        answer: What is written before and after an answer.
        prompt: What ends a text that an answer is to follow.
        prompt_end: The end of what is not learned, where thinking is off.
        learned: All that is learned of the answer "Yes.", its end included.
        first: What a conversation begins with.
        last: What is written after a whole conversation.
        image: The place of an image; None for a text model.
        images_first: Whether images come before all texts of their turn.
        said: How an answer's text is written.
        special: The family's special tokens, its end of text first.
        begins: The token that the tokenizer itself puts before a text; none if empty.
        pieces: Whether the tokenizer writes blanks into the tokens that follow (SentencePiece); otherwise bytes.
        thinks: What ends the prompt where thinking is asked for; None where it cannot be.
        learned_thinking: What is then learned of the answer "Yes.".
    """

    name: str
    user: tuple[str, str]
    answer: tuple[str, str]
    prompt: str
    prompt_end: str
    learned: str
    first: str = ""
    last: str = ""
    image: str | None = "<image>"
    images_first: bool = False
    said: str = _KEEP
    special: tuple[str, ...] = ("<|endoftext|>",)
    begins: str = ""
    pieces: bool = False
    thinks: str | None = None
    learned_thinking: str = ""

    @property
    def template(self) -> str:
        """Jinja that writes it."""
        prompt = self.prompt
        if self.thinks is not None:
            prompt = "{% if enable_thinking is defined and not enable_thinking %}" + self.prompt + "{% else %}" + self.thinks
            prompt += "{% endif %}"
        return (
            self.first
            + "{% for turn in messages %}{% set blocks = turn.content if turn.content is not string else "
            + "[{'type': 'text', 'text': turn.content}] %}"
            + "{% if turn.role == 'user' %}"
            + self.user[0]
            + (self.images_jinja + self.texts_jinja if self.images_first else self.both_jinja)
            + self.user[1]
            + "{% elif turn.role == 'assistant' %}"
            + self.answer[0]
            + "{% for block in blocks %}{% set text = block.text %}"
            + self.said
            + "{% endfor %}"
            + self.answer[1]
            + "{% endif %}{% endfor %}{% if add_generation_prompt %}"
            + prompt
            + ("{% else %}" + self.last if self.last else "")
            + "{% endif %}"
        )

    @property
    def images_jinja(self) -> str:
        return "{% for block in blocks if block.type == 'image' %}" + (self.image or "") + "{% endfor %}"

    @property
    def texts_jinja(self) -> str:
        return "{% for block in blocks if block.type == 'text' %}{{ block.text }}{% endfor %}"

    @property
    def both_jinja(self) -> str:
        return (
            "{% for block in blocks %}{% if block.type == 'image' %}" + (self.image or "") + "{% else %}{{ block.text }}"
            "{% endif %}{% endfor %}"
        )


_CHATML: dict[str, Any] = {
    "user": ("<|im_start|>user\n", "<|im_end|>\n"),
    "answer": ("<|im_start|>assistant\n", "<|im_end|>\n"),
    "prompt": "<|im_start|>assistant\n",
    "prompt_end": "<|im_start|>assistant\n",
    "learned": "Yes.<|im_end|>\n",
    "special": ("<|im_end|>", "<|im_start|>", "<|endoftext|>"),
}
_THINKING: dict[str, Any] = _CHATML | {
    "said": _PARSED,
    "prompt": "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "prompt_end": "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "special": ("<|im_end|>", "<|im_start|>", "<think>", "</think>"),
}
_LLAVA: dict[str, Any] = {
    "user": ("USER: ", " "),
    "answer": ("ASSISTANT: ", " "),
    "prompt": "ASSISTANT:",
    "prompt_end": "tall? ASSISTANT:",
    "learned": " Yes. </s>",
    "image": "<image>\n",
    "images_first": True,
    "special": ("</s>", "<s>"),
    "begins": "<s>",
    "pieces": True,
}
_IDEFICS: dict[str, Any] = {
    "user": ("User:", "<end_of_utterance>\n"),
    "answer": ("Assistant: ", "<end_of_utterance>\n"),
    "prompt": "Assistant:",
    "prompt_end": "<end_of_utterance>\nAssistant:",
    "learned": " Yes.<end_of_utterance>\n",
}

FORMS: Sequence[ChatForm] = (
    ChatForm(name="LLaVA-1.5", **_LLAVA),
    ChatForm(name="LLaVA-NeXT Vicuna", first="A chat between a person and a model. ", **_LLAVA),
    ChatForm(
        name="LLaVA-NeXT Mistral", user=("[INST] ", " [/INST]"), answer=(" ", "<\\s> "), prompt="",
        prompt_end=" [/INST]",
        learned=" Yes.<\\s> </s>", image="<image>\n", images_first=True, special=("</s>", "<s>"), begins="<s>", pieces=True,
    ),
    ChatForm(
        name="LLaVA-NeXT ChatML", **_CHATML | {"image": "<image>\n"},
    ),
    ChatForm(
        name="LLaVA-OneVision", user=("<|im_start|>user ", "<|im_end|>"), answer=("<|im_start|>assistant \n", "<|im_end|>"),
        prompt="<|im_start|>assistant\n", prompt_end="<|im_start|>assistant \n", learned="Yes.<|im_end|>",
        special=("<|im_end|>", "<|im_start|>"),
    ),
    ChatForm(
        name="Mistral", user=("[INST] ", " [/INST]"), answer=(" ", "</s>"), prompt="",
        prompt_end=" [/INST]", learned=" Yes.</s>",
        first="{{ bos_token }}", image=None, special=("</s>", "<s>"), begins="<s>", pieces=True,
    ),
    ChatForm(
        name="Pixtral", user=("[INST]", "[/INST]"), answer=("", "</s>"), prompt="", prompt_end="[/INST]", learned="Yes.</s>",
        first="{{ bos_token }}", special=("</s>", "<s>", "[INST]", "[/INST]"), begins="<s>",
    ),
    ChatForm(
        name="Gemma 3", user=("<start_of_turn>user\n", "<end_of_turn>\n"), answer=("<start_of_turn>model\n", "<end_of_turn>\n"),
        prompt="<start_of_turn>model\n", prompt_end="<start_of_turn>model\n", learned="Yes.<end_of_turn>\n",
        first="{{ bos_token }}", said=_TRIM, special=("<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"), begins="<bos>",
    ),
    ChatForm(
        name="Gemma 4", user=("<|turn>user\n", "<turn|>\n"), answer=("<|turn>model\n", "<turn|>\n"),
        prompt="<|turn>model\n<|channel>thought\n<channel|>", prompt_end="<|turn>model\n", learned="Yes.<turn|>\n",
        first="{{ bos_token }}", said=_TRIM, thinks="<|turn>model\n", learned_thinking="Yes.<turn|>\n",
        special=("<eos>", "<bos>", "<|turn>", "<turn|>", "<|channel>", "<channel|>"), begins="<bos>",
    ),
    ChatForm(
        name="Qwen2.5-VL", first="<|im_start|>system\nYou help.<|im_end|>\n",
        **_CHATML | {"image": "<|vision_start|><image><|vision_end|>"},
    ),
    ChatForm(name="Qwen3-VL", **_CHATML | {"image": "<|vision_start|><image><|vision_end|>"}),
    ChatForm(
        name="Qwen3", **_THINKING | {"image": None, "thinks": "<|im_start|>assistant\n"},
        learned_thinking="<think>\n\n</think>\n\nYes.<|im_end|>\n",
    ),
    ChatForm(
        name="Qwen3.5", **_THINKING, thinks="<|im_start|>assistant\n<think>\n",
        learned_thinking="\n\n</think>\n\nYes.<|im_end|>\n",
    ),
    ChatForm(
        name="Qwen3-VL Thinking", **_THINKING | {"prompt": "<|im_start|>assistant\n<think>\n"},
        thinks="<|im_start|>assistant\n<think>\n", learned_thinking="\n\n</think>\n\nYes.<|im_end|>\n",
    ),
    ChatForm(
        name="FastVLM", first="<|im_start|>system\n\nYou help.<|im_end|>\n",
        **_CHATML | {
            "answer": ("<|im_start|>assistant\n\n", "<|im_end|>\n"), "prompt_end": "<|im_start|>assistant",
            "learned": "\n\nYes.<|im_end|>\n", "image": "<image>\n", "images_first": True,
        },
    ),
    ChatForm(
        name="LFM2-VL", first="{{ bos_token }}", begins="<|startoftext|>",
        **_CHATML | {"special": ("<|im_end|>", "<|startoftext|>", "<|im_start|>")},
    ),
    ChatForm(name="InternVL", **_CHATML | {"image": "<image>\n"}),
    ChatForm(
        name="Idefics3", first="<|begin_of_text|>", **_IDEFICS,
        special=("<|end_of_text|>", "<|begin_of_text|>", "<end_of_utterance>"), begins="<|begin_of_text|>",
    ),
    ChatForm(
        name="SmolVLM", first="<|im_start|>", **_IDEFICS, special=("<|im_end|>", "<|im_start|>", "<end_of_utterance>"),
    ),
    ChatForm(
        name="Granite Vision", first="<|system|>\nA chat.\n", user=("<|user|>\n", "\n"),
        answer=("<|assistant|>\n", "<|end_of_text|>"), prompt="<|assistant|>\n", prompt_end="<|assistant|>\n",
        learned="Yes.<|end_of_text|>", image="<image>\n", special=("<|end_of_text|>",),
    ),
    ChatForm(
        name="Granite", user=("<|start_of_role|>user<|end_of_role|>", "<|end_of_text|>\n"),
        answer=("<|start_of_role|>assistant<|end_of_role|>", "<|end_of_text|>\n"),
        prompt="<|start_of_role|>assistant<|end_of_role|>", prompt_end="assistant<|end_of_role|>",
        learned="Yes.<|end_of_text|>\n", image=None, special=("<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>"),
    ),
    ChatForm(
        name="Llama 3", user=("<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"),
        answer=("<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"),
        prompt="<|start_header_id|>assistant<|end_header_id|>\n\n", prompt_end="assistant<|end_header_id|>\n\n",
        learned="Yes.<|eot_id|>", first="{{ bos_token }}", said=_TRIM, begins="<|begin_of_text|>",
        special=("<|eot_id|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>"),
    ),
    ChatForm(
        name="Cohere2", user=("<|START_OF_TURN_TOKEN|><|USER_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        answer=("<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>", "<|END_RESPONSE|><|END_OF_TURN_TOKEN|>"),
        prompt="<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", prompt_end="<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        learned="<|START_RESPONSE|>Yes.<|END_RESPONSE|><|END_OF_TURN_TOKEN|>", first="{{ bos_token }}", image=None,
        begins="<BOS_TOKEN>",
        special=(
            "<|END_OF_TURN_TOKEN|>", "<BOS_TOKEN>", "<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>",
            "<|START_RESPONSE|>", "<|END_RESPONSE|>",
        ),
    ),
    ChatForm(
        name="Phi-3", user=("<|user|>\n", "<|end|>\n"), answer=("<|assistant|>\n", "<|end|>\n"), prompt="<|assistant|>\n",
        prompt_end="<|assistant|>\n", learned="Yes.<|end|>\n<|endoftext|>", last="{{ eos_token }}", image=None,
        special=("<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>"),
    ),
    ChatForm(
        name="Zephyr", user=("<|user|>\n", "</s>\n"), answer=("<|assistant|>\n", "</s>\n"), prompt="<|assistant|>\n",
        prompt_end="<|assistant|>\n", learned="Yes.</s>\n", image=None, special=("</s>", "<s>"), begins="<s>", pieces=True,
    ),
    ChatForm(
        name="GLM-4.1V", first="[gMASK]<sop>", user=("<|user|>\n", ""), answer=("<|assistant|>\n", ""),
        prompt="<|assistant|>\n", prompt_end="<|assistant|>\n", learned="Yes.<|endoftext|>",
        special=("<|endoftext|>", "[gMASK]", "<sop>", "<|user|>", "<|assistant|>"),
    ),
    ChatForm(
        name="gpt-oss", user=("<|start|>user<|message|>", "<|end|>"),
        answer=("<|start|>assistant<|channel|>final<|message|>", "<|return|>"), prompt="<|start|>assistant",
        prompt_end="assistant<|channel|>final<|message|>", learned="Yes.<|return|>", image=None,
        special=("<|return|>", "<|start|>", "<|message|>", "<|end|>", "<|channel|>"),
    ),
    ChatForm(
        name="DeepSeek-R1", user=("<|User|>", ""), answer=("<|Assistant|>", "<|eos|>"), prompt="<|Assistant|><think>\n",
        prompt_end="<|Assistant|>", learned="Yes.<|eos|>", first="{{ bos_token }}", image=None, begins="<|bos|>",
        said="{{ text.split('</think>')[-1] }}",
        special=("<|eos|>", "<|bos|>", "<|User|>", "<|Assistant|>", "<think>", "</think>"),
    ),
)  # fmt: skip


@cache
def _base(pieces: bool) -> str:
    """A tokenizer of one of the two kinds, without special tokens, as JSON."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer: Any = Tokenizer(models.BPE(byte_fallback=pieces, unk_token="<unk>" if pieces else None))
    metaspace = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.pre_tokenizer = metaspace if pieces else pre_tokenizers.ByteLevel(add_prefix_space=False)
    by_piece = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(by_piece) if pieces else decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700, show_progress=False,
        special_tokens=["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))] if pieces else [],
        initial_alphabet=[] if pieces else pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    # Line ends are bytes of their own in SentencePiece's vocabularies; in those of bytes two of them are one token
    texts = [text.replace("\n", " ") for text in TEXTS] if pieces else [*TEXTS, "\n\n", "\n\n"]
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.to_str()


def make_tokenizer(form: ChatForm) -> Any:
    """A tiny tokenizer of the form's kind, with its special tokens."""
    from tokenizers import AddedToken, Tokenizer, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer: Any = Tokenizer.from_str(_base(form.pieces))
    known = [*form.special, "<image>", "<|vision_start|>", "<|vision_end|>"]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in known if "think" not in token])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in known if "think" in token])
    if form.begins:
        place = tokenizer.token_to_id(form.begins)
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{form.begins} $A", pair=f"{form.begins} $A $B", special_tokens=[(form.begins, place)]
        )
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=form.special[0], pad_token=form.special[0], bos_token=form.begins or None,
        extra_special_tokens={"image_token": "<image>"},
    )  # fmt: skip
    made.chat_template = form.template
    return made


def make_processor(form: ChatForm) -> Any:
    """A processor that reads the form's conversations: LLaVA's, or the tokenizer alone of a text model."""
    tokenizer = make_tokenizer(form)
    if form.image is None:
        return tokenizer
    from transformers import LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    square = {"height": 28, "width": 28}
    return LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size=square, crop_size=square, do_center_crop=False),
        tokenizer=tokenizer, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=form.template,
    )  # fmt: skip


def build_model(form: ChatForm, folder: Any, *, width: int = 32, layers: int = 1) -> Any:
    """A tiny LLaVA with random weights that reads and writes the form's conversations, saved as a folder."""
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration
    from transformers.utils import logging

    logging.disable_progress_bar()
    processor = make_processor(form if form.image is not None else replace(form, image="<image>"))
    tokenizer = processor.tokenizer
    sizes = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": layers, "num_attention_heads": 2}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**sizes, image_size=28, patch_size=14),
        text_config=LlamaConfig(**sizes, vocab_size=len(tokenizer), num_key_value_heads=2, eos_token_id=tokenizer.eos_token_id),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlavaForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
