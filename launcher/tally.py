"""Steps of a test run, counted together."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, STDOUT

from launcher import process
from launcher.place import ROOT, LauncherError
from system import children

# All steps together; what is still running then is ended and counted as failed.
DEADLINE = 24 * 60
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
        self.side_by_side({title: command}, env=env, cwd=cwd, closing=closing)

    def side_by_side(
        self,
        commands: Mapping[str, list[str]],
        *,
        env: Mapping[str, str],
        cwd: Path = ROOT,
        closing: re.Pattern[str] | None = None,
    ) -> None:
        """Run several steps at a time. The first's output is passed on as it comes, that of the others
        afterwards."""
        began = time.monotonic()
        others: dict[str, list[str]] = {title: [] for title in list(commands)[1:]}
        with ThreadPoolExecutor(len(commands)) as threads:
            results = {
                title: threads.submit(
                    self.watch,
                    title,
                    command,
                    env,
                    cwd,
                    closing,
                    others[title].append if title in others else show,
                )
                for title, command in commands.items()
            }
        for title, result in results.items():
            for line in others.get(title, []):
                show(line)
            self.finish(title, began, *result.result(), closing)

    def finish(
        self, title: str, began: float, code: int, last: str, ended: float, closing: re.Pattern[str] | None
    ) -> None:
        failed_before = self.failed
        self.count(last)
        ok = code == 0 and (bool(last) or closing is None)
        counted = self.failed > failed_before
        self.close(title, ended - began, ok=ok, tests=closing is not None, counted=counted)

    def watch(
        self,
        title: str,
        command: list[str],
        env: Mapping[str, str],
        cwd: Path,
        closing: re.Pattern[str] | None,
        say: Callable[[str], object],
    ) -> tuple[int, str, float]:
        """Returns the exit status, the last line that `closing` finds, and when it ended."""
        say(f"\n── {title}: {' '.join(command)}\n")
        try:
            code, last = self.read(command, env, cwd, closing, say)
        except OSError as error:
            say(f"{command[0]}: {error.strerror}\n")
            code, last = 1, ""
        return code, last, time.monotonic()

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
            clock = threading.Timer(
                max(1, self.until - time.monotonic()), children.kill_group, args=[running.pid]
            )
            clock.start()
            try:
                assert running.stdout is not None
                for raw in running.stdout:
                    line = raw.decode(errors="replace")
                    say(line)
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
            self.close(title, time.monotonic() - began, ok=False)
            return False
        self.close(title, time.monotonic() - began, ok=True)
        return True

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

    def end(self) -> int:
        print("\n" + "\n".join(self.rows))
        if self.skipped:
            print(f"{self.skipped} skipped")
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed else 0
