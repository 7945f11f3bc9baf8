"""Where the model service is, read the same way by its server, its clients and the launcher.

unix:PATH         a socket that only its owner may connect to
http://HOST:PORT  with a secret that both sides were given
loopback:FILE     TCP on this machine; port and secret, both new with each start, stand in FILE (mode 0600)

A FILE does not protect against a program that took over the port of a server that was killed: what clients
send until the next start goes there. Who starts servers therefore calls `clear` after a death.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from system import ways


@dataclass(frozen=True)
class Door:
    """How to come in: `path` of a Unix socket or None, what URLs begin with, what each request must carry."""

    path: str | None
    base: str
    headers: dict[str, str]


def default(run: Path) -> str:
    """The address below the run folder."""
    return f"loopback:{run / 'inference.json'}" if ways.WINDOWS else f"unix:{run / 'inference.sock'}"


def door(address: str, secret: str | None = None) -> Door:
    """Raises OSError: no server has written the FILE yet."""
    kind, _, rest = address.partition(":")
    if kind == "unix":
        return Door(rest, "http://inference", _headers(secret))
    if kind != "loopback":
        return Door(None, address.rstrip("/"), _headers(secret))
    try:
        found = json.loads(Path(rest).read_bytes())
        return Door(None, f"http://127.0.0.1:{int(found['port'])}", _headers(str(found["secret"])))
    except (ValueError, TypeError, KeyError) as error:
        raise OSError(f"{rest} holds no port and secret") from error


def _headers(secret: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"} if secret else {}


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def publish(address: str, port: int, secret: str) -> None:
    """Write the FILE. Raises OSError. On Windows the rights of the folder stand for the mode."""
    file = Path(address.partition(":")[2])
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        json.dump({"port": port, "secret": secret}, opened)
    ways.replace(part, file)


def clear(address: str) -> None:
    """Take away what a server left: its socket or its FILE."""
    kind, _, rest = address.partition(":")
    if kind in ("unix", "loopback"):
        # Windows keeps a file that somebody reads at this moment; the next server replaces it.
        with contextlib.suppress(PermissionError):
            Path(rest).unlink(missing_ok=True)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        family: Any = getattr(socket, "AF_UNIX", None)
        if family is None:
            raise OSError("this system has no Unix sockets")
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(address: str, path: str, secret: str | None = None, timeout: float = 3) -> Any:
    """The JSON that a GET answers; None when there is no answer, or another than 200."""
    connection: http.client.HTTPConnection | None = None
    try:
        way = door(address, secret)
        if way.path:
            connection = _UnixConnection(way.path, timeout)
        else:
            parts = urlsplit(way.base)
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
        connection.request("GET", path, headers=way.headers)
        answer = connection.getresponse()
        found = json.loads(answer.read())
        return found if answer.status == 200 else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        if connection is not None:
            connection.close()
