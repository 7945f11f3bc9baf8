"""The model and how it runs, as options of every command."""

from __future__ import annotations

import argparse
from pathlib import Path

from inference.errors import InferenceError
from inference.protocol import ModelSpec

_DTYPES = ("auto", "float32", "bfloat16", "float16", "int8")
_KV_DTYPES = ("auto", "float32", "bfloat16", "float16")


def model_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("model", metavar="MODEL", help="a folder with config.json and safetensors")
    group = options.add_argument_group("how it runs")
    group.add_argument("--device", help='"cpu", "cuda", "cuda:1"; default: a GPU if there is one')
    group.add_argument("--dtype", choices=_DTYPES, help="of the weights; auto: float32 on a CPU")
    group.add_argument("--threads", type=positive, help="CPU threads; default: all cores")
    group.add_argument("--slots", type=positive, help="answers that run at a time")
    group.add_argument("--context-length", type=positive, help="tokens; default: what the model takes")
    group.add_argument("--kv-tokens", type=positive, help="tokens that the KV cache holds")
    group.add_argument("--kv-dtype", choices=_KV_DTYPES, help="of the KV cache; auto: that of the weights")
    group.add_argument("--step-tokens", type=positive, help="most tokens that one step computes")
    group.add_argument("--no-packing", action="store_true", help="use transformers' own generate()")
    return options


def positive(text: str) -> int:
    """An argument's type."""
    number = int(text)
    if number <= 0:
        raise argparse.ArgumentTypeError("a number above 0 is needed")
    return number


def model_spec(args: argparse.Namespace) -> ModelSpec:
    """What to run. Raises InferenceError when the path holds no model; what is in it, the load checks."""
    path = Path(args.model).expanduser()
    if path.suffix == ".gguf":
        raise InferenceError("load_failed", f"{path}: GGUF files cannot be run yet, only model folders.")
    if not path.is_dir():
        raise InferenceError("model_not_found", f"{path} is no folder.")
    if not (path / "config.json").is_file() or not any(path.glob("*.safetensors")):
        message = f"{path} is no model folder: it has no config.json or no *.safetensors."
        raise InferenceError("load_failed", message)
    names = ("dtype", "device", "threads", "slots", "context_length", "kv_tokens", "kv_dtype", "step_tokens")
    settings = {name: value for name in names if (value := getattr(args, name)) is not None}
    if args.no_packing:
        settings["packed"] = False
    name = path.resolve().name
    return ModelSpec(name, name, "transformers", {"kind": "folder", "path": str(path.resolve())}, settings)
