"""Makes tiny model folders: real architectures with random weights, and templates in each family's format.

PACKED are those that the packed engine serves, NOT_PACKED those that it must leave to `generate()`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

_TURNS = ["<|im_start|>", "<|im_end|>"]
_CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
)
_QWEN25 = _CHATML + "{% endif %}"
_QWEN3 = (
    _CHATML + "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
    "{% endif %}{% endif %}"
)
_DEEPSEEK = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}"
    "{% elif m.role == 'user' %}<｜User｜>{{ m.content }}"
    "{% else %}<｜Assistant｜>{{ m.content }}<｜end▁of▁sentence｜>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<｜Assistant｜>{% endif %}"
)
_GEMMA = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
# Heads of 16 numbers are what the kernels' attention takes; Qwen3's of 8 go through torch's.
# The deviation is ten times the usual one: with so few numbers, what attention finds would else be drowned
# by the last token's own embedding, and a wrong mask would change no answer.
_SMALL: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "initializer_range": 0.25,
    "pad_token_id": None, "bos_token_id": None, "tie_word_embeddings": False,
}  # fmt: skip
_EXPERTS: dict[str, Any] = {"num_experts_per_tok": 2, "moe_intermediate_size": 16}
_MLA: dict[str, Any] = {
    **_SMALL, **_EXPERTS, "num_key_value_heads": 4, "kv_lora_rank": 16, "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8, "v_head_dim": 16, "n_routed_experts": 4, "first_k_dense_replace": 1,
}  # fmt: skip


def make_llama(folder: Path) -> Path:
    return _chatml(folder, "Llama")


def make_qwen25(folder: Path) -> Path:
    return _chatml(folder, "Qwen2")


def make_qwen3(folder: Path) -> Path:
    tokenizer = _tokenizer(_TURNS, "<|im_end|>", _QWEN3, ["<think>", "</think>"])
    return _save(folder, tokenizer, "Qwen3", head_dim=8)


def make_qwen3_moe(folder: Path) -> Path:
    tokenizer = _tokenizer(_TURNS, "<|im_end|>", _QWEN3, ["<think>", "</think>"])
    return _save(folder, tokenizer, "Qwen3Moe", head_dim=8, num_experts=4, **_EXPERTS)


def make_gemma3(folder: Path) -> Path:
    """A window of 16 tokens, shorter than any prompt, in every second layer."""
    layers = ["sliding_attention", "full_attention"] * 2
    options = {**_SMALL, "num_hidden_layers": 4, "head_dim": 16, "query_pre_attn_scalar": 16}
    return _gemma(folder, "Gemma3", "Gemma3TextConfig", layer_types=layers, sliding_window=16, **options)


def make_deepseek_v2(folder: Path) -> Path:
    return _deepseek(folder, "DeepseekV2", q_lora_rank=None, n_shared_experts=1)


def make_deepseek_v3(folder: Path) -> Path:
    return _deepseek(folder, "DeepseekV3", q_lora_rank=16, n_group=2, topk_group=1)


# What cannot be packed, each for its own reason.


def make_qwen3_next(folder: Path) -> Path:
    """Linear attention (a recurrent state) in one layer, attention in the other."""
    return _chatml(
        folder, "Qwen3Next", layer_types=["linear_attention", "full_attention"], head_dim=8, num_experts=4,
        linear_key_head_dim=8, linear_value_head_dim=8, linear_num_key_heads=2, linear_num_value_heads=4,
        shared_expert_intermediate_size=16, **_EXPERTS,
    )  # fmt: skip


def make_gemma2(folder: Path) -> Path:
    """Logits of attention are capped by a tanh."""
    options = {**_SMALL, "head_dim": 8, "query_pre_attn_scalar": 8}
    return _gemma(folder, "Gemma2", "Gemma2Config", sliding_window=16, attn_logit_softcapping=5.0, **options)


def make_gpt_oss(folder: Path) -> Path:
    """Sinks: a learned column in each softmax."""
    return _chatml(
        folder, "GptOss", head_dim=8, num_local_experts=4, num_experts_per_tok=2, sliding_window=16,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    )  # fmt: skip


def make_phi3_longrope(folder: Path) -> Path:
    """The frequencies depend on how long the whole row is."""
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 8, "long_factor": [4.0] * 8}
    options = {**_SMALL, "original_max_position_embeddings": 64}
    rope["original_max_position_embeddings"] = 64
    return _chatml(folder, "Phi3", rope_parameters=rope, **options)


def make_llama_dynamic(folder: Path) -> Path:
    """The same, in another way."""
    rope = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    return _chatml(folder, "Llama", rope_parameters=rope, **{**_SMALL, "max_position_embeddings": 128})


def make_t5(folder: Path) -> Path:
    """An encoder and a decoder."""
    tokenizer = _tokenizer(_TURNS, "<|im_end|>", _QWEN25)
    end = tokenizer.eos_token_id
    return _save(
        folder, tokenizer, "T5", "T5ForConditionalGeneration", d_model=32, d_kv=8, d_ff=64, num_layers=2,
        num_heads=4, initializer_factor=3.0, pad_token_id=end, decoder_start_token_id=end,
        tie_word_embeddings=False,
    )  # fmt: skip


PACKED = (
    make_llama, make_qwen25, make_qwen3, make_qwen3_moe, make_gemma3, make_deepseek_v2, make_deepseek_v3,
)  # fmt: skip
NOT_PACKED = (
    make_qwen3_next, make_gemma2, make_gpt_oss, make_phi3_longrope, make_llama_dynamic, make_t5,
)  # fmt: skip


def _chatml(folder: Path, family: str, **options: Any) -> Path:
    return _save(folder, _tokenizer(_TURNS, "<|im_end|>", _QWEN25), family, **options)


def _gemma(folder: Path, family: str, config: str, **options: Any) -> Path:
    tokenizer = _tokenizer(["<start_of_turn>", "<end_of_turn>"], "<end_of_turn>", _GEMMA)
    return _save(folder, tokenizer, family, config=config, **options)


def _deepseek(folder: Path, family: str, **options: Any) -> Path:
    end = "<｜end▁of▁sentence｜>"
    names = ["<｜begin▁of▁sentence｜>", end, "<｜User｜>", "<｜Assistant｜>"]
    tokenizer = _tokenizer(names, end, _DEEPSEEK, bos=names[0])
    return _save(folder, tokenizer, family, **{**_MLA, **options})


def _tokenizer(
    special: list[str], eos: str, template: str, added: list[str] | None = None, bos: str = ""
) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens(special)
    raw.add_tokens(added or [])
    options = {"bos_token": bos} if bos else {}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token=eos, pad_token=eos, **options)
    tokenizer.chat_template = template
    return tokenizer


def _save(
    folder: Path, tokenizer: Any, family: str, model: str = "", config: str = "", **options: Any
) -> Path:
    import torch
    import transformers

    if family != "T5":
        options = {**_SMALL, **options}
    end = tokenizer.eos_token_id
    made = getattr(transformers, config or f"{family}Config")(
        vocab_size=len(tokenizer), eos_token_id=end, **options
    )
    torch.manual_seed(1)  # the same weights each time
    network = getattr(transformers, model or f"{family}ForCausalLM")(made)
    # Random weights would mostly make halves of characters; these make letters.
    with torch.no_grad():
        head = network.lm_head.weight
        head.zero_()
        letters = [i for i, t in enumerate(tokenizer.convert_ids_to_tokens(range(256))) if t.isascii()]
        head[letters] = torch.randn(len(letters), head.shape[1]) * 0.7
    network.generation_config.eos_token_id = end
    network.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    return folder
