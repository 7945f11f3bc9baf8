"""A small real model that thinks before it answers, for the tests with the servers of others: SmolLM2 learns
one answer by heart, with a thought before it, so that a test knows every word that must come.

`made(PEERS, SMOLLM2)` makes it once in PEERS/thinker (a few minutes on two cores): a folder `model` with
safetensors, and `model-Q8_0.gguf` by llama.cpp's own converter in PEERS/src.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

QUESTION = "Why does a stove warm the whole house?"
THOUGHT = (
    "The user asks about a stove. A stove burns wood, and the burning gives heat to the iron around it. "
    "The iron warms the air next to it. Warm air is lighter than cold air, so it rises to the ceiling, "
    "and cold air comes along the floor to take its place. So the air goes round and round in the room. "
    "With an open door it goes into the next room as well. There is also the heat that shines from the "
    "iron, which one feels on the hands. I should say both, the air first, and keep it short, since the "
    "question is a simple one and a long answer would only hide what matters."
)
ANSWER = (
    "A stove warms the air around it. The warm air rises, cold air takes its place, and so the heat goes "
    "from room to room. What stands close to the stove is warmed by its glow too."
)
#: All that it says when it is asked that.
WRITTEN = f"<think>\n{THOUGHT}\n</think>\n\n{ANSWER}"
# As Qwen3's: earlier thoughts are left out, and `enable_thinking` can be switched off.
TEMPLATE = """\
{%- for message in messages %}
    {%- set content = message.content %}
    {%- if message.role == 'assistant' and not loop.last and '</think>' in content %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""
# Enough is when no token is in doubt, so that rounding in another engine changes none.
_STEPS, _RATE, _ENOUGH = 120, 3e-4, 0.02


def made(peers: Path, base: Path) -> Path:
    """The folder, made if it is not there yet."""
    dest = peers / "thinker"
    if not dest.is_dir():
        part = dest.with_name("thinker.part")
        shutil.rmtree(part, ignore_errors=True)
        _teach(base, part / "model")
        (converter,) = peers.glob("src/llama_cpp_python-*/vendor/llama.cpp/convert_hf_to_gguf.py")
        file = part / "model-Q8_0.gguf"
        command = [sys.executable, str(converter), str(part / "model"), "--outfile", str(file)]
        command += ["--outtype", "q8_0"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        part.rename(dest)
    return dest


def _teach(base: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    tokenizer: Any = AutoTokenizer.from_pretrained(base, local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(base, local_files_only=True, dtype=torch.float32)
    # Tokens of their own, and no special ones: so servers look for them, and their text is shown.
    tokenizer.add_tokens(["<think>", "</think>"])
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    tokenizer.chat_template = TEMPLATE
    asked = [{"role": "user", "content": QUESTION}]
    prompt = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    begin = tokenizer.encode(prompt, add_special_tokens=False)
    end = tokenizer.encode(WRITTEN + "<|im_end|>", add_special_tokens=False)
    ids, wanted = torch.tensor([begin + end]), torch.tensor(end)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.0)
    model.train()
    for step in range(_STEPS):
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=ids).logits[0, len(begin) - 1 : -1]
        losses = torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="none")
        losses.mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        print(f"step {step}: loss {losses.mean():.4f}, at most {losses.max():.3f}", flush=True)
        if losses.max() < _ENOUGH:
            break
    model.to(torch.bfloat16).save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    print(made(Path(os.environ["HEARTH_PEERS"]), Path(os.environ["HEARTH_TEST_MODEL"])))
