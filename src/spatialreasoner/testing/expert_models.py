"""Tiny models of Qwen, InternVL and GLM, with experts and without."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

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
)
from spatialreasoner.testing.tiny_templates import CHATML, GLM, HARMONY, QWEN2_VL, QWEN3_5, TurnForm, turns
from spatialreasoner.vlm.processors import image_only

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast, ProcessorMixin

EXPERTS: Mapping[str, Any] = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32,
    "decoder_sparse_step": 1,
    "router_aux_loss_coef": 0.01,
}
"""Fields of a mixture of experts."""

LINEAR = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "layer_types": ["linear_attention", "full_attention"],
}
"""Fields of layers with linear attention."""

_IM = ("<|im_start|>", "<|im_end|>")


def _qwen(texts: Iterable[str], size: Size, form: TurnForm) -> tuple[PreTrainedTokenizerFast, ProcessorMixin]:
    """The tokenizer and the processor of Qwen 3 and later."""
    from transformers import Qwen3VLProcessor
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    tokenizer = family_tokenizer(texts, size, qwen_tokens(), end="<|im_end|>", marks=_IM)
    processor = image_only(Qwen3VLProcessor, {"video_processor_type": "Qwen3VLVideoProcessor"})(
        image_processor=Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=size.image**2, patch_size=14),
        tokenizer=tokenizer,
        chat_template=turns("<|vision_start|><|image_pad|><|vision_end|>", **form),
    )
    return tokenizer, processor


def _qwen_vision(size: Size, *, deepstack: bool) -> dict[str, Any]:
    return {
        "depth": 2,
        "hidden_size": size.width,
        "intermediate_size": 2 * size.width,
        "num_heads": size.heads,
        "out_hidden_size": size.width,
        "patch_size": 14,
        "num_position_embeddings": 64,
        **({"deepstack_visual_indexes": [0]} if deepstack else {}),
    }


def _qwen_text(tokenizer: PreTrainedTokenizerFast, size: Size, **more: Any) -> dict[str, Any]:
    rope = {**mrope(size), "mrope_interleaved": True}
    return {**llama(tokenizer, size), "head_dim": size.width // size.heads, "rope_parameters": rope, **more}


def _qwen_fields(texts: Iterable[str], size: Size, *, deepstack: bool, **more: Any) -> tuple[dict[str, Any], ProcessorMixin]:
    """The fields of configurations that Qwen 3 and later share, and the processor."""
    tokenizer, processor = _qwen(texts, size, CHATML if deepstack else QWEN3_5)
    text, sight = _qwen_text(tokenizer, size, **more), _qwen_vision(size, deepstack=deepstack)
    return {"text_config": text, "vision_config": sight, **qwen_ids(tokenizer)}, processor


def _qwen3_vl_moe(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration

    fields, processor = _qwen_fields(texts, size, deepstack=True, **EXPERTS)
    return Qwen3VLMoeForConditionalGeneration(Qwen3VLMoeConfig(**fields)), processor


def _qwen3_5(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration

    fields, processor = _qwen_fields(texts, size, deepstack=False, **LINEAR)
    return Qwen3_5ForConditionalGeneration(Qwen3_5Config(**fields)), processor


def _qwen3_5_moe(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import Qwen3_5MoeConfig, Qwen3_5MoeForConditionalGeneration

    fields, processor = _qwen_fields(texts, size, deepstack=False, **LINEAR, **EXPERTS)
    return Qwen3_5MoeForConditionalGeneration(Qwen3_5MoeConfig(**fields)), processor


def _qwen2_vl(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    tokenizer = family_tokenizer(texts, size, qwen_tokens(), end="<|im_end|>", marks=_IM)
    config = Qwen2VLConfig(
        text_config={**llama(tokenizer, size), "rope_parameters": mrope(size)},
        vision_config={"depth": 2, "embed_dim": size.width, "num_heads": size.heads, "hidden_size": size.width, "mlp_ratio": 2},
        **qwen_ids(tokenizer),
    )
    processor = image_only(Qwen2VLProcessor, {"video_processor_type": "Qwen2VLVideoProcessor"})(
        image_processor=Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=size.image**2),
        tokenizer=tokenizer,
        chat_template=turns("<|vision_start|><|image_pad|><|vision_end|>", **QWEN2_VL),
    )
    return Qwen2VLForConditionalGeneration(config), processor


def _internvl_over(
    texts: Iterable[str], size: Size, text: str, *, form: TurnForm = CHATML, end: str = "<|im_end|>", **more: Any
) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import AutoConfig

    marks = ("<|start|>", "<|message|>", "<|channel|>", "<|end|>") if form is HARMONY else _IM
    tokenizer = family_tokenizer(texts, size, INTERNVL_TOKENS, end=end, marks=marks)
    fields = {**llama(tokenizer, size), "head_dim": size.width // size.heads, **more}
    return internvl(tokenizer, size, AutoConfig.for_model(text, **fields), turns("<IMG_CONTEXT>\n", **form))


def _internvl_moe(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    return _internvl_over(texts, size, "qwen3_moe", **EXPERTS)


def _internvl_gpt_oss(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    rope = {"rope_type": "default", "rope_theta": 1e4}
    return _internvl_over(
        texts,
        size,
        "gpt_oss",
        form=HARMONY,
        end="<|return|>",
        num_local_experts=4,
        num_experts_per_tok=2,
        sliding_window=32,
        rope_parameters=rope,
    )


def _glm(texts: Iterable[str], size: Size, kind: str) -> tuple[PreTrainedTokenizerFast, ProcessorMixin, dict[str, Any]]:
    """The tokenizer, the processor and the fields of configurations that GLM's vision models share."""
    from transformers import Glm4vProcessor, Glm46VProcessor
    from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil
    from transformers.models.glm46v.image_processing_pil_glm46v import Glm46VImageProcessorPil

    marks = [
        "[gMASK]",
        "<sop>",
        "<|user|>",
        "<|assistant|>",
        *(f"<|{part}_of_{what}|>" for what in ("image", "video") for part in ("begin", "end")),
    ]
    extra = {"image_token": "<|image|>", "video_token": "<|video|>"}
    tokenizer = family_tokenizer(texts, size, extra, end="<|endoftext|>", marks=marks)
    ids = tokenizer.get_vocab()
    newer = kind == "glm46v"
    reader: Any = Glm46VImageProcessorPil if newer else Glm4vImageProcessorPil
    pixels = {"shortest_edge": 28 * 28, "longest_edge": 2 * size.image**2}
    processor = image_only(Glm46VProcessor if newer else Glm4vProcessor, {"video_processor_type": "Glm4vVideoProcessor"})(
        image_processor=reader(size=pixels),
        tokenizer=tokenizer,
        chat_template=turns("<|begin_of_image|><|image|><|end_of_image|>", **GLM),
    )
    shared = {
        "vision_config": {
            "depth": 2,
            "hidden_size": size.width,
            "intermediate_size": 2 * size.width,
            "num_heads": size.heads,
            "out_hidden_size": size.width,
            "image_size": size.image,
        },
        "image_token_id": ids["<|image|>"],
        "video_token_id": ids["<|video|>"],
        "image_start_token_id": ids["<|begin_of_image|>"],
        "image_end_token_id": ids["<|end_of_image|>"],
        "video_start_token_id": ids["<|begin_of_video|>"],
        "video_end_token_id": ids["<|end_of_video|>"],
    }
    return tokenizer, processor, shared


