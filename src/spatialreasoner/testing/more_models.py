"""Tiny models of further families, with the structure of each family's own chat template.

Every processor is the released one's class. Families that read videos too have none here (`vlm.processors.image_only`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from spatialreasoner.testing.expert_models import EXPERT_FAMILIES
from spatialreasoner.testing.tiny_parts import Builder, Size, family_tokenizer, llama, vision
from spatialreasoner.testing.tiny_templates import (
    CHATML,
    COHERE,
    FASTVLM,
    GEMMA4,
    GRANITE,
    GRANITE_VISION,
    IDEFICS2,
    LLAVA_MISTRAL,
    MISTRAL,
    turns,
)
from spatialreasoner.vlm.processors import image_only

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast, ProcessorMixin


def _llava_next(texts: Iterable[str], size: Size, *, text: str = "mistral") -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import (
        AutoConfig,
        CLIPVisionConfig,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextProcessor,
    )

    granite = text == "granite"
    form, end, begin = (GRANITE_VISION, "<|end_of_text|>", "") if granite else (LLAVA_MISTRAL, "</s>", "<s>")
    tokenizer = family_tokenizer(texts, size, {"image_token": "<image>"}, end=end, begin=begin)
    images = _tiling(size)
    scaled: dict[str, Any] = {"logits_scaling": 8.0, "embedding_multiplier": 2.0} if granite else {"sliding_window": None}
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**vision(size), image_size=size.image, patch_size=14),
        text_config=AutoConfig.for_model(text, **llama(tokenizer, size), **scaled),
        image_token_index=tokenizer.get_vocab()["<image>"],
        image_grid_pinpoints=images.image_grid_pinpoints,
        vision_feature_layer=[-2, -1] if granite else -1,  # Granite's has four
    )
    processor = LlavaNextProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=turns("<image>\n", **form),
    )
    return LlavaNextForConditionalGeneration(config), processor


def _tiling(size: Size) -> Any:
    """LLaVA-NeXT's image processor, for images of one tile or two."""
    from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

    return LlavaNextImageProcessorPil(
        size={"shortest_edge": size.image},
        crop_size={"height": size.image, "width": size.image},
        image_grid_pinpoints=[[size.image, 2 * size.image], [2 * size.image, size.image]],
    )


