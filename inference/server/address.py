"""Where the server listens: an address of `system.address`."""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from system.address import ask, new_secret, publish

_BACKLOG = 1024


def open_socket(address: str, secret: str | None) -> tuple[socket.socket, str | None]:
    """A listening socket, and the secret that clients must know. Ends the program with a hint when the
    address cannot be used."""
    if address.startswith("unix:"):
        return _open_unix(Path(address.removeprefix("unix:"))), secret
    if address.startswith("loopback:"):
        return _open_loopback(address)
    parts = urlsplit(address)
    if parts.scheme != "http" or not parts.hostname or parts.port is None:
        raise SystemExit(f"--address {address!r} is none of unix:PATH, loopback:FILE and http://HOST:PORT")
    if not secret and not _is_loopback(parts.hostname):
        raise SystemExit("an address that others can reach needs --secret-file")
    family = socket.AF_INET6 if ":" in parts.hostname else socket.AF_INET
    try:
        server = socket.create_server((parts.hostname, parts.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise SystemExit(f"cannot listen on {address}: {error}") from error
    return server, secret


def _open_loopback(address: str) -> tuple[socket.socket, str]:
    """On any free port, with a secret that nobody had before."""
    if ask(address, "/state") is not None:
        raise SystemExit(f"a model service runs on {address} already")
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows would let another program have the port as well
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    secret = new_secret()
    try:
        Path(address.removeprefix("loopback:")).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        listener.bind(("127.0.0.1", 0))
        listener.listen(_BACKLOG)
        publish(address, listener.getsockname()[1], secret)
    except OSError as error:
        raise SystemExit(f"cannot listen on {address}: {error}") from error
    return listener, secret


def _open_unix(path: Path) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise SystemExit("this system has no Unix sockets: use --address http://127.0.0.1:PORT")
    path.parent.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    _remove_stale(path)
    # The mode has to be right from the first moment, not only after a chmod.
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        hint = "a socket's path has at most 107 bytes"
        raise SystemExit(f"cannot listen on {path}: {error} ({hint})") from error
    finally:
        os.umask(before)
    listener.listen(_BACKLOG)
    return listener


def _remove_stale(path: Path) -> None:
    """A socket that nobody listens on is left over; one that answers belongs to a running server."""
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise SystemExit(f"{path} is there and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            with suppress(FileNotFoundError):
                path.unlink()
            return
    raise SystemExit(f"a model service runs on {path} already")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
