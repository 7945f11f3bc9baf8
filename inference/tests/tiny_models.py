"""Makes tiny model folders: real architectures with random weights, and templates in each family's format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
_SMALL: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512,
}  # fmt: skip


def make_qwen3(folder: Path) -> Path:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = _tokenizer(["<|im_start|>", "<|im_end|>"], "<|im_end|>", _QWEN3, ["<think>", "</think>"])
    config = Qwen3Config(vocab_size=len(tokenizer), head_dim=8, **_SMALL)
    return _save(folder, tokenizer, Qwen3ForCausalLM(config))


def make_qwen25(folder: Path) -> Path:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = _tokenizer(["<|im_start|>", "<|im_end|>"], "<|im_end|>", _QWEN25)
    return _save(folder, tokenizer, Qwen2ForCausalLM(Qwen2Config(vocab_size=len(tokenizer), **_SMALL)))


def make_deepseek_v3(folder: Path) -> Path:
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

    end = "<｜end▁of▁sentence｜>"
    names = ["<｜begin▁of▁sentence｜>", end, "<｜User｜>", "<｜Assistant｜>"]
    tokenizer = _tokenizer(names, end, _DEEPSEEK, bos=names[0])
    config = DeepseekV3Config(
        vocab_size=len(tokenizer), **{**_SMALL, "num_key_value_heads": 4}, q_lora_rank=16, kv_lora_rank=16,
        qk_rope_head_dim=8, qk_nope_head_dim=8, v_head_dim=8, n_routed_experts=4, n_group=2, topk_group=1,
        num_experts_per_tok=2, moe_intermediate_size=16, first_k_dense_replace=1,
    )  # fmt: skip
    return _save(folder, tokenizer, DeepseekV3ForCausalLM(config))


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


def _save(folder: Path, tokenizer: Any, model: Any) -> Path:
    import torch

    # Random weights would mostly make halves of characters; these make letters, and the same ones each time.
    torch.manual_seed(1)
    with torch.no_grad():
        head = model.lm_head.weight
        head.zero_()
        letters = [i for i, t in enumerate(tokenizer.convert_ids_to_tokens(range(256))) if t.isascii()]
        head[letters] = torch.randn(len(letters), head.shape[1]) * 0.7
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    return folder
