"""The model service with one model loaded, for who wants to ask it by HTTP."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import sys

from aiohttp import web

from inference.cli.house import loaded
from inference.protocol import HEARTBEAT_EVERY, ModelSpec
from inference.server.address import open_socket
from inference.server.app import make_app
from system import loops


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=int, default=8100, help="on 127.0.0.1; default 8100, 0 is any free one"
    )


async def run(args: argparse.Namespace, spec: ModelSpec) -> None:
    """Until it is cancelled, as SIGINT and SIGTERM do."""
    task = asyncio.current_task()
    assert task is not None
    loops.when_asked_to_end(task.cancel)
    # Before the load: a port that is taken is told at once.
    listener, _ = open_socket(f"http://127.0.0.1:{args.port}", None)
    async with loaded(spec) as manager:
        app = make_app(manager, heartbeat=HEARTBEAT_EVERY)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        print(f"listening on {url}; Ctrl-C ends. Try:\n", file=sys.stderr, flush=True)
        print(_curl(url, spec), flush=True)
        try:
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()


def _curl(url: str, spec: ModelSpec) -> str:
    messages = [{"role": "user", "content": "What is the sea?"}]
    body = json.dumps({"model": spec.to_dict(), "messages": messages}, ensure_ascii=False)
    return f"curl -N {url}/stream -d {shlex.quote(body)}"
