"""What a model was predicted to take beside what its process takes, weights and KV cache full.

    python benchmarks/fit.py [--work FOLDER] [--families llama qwen3_moe ...] [--model FOLDER ...]
                             [--contexts 2048 8192 16384] [--dtypes float32 bfloat16 int8] [--json FILE]

Each model is loaded by the engine in a process of its own, forked as the service forks them. Its memory
(anonymous, and what is there of the weights' files) is read before, when it is loaded, and when a KV cache
for each context is written (with ones: prompts of that length would take hours). Before the model a twin of
two layers is loaded and let go, so that libraries and what they keep (oneDNN a program for each shape that it
multiplies in bfloat16) do not count as weights: that is the overhead, printed apart. `peak` is the most that
the load took on the way. Needs Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.fit_models import FAMILIES, make, twin  # noqa: E402
from inference.engines import allocator, fit  # noqa: E402
from inference.protocol import ModelSpec  # noqa: E402


@dataclass(frozen=True)
class Measured:
    """Bytes of one process: before the model, when loaded, at most while it loaded, and by the tokens of
    its cache.
    """

    before: int
    loaded: int
    peak: int
    full: dict[int, int]
    dtype: str


@dataclass(frozen=True)
class Line:
    """Predicted and measured bytes of one load with `context` tokens in its cache. The measured ones without
    the overhead."""

    model: str
    dtype: str
    ran_as: str
    context: int
    weights: tuple[int, int]
    kv: tuple[int, int]
    overhead: tuple[int, int]
    peak: tuple[int, int]

    @property
    def off(self) -> float:
        """How far the prediction of weights and KV together is from what was measured, of the latter."""
        return (self.weights[0] + self.kv[0]) / (self.weights[1] + self.kv[1]) - 1

    def row(self) -> str:
        pairs = (self.weights, self.kv, self.overhead, self.peak)
        shown = "".join(f"{a / 1e6:8.1f} /{b / 1e6:7.1f}" for a, b in pairs)
        return f"{self.model:22} {self.dtype:9} {self.context:6} {shown}  {100 * self.off:+6.1f} %"


def run(link: Connection, small: Path, folder: Path, dtype: str, contexts: list[int]) -> None:
    """In a process of its own, forked as the service forks them. Loads the twin and lets it go, so that all
    that a model's process takes anyway is there; then the model, and writes its cache."""
    from inference.engines.packed.cache import KVCache, LayerShape

    allocator.before_load()
    asyncio.run(_load(small, dtype, contexts[-1]))
    allocator.after_load()
    before = _held() + _tokenizer(folder)
    peaks: list[int] = []
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=(peaks, done))
    watch.start()
    allocator.before_load()
    engine, info = asyncio.run(_load(folder, dtype, contexts[-1]))
    done.set()
    watch.join()
    allocator.after_load()
    for weight in engine._engine._loop._runner._model.parameters():
        weight.sum()  # what is left in the file comes with its use
    loaded, full = _held(), {}
    own = engine._engine._cache
    layers = [
        LayerShape(keys.shape[0] // own.size, keys.shape[1], values.shape[1])
        for keys, values in zip(own.keys, own.values, strict=True)
    ]
    for context in contexts:
        cache = KVCache(layers, context, own.keys[0].dtype)
        for memory in (*cache.keys, *cache.values):
            memory.fill_(1)
        full[context] = _held()
        del cache, memory
    link.send(Measured(before, loaded, max(peaks), full, info["dtype"]))


async def _load(folder: Path, dtype: str, tokens: int) -> tuple[Any, dict[str, Any]]:
    from inference.engines.transformers_engine import TransformersEngine

    settings = {"dtype": dtype, "kv_tokens": tokens, "slots": 8, "device": "cpu", "threads": 1}
    source = {"kind": "folder", "path": str(folder)}
    engine = TransformersEngine(ModelSpec("m", "m", "transformers", source, settings))
    return engine, await engine.load(lambda progress: None)


def _watch(peaks: list[int], done: threading.Event) -> None:
    """The anonymous memory of this process, looked at a hundred times a second."""
    while not done.wait(0.01):
        lines = Path("/proc/self/status").read_text().splitlines()
        line = next(line for line in lines if line.startswith("RssAnon"))
        peaks.append(int(line.split()[1]) << 10)


def _tokenizer(folder: Path) -> int:
    """What the model's tokenizer takes: no weights, and no twin has it."""
    from transformers import AutoTokenizer

    bare = _held()
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    allocator.after_load()
    taken = _held() - bare
    del tokenizer
    allocator.after_load()
    return taken


def _held() -> int:
    """Anonymous memory, and what of the weights' files is mapped and there, whoever else maps it."""
    held, counts = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, _, value = line.partition(":")
        if "-" in name.split(" ")[0]:
            counts = line.endswith(".safetensors")
        elif name == "Anonymous" or (name == "Rss" and counts):
            held += int(value.split()[0]) << 10
    return held


def measure(context: Any, *subject: Any) -> Measured:
    ours, theirs = context.Pipe()
    process = context.Process(target=run, args=(theirs, *subject))
    process.start()
    theirs.close()
    found = ours.recv()
    process.terminate()  # the model's thread waits for work
    process.join()
    return cast(Measured, found)


def compare(name: str, folder: Path, dtype: str, real: Measured) -> list[Line]:
    plan = fit.read(folder, {"dtype": real.dtype})
    return [
        Line(
            model=name,
            dtype=dtype,
            ran_as=real.dtype,
            context=context,
            weights=(plan.weights, real.loaded - real.before),
            kv=(context * plan.kv_per_token, full - real.loaded),
            overhead=(plan.overhead, real.before),
            peak=(plan.peak, real.peak - real.before),
        )
        for context, full in real.full.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, help="keeps the made models; else they are made anew")
    parser.add_argument("--families", nargs="*", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--model", nargs="*", type=Path, default=[], help="folders of real models")
    parser.add_argument("--contexts", nargs="*", type=int, default=[2048, 8192, 16384], help="ascending")
    parser.add_argument("--dtypes", nargs="*", default=["float32", "bfloat16", "int8"])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    lines: list[Line] = []
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["inference.engines.preload"])
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        folders = [make(work / name, name) for name in args.families] + args.model
        subjects = [(folder.name, folder, twin(work / f"{folder.name}-twin", folder)) for folder in folders]
        print("MB, predicted / measured: context, weights, KV, overhead, peak, how far weights + KV are off")
        for name, folder, small in subjects:
            for dtype in args.dtypes:
                real = measure(context, small, folder, dtype, args.contexts)
                new = compare(name, folder, dtype, real)
                print(*(line.row() for line in new), sep="\n", flush=True)
                lines += new
    worst = max(lines, key=lambda line: abs(line.off))
    print(f"{len(lines)} loads; the furthest off: {worst.model} {worst.dtype}, {100 * worst.off:+.1f} %")
    if args.json:
        args.json.write_text(json.dumps([asdict(line) | {"off": line.off} for line in lines], indent=1))


if __name__ == "__main__":
    main()
