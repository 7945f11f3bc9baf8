"""Who runs, told without trusting a bare process id."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from launcher import state
from launcher.place import LONGEST_SOCKET_PATH, Place
from launcher.tests.conftest import until
from system import ways


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(data=tmp_path / "data", python=Path(sys.executable))
    made.make()
    return made


def entry(pid: int) -> dict[str, object]:
    return {"pid": pid, "started": state.start_token(pid), "url": "http://x", "children": {}}


def test_a_running_supervisor_is_found(place: Place) -> None:
    state.write(place, entry(os.getpid()))
    found = state.running(place)
    assert found is not None and found["pid"] == os.getpid()


def test_a_process_id_that_was_used_again_is_not_taken_for_it(place: Place) -> None:
    state.write(place, {**entry(os.getpid()), "started": "12"})
    assert state.running(place) is None


def test_a_process_that_ended_does_not_run_not_even_as_a_zombie(place: Place) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    state.write(place, entry(process.pid))
    assert state.running(place) is not None
    process.kill()
    until(lambda: state.running(place) is None)
    process.communicate()


@pytest.mark.parametrize("text", ["", "{", "[]", "7"])
def test_a_broken_state_file_means_that_nothing_runs(place: Place, text: str) -> None:
    place.state_file.write_text(text)
    assert state.report(place) == {"url": None, "ready": False, "processes": []}


def test_a_port_in_use_is_told_with_its_owner(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert f"(pid {os.getpid()})" in state.port_problem("127.0.0.1", port)
    assert state.port_problem("127.0.0.1", port) == ""


def test_a_listener_on_every_interface_takes_the_port_too() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert "is taken" in state.port_problem("127.0.0.1", server.getsockname()[1])


def test_a_port_out_of_range_is_told_in_words() -> None:
    assert "70000 is no port" in state.port_problem("127.0.0.1", 70000)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("hearth.lan", "http://hearth.lan:8000"),
    ],
)
def test_the_address_can_be_opened_on_this_machine(host: str, url: str) -> None:
    assert Place(data=Path("/d"), python=Path("/p"), host=host).url == url


@pytest.mark.skipif(ways.WINDOWS, reason="no sockets there")
def test_sockets_move_where_a_long_data_path_leaves_no_room(tmp_path: Path) -> None:
    far = Place(data=tmp_path / ("x" * 120), python=Path("/p"))
    assert len(os.fsencode(far.service.removeprefix("unix:"))) <= LONGEST_SOCKET_PATH
    other = Place(data=tmp_path / ("y" * 120), python=Path("/p"))
    assert far.run != other.run
    far.make()
    try:
        assert stat.S_IMODE(far.run.stat().st_mode) == 0o700
    finally:
        far.run.rmdir()
