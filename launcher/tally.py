"""Steps of a test run, counted together."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, STDOUT

from launcher import process
from launcher.place import ROOT, LauncherError

# All steps together; what is still running then is ended and counted as failed.
DEADLINE = 22 * 60
COUNTS = re.compile(r"(\d+) (passed|failed|errors?|skipped)")
PYTEST_CLOSING = re.compile(r"^=* ?\d+ (passed|failed|errors?|skipped|deselected)\b.* in [\d.]+s")
VITEST_CLOSING = re.compile(r"^\s*Tests\s+(.*)\(\d+\)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Tally:
    """`passed` and `failed` count tests, and each step that runs no tests as one."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    until: float = field(default_factory=lambda: time.monotonic() + DEADLINE)
    rows: list[str] = field(default_factory=list)

    def count(self, line: str) -> None:
        """Add what the closing line of one test run says."""
        for number, word in COUNTS.findall(line):
            if word == "passed":
                self.passed += int(number)
            elif word == "skipped":
                self.skipped += int(number)
            else:
                self.failed += int(number)

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
        print(f"\n── {title}: {' '.join(command)}", flush=True)
        began = time.monotonic()
        failed_before = self.failed
        try:
            code, last = self.watch(command, env, cwd, closing)
        except OSError as error:
            print(f"{command[0]}: {error.strerror}")
            code, last = 1, ""
        self.count(last)
        ok = code == 0 and (bool(last) or closing is None)
        self.close(title, began, ok=ok, tests=closing is not None, counted=self.failed > failed_before)

    def watch(
        self, command: list[str], env: Mapping[str, str], cwd: Path, closing: re.Pattern[str] | None
    ) -> tuple[int, str]:
        """Returns the exit status and the last line that `closing` finds."""
        last = ""
        with process.group(command, cwd=str(cwd), env=dict(env), stdout=PIPE, stderr=STDOUT) as running:
            clock = threading.Timer(
                max(1, self.until - time.monotonic()), process.kill_group, args=[running.pid]
            )
            clock.start()
            try:
                assert running.stdout is not None
                for raw in running.stdout:
                    line = raw.decode(errors="replace")
                    print(line, end="", flush=True)
                    plain = COLOUR.sub("", line)
                    if closing and closing.search(plain):
                        last = plain
                return running.wait(), last
            finally:
                clock.cancel()

    def work(self, title: str, do: Callable[[], object]) -> bool:
        """One of the launcher's own preparations as a step; True when it was done."""
        print(f"\n── {title}", flush=True)
        began = time.monotonic()
        try:
            do()
        except LauncherError as error:
            print(error, flush=True)
            self.close(title, began, ok=False)
            return False
        self.close(title, began, ok=True)
        return True

    def close(
        self, title: str, began: float, *, ok: bool, tests: bool = False, counted: bool = False
    ) -> None:
        if ok:
            self.passed += 0 if tests else 1
        elif not counted:
            # One failure at least for a step that failed without a failed test, so that the sum says so.
            self.failed += 1
        self.rows.append(f"{'ok    ' if ok else 'FAILED'} {time.monotonic() - began:7.1f} s  {title}")

    def need(self, title: str, there: bool, hint: str) -> None:
        if not there:
            self.failed += 1
            self.rows.append(f"FAILED {'':>9}  {title}: {hint}")

    def end(self) -> int:
        print("\n" + "\n".join(self.rows))
        if self.skipped:
            print(f"{self.skipped} skipped")
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed else 0
