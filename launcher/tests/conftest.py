"""A whole installation with stand-ins for the three roles, run by the real start.py as real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from launcher.place import ROOT

# Each role answers as the real one does as far as the launcher looks at it.
FILES = {
    "config/__init__.py": "",
    "config/serve.py": """
import http.server, json, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = any(name.startswith("inference.") for name in os.listdir(os.environ["HEARTH_RUN"]))
        self.send_response(200 if ready else 503)
        self.end_headers()
        self.wfile.write(json.dumps({"pid": os.getpid(), "env": dict(os.environ)}).encode())

    def log_message(self, *words):
        pass

host, port = sys.argv[2], int(sys.argv[4])
http.server.ThreadingHTTPServer((host, port), Handler).serve_forever()
""",
    "config/worker.py": "import time\nprint('the worker waits', flush=True)\ntime.sleep(3600)\n",
    "inference/__init__.py": "",
    "inference/server.py": """
import json, os, socketserver, http.server, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        models = [{"name": "echo", "pid": os.getpid()}, {"name": "asleep", "pid": None}]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"pid": os.getpid(), "models": models}).encode())

    def log_message(self, *words):
        pass

    def address_string(self):
        return "socket"

from system import address
where = sys.argv[2]
if where.startswith("unix:"):
    server = socketserver.ThreadingUnixStreamServer(where.removeprefix("unix:"), Handler)
else:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address.publish(where, server.server_port, "sesame")
server.serve_forever()
""",
    # Every call is a line of calls.log, so that a test sees what a start did.
    "manage.py": """
import os, pathlib, sys
with open("calls.log", "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] == "migrate":
    pathlib.Path(os.environ["HEARTH_DATA"], "db.sqlite3").touch()
if sys.argv[1] in ("found_models", "register_models"):
    print("Said", *sys.argv[1:])
if sys.argv[1] == "create_admin" and "taken" in sys.argv:
    sys.exit("That name is taken.")
""",
    "requirements/base.txt": "Django\n",
    "frontend/dist/index.html": "<!doctype html>",
    ".cache/models/SmolLM2-135M-Instruct/config.json": "{}",
}


def until(true: Callable[[], Any], within: float = 60) -> Any:
    """What `true()` returns once it is something; looks every 20 ms."""
    tick = threading.Event()
    end = time.monotonic() + within
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        tick.wait(0.02)
    raise AssertionError(f"not within {within} s")


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


class House:
    """The installation: `start()` in the foreground, other commands to their end."""

    def __init__(self, root: Path) -> None:
        self.root, self.data = root, root / "data"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.started: list[subprocess.Popen[str]] = []

    def command(self, *words: str) -> list[str]:
        return [sys.executable, str(self.root / "start.py"), *words, "--here", "--port", str(self.port)]

    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
        return kept | {"HEARTH_PLATFORM": os.environ.get("HEARTH_PLATFORM", "auto")}

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), env=self.environ(), text=True, capture_output=True, timeout=60, check=False
        )

    def start(self, *words: str, ready: bool = True) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self.command("start", "--no-browser", *words),
            env=self.environ(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.started.append(process)
        if ready:
            self.line(process, "Hearth is ready")
        return process

    def line(self, process: subprocess.Popen[str], words: str) -> str:
        """The next line that `process` prints with `words` in it."""
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if words in line:
                return line
        raise AssertionError(f"{words!r} was not said:\n{''.join(seen)}")

    def status(self) -> dict[str, Any]:
        found = json.loads(self.call("status", "--json").stdout)
        assert isinstance(found, dict)
        return found

    def pids(self) -> dict[str, int]:
        return {process["name"]: process["pid"] for process in self.status()["processes"]}

    def calls(self) -> list[str]:
        return (self.root / "calls.log").read_text().splitlines()

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    shutil.copy(ROOT / "start.py", tmp_path)
    for name in ("launcher", "system"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("tests", "__py*"))
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    made = House(tmp_path)
    yield made
    made.close()
    made.call("stop")
