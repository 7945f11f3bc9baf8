"""What doctor asks the machine, and how it says what is wrong."""

from __future__ import annotations

import dataclasses
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher import doctor, filesystems, mirrors, packages, probes, torch_choice
from launcher.place import Place
from launcher.words import speak

HERE = Place(data=Path("/d"), python=Path("/p"))

CHECKED = """SystemCheckError: System check identified some issues:

ERRORS:
?: (hearth.E001) The database hearth is in latin1, which cannot hold every character (Chinese, emoji).
\tHINT: ALTER DATABASE `hearth` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

WARNINGS:
?: (hearth.W003) The server's time-zone tables are empty.
\tHINT: mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql -u root mysql
"""


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


@pytest.mark.parametrize(
    ("language", "words"), [("en", "character set latin1 cannot hold"), ("zh", "字符集 latin1")]
)
def test_a_database_in_latin1_is_named_with_the_line_to_type(language: str, words: str) -> None:
    speak(language)
    try:
        what, hint = probes.first_problem(CHECKED)
    finally:
        speak("en")
    assert words in what
    assert hint == "ALTER DATABASE `hearth` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;"


def test_a_database_that_does_not_answer_is_told_in_its_own_words() -> None:
    assert probes.first_problem('Traceback …\nOperationalError: (2002, "refused")') == [
        'OperationalError: (2002, "refused")'
    ]


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
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho 'at once  tokens/s'\necho '      1      44.5       0.1'\n")
    program.chmod(0o755)
    place = Place(data=tmp_path, python=program, root=tmp_path)
    assert probes.speed(place, tmp_path) == 44.5
    program.write_text("#!/bin/sh\necho broken; exit 1\n")
    assert probes.speed(place, tmp_path) is None


def test_columns_stand_below_each_other_in_chinese_too() -> None:
    assert doctor.width("磁盘") == doctor.width("disk") == 4


def test_the_product_of_the_check_says_where_torch_runs() -> None:
    """With this test's own Python, which has the torch that the tests run on."""
    version, device, why = packages.torch_check(Path(sys.executable))
    assert version.startswith("torch 2") and device in ("cpu", "cuda") and why
