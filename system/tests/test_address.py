"""The address of the model service, read the same way by all who look for it."""

from __future__ import annotations

import http.server
import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from system import address, ways


class Server(http.server.ThreadingHTTPServer):
    """Answers with what it was sent, and 401 without the secret."""

    secret = ""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = self.headers.get("Authorization", "")
            self.send_response(200 if sent == f"Bearer {self.server.secret}" else 401)  # type: ignore[attr-defined]
            self.end_headers()
            self.wfile.write(json.dumps({"path": self.path}).encode())

        def log_message(self, *words: Any) -> None:
            pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Server.Handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def test_the_default_lies_in_the_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "WINDOWS", False)
    assert address.default(tmp_path) == f"unix:{tmp_path}/inference.sock"
    monkeypatch.setattr(ways, "WINDOWS", True)
    assert address.default(tmp_path) == f"loopback:{tmp_path}/inference.json"


def test_each_kind_of_address_has_its_way_in(tmp_path: Path) -> None:
    assert address.door("unix:/run/x") == address.Door("/run/x", "http://inference", {})
    secret = {"Authorization": "Bearer s"}
    assert address.door("http://gpu:8100/", "s") == address.Door(None, "http://gpu:8100", secret)
    where = f"loopback:{tmp_path}/f"
    with pytest.raises(FileNotFoundError):
        address.door(where)
    address.publish(where, 81, "s")
    assert address.door(where, "another") == address.Door(None, "http://127.0.0.1:81", secret)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"port": 81}', '{"port": "x", "secret": "s"}'])
def test_a_file_that_says_nothing_is_no_address(tmp_path: Path, text: str) -> None:
    (tmp_path / "f").write_text(text)
    with pytest.raises(OSError):
        address.door(f"loopback:{tmp_path}/f")
    assert address.ask(f"loopback:{tmp_path}/f", "/state") is None


def test_the_file_is_its_owners_alone_and_replaces_an_older_one(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("old")
    file.chmod(0o644)
    address.publish(f"loopback:{file}", 81, "s")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {"port": 81, "secret": "s"}
    assert list(tmp_path.iterdir()) == [file]
    address.clear(f"loopback:{file}")
    address.clear(f"loopback:{file}")
    assert not file.exists()


def test_only_who_read_the_file_is_answered(tmp_path: Path, server: Server) -> None:
    where = f"loopback:{tmp_path}/f"
    assert address.ask(where, "/state") is None, "nobody has written it"
    server.secret = address.new_secret()
    address.publish(where, server.server_port, server.secret)
    assert address.ask(where, "/state") == {"path": "/state"}
    server.secret = address.new_secret()
    assert address.ask(where, "/state") is None, "the secret of an earlier start"
    assert address.ask(f"http://127.0.0.1:{server.server_port}", "/x", server.secret) == {"path": "/x"}


def test_two_secrets_are_never_the_same() -> None:
    made = {address.new_secret() for _ in range(100)}
    assert len(made) == 100 and min(map(len, made)) >= 43  # 32 bytes
