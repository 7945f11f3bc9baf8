"""What a model's child would spend its first seconds on: for the warm parent, and before a limit is set."""

from __future__ import annotations

import importlib
import logging

MODULES = (
    "torch",
    "transformers",
    "transformers.generation.utils",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.llama.modeling_llama",
    "transformers.models.qwen2.modeling_qwen2",
    "transformers.models.qwen3.modeling_qwen3",
    "transformers.models.qwen3_moe.modeling_qwen3_moe",
    "transformers.models.gemma3.modeling_gemma3",
    "transformers.models.deepseek_v2.modeling_deepseek_v2",
    "transformers.models.deepseek_v3.modeling_deepseek_v3",
    "inference.engines.child",
    "inference.engines.transformers_engine",
)

for _module in MODULES:
    try:
        importlib.import_module(_module)
    except Exception:
        # A child imports it again and then says what is wrong, to one who waits for an answer.
        logging.getLogger(__name__).debug("cannot preload %s", _module, exc_info=True)