def _glm_rope(size: Size) -> dict[str, Any]:
    return {**mrope(size), "partial_rotary_factor": 1.0}


def _glm4v(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import Glm4vConfig, Glm4vForConditionalGeneration

    tokenizer, processor, shared = _glm(texts, size, "glm4v")
    text = {**llama(tokenizer, size), "rope_parameters": _glm_rope(size)}
    return Glm4vForConditionalGeneration(Glm4vConfig(text_config=text, **shared)), processor


def _glm46v(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import Glm46VConfig, Glm46VForConditionalGeneration

    tokenizer, processor, shared = _glm(texts, size, "glm46v")
    text = {**llama(tokenizer, size), "model_type": "glm4v_text", "rope_parameters": _glm_rope(size)}
    vision_config = {**shared.pop("vision_config"), "model_type": "glm4v_vision"}
    return Glm46VForConditionalGeneration(Glm46VConfig(text_config=text, vision_config=vision_config, **shared)), processor


def _glm4v_moe(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import Glm4vMoeConfig, Glm4vMoeForConditionalGeneration

    tokenizer, processor, shared = _glm(texts, size, "glm4v")
    text = {
        **llama(tokenizer, size),
        "rope_parameters": _glm_rope(size),
        "head_dim": size.width // size.heads,
        "moe_intermediate_size": 32,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "first_k_dense_replace": 1,
    }
    return Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(text_config=text, **shared)), processor


EXPERT_FAMILIES: Mapping[str, Builder] = {
    "qwen2_vl": _qwen2_vl,
    "qwen3_vl_moe": _qwen3_vl_moe,
    "qwen3_5": _qwen3_5,
    "qwen3_5_moe": _qwen3_5_moe,
    "internvl_moe": _internvl_moe,
    "internvl_gpt_oss": _internvl_gpt_oss,
    "glm4v": _glm4v,
    "glm46v": _glm46v,
    "glm4v_moe": _glm4v_moe,
}
"""Makers of these families' tiny models."""
