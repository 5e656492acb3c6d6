"""Tiny real vision-language models, built from configurations: the same classes as the released ones, with random weights.

They run tests, benchmarks and the demo where no weights can be had. Each is saved as an ordinary folder (configuration,
safetensors, processor, chat template) that transformers loads like any other; nothing knows that it is tiny.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.outputs import apply_umask
from spatialreasoner.testing.more_models import MORE_FAMILIES
from spatialreasoner.testing.tiny_parts import (
    INTERNVL_TOKENS,
    Builder,
    Size,
    family_tokenizer,
    internvl,
    llama,
    mrope,
    qwen_ids,
    qwen_tokens,
    tokenizer_of,
    vision,
)
from spatialreasoner.testing.tiny_templates import (
    CHATML,
    GEMMA3,
    IDEFICS3,
    LLAVA,
    ONEVISION,
    QWEN2_VL,
    SMOLVLM,
    TurnForm,
    turns,
)
from spatialreasoner.testing.tiny_tokenizer import CHAT_TEMPLATE as CHAT_TEMPLATE
from spatialreasoner.testing.tiny_tokenizer import train_tokenizer as train_tokenizer
from spatialreasoner.vlm.encoding import end_ids
from spatialreasoner.vlm.processors import image_only
from spatialreasoner.vlm.rendering import chat_template_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast, ProcessorMixin


def make_tiny(
    family: str,
    texts: Iterable[str],
    *,
    seed: int = 0,
    width: int = 64,
    layers: int = 2,
    image_size: int = 56,
    vocabulary: int = 512,
) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Make a tiny model of a family, and its processor.

    Args:
        family: One of `FAMILIES`.
        texts: What its tokenizer is trained on.
        seed: Seed of the weights.
        width: Size of hidden states of the language model and of the vision tower; a multiple of 32.
        layers: How many layers the language model has.
        image_size: Side of the square that images are resized to, or whose area they may have; a multiple of 28.
        vocabulary: Maximum number of tokens beside the special ones; 256 are the bytes.

    Raises:
        ConfigError: If there is no such family.
    """
    if family not in FAMILIES:
        raise ConfigError(f"expected a family of {', '.join(FAMILIES)}; got {family!r}")
    size = Size(width=width, layers=layers, image=image_size, vocabulary=vocabulary)
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        torch.manual_seed(seed)
        model, processor = FAMILIES[family](texts, size)
    tokenizer = tokenizer_of(processor)
    ends = end_ids(chat_template_of(processor), tokenizer, None)  # those of a template that ends answers by another token, too
    model.generation_config.eos_token_id = ends if len(ends) > 1 else ends[0]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model, processor


