"""Ports, addresses, what a server without a screen prints, TLS, and the administrator who must be there."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from launcher import listening, state
from launcher.place import LauncherError, Place, without_proxy
from launcher.tests.conftest import House

HERE = Place(data=Path("/d"), python=Path("/p"))


def words(place: Place, *, screen: bool) -> str:
    return "\n".join(listening.words_when_ready(place, screen=screen, addresses=["10.0.0.7", "fd00::7"]))


def test_at_a_screen_nothing_needs_to_be_said() -> None:
    assert words(HERE, screen=True) == ""


def test_without_a_screen_the_line_to_type_elsewhere_is_told() -> None:
    said = words(dataclasses.replace(HERE, port=8123), screen=False)
    assert "ssh -L 8123:127.0.0.1:8123 " in said and "@10.0.0.7" in said
    assert "http://127.0.0.1:8123" in said


def test_beyond_loopback_the_addresses_and_a_warning_are_told() -> None:
    said = words(dataclasses.replace(HERE, host="0.0.0.0"), screen=False)
    assert "http://10.0.0.7:8000" in said and "http://[fd00::7]:8000" in said
    assert "Without TLS" in said and "ssh -L" not in said
    secure = words(dataclasses.replace(HERE, host="0.0.0.0", tls=("c", "k")), screen=False)
    assert "https://10.0.0.7:8000" in secure and "Without TLS" not in secure


def test_a_taken_usual_port_is_replaced_and_named_but_an_asked_for_one_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        place = dataclasses.replace(HERE, port=port)
        other = listening.with_free_port(place, asked=False)
        assert other.port > port and not state.port_problem("127.0.0.1", other.port)
        said = capsys.readouterr().out
        assert (
            f"Port {port} is taken by" in said and f"(pid {os.getpid()})" in said and str(other.port) in said
        )
        with pytest.raises(LauncherError, match="Choose another with --port"):
            listening.with_free_port(place, asked=True)


def test_files_of_a_certificate_that_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "cert").touch()
    with pytest.raises(LauncherError, match="key cannot be read"):
        listening.check_tls(str(tmp_path / "cert"), str(tmp_path / "key"))


def test_a_second_boot_makes_another_token(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {"pid": os.getpid(), "started": state.start_token(os.getpid())}
    assert state.runs(before)
    monkeypatch.setattr(state, "boot", lambda: "another")
    assert not state.runs(before)


def test_stop_after_a_crash_leaves_the_process_alone_that_has_the_old_id(house: House) -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        (house.data / "run").mkdir(parents=True)
        state_file = house.data / "run" / "state.json"
        state_file.write_text(
            f'{{"pid": {other.pid}, "started": "0:12", "url": "http://x", "ready": true, "children": {{}}}}'
        )
        assert house.call("stop").stdout.strip() == "Hearth is not running."
        assert other.poll() is None
    finally:
        other.communicate(b"\n")


@pytest.mark.parametrize(
    ("told", "hosts"),
    [
        ("", "localhost,127.0.0.1,::1"),
        ("corp.example", "corp.example,localhost,127.0.0.1,::1"),
        ("localhost, 10.0.0.0/8", "localhost,10.0.0.0/8,127.0.0.1,::1"),
        ("*", "*"),
    ],
)
def test_no_proxy_is_asked_for_this_machine(told: str, hosts: str) -> None:
    assert without_proxy(told) == hosts


DEAD = "http://127.0.0.1:9"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "ws_proxy")


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.setenv(name, DEAD)
        monkeypatch.setenv(name.upper(), DEAD)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("proxied")
def test_a_dead_proxy_in_every_variable_stops_nothing(house: House) -> None:
    house.start()
    assert house.status()["ready"] is True


def no_admin(house: House) -> None:
    """The stand-in's manage.py: nobody is an administrator until create_admin made one."""
    file = house.root / "manage.py"
    file.write_text(
        file.read_text()
        + "made = pathlib.Path(os.environ['HEARTH_DATA'], 'admin')\n"
        + "if '--exists' in sys.argv:\n    sys.exit(0 if made.exists() else 3)\n"
        + "if sys.argv[1] == 'create_admin':\n    made.touch()\n"
    )


def test_nobody_listens_beyond_loopback_before_there_is_an_administrator(house: House) -> None:
    no_admin(house)
    for words in (("start", "--no-browser"), ("run", "web")):
        said = house.call(*words, "--host", "0.0.0.0")
        assert said.returncode == 1
        assert "the first stranger would become it" in said.stderr
        assert "create-admin" in said.stderr and "HEARTH_ADMIN_PASSWORD" in said.stderr
    assert house.call("create-admin", "--username", "ada", "--password", "pw").returncode == 0
    process = house.start("--host", "0.0.0.0", ready=False)
    house.line(process, "Hearth is ready")
    house.line(process, "Without TLS")


def test_a_container_brings_its_administrator_with_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    no_admin(house)
    monkeypatch.setattr(
        house, "environ", lambda: {**House.environ(house), "HEARTH_ADMIN_PASSWORD": "a password"}
    )
    house.start("--host", "0.0.0.0")
    assert "create_admin --username admin" in house.calls()
    assert not any("a password" in call for call in house.calls())
