"""`start.py test`: everything that must hold before a change is good, in one go.

What is missing on the machine is a failure, not a skip: a green line means that all of it ran.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from launcher import prepare
from launcher.doctor import listens
from launcher.place import ROOT, LauncherError, Place, venv_python

MYSQL = "mysql://root@127.0.0.1:3306/hearth_test"
REDIS = "redis://127.0.0.1:6379/15"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# All steps together; what is still running then is ended and counted as failed.
DEADLINE = 22 * 60
PYTEST_COUNTS = re.compile(r"(\d+) (passed|failed|errors?|skipped)")
VITEST_LINE = re.compile(r"^\s*Tests\s+(.*)\(\d+\)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    until: float = field(default_factory=lambda: time.monotonic() + DEADLINE)
    rows: list[str] = field(default_factory=list)

    def count(self, line: str) -> None:
        """Add what the closing line of one test run says."""
        for number, word in PYTEST_COUNTS.findall(line):
            if word == "passed":
                self.passed += int(number)
            elif word == "skipped":
                self.skipped += int(number)
            else:
                self.failed += int(number)

    def step(
        self, title: str, command: list[str], *, env: Mapping[str, str], cwd: Path = ROOT, closing: str = ""
    ) -> None:
        """Run one step, its output passed on. `closing` finds the line with the counts of a test run."""
        print(f"\n── {title}: {' '.join(command)}", flush=True)
        began = time.monotonic()
        failed_before = self.failed
        last = ""
        try:
            process = subprocess.Popen(
                command,
                cwd=str(cwd),
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            print(f"{command[0]}: {error.strerror}")
            self.close(title, began, ok=False)
            return
        clock = threading.Timer(max(1, self.until - began), process.kill)
        clock.start()
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            plain = COLOUR.sub("", line)
            if closing and re.search(closing, plain):
                last = plain
        code = process.wait()
        clock.cancel()
        self.count(last)
        ok = code == 0 and (bool(last) or not closing)
        # One failure at least for a step that failed without a failed test, so that the sum says so.
        self.close(title, began, ok=ok, counted=self.failed > failed_before)

    def close(self, title: str, began: float, *, ok: bool, counted: bool = False) -> None:
        if not ok and not counted:
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


PYTEST_CLOSING = r"^=* ?\d+ (passed|failed|errors?|skipped|deselected)\b.* in [\d.]+s"


def environment(place: Place, model: Path, chromium: str) -> dict[str, str]:
    env = {
        **place.environ(),
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "HEARTH_TEST_MODEL": str(model),
    }
    # The outcome must not depend on what this shell happens to point at.
    for name in ("DATABASE_URL", "REDIS_URL", "HEARTH_HOST", "HEARTH_PORT"):
        env.pop(name, None)
    env["HEARTH_CHROMIUM"] = chromium
    return env


def run(pytest_args: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="hearth-test-") as data:
        place = Place(data=Path(data).resolve() / "data", python=venv_python())
        place.make()
        return run_in(place, pytest_args)


def run_in(place: Place, pytest_args: list[str]) -> int:
    tally = Tally()
    chromium = next(filter(None, map(shutil.which, BROWSERS)), "")
    tally.need("MariaDB", listens("127.0.0.1", 3306), "nothing listens on 127.0.0.1:3306")
    tally.need("Redis", listens("127.0.0.1", 6379), "nothing listens on 127.0.0.1:6379")
    tally.need("Chromium", bool(chromium), "none of " + ", ".join(BROWSERS) + " was found")
    model = prepare.CACHE / "models" / prepare.MODEL_NAME
    try:
        prepare.packages(place, ["dev.txt"])
        prepare.node_modules(place)
        if not model.exists():
            prepare.make_model(place, model)
    except LauncherError as error:
        print(error, file=sys.stderr)
        tally.need("Preparation", False, str(error).splitlines()[-1])
        return tally.end()

    python, scripts = str(place.python), place.python.parent
    env = environment(place, model, chromium)
    pytest = [python, "-m", "pytest"]
    if pytest_args:
        tally.step("pytest", [*pytest, *pytest_args], env=env, closing=PYTEST_CLOSING)
        return tally.end()

    tally.step("ruff check", [python, "-m", "ruff", "check", "."], env=env)
    tally.step("ruff format", [python, "-m", "ruff", "format", "--check", "."], env=env)
    tally.step("mypy", [python, "-m", "mypy"], env=env)
    tally.step("imports", [str(scripts / "lint-imports")], env=env)
    for title, script in (("page: lint", "lint"), ("page: types", "typecheck")):
        tally.step(title, ["npm", "run", "-s", script], env=env, cwd=prepare.FRONTEND)
    vitest = ["npm", "run", "-s", "test"]
    tally.step("page: tests", vitest, env=env, cwd=prepare.FRONTEND, closing=VITEST_LINE.pattern)
    tally.step("page: build", ["npm", "run", "-s", "build"], env=env, cwd=prepare.FRONTEND)
    tally.step("Django check", prepare.manage(place, "check"), env=env)
    tally.step("migrations", prepare.manage(place, "makemigrations", "--check", "--dry-run"), env=env)
    tally.step("static files", prepare.manage(place, "collectstatic", "--noinput"), env=env)
    tally.step("pytest, SQLite", pytest, env=env, closing=PYTEST_CLOSING)
    grown = {**env, "DATABASE_URL": MYSQL, "REDIS_URL": REDIS}
    tally.step("pytest, MariaDB and Redis", [*pytest, "-m", "database"], env=grown, closing=PYTEST_CLOSING)
    return tally.end()
