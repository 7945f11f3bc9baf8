"""The three processes, kept alive by one loop without threads.

It must have no threads: on Linux a child is told to die with the *thread* that started it.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from launcher import state
from launcher.place import ROLES, Place
from launcher.words import t
from system import address, ways
from system.children import ask_to_end, kill_group, start_bound

FIRST_DELAY, LONGEST_DELAY, STEADY_AFTER = 0.2, 10.0, 10.0
STOP_WITHIN = 8.0
LONGEST_LOG = 10 * 1024 * 1024


class Stopped(BaseException):
    """A signal asked the whole to end. Not an Exception: no step may swallow it."""


class Child:
    """One role's process. `due` is when it is to be started, `delay` the pause after its next death."""

    def __init__(self, place: Place, role: str) -> None:
        self.place, self.role = place, role
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.delay = FIRST_DELAY
        self.due = 0.0

    @property
    def log(self) -> Path:
        return self.place.logs / f"{self.role}.log"

    def start(self) -> None:
        if self.role == "inference":
            address.clear(self.place.service)
        with self.log.open("ab") as log:
            self.process = start_bound(
                self.place.command(self.role),
                cwd=str(self.place.root),
                env=self.place.environ(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.started_at = time.monotonic()

    def look(self, now: float) -> bool:
        """Notice a death, start what is due. True when something changed."""
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return False
            kill_group(self.process.pid)
            self.process = None
            if now - self.started_at >= STEADY_AFTER:
                self.delay = FIRST_DELAY
            self.due = now + self.delay
            say(
                t(
                    "{role} ended ({how}); starting it again in {delay:.1f} s",
                    role=self.role,
                    how=describe(code),
                    delay=self.delay,
                )
            )
            if self.delay == FIRST_DELAY:
                print(tail(self.log, 8), flush=True)
            self.delay = min(self.delay * 2, LONGEST_DELAY)
            return True
        if now >= self.due:
            self.start()
            return True
        return False

    def trim_log(self) -> None:
        """Copy and cut, as the process keeps its file open (for appending, so the cut holds)."""
        with contextlib.suppress(OSError):
            if self.log.stat().st_size > LONGEST_LOG:
                shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
                os.truncate(self.log, 0)


def describe(code: int) -> str:
    return t("signal {code}", code=-code) if code < 0 else t("exit status {code}", code=code)


def tail(path: Path, lines: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 64 * 1024))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def say(text: str) -> None:
    print(time.strftime("%H:%M:%S ") + text, flush=True)


def hold(place: Place) -> IO[str] | None:
    """The lock of this data folder, held while the returned file is open; None when another has it."""
    lock = place.lock_file.open("a")
    if ways.lock(lock.fileno()):
        return lock
    lock.close()
    return None


def ask_to_stop(place: Place, pid: int) -> None:
    """Ask the supervisor `pid` of this data folder to end. Raises OSError."""
    if ways.WINDOWS:  # which has no signal for it
        place.stop_file.touch()
    else:
        os.kill(pid, signal.SIGTERM)


def end_leftovers(place: Place) -> None:
    """End children of a supervisor that was killed where the system did not do it (macOS)."""
    for entry in state.read(place).get("children", {}).values():
        if state.runs(entry):
            kill_group(int(entry["pid"]))


@contextlib.contextmanager
def signals() -> Iterator[socket.socket]:
    """SIGINT, SIGTERM and SIGHUP raise Stopped; any signal, also a child's death, wakes the socket."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)

    def stop(number: int, frame: Any) -> None:
        raise Stopped

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if not ways.WINDOWS:
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, stop)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(-1)
        reader.close()
        writer.close()


class Supervisor:
    def __init__(self, place: Place, wake: socket.socket, on_ready: Callable[[], None]) -> None:
        self.place, self.wake, self.on_ready = place, wake, on_ready
        self.children = [Child(place, role) for role in ROLES]
        self.ready = False

    def save(self) -> None:
        state.write(
            self.place,
            {
                "pid": os.getpid(),
                "started": state.start_token(os.getpid()),
                "url": self.place.url,
                "ready": self.ready,
                "children": {
                    child.role: {"pid": child.process.pid, "started": state.start_token(child.process.pid)}
                    for child in self.children
                    if child.process is not None
                },
            },
        )

    def run(self) -> None:
        """Until Stopped. Every way out ends the children."""
        try:
            self.place.stop_file.unlink(missing_ok=True)
            began = time.monotonic()
            next_word = began + 30
            next_trim = began + 60
            while True:
                now = time.monotonic()
                if any([child.look(now) for child in self.children]):
                    self.save()
                if not self.ready:
                    self.ready, word = state.readiness(self.place.url)
                    if self.ready:
                        self.save()
                        self.on_ready()
                    elif now > next_word:
                        say(t("not ready yet: {word}", word=word))
                        next_word = now + 30
                if now > next_trim:
                    next_trim = now + 60
                    for child in self.children:
                        child.trim_log()
                self.pause(now)
        finally:
            self.stop()

    def pause(self, now: float) -> None:
        """Sleep until a signal, the next start that is due, or the next look at readiness or logs."""
        waits = [0.1 if not self.ready else ways.LOOK_EVERY]
        waits += [child.due - now for child in self.children if child.process is None]
        select.select([self.wake], [], [], max(0.01, min(waits)))
        with contextlib.suppress(BlockingIOError):
            self.wake.recv(4096)
        if ways.WINDOWS and self.place.stop_file.exists():
            raise Stopped

    def stop(self) -> None:
        """Ask, wait, then end what is left. A second Ctrl-C does not wait."""
        alive = [child.process for child in self.children if child.process is not None]
        with contextlib.suppress(Stopped):
            for process in alive:
                ask_to_end(process)
            until = time.monotonic() + STOP_WITHIN
            while any([process.poll() is None for process in alive]) and time.monotonic() < until:
                time.sleep(0.05)
        for process in alive:
            kill_group(process.pid)
            process.wait()
        for left in (self.place.state_file, self.place.stop_file):
            left.unlink(missing_ok=True)
