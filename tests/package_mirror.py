"""A package mirror on loopback, as a company has one, that can be cut in the middle of a file.

It hands out what this machine's own pip and npm reach (their index, their folders) and keeps what came, so a
second run asks nobody. It speaks as much of the index's and the registry's HTTP as the two need, with ranges.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import os
import re
import socket
import struct
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from launcher import mirrors
from launcher.place import ROOT

LINK = re.compile(r'<a\b([^>]*?)href="([^"]+)"([^>]*)>([^<]*)</a>', re.IGNORECASE)
BLOCK = 64 * 1024


@dataclass
class Cut:
    """At byte `after` of the first file whose name holds `name`: a reset, or (`held`) a wait for `go_on`."""

    name: str
    after: int
    held: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Sent:
    """One answer: from which byte of how many, and how many of them went out."""

    name: str
    start: int
    size: int
    sent: int


def normal(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Mirror:
    def __init__(self, store: Path) -> None:
        store.mkdir(parents=True, exist_ok=True)
        self.store = store
        told = mirrors.pip_settings(os.environ, Path.home(), ROOT / ".venv")
        usual = {source.name: source.usual for source in mirrors.SOURCES}
        self.indexes = [told.get("index-url", usual["pip"]), *told.get("extra-index-url", "").split()]
        self.folders = [Path(one) for one in told.get("find-links", "").split() if Path(one).is_dir()]
        self.registry = mirrors.npm_registry(os.environ, Path.home(), ROOT / "frontend") or usual["npm"]
        self.cuts: list[Cut] = []
        self.sent: list[Sent] = []
        self.url = ""
        self.open: set[socket.socket] = set()
        self.listener: socket.socket | None = None
        self.locks: dict[str, threading.Lock] = {}
        self.lock = threading.Lock()
        self.listening = threading.Event()
        # Started now: a thread stays in the network where it began, and there the packages are.
        threading.Thread(target=self.accept, daemon=True).start()

    def listen(self, port: int = 0) -> None:
        """In the network of the thread that calls."""
        self.listener = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.listening.set()

    def away(self) -> int:
        """Gone, with every connection reset. Returns the port for `listen`."""
        assert self.listener is not None
        self.listening.clear()
        port: int = self.listener.getsockname()[1]
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            left = list(self.open)
        for one in left:
            with contextlib.suppress(OSError):
                hard(one)
                one.shutdown(socket.SHUT_RDWR)
        return port

    def cut(self, name: str, after: int, *, held: bool = False) -> Cut:
        self.cuts.append(Cut(name, after, held))
        return self.cuts[-1]

    def accept(self) -> None:
        while self.listening.wait():
            try:
                assert self.listener is not None
                connection, peer = self.listener.accept()
            except OSError:
                continue
            threading.Thread(target=self.answer, args=(connection, peer), daemon=True).start()

    def answer(self, connection: socket.socket, peer: Any) -> None:
        with self.lock:
            self.open.add(connection)
        try:
            Handler(connection, peer, self)  # type: ignore[arg-type]
        except (OSError, ValueError):
            pass  # who asked is gone, or was cut off
        finally:
            with self.lock:
                self.open.discard(connection)
            connection.close()

    def kept(self, url: str, headers: dict[str, str]) -> Path:
        """The answer of `url`, fetched once. Raises OSError where it has none."""
        file = self.store / hashlib.sha256(repr((url, headers)).encode()).hexdigest()
        with self.lock:
            lock = self.locks.setdefault(file.name, threading.Lock())
        with lock:
            if not file.exists():
                part = file.with_suffix(".part")
                with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
                    part.write_bytes(answer.read())
                part.rename(file)
        return file

    def index_page(self, name: str) -> bytes:
        """Every index' links to `name`, through this mirror, and the folders' files of that name."""
        lines = []
        for index in self.indexes:
            page = f"{index.rstrip('/')}/{name}/" + ("index.html" if index.startswith("file:") else "")
            try:
                text = self.kept(page, {"Accept": "text/html"}).read_text()
            except OSError:
                continue
            for before, to, after, label in LINK.findall(text):
                lines.append(self.link(before, urljoin(page, html.unescape(to)), after, label))
        for folder in self.folders:
            found = [file for file in folder.iterdir() if normal(file.name.split("-")[0]) == normal(name)]
            lines += [self.link("", file.as_uri(), "", file.name) for file in found]
        return "\n".join(lines).encode()

    def link(self, before: str, url: str, after: str, label: str) -> str:
        plain, _, fragment = url.partition("#")
        key = base64.urlsafe_b64encode(plain.encode()).decode()
        file = unquote(urlsplit(plain).path.rpartition("/")[2])
        return f'<a {before}href="/file/{key}/{file}#{fragment}"{after}>{label}</a><br>'


def hard(connection: socket.socket) -> None:
    """Its close is a reset, as of a broken connection, and no orderly end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Mirror  # type: ignore[assignment]

    def do_GET(self) -> None:
        try:
            self.route()
        except urllib.error.HTTPError as error:
            self.send_error(error.code)
        except urllib.error.URLError as error:
            self.send_error(502, str(error.reason))

    do_HEAD = do_GET

    def route(self) -> None:
        mirror, (_, kind, *rest) = self.server, urlsplit(self.path).path.split("/")
        if kind == "simple" and rest and rest[0]:
            page = mirror.index_page(rest[0])
            self.give(page, "text/html", rest[0]) if page else self.send_error(404)
        elif kind == "file" and len(rest) == 2:
            url = base64.urlsafe_b64decode(unquote(rest[0])).decode()
            url += ".metadata" if rest[1].endswith(".metadata") else ""
            self.give(mirror.kept(url, {}).read_bytes(), "application/octet-stream", rest[1])
        elif kind == "npm":
            accept = self.headers.get("Accept", "*/*")
            url = mirror.registry.rstrip("/") + self.path.removeprefix("/npm")
            body = mirror.kept(url, {"Accept": accept}).read_bytes()
            if not self.path.endswith(".tgz"):
                body = body.replace(mirror.registry.rstrip("/").encode(), f"{mirror.url}/npm".encode())
            self.give(body, "application/json", "/".join(rest))
        else:
            self.send_error(404)

    def give(self, body: bytes, kind: str, name: str) -> None:
        start, tag = 0, f'"{hashlib.sha256(body).hexdigest()}"'
        if self.headers.get("If-None-Match") == tag:
            self.send_response(304)
            self.send_header("ETag", tag)
            self.end_headers()
            return
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and int(asked[1]) < len(body):
            start = int(asked[1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", tag)
        self.send_header("Cache-Control", "max-age=31536000" if kind != "text/html" else "max-age=600")
        self.end_headers()
        if self.command == "HEAD":
            return
        at = start
        try:
            for reached in self.blocks(body, start, name):
                at = reached
        finally:
            self.server.sent.append(Sent(name, start, len(body), at - start))

    def blocks(self, body: bytes, start: int, name: str) -> Iterable[int]:
        """Sends, and yields where it is. A cut of this file happens once. Raises ConnectionResetError."""
        found = next((c for c in self.server.cuts if c.name in name and start < c.after < len(body)), None)
        at = start
        while at < len(body):
            end = min(at + BLOCK, len(body))
            if found and end >= found.after and not found.reached.is_set():
                self.wfile.write(body[at : found.after])
                yield found.after
                found.reached.set()
                if not found.held:
                    hard(self.connection)
                    raise ConnectionResetError
                found.go_on.wait(120)
                at = found.after
                continue
            self.wfile.write(body[at:end])
            at = end
            yield at

    def log_message(self, format: str, *words: Any) -> None:
        pass
