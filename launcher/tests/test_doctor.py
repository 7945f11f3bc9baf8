"""What doctor asks the machine, and how it says what is wrong."""

from __future__ import annotations

import dataclasses
import json
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher import doctor, filesystems, mirrors, packages, probes, state, torch_choice
from launcher.place import Place

HERE = Place(data=Path("/d"), python=Path("/p"))


class Redis(socketserver.StreamRequestHandler):
    """Speaks as much of the protocol as PING and AUTH need; the password is "pw"."""

    def handle(self) -> None:
        known = False
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                self.rfile.readline()
                words.append(self.rfile.readline().strip().decode())
            if words[0] == "AUTH":
                known = words[-1] == "pw"
                self.wfile.write(b"+OK\r\n" if known else b"-WRONGPASS invalid password\r\n")
            else:
                self.wfile.write(b"+PONG\r\n" if known else b"-NOAUTH Authentication required.\r\n")


@pytest.fixture
def redis_port() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Redis) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_redis_is_asked_with_its_password(redis_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"127.0.0.1:{redis_port}/0"
    assert probes.redis(f"redis://:pw@{address}") == ""
    assert probes.redis(f"redis://user:pw@{address}") == ""
    assert "NOAUTH" in probes.redis(f"redis://{address}")
    assert "WRONGPASS" in probes.redis(f"redis://:other@{address}")
    monkeypatch.setenv("REDIS_URL", f"redis://:pw@{address}")
    assert doctor.redis() == doctor.Row("Redis", f"redis://{address}")


def test_a_redis_that_is_stopped_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:secret@127.0.0.1:1/0")
    row = doctor.redis()
    assert "refused" in row.value and "secret" not in row.value
    assert "systemctl start redis" in row.remedy


def says(tmp_path: Path, words: str, code: int = 0) -> Place:
    """A place whose Python answers every command with `words`."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{words}\nEND\nexit {code}\n")
    program.chmod(0o755)
    return Place(data=tmp_path, python=program, root=tmp_path)


def test_each_problem_of_the_database_has_a_row_of_its_own(tmp_path: Path) -> None:
    alter = "ALTER DATABASE `hearth` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;"
    place = says(tmp_path, json.dumps([["It is in latin1.", alter, True], ["No time zones.", "", False]]))
    first, second = doctor.database(place)
    assert first.value.endswith("It is in latin1.") and first.remedy == alter and first.must
    assert second.value.endswith("No time zones.") and "DATABASE_URL" in second.remedy and not second.must
    (row,) = doctor.database(says(tmp_path, "[]"))
    assert row.remedy == ""


def test_a_database_that_cannot_be_asked_about_is_told_in_its_own_words(tmp_path: Path) -> None:
    (row,) = doctor.database(says(tmp_path, "Traceback …\nImproperlyConfigured: no such thing", 1))
    assert row.value.endswith("ImproperlyConfigured: no such thing") and row.remedy


def test_before_the_packages_are_there_nothing_is_wrong_yet(tmp_path: Path) -> None:
    place = says(tmp_path, "ModuleNotFoundError: No module named 'django'", 1)
    (row,) = doctor.database(place)
    assert "without the packages" in row.value and not row.remedy
    assert "prepares it" in doctor.answer(place).remedy and not doctor.answer(place).must


@pytest.mark.parametrize(
    ("found", "value", "remedy"),
    [
        ({"name": "qwen", "speed": 12.34}, "qwen: 12.3 tokens/s", ""),
        ({"name": "qwen", "why": "out of memory", "away": False}, "did not answer: out of memory", "logs"),
        ({"name": "far", "why": "no service", "away": True}, "while Hearth runs", ""),
        (None, "not there yet", "start.py prepares"),
    ],
)
def test_the_speed_is_that_of_the_default_model(
    found: object, value: str, remedy: str, tmp_path: Path
) -> None:
    row = doctor.answer(says(tmp_path, json.dumps(found)))
    assert value in row.value and (remedy in row.remedy if remedy else not row.remedy)


def test_without_a_running_hearth_the_default_models_folder_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"name": "q", "why": "-", "away": True, "folder": "/models/q", "dtype": "int8"}
    asked: list[tuple[str, str]] = []

    def speed(place: Place, folder: str, dtype: str) -> float:
        asked.append((folder, dtype))
        return 3.0

    monkeypatch.setattr(probes, "speed", speed)
    assert "3.0 tokens/s" in doctor.answer(says(tmp_path, json.dumps(found))).value
    assert asked == [("/models/q", "int8")]


@pytest.mark.parametrize(
    ("row", "code"), [(("a", "b"), 0), (("a", "b", "c"), 1), (("a", "b", "c", False), 0)]
)
def test_the_exit_status_says_whether_something_must_be_mended(
    row: tuple[str, str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "rows", lambda place: iter([doctor.Row(*row)]))
    assert doctor.show(HERE) == code
    assert ("All is well." in capsys.readouterr().out) == (code == 0)


def test_a_full_disk_and_a_remote_one_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = dataclasses.replace(HERE, data=tmp_path / "not" / "yet")
    monkeypatch.setattr(doctor, "LITTLE_DISK", 0.0)
    assert doctor.disk(here).remedy == ""
    monkeypatch.setattr(doctor, "LITTLE_DISK", 1e9)
    assert "Little room" in doctor.disk(here).remedy
    monkeypatch.setattr(filesystems, "mounts", lambda: f"server:/x {tmp_path} nfs rw 0 0\n")
    assert "locks do not hold" in doctor.disk(here).remedy


@pytest.mark.parametrize(
    ("found", "build", "wrong"),
    [
        (("torch 2.13.0", "cuda", "NVIDIA H100"), "cu130", False),
        (("torch 2.13.0+cpu", "cpu", "the build is for the processor"), "cu126", True),
        (("torch 2.13.0+cpu", "cpu", "the build is for the processor"), "cpu", False),
        (("torch", "cpu", "ModuleNotFoundError"), "cpu", True),
    ],
)
def test_torch_on_the_processor_beside_a_card_is_named(
    found: tuple[str, str, str], build: str, wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "torch_check", lambda python: found)
    choice = torch_choice.Choice("torch==2.13.0", "", build, "why")
    monkeypatch.setattr(packages, "torch_wish", lambda flag: choice)
    row = doctor.torch(HERE)
    assert bool(row.remedy) == wrong
    assert ("--torch cu126" in row.remedy) == (build == "cu126")


def test_the_memory_of_cards_is_what_is_free_now() -> None:
    text = "NVIDIA GeForce RTX 3090, 1024, 24576\nNVIDIA A100, [N/A], 40960\nnoise\n"
    assert probes.cards(text) == [probes.Card("NVIDIA GeForce RTX 3090", 1024, 24576)]


def test_where_nothing_answers_hubs_and_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "measured", lambda urls: dict.fromkeys(urls))
    found = {row.name: row.remedy for row in doctor.reach()}
    assert "--mirror cn" in found["Packages"] and "folder" in found["Hub"] and found["Mirror"] == ""
    monkeypatch.setattr(mirrors, "measured", lambda urls: dict.fromkeys(urls, 0.25))
    rows = list(doctor.reach())
    assert not any(row.remedy for row in rows)
    assert all("250 ms" in row.value for row in rows)


def test_the_speed_is_read_from_the_bench(tmp_path: Path) -> None:
    place = says(tmp_path, "at once  tokens/s\n      1      44.5       0.1")
    assert probes.speed(place, "folder", "auto") == 44.5
    assert probes.speed(says(tmp_path, "broken", 1), "folder", "auto") is None


def test_a_taken_port_must_be_mended_only_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEARTH_PORT", raising=False)
    monkeypatch.setattr(state, "port_problem", lambda host, port: "taken by somebody")
    usual, asked = doctor.port(HERE, ""), doctor.port(dataclasses.replace(HERE, port=8080), "")
    assert "next free" in usual.remedy and not usual.must
    assert "another with --port" in asked.remedy and asked.must
    ours = doctor.port(HERE, "http://127.0.0.1:8003")
    assert ours.name == "Port 8003" and ours.remedy == ""


def test_columns_stand_below_each_other_in_chinese_too() -> None:
    assert doctor.width("磁盘") == doctor.width("disk") == 4


def test_the_product_of_the_check_says_where_torch_runs() -> None:
    """With this test's own Python, which has the torch that the tests run on."""
    version, device, why = packages.torch_check(Path(sys.executable))
    assert version.startswith("torch 2") and device in ("cpu", "cuda") and why