def _granite_vision(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    return _llava_next(texts, size, text="granite")


def _granite4_vision(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import Granite4VisionConfig, Granite4VisionForConditionalGeneration, Granite4VisionProcessor

    marks = ("<|start_of_role|>", "<|end_of_role|>")
    tokenizer = family_tokenizer(texts, size, {"image_token": "<image>"}, end="<|end_of_text|>", marks=marks)
    images = _tiling(size)
    common: dict[str, Any] = {"downsample_rate": "1/2", "vision_feature_select_strategy": "full"}
    config = Granite4VisionConfig(
        vision_config={  # as wide as a head of its query former
            **vision(size), "hidden_size": max(64, size.width), "model_type": "siglip_vision_model", "image_size": size.image,
            "patch_size": 14, "vision_use_head": False,
        },
        text_config={**llama(tokenizer, size), "logits_scaling": 4.0, "embedding_multiplier": 2.0},
        image_token_index=tokenizer.get_vocab()["<image>"],
        image_grid_pinpoints=images.image_grid_pinpoints,
        image_seq_length=(size.image // 28) ** 2,
        deepstack_layer_map=[[-2, 0]],
        spatial_target_layers=[1],
        projector_dropout=0.0,
        qformer_config={
            "model_type": "blip_2_qformer", "num_hidden_layers": 1, "intermediate_size": 64, "cross_attention_frequency": 1,
            "use_qformer_text_input": False, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
        },
        **common,
    )  # fmt: skip
    processor = Granite4VisionProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=14,
        chat_template=turns("<image>\n", **GRANITE),
        **common,
    )
    return Granite4VisionForConditionalGeneration(config), processor


def _idefics2(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import Idefics2Config, Idefics2ForConditionalGeneration, Idefics2Processor, MistralConfig
    from transformers.models.idefics2.image_processing_pil_idefics2 import Idefics2ImageProcessorPil

    extra = {"image_token": "<image>", "image_boundary_token": "<fake_token_around_image>"}
    tokenizer = family_tokenizer(texts, size, extra, end="</s>", marks=["<end_of_utterance>"], begin="<s>")
    latents = (size.image // 28) ** 2
    processor = Idefics2Processor(
        image_processor=Idefics2ImageProcessorPil(
            size={"shortest_edge": size.image, "longest_edge": size.image}, do_image_splitting=False
        ),
        tokenizer=tokenizer,
        image_seq_len=latents,
        chat_template=turns("<image>", **IDEFICS2),
    )
    config = Idefics2Config(
        vision_config={**vision(size), "image_size": size.image, "patch_size": 14},
        text_config=MistralConfig(**llama(tokenizer, size), sliding_window=None),
        perceiver_config={
            "hidden_size": size.width,
            "resampler_n_latents": latents,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 16,
            "num_key_value_heads": 1,
        },
        image_token_id=tokenizer.get_vocab()["<image>"],
    )
    return Idefics2ForConditionalGeneration(config), processor


def _gemma4(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import Gemma4AudioFeatureExtractor, Gemma4Config, Gemma4ForConditionalGeneration, Gemma4Processor
    from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

    extra = {"image_token": "<|image|>", "boi_token": "<|image>", "eoi_token": "<image|>"}
    extra |= {"audio_token": "<|audio|>", "boa_token": "<|audio>", "eoa_token": "<audio|>"}
    marks = ("<bos>", "<|turn>", "<turn|>", "<|channel>", "<channel|>", "<|video|>")
    tokenizer = family_tokenizer(texts, size, extra, end="<turn|>", marks=marks)
    heads: dict[str, Any] = {"head_dim": size.width // size.heads, "global_head_dim": size.width // size.heads}
    config = Gemma4Config(
        text_config={
            **llama(tokenizer, size),
            **heads,
            "sliding_window": 32,
            "layer_types": ["sliding_attention", "full_attention"] * (size.layers // 2),
            "use_bidirectional_attention": "vision",
            "hidden_size_per_layer_input": 0,
        },
        vision_config={
            **vision(size),
            "num_key_value_heads": size.heads,
            "head_dim": size.width // size.heads,
            "patch_size": 14,
            "pooling_kernel_size": 2,
            "position_embedding_size": 64,
        },
        audio_config=None,
        image_token_id=tokenizer.get_vocab()["<|image|>"],
        boi_token_id=tokenizer.get_vocab()["<|image>"],
        eoi_token_id=tokenizer.get_vocab()["<image|>"],
        video_token_id=tokenizer.get_vocab()["<|video|>"],
        audio_token_id=tokenizer.get_vocab()["<|audio|>"],
    )
    tokens = max(1, (size.image // 28) ** 2)
    processor = image_only(Gemma4Processor, {"video_processor_type": "Gemma4VideoProcessor"})(
        feature_extractor=Gemma4AudioFeatureExtractor(),
        image_processor=Gemma4ImageProcessorPil(patch_size=14, pooling_kernel_size=2, max_soft_tokens=70),
        tokenizer=tokenizer,
        video_processor=None,
        image_seq_length=tokens,
        chat_template=turns("<|image|>", **GEMMA4),
    )
    return Gemma4ForConditionalGeneration(config), processor


def _pixtral_parts(texts: Iterable[str], size: Size, *, merge: int) -> tuple[PreTrainedTokenizerFast, ProcessorMixin, Any]:
    from transformers import PixtralProcessor, PixtralVisionConfig
    from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil

    extra = {"image_token": "[IMG]", "image_break_token": "[IMG_BREAK]", "image_end_token": "[IMG_END]"}
    tokenizer = family_tokenizer(texts, size, extra, end="</s>", marks=("<s>", "[INST]", "[/INST]"))
    patch = 14 * merge
    processor = PixtralProcessor(
        image_processor=PixtralImageProcessorPil(
            patch_size={"height": patch, "width": patch}, size={"longest_edge": 2 * size.image}
        ),
        tokenizer=tokenizer,
        patch_size=14,
        spatial_merge_size=merge,
        chat_template=turns("[IMG]", **MISTRAL),
    )
    sizes: dict[str, Any] = {**vision(size), "head_dim": size.width // size.heads, "image_size": 2 * size.image}
    seeing = PixtralVisionConfig(**sizes, patch_size=14)
    return tokenizer, processor, seeing


def _pixtral(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import LlavaConfig, LlavaForConditionalGeneration, MistralConfig

    tokenizer, processor, seeing = _pixtral_parts(texts, size, merge=1)
    config = LlavaConfig(
        vision_config=seeing,
        text_config=MistralConfig(**llama(tokenizer, size), head_dim=size.width // size.heads, sliding_window=None),
        image_token_index=tokenizer.get_vocab()["[IMG]"],
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    return LlavaForConditionalGeneration(config), processor


def _mistral3(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import Mistral3Config, Mistral3ForConditionalGeneration, MistralConfig

    tokenizer, processor, seeing = _pixtral_parts(texts, size, merge=2)
    config = Mistral3Config(
        vision_config=seeing,
        text_config=MistralConfig(**llama(tokenizer, size), head_dim=size.width // size.heads, sliding_window=None),
        image_token_index=tokenizer.get_vocab()["[IMG]"],
        tie_word_embeddings=False,
    )
    return Mistral3ForConditionalGeneration(config), processor


def _aya_vision(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import AyaVisionConfig, AyaVisionForConditionalGeneration, AyaVisionProcessor, Cohere2Config
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

    images = ["<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_PATCH|>", "<|IMG_LINE_BREAK|>"]
    marks = ["<BOS_TOKEN>", "<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", *images]
    tokenizer = family_tokenizer(texts, size, {"image_token": "<image>"}, end="<|END_OF_TURN_TOKEN|>", marks=marks)
    text: dict[str, Any] = {**llama(tokenizer, size), "sliding_window": 32, "logit_scale": 0.25, "tie_word_embeddings": True}
    config = AyaVisionConfig(
        vision_config={
            **vision(size), "model_type": "siglip_vision_model", "image_size": size.image, "patch_size": 14,
            "vision_use_head": False,
        },
        text_config=Cohere2Config(**text),
        image_token_index=tokenizer.get_vocab()["<|IMG_PATCH|>"],
        downsample_factor=2,
    )  # fmt: skip
    processor = AyaVisionProcessor(
        image_processor=GotOcr2ImageProcessorPil(
            size={"height": size.image, "width": size.image}, crop_to_patches=True, max_patches=2
        ),
        tokenizer=tokenizer,
        patch_size=14,
        img_size=size.image,
        downsample_factor=2,
        chat_template=turns("<image>", **COHERE),
    )
    return AyaVisionForConditionalGeneration(config), processor


def _fast_vlm(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import FastVlmConfig, FastVlmForConditionalGeneration, LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tokenizer = family_tokenizer(texts, size, {"image_token": "<image>"}, end="<|im_end|>", marks=("<|im_start|>",))
    widths = [16, 16, 32, size.width, size.width]
    side = 64 * (size.image // 28)  # a token for each 64 pixels
    config = FastVlmConfig(
        vision_config={
            "model_type": "timm_wrapper", "architecture": "fastvit_mci3", "do_pooling": True, "global_pool": "avg",
            "hidden_size": 2 * widths[-1], "num_features": 2 * widths[-1],
            "model_args": {"inference_mode": True, "layers": [1] * 5, "embed_dims": widths},
        },
        text_config={**llama(tokenizer, size), "model_type": "qwen2"},
        image_token_index=tokenizer.get_vocab()["<image>"],
        image_seq_length=(side // 64) ** 2,
    )  # fmt: skip
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}, image_mean=[0.0] * 3, image_std=[1.0] * 3
        ),
        tokenizer=tokenizer,
        patch_size=64,
        chat_template=FASTVLM,
    )
    return FastVlmForConditionalGeneration(config), processor


def _lfm2_vl(texts: Iterable[str], size: Size) -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers import Lfm2VlConfig, Lfm2VlForConditionalGeneration, Lfm2VlImageProcessor, Lfm2VlProcessor

    extra = {"image_token": "<image>", "image_start_token": "<|image_start|>", "image_end_token": "<|image_end|>"}
    extra["image_thumbnail_token"] = "<|img_thumbnail|>"
    tiles = [f"<|img_row_{row}_col_{column}|>" for row in (1, 2) for column in (1, 2)]
    marks = ["<|startoftext|>", "<|im_start|>", *tiles]
    tokenizer = family_tokenizer(texts, size, extra, end="<|im_end|>", marks=marks)
    config = Lfm2VlConfig(
        vision_config={**vision(size), "model_type": "siglip2_vision_model", "patch_size": 14, "num_patches": 16},
        text_config={**llama(tokenizer, size), "model_type": "lfm2", "layer_types": ["conv", "full_attention"]},
        image_token_id=tokenizer.get_vocab()["<image>"],
        projector_hidden_size=size.width,
    )
    most = (size.image // 28) ** 2
    processor = Lfm2VlProcessor(
        image_processor=Lfm2VlImageProcessor(
            encoder_patch_size=14, tile_size=size.image, max_tiles=2, min_image_tokens=1, max_image_tokens=most
        ),
        tokenizer=tokenizer,
        chat_template=turns("<image>", begin="<|startoftext|>", **CHATML),
    )
    return Lfm2VlForConditionalGeneration(config), processor


MORE_FAMILIES: Mapping[str, Builder] = {
    "llava_next": _llava_next,
    "granite_vision": _granite_vision,
    "granite4_vision": _granite4_vision,
    "idefics2": _idefics2,
    "gemma4": _gemma4,
    "pixtral": _pixtral,
    "mistral3": _mistral3,
    "aya_vision": _aya_vision,
    "fast_vlm": _fast_vlm,
    "lfm2_vl": _lfm2_vl,
    **EXPERT_FAMILIES,
}
"""Makers of further families' tiny models."""
