"""Steps of a test run, counted together."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, STDOUT

from launcher import process
from launcher.place import ROOT, LauncherError

# Seconds for everything, the installation included; what still runs then is ended and counted as failed.
DEADLINE = 23 * 60
# Seconds from then until this process ends itself, whatever it still waits for.
GRACE = 30
COUNTS = re.compile(r"(\d+) (passed|failed|errors?|skipped)")
PYTEST_CLOSING = re.compile(r"^=* ?\d+ (passed|failed|errors?|skipped|deselected)\b.* in [\d.]+s")
VITEST_CLOSING = re.compile(r"^\s*Tests\s+(.*)\(\d+\)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def show(text: str) -> None:
    print(text, end="", flush=True)


@dataclass
class Tally:
    """`passed` and `failed` count tests, and each step that runs no tests as one."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    until: float = field(default_factory=lambda: time.monotonic() + DEADLINE)
    rows: list[str] = field(default_factory=list)
    #: Held while counts and rows change, and while what belongs together is printed.
    lock: threading.Lock = field(default_factory=threading.Lock)
    clock: threading.Timer | None = None

    def count(self, line: str) -> None:
        """Add what the closing line of one test run says."""
        for number, word in COUNTS.findall(line):
            if word == "passed":
                self.passed += int(number)
            elif word == "skipped":
                self.skipped += int(number)
            else:
                self.failed += int(number)

    def together(self, *lanes: Callable[[], object]) -> None:
        """Run rows of steps side by side, each in a thread. Returns, or raises what one raised, when all are
        over. The output of a step in a lane comes in one piece when it ends."""
        with ThreadPoolExecutor(len(lanes)) as threads:
            for row in [threads.submit(lane) for lane in lanes]:
                row.result()

    def step(
        self,
        title: str,
        command: list[str],
        *,
        env: Mapping[str, str],
        cwd: Path = ROOT,
        closing: re.Pattern[str] | None = None,
    ) -> None:
        """Run one step, its output passed on. `closing` finds the line with the counts of a test run."""
        began = time.monotonic()
        head = f"\n── {title}: {' '.join(command)}\n"
        lines: list[str] = []
        in_lane = threading.current_thread() is not threading.main_thread()
        say = lines.append if in_lane else show
        say(head)
        try:
            code, last = self.read(command, env, cwd, closing, say)
        except OSError as error:
            say(f"{command[0]}: {error.strerror}\n")
            code, last = 1, ""
        with self.lock:
            show("".join(lines))
            failed_before = self.failed
            self.count(last)
            ok = code == 0 and (bool(last) or closing is None)
            counted = self.failed > failed_before
            self.close(title, time.monotonic() - began, ok=ok, tests=closing is not None, counted=counted)

    def read(
        self,
        command: list[str],
        env: Mapping[str, str],
        cwd: Path,
        closing: re.Pattern[str] | None,
        say: Callable[[str], object],
    ) -> tuple[int, str]:
        last = ""
        with process.group(command, cwd=str(cwd), env=dict(env), stdout=PIPE, stderr=STDOUT) as running:
            assert running.stdout is not None
            with self.bounded():
                for raw in running.stdout:
                    line = raw.decode(errors="replace")
                    say(line)
                    plain = COLOUR.sub("", line)
                    if closing and closing.search(plain):
                        last = plain
                return running.wait(), last

    @contextlib.contextmanager
    def bounded(self) -> Iterator[None]:
        """At the deadline every command that runs is ended."""
        clock = threading.Timer(max(1, self.until - time.monotonic()), process.end_all)
        clock.start()
        try:
            yield
        finally:
            clock.cancel()

    def work(self, title: str, do: Callable[[], object]) -> bool:
        """One of the launcher's own preparations as a step; True when it was done."""
        print(f"\n── {title}", flush=True)
        began = time.monotonic()
        problem: LauncherError | None = None
        try:
            with self.bounded():
                do()
        except LauncherError as error:
            problem = error
        with self.lock:
            if problem is not None:
                print(f"{title}: {problem}", flush=True)
            self.close(title, time.monotonic() - began, ok=problem is None)
        return problem is None

    def close(
        self, title: str, seconds: float, *, ok: bool, tests: bool = False, counted: bool = False
    ) -> None:
        if ok:
            self.passed += 0 if tests else 1
        elif not counted:
            # One failure at least for a step that failed without a failed test, so that the sum says so.
            self.failed += 1
        self.rows.append(f"{'ok    ' if ok else 'FAILED'} {seconds:7.1f} s  {title}")

    def need(self, title: str, there: bool, hint: str) -> None:
        if not there:
            self.failed += 1
            self.rows.append(f"FAILED {'':>9}  {title}: {hint}")

    def guard(self) -> None:
        """From now on the sum is printed whatever hangs: this process ends itself soon after the deadline."""
        self.clock = threading.Timer(self.until + GRACE - time.monotonic(), self.give_up)
        self.clock.daemon = True
        self.clock.start()

    def give_up(self) -> None:
        self.failed += 1
        self.rows.append(f"FAILED {'':>9}  the rest: it was not over when the time was")
        self.end()
        process.end_all()
        os._exit(1)

    def end(self) -> int:
        if self.clock is not None:
            self.clock.cancel()
        print("\n" + "\n".join(self.rows))
        if self.skipped:
            print(f"{self.skipped} skipped")
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed else 0
