"""The sum of a test run must never be greener than its parts."""

from __future__ import annotations

import os
import sys
import time

import pytest

from launcher.place import LauncherError
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


def test_past_the_deadline_a_step_and_its_children_are_ended() -> None:
    tally = Tally(until=time.monotonic())
    began = time.monotonic()
    tally.step("hanging", ["sh", "-c", "sleep 300; true"], env=os.environ)
    assert tally.failed == 1
    assert time.monotonic() - began < 30
