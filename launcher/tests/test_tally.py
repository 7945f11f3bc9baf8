"""The sum of a test run must never be greener than its parts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from launcher import process
from launcher.place import ROOT, LauncherError
from launcher.tally import PYTEST_CLOSING, VITEST_CLOSING, Tally


def says(text: str, code: int = 0) -> list[str]:
    return [sys.executable, "-c", f"print({text!r}); raise SystemExit({code})"]


def end(tally: Tally, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = tally.end()
    return code, capsys.readouterr().out.splitlines()[-1]


def test_tests_and_steps_are_added_up(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally()
    tally.step("lint", says("fine"), env=os.environ)
    tally.step(
        "pytest", says("==== 12 passed, 1 skipped in 3.21s ===="), env=os.environ, closing=PYTEST_CLOSING
    )
    tally.step("vitest", says("      Tests  7 passed (7)"), env=os.environ, closing=VITEST_CLOSING)
    assert end(tally, capsys) == (0, "20 passed, 0 failed")


def test_colours_do_not_hide_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally()
    line = "\x1b[31m=== \x1b[1m2 failed\x1b[0m, \x1b[32m3 passed\x1b[0m, 1 error in 0.50s ==="
    tally.step("pytest", says(line, 1), env=os.environ, closing=PYTEST_CLOSING)
    assert end(tally, capsys) == (1, "3 passed, 3 failed")


@pytest.mark.parametrize(
    ("command", "closing"),
    [
        (says("fine", 1), None),
        (["no-such-program"], None),
        (says("no tests ran in 0.1s", 5), PYTEST_CLOSING),
        (says("it said nothing of tests"), PYTEST_CLOSING),
        (says("== 5 passed in 1.0s ==", 3), PYTEST_CLOSING),
    ],
)
def test_a_step_that_went_wrong_without_a_failed_test_counts_as_one(
    command: list[str], closing: object, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = Tally()
    tally.step("step", command, env=os.environ, closing=closing)  # type: ignore[arg-type]
    assert tally.failed == 1
    assert tally.end() == 1


def test_what_is_missing_fails(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally()
    tally.need("Redis", False, "nothing listens")
    tally.need("nginx", True, "")
    assert end(tally, capsys) == (1, "0 passed, 1 failed")


def test_a_preparation_that_fails_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise LauncherError("npm was not found")

    tally = Tally()
    assert not tally.work("page", fail)
    assert tally.work("packages", lambda: None)
    assert "npm was not found" in capsys.readouterr().out
    assert end(tally, capsys) == (1, "1 passed, 1 failed")


SLEEPS = ["sh", "-c", "sleep 300; true"]


def test_past_the_deadline_a_step_and_its_children_are_ended() -> None:
    tally = Tally(until=time.monotonic())
    began = time.monotonic()
    tally.step("hanging", SLEEPS, env=os.environ)
    assert tally.failed == 1
    assert time.monotonic() - began < 30


def test_past_the_deadline_a_preparation_is_ended_too() -> None:
    def hang() -> None:
        with process.group(SLEEPS) as running:
            raise LauncherError(f"ended: {running.wait()}")

    began = time.monotonic()
    assert not Tally(until=time.monotonic()).work("pip", hang)
    assert time.monotonic() - began < 30


def test_lanes_run_beside_each_other_and_what_each_says_stays_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each waits until the other has begun."""
    tally = Tally()

    def lane(mine: str, other: str) -> None:
        wait = f"touch {mine}; echo first {mine}; until [ -e {other} ]; do sleep 0.01; done; echo last {mine}"
        tally.step(mine, ["sh", "-c", wait], env=os.environ, cwd=tmp_path)
        tally.step(f"{mine}, tests", says("== 2 passed in 0.1s =="), env=os.environ, closing=PYTEST_CLOSING)

    tally.together(lambda: lane("a", "b"), lambda: lane("b", "a"))
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("first", "last"))]
    assert [line.split()[0] for line in said] == ["first", "last"] * 2
    assert end(tally, capsys) == (0, "6 passed, 0 failed")


#: What no deadline can end: a wait of the run itself.
HANGS = """
import time
from launcher import tally
tally.GRACE = 0
one = tally.Tally()
one.work("a step", lambda: None)
one.until = time.monotonic()
one.guard()
time.sleep(300)
"""


def test_a_run_that_hangs_still_ends_with_its_sum() -> None:
    command = [sys.executable, "-c", HANGS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "1 passed, 1 failed"
