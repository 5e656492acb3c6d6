"""A tiny LLaVA of `spatialreasoner.testing` in llama.cpp's form: one file of the language model, one of the vision tower."""

import json
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file

_TEXT = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
_VISION = {
    "layer_norm1": "ln1", "layer_norm2": "ln2", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.out_proj": "attn_out",
}  # fmt: skip
_ONCE = {
    "language_model.model.embed_tokens.weight": "token_embd.weight",
    "language_model.model.norm.weight": "output_norm.weight",
    "language_model.lm_head.weight": "output.weight",
    "vision_tower.embeddings.class_embedding": "v.class_embd",
    "vision_tower.embeddings.patch_embedding.weight": "v.patch_embd.weight",
    "vision_tower.embeddings.position_embedding.weight": "v.position_embd.weight",
    "vision_tower.pre_layrnorm.weight": "v.pre_ln.weight",
    "vision_tower.pre_layrnorm.bias": "v.pre_ln.bias",
    "vision_tower.post_layernorm.weight": "v.post_ln.weight",
    "vision_tower.post_layernorm.bias": "v.post_ln.bias",
    "multi_modal_projector.linear_1.weight": "mm.0.weight",
    "multi_modal_projector.linear_1.bias": "mm.0.bias",
    "multi_modal_projector.linear_2.weight": "mm.2.weight",
    "multi_modal_projector.linear_2.bias": "mm.2.bias",
}


def write_gguf(folder: Path) -> tuple[Path, Path]:
    """Write `model.gguf` and `mmproj.gguf` beside a tiny LLaVA that `build_tiny` saved."""
    config = json.loads((folder / "config.json").read_text())
    weights = {_named(name): value for name, value in load_file(folder / "model.safetensors").items()}
    text, vision = folder / "model.gguf", folder / "mmproj.gguf"
    _write_text(text, folder, config["text_config"], weights)
    _write_vision(vision, folder, config["vision_config"], weights)
    return text, vision


def _named(name):
    """The name of a tensor in llama.cpp's form."""
    if name in _ONCE:
        return _ONCE[name]
    tower, _, rest = name.partition(".layers.")
    number, _, rest = rest.partition(".")
    layer, _, kind = rest.rpartition(".")
    return f"v.blk.{number}.{_VISION[layer]}.{kind}" if "vision" in tower else f"blk.{number}.{_TEXT[layer]}.{kind}"


def _of_vision(name):
    return name.startswith(("v.", "mm."))


def _write_text(path, folder, config, weights):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    _add_tokenizer(writer, folder, config)
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for name, value in weights.items():
        if not _of_vision(name):
            of_heads = next((count for part, count in heads.items() if f".{part}." in name), None)
            writer.add_tensor(name, value if of_heads is None else _interleaved(value, of_heads))
    _finish(writer)


def _interleaved(weight, heads):
    """Rows in the order of llama.cpp's rotary embedding: pairs side by side, not half a head apart."""
    rows = weight.reshape(heads, 2, weight.shape[0] // heads // 2, weight.shape[1])
    return np.ascontiguousarray(rows.swapaxes(1, 2).reshape(weight.shape))


def _add_tokenizer(writer, folder, config):
    saved = json.loads((folder / "tokenizer.json").read_text())
    special = {token["id"] for token in saved["added_tokens"]}
    tokens = [token for token, _ in sorted(saved["model"]["vocab"].items(), key=lambda item: item[1])]
    kinds = [gguf.TokenType.CONTROL if number in special else gguf.TokenType.NORMAL for number in range(len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")  # single digits, then GPT-2's rule, as `train_tokenizer` has it
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in saved["model"]["merges"]])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(False)
    writer.add_chat_template((folder / "chat_template.jinja").read_text())


def _write_vision(path, folder, config, weights):
    image = json.loads((folder / "processor_config.json").read_text())["image_processor"]
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "mlp")
    for name, value in (
        ("embedding_length", config["hidden_size"]), ("feed_forward_length", config["intermediate_size"]),
        ("block_count", config["num_hidden_layers"]), ("projection_dim", config["projection_dim"]),
        ("attention.head_count", config["num_attention_heads"]), ("image_size", config["image_size"]),
        ("patch_size", config["patch_size"]),
    ):  # fmt: skip
        writer.add_uint32(f"clip.vision.{name}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", config["layer_norm_eps"])
    writer.add_array("clip.vision.image_mean", image["image_mean"])
    writer.add_array("clip.vision.image_std", image["image_std"])
    for name, value in weights.items():
        if _of_vision(name):
            writer.add_tensor(name, value)
    _finish(writer)


def _finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
