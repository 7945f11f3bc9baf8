"""``python -m inference.server --address ADDRESS [--secret-file FILE]``, an address of `system.address`"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from pathlib import Path

from aiohttp import web

from inference.engines import warm
from inference.protocol import HEARTBEAT_EVERY
from inference.server.address import open_socket
from inference.server.app import make_app
from inference.service.manager import Manager
from inference.service.memory import Memory, bytes_of
from system import loops
from system.address import clear

log = logging.getLogger("inference.server")


def main(argv: list[str] | None = None) -> None:
    args = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    secret = secret_of(args.secret_file) if args.secret_file else None
    _run(args, secret)
    # Threads that still wait for a child must not hold up the end.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def secret_of(path: Path) -> str:
    """What stands in the file; of a .json file, as a data folder has one, its `inference_secret`."""
    try:
        text = path.read_text()
        secret = str(json.loads(text).get("inference_secret", "")) if path.suffix == ".json" else text
    except FileNotFoundError as error:
        hint = "; the web process makes it with its first start" if path.suffix == ".json" else ""
        raise SystemExit(f"{path} is not there{hint}") from error
    except (OSError, ValueError, AttributeError) as error:
        raise SystemExit(f"{path} cannot be read: {error}") from error
    if not secret.strip():
        raise SystemExit(f"{path} holds no secret")
    return secret.strip()


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="inference.server", description="The model service.")
    parser.add_argument("--address", required=True, help="unix:PATH, loopback:FILE or http://HOST:PORT")
    parser.add_argument(
        "--secret-file", type=Path, help="clients must send what stands in it; may be <data>/secrets.json"
    )
    parser.add_argument("--heartbeat", type=float, default=HEARTBEAT_EVERY, help="longest silence, seconds")
    parser.add_argument(
        "--resident-models",
        type=int,
        default=int(os.environ.get("HEARTH_RESIDENT_MODELS") or 0),
        help="how many local models may be in memory at a time (HEARTH_RESIDENT_MODELS; 0: bytes decide)",
    )
    parser.add_argument(
        "--memory-limit",
        type=_bytes,
        default=os.environ.get("HEARTH_MEMORY_LIMIT") or None,
        help="what all models together may take of the machine's memory, as 8GB (HEARTH_MEMORY_LIMIT)",
    )
    parser.add_argument("--cold", action="store_true", help="import torch only when a model needs it")
    return parser.parse_args(argv)


def _bytes(text: str) -> int:
    try:
        return bytes_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _run(args: argparse.Namespace, secret: str | None) -> None:
    with asyncio.Runner(loop_factory=loops.factory()) as runner:
        runner.run(_serve(args, secret))


async def _serve(args: argparse.Namespace, secret: str | None) -> None:
    stopping = asyncio.Event()
    loops.when_asked_to_end(stopping.set)
    listener, secret = open_socket(args.address, secret)
    manager = Manager(memory=Memory(args.memory_limit), resident_limit=max(0, args.resident_models))
    app = make_app(manager, secret=secret, heartbeat=args.heartbeat)
    # handler_cancellation: a client that goes ends its answer at once, also between two tokens.
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    log.info("listening on %s", args.address)
    if not args.cold:
        warm.start()
    await stopping.wait()
    clear(args.address)
    warm.stop()
    await manager.close()
    await runner.cleanup()


if __name__ == "__main__":
    main()
