"""The web process: ``python -m config.serve --host H --port P``. uvicorn, or daphne by SERVER=daphne."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from system import ways

#: The threads that write the log and read the database get the interpreter within this time (seconds).
SWITCH_INTERVAL = 0.001
#: Frames past this are not even read (bytes); shorter ones that are too long get an error and stay connected.
LARGEST_FRAME = 8 * 1024 * 1024
#: How long open connections may still take after SIGTERM (seconds).
GRACE = 1


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=os.environ.get("HEARTH_HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("HEARTH_PORT", "8000")))
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"), help="files of a certificate and its key")
    args = parser.parse_args(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.prod")
    sys.setswitchinterval(SWITCH_INTERVAL)
    if os.environ.get("SERVER", "uvicorn") == "daphne":
        serve_daphne(args.host, args.port, args.tls)
    else:
        serve_uvicorn(args.host, args.port, args.tls)


def serve_uvicorn(host: str, port: int, tls: list[str] | None = None) -> None:
    import uvicorn
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    class AbortableSocket(WebSocketsSansIOProtocol):
        """uvicorn waits for room before it closes, so a client that does not read could never be let go."""

        def handle_connect(self, event: Any) -> None:
            super().handle_connect(event)
            if hasattr(self, "scope"):
                self.scope["hearth.abort"] = self.transport.abort  # type: ignore[typeddict-unknown-key]

        def shutdown(self) -> None:
            super().shutdown()
            self.loop.call_later(GRACE / 2, self.transport.abort)

    config = uvicorn.Config(
        "config.asgi:application",
        host=host,
        port=port,
        ssl_certfile=tls[0] if tls else None,
        ssl_keyfile=tls[1] if tls else None,
        loop="asyncio" if ways.WINDOWS else "auto",
        http="httptools",
        ws=AbortableSocket,
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        ws_max_size=LARGEST_FRAME,
        ws_per_message_deflate=False,
        ws_ping_interval=20,
        ws_ping_timeout=40,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE,
    )
    server = uvicorn.Server(config)
    server.run()
    if not server.started:
        sys.exit(1)


def serve_daphne(host: str, port: int, tls: list[str] | None = None) -> None:
    """daphne owns the reactor; turns are left to the lease when it ends, and taken over by the next start."""
    from daphne.endpoints import build_endpoint_description_strings

    from config.asgi import application

    # Importing daphne.server installs the asyncio reactor.
    from daphne.server import Server  # isort: skip

    Server(
        application=application,
        endpoints=[_tls_endpoint(host, port, *tls)]
        if tls
        else build_endpoint_description_strings(host=host, port=port),
        server_name="",
        # Silence is the model's right: the heartbeat keeps the socket alive, not a limit on it.
        websocket_timeout=-1,
        http_timeout=None,
        ping_interval=20,
        ping_timeout=40,
    ).run()


def _tls_endpoint(host: str, port: int, cert: str, key: str) -> str:
    """As Twisted writes it: a colon inside a value needs a backslash."""
    values = {"interface": host, "privateKey": key, "certKey": cert}
    words = [f"{name}={value.replace(':', chr(92) + ':')}" for name, value in values.items()]
    return ":".join(["ssl", str(port), *words])


if __name__ == "__main__":
    main()
