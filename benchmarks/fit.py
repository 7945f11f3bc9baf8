"""What a model was predicted to take beside what its process takes, weights and KV cache full.

    python benchmarks/fit.py [--work FOLDER] [--families llama qwen3_moe ...] [--model FOLDER ...]
                             [--contexts 1024 4096 8192] [--dtypes float32 bfloat16 int8] [--json FILE]

Each model runs in a process of its own, as the service runs it. Its private memory (USS) is read when it is
loaded, and again when prompts have written so many tokens of its KV cache as a context is long. What a
process takes beside weights and KV is told by a twin of next to no size and taken off: that is the overhead,
printed apart. `peak` is the most anonymous memory while the weights were read. Needs Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import string
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.fit_models import FAMILIES, make  # noqa: E402
from inference.engines import fit  # noqa: E402
from inference.engines.process import ProcessEngine  # noqa: E402
from inference.protocol import GenerateRequest, ModelSpec  # noqa: E402

#: Tokens of one prompt that fills a piece of the cache.
PIECE = 1024


@dataclass(frozen=True)
class Measured:
    """Bytes of one process: when loaded, at most while it loaded, and by the tokens that its cache held."""

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


async def run(folder: Path, dtype: str, contexts: list[int]) -> Measured:
    """Loads the model with a cache for the longest of `contexts`, and reads its memory when prompts have
    written so many tokens of it."""
    settings = {"dtype": dtype, "kv_tokens": contexts[-1], "slots": 8, "device": "cpu"}
    source = {"kind": "folder", "path": str(folder)}
    engine = ProcessEngine(ModelSpec("m", "m", "transformers", source, settings))
    peaks: list[int] = [0]
    watch = asyncio.create_task(_watch(engine, peaks))
    info = await engine.load(lambda progress: None)
    watch.cancel()
    process = psutil.Process(int(info["pid"]))
    piece = min(PIECE, int(info["context_length"]), contexts[0])
    loaded, full, written = process.memory_full_info().uss, {}, 0
    for context in contexts:
        while written < context:  # what a prompt wrote stays until the room is needed
            await _ask(engine, piece - 40)
            written += piece
        full[written] = process.memory_full_info().uss
    await engine.unload()
    return Measured(loaded, max(peaks), full, info["dtype"])


async def _watch(engine: ProcessEngine, peaks: list[int]) -> None:
    """The most anonymous memory of the process, looked at a hundred times a second."""
    while True:
        pid = engine.stats().get("pid")
        with suppress(OSError, StopIteration, ValueError):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()  # noqa: ASYNC240
            line = next(line for line in lines if line.startswith("RssAnon"))
            peaks.append(int(line.split()[1]) << 10)
        await asyncio.sleep(0.01)


async def _ask(engine: ProcessEngine, letters: int) -> None:
    """A prompt that nobody asked before."""
    text = "".join(random.choices(string.ascii_letters, k=letters))
    request = GenerateRequest("r", [{"role": "user", "content": text}], {"max_tokens": 1, "temperature": 0})
    async for event in engine.generate(request):
        assert event["kind"] != "failed", event


def compare(name: str, folder: Path, dtype: str, real: Measured, overhead: int) -> list[Line]:
    plan = fit.read(folder, {"dtype": real.dtype})
    return [
        Line(
            model=name,
            dtype=dtype,
            ran_as=real.dtype,
            context=context,
            weights=(plan.weights, real.loaded - overhead),
            kv=(context * plan.kv_per_token, full - real.loaded),
            overhead=(plan.overhead, overhead),
            peak=(plan.peak + plan.overhead, real.peak),
        )
        for context, full in real.full.items()
    ]


async def overhead_of(twin: Path) -> int:
    """What of a process is neither weights nor KV: of one whose model is next to nothing."""
    bare, plan = await run(twin, "float32", [512]), fit.read(twin, {"dtype": "float32"})
    return bare.loaded - plan.weights


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, help="keeps the made models; else they are made anew")
    parser.add_argument("--families", nargs="*", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--model", nargs="*", type=Path, default=[], help="folders of real models")
    parser.add_argument("--contexts", nargs="*", type=int, default=[1024, 4096, 8192], help="ascending")
    parser.add_argument("--dtypes", nargs="*", default=["float32", "bfloat16", "int8"])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        subjects = [
            (name, make(work / name, name), make(work / f"{name}-tiny", name, tiny=True))
            for name in args.families
        ]
        # Of a real model's tokenizer there is no small twin: it is measured as a part of the weights.
        llama = make(work / "llama-tiny", "llama", tiny=True)
        subjects += [(folder.name, folder, llama) for folder in args.model]
        print("MB, predicted / measured: context, weights, KV, overhead, peak, how far weights + KV are off")
        for name, folder, twin in subjects:
            overhead = await overhead_of(twin)
            for dtype in args.dtypes:
                real = await run(folder, dtype, args.contexts)
                new = compare(name, folder, dtype, real, overhead)
                print(*(line.row() for line in new), sep="\n", flush=True)
                lines += new
    worst = max(lines, key=lambda line: abs(line.off))
    print(f"{len(lines)} loads; the furthest off: {worst.model} {worst.dtype}, {100 * worst.off:+.1f} %")
    if args.json:
        args.json.write_text(json.dumps([asdict(line) | {"off": line.off} for line in lines], indent=1))


if __name__ == "__main__":
    asyncio.run(main())
