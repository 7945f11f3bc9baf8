"""Children as Windows has them, forced on this system: asked to end, ended with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from system import children, loops, ways

ROOT = Path(__file__).resolve().parents[2]
WAIT = 20


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "WINDOWS", True)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`work`, a program that says "here" and waits; asked to end, it says "asked"."""
    (tmp_path / "work.py").write_text(
        textwrap.dedent("""
        import os, signal, subprocess, sys, time
        def asked(*_):
            print("asked", flush=True)
            if sys.argv[1] != "deaf":
                sys.exit(7)
        signal.signal(signal.SIGTERM, asked)
        print("here", *sys.argv[1:], os.getpid(), __name__, flush=True)
        if sys.argv[1] == "parent":
            print(subprocess.run([sys.executable, "-c", "print(repr(input()))"], text=True,
                  capture_output=True).stderr.splitlines()[-1], flush=True)
        while True:
            time.sleep(60)
        """)
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(tmp_path)]))
    return tmp_path


def start(*words: str) -> subprocess.Popen[bytes]:
    return children.start_bound([sys.executable, "-m", "work", *words], stdout=subprocess.PIPE)


def line(process: subprocess.Popen[bytes]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().decode().split()


@pytest.mark.parametrize("forced", [False, True])
def test_a_child_is_asked_and_ends_as_it_likes(
    module: Path, forced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "WINDOWS", forced)
    process = start("one", "two")
    assert line(process) == ["here", "one", "two", str(process.pid), "__main__"]
    assert process.poll() is None
    children.ask_to_end(process)
    assert line(process) == ["asked"]
    assert process.wait(WAIT) == 7


@pytest.mark.usefixtures("windows")
def test_a_deaf_child_is_ended_with_all_that_it_started(module: Path) -> None:
    process = start("deaf")
    line(process)
    children.ask_to_end(process)
    assert line(process) == ["asked"]
    children.kill_group(process.pid)
    assert process.wait(WAIT) == -9


@pytest.mark.usefixtures("windows")
def test_what_the_child_starts_has_no_hold_of_the_leash(module: Path) -> None:
    """Its input is nothing, and not the pipe that the child listens to."""
    process = start("parent")
    line(process)
    assert line(process) == ["EOFError:", "EOF", "when", "reading", "a", "line"]
    children.ask_to_end(process)
    assert process.wait(WAIT) == 7


@pytest.mark.parametrize("forced", ["auto", "windows"])
@pytest.mark.parametrize("kind", ["one", "deaf"])
def test_a_child_ends_with_a_parent_that_was_killed(module: Path, forced: str, kind: str) -> None:
    code = f"""
        import sys
        from system import children, leash
        process = children.start_bound([sys.executable, "-m", "work", "{kind}"])
        process.wait()
    """
    environ = {**os.environ, "HEARTH_PLATFORM": forced}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], env=environ, stdout=subprocess.PIPE
    ) as parent:
        child = psutil.Process(int(line(parent)[2]))
        parent.kill()
        parent.wait(WAIT)
        child.wait(WAIT)


def test_a_role_in_the_foreground_ends_with_who_waits_for_it(module: Path) -> None:
    code = "import os, sys; from system import children; w = [sys.executable, '-m', 'work', 'x']"
    code += "; sys.exit(children.become(w, dict(os.environ)))"
    environ = {**os.environ, "HEARTH_PLATFORM": "windows"}
    with subprocess.Popen([sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE) as parent:
        pid = int(line(parent)[2])
        assert pid != parent.pid
        parent.send_signal(signal.SIGINT)
        assert line(parent) == ["asked"]
        assert parent.wait(WAIT) == 7


async def test_a_pair_over_tcp_is_connected_with_itself(windows: None) -> None:
    ours, theirs = loops.pair()
    with ours, theirs:
        assert ours.getsockname() == theirs.getpeername()
        ours.sendall(b"x")
        assert theirs.recv(9) == b"x"


@pytest.mark.parametrize(("value", "says"), [("windows", "True"), ("auto", "False"), ("", "False")])
def test_one_variable_decides(value: str, says: str) -> None:
    assert told(value).stdout.strip() == says


def test_a_word_that_is_no_platform_stops_the_start() -> None:
    done = told("beos")
    assert done.returncode == 1 and "it can be auto or windows" in done.stderr


def told(value: str) -> subprocess.CompletedProcess[str]:
    code = "from system import ways; print(ways.WINDOWS)"
    environ = {**os.environ, "HEARTH_PLATFORM": value}
    return subprocess.run(
        [sys.executable, "-c", code], env=environ, text=True, capture_output=True, cwd=ROOT, check=False
    )


@pytest.mark.usefixtures("windows")
def test_a_file_that_is_being_read_is_replaced_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, refused = tmp_path / "part", [PermissionError(13, "in use")] * 3
    part.write_text("new")
    real = os.replace

    def busy(source: Path, target: Path) -> None:
        if refused:
            raise refused.pop()
        real(source, target)

    monkeypatch.setattr(os, "replace", busy)
    ways.replace(part, tmp_path / "target")
    assert not refused and (tmp_path / "target").read_text() == "new"


def test_one_has_a_lock_and_another_waits(tmp_path: Path) -> None:
    with (tmp_path / "l").open("a") as one, (tmp_path / "l").open("a") as two:
        assert ways.lock(one.fileno())
        assert not ways.lock(two.fileno())
        one.close()
        assert ways.lock(two.fileno(), wait=True)
