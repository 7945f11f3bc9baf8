"""Model folders with random weights, one per family of attention, large enough that their memory is seen.

Saved in bfloat16 as released checkpoints are, one of them in float32. Their tokenizer has one token per byte.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_COMMON: dict[str, Any] = {
    "vocab_size": 32_000, "hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 10,
    "num_attention_heads": 12, "num_key_value_heads": 4, "head_dim": 64, "max_position_embeddings": 16_384,
    "tie_word_embeddings": False, "pad_token_id": None, "bos_token_id": None,
}  # fmt: skip
_MLA: dict[str, Any] = {
    "hidden_size": 512, "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 8,
    "kv_lora_rank": 128, "qk_rope_head_dim": 32, "qk_nope_head_dim": 64, "v_head_dim": 64, "head_dim": 32,
    "n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 512, "first_k_dense_replace": 1,
    "n_shared_experts": 1,
}  # fmt: skip
#: Name to (family of the library, config class, its options over the common ones, dtype it is saved in).
FAMILIES: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "llama": ("Llama", "LlamaConfig", {"tie_word_embeddings": True}, "bfloat16"),
    "qwen2": ("Qwen2", "Qwen2Config", {}, "float32"),
    "qwen3": ("Qwen3", "Qwen3Config", {"tie_word_embeddings": True}, "bfloat16"),
    "qwen3_moe": (
        "Qwen3Moe",
        "Qwen3MoeConfig",
        {"num_experts": 16, "num_experts_per_tok": 2, "moe_intermediate_size": 256, "num_hidden_layers": 8},
        "bfloat16",
    ),
    "gemma3": (
        "Gemma3",
        "Gemma3TextConfig",
        {
            "tie_word_embeddings": True,
            "sliding_window": 512,
            "query_pre_attn_scalar": 64,
            "layer_types": (["sliding_attention"] * 4 + ["full_attention"]) * 2,
        },
        "bfloat16",
    ),
    "deepseek_v2": ("DeepseekV2", "DeepseekV2Config", {**_MLA, "q_lora_rank": None}, "bfloat16"),
    "deepseek_v3": (
        "DeepseekV3",
        "DeepseekV3Config",
        {**_MLA, "q_lora_rank": 192, "n_group": 2, "topk_group": 1},
        "bfloat16",
    ),
}


def make(folder: Path, family: str) -> Path:
    """Writes the model unless it is there."""
    if (folder / "model.safetensors").is_file():
        return folder
    import torch
    import transformers

    from inference.tests.tiny_models import _tokenizer

    name, config, options, dtype = FAMILIES[family]
    options = {**_COMMON, **options}
    tokenizer = _tokenizer(["<|im_start|>", "<|im_end|>"], "<|im_end|>", _TEMPLATE)
    torch.manual_seed(1)
    made = getattr(transformers, config)(eos_token_id=tokenizer.eos_token_id, **options)
    model = getattr(transformers, f"{name}ForCausalLM")(made).to(getattr(torch, dtype))
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    return folder


def twin(folder: Path, of: Path) -> Path:
    """The model in `of` with its last two layers only and random weights: whatever libraries keep for the
    shapes that they multiply, they keep for it too. Written unless it is there."""
    if (folder / "model.safetensors").is_file():
        return folder
    import transformers

    config = transformers.AutoConfig.from_pretrained(of, local_files_only=True)
    config.num_hidden_layers = 2
    if kinds := getattr(config, "layer_types", None):
        config.layer_types = kinds[-2:]
    model: Any = transformers.AutoModelForCausalLM.from_config(config, dtype=config.dtype)
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(of, local_files_only=True)
    tokenizer.save_pretrained(folder)
    return folder
