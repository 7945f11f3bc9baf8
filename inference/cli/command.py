"""The command line, and the one line that says what was wrong with it."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from inference.cli import bench, chat, serve
from inference.cli.arguments import model_options, model_spec
from inference.engines import warm
from inference.errors import InferenceError
from inference.protocol import ModelSpec

_COMMANDS: dict[str, Callable[[argparse.Namespace, ModelSpec], Coroutine[Any, Any, None]]] = {
    "chat": chat.run,
    "bench": bench.run,
    "serve": serve.run,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Exit code 0, or 2 when the command or the model is wrong (the reason is one line on stderr)."""
    args = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    code = 0
    try:
        asyncio.run(_COMMANDS[args.command](args, model_spec(args)))
    except (InferenceError, SystemExit) as error:
        print(f"error: {getattr(error, 'message', error)}", file=sys.stderr)
        code = 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        print()
    warm.stop()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a thread may still wait for the keyboard


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference",
        description="Try, measure or serve one model, which runs as in the service: in its own process.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    common = model_options()
    command = commands.add_parser("chat", parents=[common], help="talk to it; Ctrl-C stops an answer")
    chat.add_arguments(command)
    command = commands.add_parser("bench", parents=[common], help="how many tokens a second, and how soon")
    bench.add_arguments(command)
    command = commands.add_parser("serve", parents=[common], help="the model service over HTTP")
    serve.add_arguments(command)
    return parser
