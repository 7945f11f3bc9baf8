"""A conversation in the terminal."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import threading
from contextlib import aclosing, suppress

from inference.cli.arguments import positive
from inference.cli.house import loaded
from inference.protocol import Event, GenerateRequest, Messages, ModelSpec
from inference.service.manager import Manager

_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--temperature", type=float, help="0 is greedy; default 0.7")
    parser.add_argument("--max-tokens", type=positive, help="longest answer")
    parser.add_argument("--seed", type=int, help="the same answers each time")


async def run(args: argparse.Namespace, spec: ModelSpec) -> None:
    names = ("temperature", "max_tokens", "seed")
    params = {name: value for name in names if (value := getattr(args, name)) is not None}
    async with loaded(spec) as manager:
        print("/exit leaves, Ctrl-C stops an answer.", file=sys.stderr)
        messages: Messages = []
        while (line := await _ask()) is not None:
            if not line.strip():
                continue
            messages.append({"role": "user", "content": line})
            answer = await _answer(manager, spec, GenerateRequest("chat", messages, params))
            # A question that failed is not part of what the model sees next.
            messages = [*messages, {"role": "assistant", "content": answer}] if answer else messages[:-1]


async def _ask() -> str | None:
    """The next line, None at the end: /exit or Ctrl-D. Ctrl-C while nothing runs cancels it."""
    print("> ", end="", flush=True)
    loop = asyncio.get_running_loop()
    read: asyncio.Future[str] = loop.create_future()

    def wait() -> None:
        line = sys.stdin.readline()
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(_settle, read, line)

    # On a thread, so that the model's process is heard meanwhile; on one that nothing at the end waits for.
    threading.Thread(target=wait, daemon=True).start()
    line = await read
    return None if not line or line.strip() == "/exit" else line.rstrip("\n")


def _settle(future: asyncio.Future[str], value: str) -> None:
    if not future.done():
        future.set_result(value)


async def _answer(manager: Manager, spec: ModelSpec, request: GenerateRequest) -> str:
    """Streams the answer to stdout and returns it; what there was of one that Ctrl-C stopped."""
    parts: list[str] = []
    task = asyncio.ensure_future(_stream(manager, spec, request, parts))
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)
    with suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        await asyncio.wait([task])
    finally:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)
    if task.cancelled():
        print(_dim("\n[stopped]"))
    else:
        task.result()
    return "".join(parts)


async def _stream(manager: Manager, spec: ModelSpec, request: GenerateRequest, parts: list[str]) -> None:
    thinking = False
    async with aclosing(manager.stream(spec, request)) as events:
        async for event in events:
            kind = event["kind"]
            if kind in ("text", "reasoning"):
                if thinking != (kind == "reasoning") and event["text"]:
                    thinking = not thinking
                    print("" if thinking else "\n")
                print(_dim(event["text"]) if thinking else event["text"], end="", flush=True)
                if kind == "text":
                    parts.append(event["text"])
            elif kind == "usage":
                print(_dim(f"\n[{_usage(event)}]"))
            elif kind == "failed":
                print(f"\n{event['code']}: {event['message']}", file=sys.stderr)


def _usage(event: Event) -> str:
    prompt = f"{event['prompt_tokens']} tokens in ({event['reused_tokens']} reused)"
    speed = f"{event['tokens_per_second']} tokens/s, the first after {event['ttft_ms']:.0f} ms"
    return f"{prompt}, {event['completion_tokens']} out, {speed}"


def _dim(text: str) -> str:
    return f"{_DIM}{text}{_PLAIN}" if sys.stdout.isatty() else text
