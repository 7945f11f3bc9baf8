"""A connection that breaks is tried again; what fails says why and what to type."""

# ruff: noqa: E501 - outputs as they were printed

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from launcher import causes, cli, steps
from launcher.place import LauncherError, Place
from launcher.words import speak


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(data=tmp_path / "data", python=Path(sys.executable))
    made.make()
    return made


def breaking(times: int, note: Path, words: str = "ReadTimeoutError: Read timed out.") -> list[str]:
    """A command whose connection breaks so many times before it does its work."""
    program = (
        "import pathlib, sys\n"
        f"note = pathlib.Path({str(note)!r})\n"
        "past = len(note.read_text()) if note.exists() else 0\n"
        "note.write_text('x' * (past + 1))\n"
        f"sys.exit({words!r} if past < {times} else 0)\n"
    )
    return [sys.executable, "-c", program]


def test_three_broken_connections_are_borne(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(steps, "rest", waited.append)
    steps.step(place, "Fetching", breaking(3, tmp_path / "note"), network=True)
    assert tuple(waited) == steps.PAUSES
    assert capsys.readouterr().out.count("Trying again") == 3


def test_a_fourth_is_not(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "rest", lambda seconds: None)
    with pytest.raises(LauncherError) as told:
        steps.step(place, "Fetching", breaking(4, tmp_path / "note"), network=True)
    assert "Read timed out" in str(told.value)
    assert "--mirror cn" in str(told.value).splitlines()[-1]
    assert (tmp_path / "note").read_text() == "xxxx"


@pytest.mark.parametrize("network", [True, False])
def test_what_a_second_try_would_not_help_is_told_at_once(
    network: bool, place: Place, tmp_path: Path
) -> None:
    words = "OSError: [Errno 28] No space left on device" if network else "ReadTimeoutError: Read timed out."
    with pytest.raises(LauncherError):
        steps.step(place, "Fetching", breaking(1, tmp_path / "note", words), network=network)
    assert (tmp_path / "note").read_text() == "x"


def test_a_long_step_shows_what_it_does(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The step ends only when its line was seen: `last_line` is what is printed."""
    monkeypatch.setattr(steps, "TICK_IN_LOG", 0.01)
    seen = tmp_path / "seen"

    def last_line(log: str) -> str:
        seen.touch()
        return "Collecting torch"

    monkeypatch.setattr(steps, "last_line", last_line)
    wait = f"import os\nwhile not os.path.exists({str(seen)!r}): pass"
    steps.step(place, "Fetching", [sys.executable, "-c", wait])
    assert "Collecting torch" in capsys.readouterr().out


def test_the_last_line_of_a_log_with_a_progress_bar(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"one\n 10%\r 20%\n\n")
    assert steps.last_line(str(log)) == "20%"
    assert steps.last_line(str(tmp_path / "absent")) == ""


OUTPUTS = [
    ("mysql", "Building wheel for mysqlclient\n/bin/sh: 1: pkg-config: not found\nError: Can not find valid pkg-config name."),
    ("mysql", "mysqlclient ...\nsrc/MySQLdb/_mysql.c:29:10: fatal error: mysql.h: No such file or directory"),
    ("disk", "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"),
    ("disk", "npm error code ENOSPC\nnpm error syscall write"),
    ("proxy", "ProxyError('Cannot connect to proxy.', NewConnectionError('Connection refused'))"),
    ("tls", "SSLError(SSLCertVerificationError(1, 'CERTIFICATE_VERIFY_FAILED'))"),
    ("network", "NewConnectionError: [Errno -3] Temporary failure in name resolution\nERROR: No matching distribution found for torch==2.13.0"),
    ("network", "npm error code ECONNRESET\nnpm error network aborted"),
    ("network", "error: incomplete-download"),
    ("hash", "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE"),
    ("none", "ERROR: No matching distribution found for torch==2.13.0+cu126"),
    ("ensurepip", "The virtual environment was not created successfully because ensurepip is not available."),
    ("managed", "error: externally-managed-environment"),
    ("permission", "npm error EACCES: permission denied, mkdir '/srv/x'"),
    ("compiler", "error: command '/usr/bin/gcc' failed with exit code 1"),
    ("node", "npm warn EBADENGINE Unsupported engine {"),
    ("", "Traceback: KeyError: 'x'"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "output"), OUTPUTS)
def test_the_cause_is_read_from_the_output(kind: str, output: str) -> None:
    assert causes.kind_of(output) == kind


def test_a_killed_step_ran_out_of_memory() -> None:
    assert causes.kind_of("", -9) == "memory"


def test_every_cause_has_its_words_in_both_languages() -> None:
    try:
        for language in ("en", "zh"):
            speak(language)
            for kind, _ in causes.PATTERNS:
                what, _ = causes.words(kind)
                assert what and what.isascii() == (language == "en"), kind
    finally:
        speak("en")


@pytest.mark.parametrize(
    ("error", "word"), [(errno.ENOSPC, "The disk is full"), (errno.EACCES, "may not be")]
)
def test_a_start_on_a_full_disk_says_so_in_one_line_and_what_to_do(
    error: int, word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(args: object) -> int:
        raise OSError(error, os.strerror(error), "/data/run/state.part")

    monkeypatch.setitem(cli.COMMANDS, "start", full)
    assert cli.main([]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and word in said[1] and "--data" in said[2]


def test_an_error_that_has_no_remedy_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def strange(args: object) -> int:
        raise OSError(errno.EDOM, "strange")

    monkeypatch.setitem(cli.COMMANDS, "start", strange)
    with pytest.raises(OSError, match="strange"):
        cli.main([])