def build_tiny(family: str, folder: str | Path, texts: Iterable[str], **options: Any) -> Path:
    """Make a tiny model (see `make_tiny`) and save it.

    Raises:
        ConfigError: If there is no such family.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    model, processor = make_tiny(family, texts, **options)
    model.save_pretrained(folder)
    apply_umask(Path(folder))
    processor.save_pretrained(folder)
    return Path(folder)


def _llava(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tokenizer = family_tokenizer(texts, size, {"image_token": "<image>"}, end="</s>", begin="<s>", words=_LLAVA_WORDS)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**vision(size), image_size=size.image, patch_size=14),
        text_config=LlamaConfig(**llama(tokenizer, size)),
        image_token_index=tokenizer.get_vocab()["<image>"],
        vision_feature_layer=-1,
    )
    square = {"height": size.image, "width": size.image}
    processor = LlavaProcessor(
        # A square without a crop: what is at the rim of an image is asked about as well
        image_processor=CLIPImageProcessorPil(size=square, crop_size=square, do_center_crop=False),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=turns("<image>\n", **LLAVA),
    )
    return LlavaForConditionalGeneration(config), processor


def _qwen2_5_vl(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    tokenizer = family_tokenizer(texts, size, qwen_tokens(), end="<|im_end|>", marks=["<|im_start|>"])
    config = Qwen2_5_VLConfig(
        text_config={**llama(tokenizer, size), "rope_parameters": mrope(size)},
        vision_config={
            "depth": 2,
            "hidden_size": size.width,
            "intermediate_size": 2 * size.width,
            "num_heads": size.heads,
            "out_hidden_size": size.width,
            "fullatt_block_indexes": [1],
            "window_size": 56,
        },
        **qwen_ids(tokenizer),
    )
    processor = image_only(Qwen2_5_VLProcessor, {"video_processor_type": "Qwen2VLVideoProcessor"})(
        image_processor=Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=size.image**2),
        tokenizer=tokenizer,
        chat_template=turns("<|vision_start|><|image_pad|><|vision_end|>", **QWEN2_VL),
    )
    return Qwen2_5_VLForConditionalGeneration(config), processor


def _qwen3_vl(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    tokenizer = family_tokenizer(texts, size, qwen_tokens(), end="<|im_end|>", marks=["<|im_start|>"])
    config = Qwen3VLConfig(
        text_config={
            **llama(tokenizer, size),
            "head_dim": size.width // size.heads,
            "rope_parameters": {**mrope(size), "mrope_interleaved": True},
        },
        vision_config={
            "depth": 2,
            "hidden_size": size.width,
            "intermediate_size": 2 * size.width,
            "num_heads": size.heads,
            "out_hidden_size": size.width,
            "patch_size": 14,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        **qwen_ids(tokenizer),
    )
    processor = image_only(Qwen3VLProcessor, {"video_processor_type": "Qwen3VLVideoProcessor"})(
        image_processor=Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=size.image**2, patch_size=14),
        tokenizer=tokenizer,
        chat_template=turns("<|vision_start|><|image_pad|><|vision_end|>", **CHATML),
    )
    return Qwen3VLForConditionalGeneration(config), processor


def _llava_onevision(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionProcessor,
        Qwen2Config,
        SiglipVisionConfig,
    )
    from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil

    extra = {"image_token": "<image>", "video_token": "<video>"}
    tokenizer = family_tokenizer(texts, size, extra, end="<|im_end|>", marks=["<|im_start|>"])
    pinpoints = [[size.image, size.image], [size.image, 2 * size.image], [2 * size.image, size.image]]
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**vision(size), image_size=size.image, patch_size=14, vision_use_head=False),
        text_config=Qwen2Config(**llama(tokenizer, size)),
        image_token_index=tokenizer.get_vocab()["<image>"],
        video_token_index=tokenizer.get_vocab()["<video>"],
        image_grid_pinpoints=pinpoints,
    )
    processor = image_only(LlavaOnevisionProcessor, {"video_processor_type": "LlavaOnevisionVideoProcessor"})(
        image_processor=LlavaOnevisionImageProcessorPil(
            size={"height": size.image, "width": size.image}, image_grid_pinpoints=pinpoints
        ),
        tokenizer=tokenizer,
        num_image_tokens=(size.image // 14) ** 2,
        vision_feature_select_strategy="full",
        chat_template=turns("<image>", **ONEVISION),
    )
    return LlavaOnevisionForConditionalGeneration(config), processor


def _internvl(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import Qwen2Config

    tokenizer = family_tokenizer(texts, size, INTERNVL_TOKENS, end="<|im_end|>", marks=["<|im_start|>"])
    return internvl(tokenizer, size, Qwen2Config(**llama(tokenizer, size)), turns("<IMG_CONTEXT>\n", **CHATML))


def _idefics_tokens() -> dict[str, str]:
    return {
        "image_token": "<image>",
        "fake_image_token": "<fake_token_around_image>",
        "global_image_token": "<global-img>",
        "end_of_utterance_token": "<end_of_utterance>",
        **{f"tile_{row}_{column}": f"<row_{row}_col_{column}>" for row in range(1, 4) for column in range(1, 4)},
    }


def _idefics_processor(tokenizer: PreTrainedTokenizerFast, size: Size, form: TurnForm) -> ProcessorMixin:
    from transformers import Idefics3Processor
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    edge = {"longest_edge": size.image}
    return Idefics3Processor(
        image_processor=Idefics3ImageProcessorPil(size={"longest_edge": 2 * size.image}, max_image_size=edge),
        tokenizer=tokenizer,
        image_seq_len=(size.image // 28) ** 2,
        chat_template=turns("<image>", **form),
    )


def _idefics3(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, LlamaConfig

    begin = "<|begin_of_text|>"
    tokenizer = family_tokenizer(texts, size, _idefics_tokens(), end="<|end_of_text|>", begin=begin, words=_IDEFICS_WORDS)
    processor = _idefics_processor(tokenizer, size, IDEFICS3)
    config = Idefics3Config(
        vision_config={**vision(size), "image_size": size.image, "patch_size": 14},
        text_config=LlamaConfig(**llama(tokenizer, size)),
        image_token_id=tokenizer.get_vocab()["<image>"],
        scale_factor=2,
    )
    return Idefics3ForConditionalGeneration(config), processor


def _smolvlm(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import LlamaConfig, SmolVLMConfig, SmolVLMForConditionalGeneration

    # SmolVLM reads images as Idefics 3 does; its own processor is made for videos and needs num2words for them
    tokenizer = family_tokenizer(
        texts, size, _idefics_tokens(), end="<end_of_utterance>", marks=["<|im_start|>"], words=_IDEFICS_WORDS
    )
    processor = _idefics_processor(tokenizer, size, SMOLVLM)
    config = SmolVLMConfig(
        vision_config={**vision(size), "image_size": size.image, "patch_size": 14},
        text_config=LlamaConfig(**llama(tokenizer, size)),
        image_token_id=tokenizer.get_vocab()["<image>"],
        scale_factor=2,
    )
    return SmolVLMForConditionalGeneration(config), processor


def _gemma3(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3Processor
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    extra = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    marks = ("<start_of_turn>", "<end_of_turn>")
    tokenizer = family_tokenizer(texts, size, extra, end="<eos>", marks=marks, begin="<bos>", words="user\nmodel\n")
    patches = (size.image // 28) ** 2
    config = Gemma3Config(
        text_config={
            **llama(tokenizer, size),
            "head_dim": size.width // size.heads,
            "query_pre_attn_scalar": size.width // size.heads,
            "sliding_window": 32,
            "layer_types": ["sliding_attention", "full_attention"] * (size.layers // 2),
        },
        vision_config={**vision(size), "image_size": size.image, "patch_size": 14, "vision_use_head": False},
        mm_tokens_per_image=patches,
        boi_token_index=tokenizer.get_vocab()["<start_of_image>"],
        eoi_token_index=tokenizer.get_vocab()["<end_of_image>"],
        image_token_index=tokenizer.get_vocab()["<image_soft_token>"],
    )
    processor = Gemma3Processor(
        image_processor=Gemma3ImageProcessorPil(size={"height": size.image, "width": size.image}),
        tokenizer=tokenizer,
        image_seq_length=patches,
        chat_template=turns("<start_of_image>", **GEMMA3),
    )
    model = Gemma3ForConditionalGeneration(config)
    # transformers starts it at zero, where the norm before it makes gradients a thousandfold of any trained model's
    torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight, std=0.02)
    return model, processor


_LLAVA_WORDS, _IDEFICS_WORDS = "USER: ASSISTANT: ", "User: Assistant: "
"""What these templates write in words."""

FAMILIES: Mapping[str, Builder] = {
    "llava": _llava,
    "llava_onevision": _llava_onevision,
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen3_vl": _qwen3_vl,
    "internvl": _internvl,
    "idefics3": _idefics3,
    "smolvlm": _smolvlm,
    "gemma3": _gemma3,
    **MORE_FAMILIES,
}
"""Makers of each family's tiny model."""
