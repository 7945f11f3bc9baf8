"""The steps before a start: done once, again when what they depend on changed, and never by halves."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from launcher import node, packages, page, prepare
from launcher import steps as steps_of
from launcher.place import ROOT, LauncherError, Place
from launcher.tests.conftest import gone, until


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The titles of the steps that ran; none runs for real. The checkout is an empty folder."""
    ran: list[str] = []
    for module in (packages, page, prepare):
        monkeypatch.setattr(module, "step", lambda place, title, command, **options: ran.append(title))
        monkeypatch.setattr(module, "CACHE", tmp_path / ".cache")
        if module is not page:
            monkeypatch.setattr(module, "ROOT", tmp_path)
    for module in (page, prepare):
        monkeypatch.setattr(module, "FRONTEND", tmp_path / "frontend")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "base.txt").write_text("Django==5.2\n")
    return ran


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(data=tmp_path / "data", python=Path(sys.executable))
    made.make()
    return made


def test_a_digest_sees_names_contents_and_words(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("x")
    two.write_text("x")
    found = {
        steps_of.digest([one]),
        steps_of.digest([two]),
        steps_of.digest([one, two]),
        steps_of.digest([one], "word"),
        steps_of.digest([tmp_path / "absent"]),
    }
    one.write_text("y")
    found.add(steps_of.digest([one]))
    assert len(found) == 6
    assert steps_of.digest([two, one]) == steps_of.digest([one, two])


def test_the_database_is_looked_at_again_when_anything_about_it_changed(
    place: Place, steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    prepare.database(place)
    (place.data / "hearth.sqlite3").touch()
    prepare.database(place)
    assert len(steps) == 1
    (tmp_path / "accounts" / "migrations").mkdir(parents=True)
    (tmp_path / "accounts" / "migrations" / "0001_first.py").write_text("")
    prepare.database(place)
    prepare.database(place)
    assert len(steps) == 2
    (place.data / "hearth.sqlite3").unlink()
    prepare.database(place)
    assert len(steps) == 3
    monkeypatch.setenv("DATABASE_URL", "mysql://u@db/hearth")
    prepare.database(place)
    prepare.database(place)
    assert len(steps) == 4
    # Any setting: manage.py reads them all, so a wrong one stops the start here.
    monkeypatch.setenv("SERVER", "apache")
    prepare.database(place)
    assert len(steps) == 5


def test_static_files_follow_the_built_page(place: Place, steps: list[str], tmp_path: Path) -> None:
    (tmp_path / "frontend" / "dist").mkdir(parents=True)
    prepare.static_files(place)
    prepare.static_files(place)
    assert len(steps) == 1
    (tmp_path / "frontend" / "dist" / "index.html").write_text("new")
    prepare.static_files(place)
    assert len(steps) == 2
    # Each data folder has its own.
    other = dataclasses.replace(place, data=tmp_path / "other")
    other.make()
    prepare.static_files(other)
    assert len(steps) == 3


def test_the_page_is_built_again_when_a_source_changed(
    place: Place, steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "node_modules", lambda place, found: None)
    monkeypatch.setattr(node, "ready", lambda place, python: node.Node(("npm",), tmp_path, (24, 0, 0)))
    source, built = tmp_path / "frontend" / "src" / "main.tsx", tmp_path / "frontend" / "dist" / "index.html"
    for file in (source, built, tmp_path / "frontend" / "package.json"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("one")
    page.page(place)
    page.page(place)
    assert steps == ["Building the page"]
    source.write_text("two")
    page.page(place)
    built.unlink()
    page.page(place)
    assert len(steps) == 3


def test_packages_are_installed_again_when_an_included_list_changed(
    place: Place, steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setattr(packages, "venv_python", lambda: python)
    lists = tmp_path / "requirements"
    (lists / "dev.txt").write_text("-r base.txt\nruff\n")
    packages.packages(place, ["dev.txt"])
    packages.packages(place, ["dev.txt"])
    # What dev.txt includes needs no second installation for a plain start.
    packages.packages(place, ["base.txt"])
    assert [title.split()[0] for title in steps] == ["Renewing", "Installing"]
    (lists / "base.txt").write_text("Django==5.3\n")
    packages.packages(place, ["dev.txt"])
    assert len(steps) == 3


def test_where_the_index_has_no_other_pip_the_one_that_is_there_does(
    place: Place, steps: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(place: Place, title: str, command: list[str], **options: object) -> None:
        steps.append(title)
        raise LauncherError("No matching distribution found")

    monkeypatch.setattr(packages, "step", refused)
    packages.renew_pip(place)
    packages.renew_pip(place)
    assert steps == ["Renewing pip"] and "that is there will do" in capsys.readouterr().out


def test_the_model_is_whole_or_not_there(place: Place, steps: list[str], tmp_path: Path) -> None:
    made = tmp_path / ".cache" / "models" / prepare.MODEL_NAME
    made.mkdir(parents=True)
    (made / "config.json").write_text("{}")
    folder = place.data / "models" / prepare.MODEL_NAME
    left_over = folder.with_name(folder.name + ".part")
    left_over.mkdir()
    (left_over / "half").touch()
    prepare.default_model(place)
    assert [file.name for file in folder.iterdir()] == ["config.json"]
    assert not left_over.exists()
    assert steps == ["Registering it"]
    # Removed by the administrator: it stays away.
    (folder / "config.json").unlink()
    folder.rmdir()
    prepare.default_model(place)
    assert not folder.exists()


def test_a_failed_step_shows_its_last_words_and_keeps_them(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-c", "print('the reason'); raise SystemExit(3)"]
    with pytest.raises(LauncherError, match=r"(?s)the reason.*Trying: exit status 3"):
        steps_of.step(place, "Trying", command, cwd=ROOT)
    assert "failed" in capsys.readouterr().out
    assert "the reason" in (place.logs / "prepare.log").read_text()


def test_a_step_whose_program_is_missing_fails_in_words(place: Place) -> None:
    with pytest.raises(LauncherError, match="no-such-program: No such file"):
        steps_of.step(place, "Trying", ["no-such-program"], cwd=ROOT)


def test_a_step_that_is_interrupted_leaves_no_process_behind(place: Place, tmp_path: Path) -> None:
    """npm and pip start children of their own; Ctrl-C must end those, too."""
    note = tmp_path / "pid"
    inner = f"echo $$ > {note}.part; mv {note}.part {note}; exec sleep 300"
    program = (
        "import signal, sys\n"
        "from pathlib import Path\n"
        "from launcher import steps as steps_of, supervisor\n"
        "from launcher.place import Place\n"
        f"place = Place(data=Path({str(place.data)!r}), python=Path(sys.executable))\n"
        "with supervisor.signals():\n"
        "    try:\n"
        f"        steps_of.step(place, 'Waiting', ['sh', '-c', ({inner!r}) + ' & wait'])\n"
        "    except supervisor.Stopped:\n"
        "        print('stopped')\n"
    ).replace(repr(inner), repr(f"({inner})"))
    running = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    until(note.exists)
    inner_pid = int(note.read_text())
    running.send_signal(signal.SIGTERM)
    said, _ = running.communicate(timeout=60)
    assert "stopped" in said
    until(lambda: gone(inner_pid))


def test_the_manual_way_names_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LauncherError, match=r"pip install -r requirements.txt"):
        prepare.check_here()


def test_mysql_needs_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "DATABASE_URL", "mysql://u@db/hearth")
    assert "mysql.txt" in packages.requirement_names()
    monkeypatch.setitem(os.environ, "DATABASE_URL", "sqlite:///x")
    assert "mysql.txt" not in packages.requirement_names()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends it")
def test_what_a_step_started_does_not_outlive_a_start_that_was_killed(tmp_path: Path) -> None:
    """A pip that went on by itself would install beside that of the next start."""
    work = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    code = (
        "import sys\nfrom launcher import process\n"
        f"with process.group([sys.executable, '-c', {work!r}]) as running:\n    running.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as start:
        assert start.stdout is not None
        child = int(start.stdout.readline())
        start.kill()
        start.wait()
    until(lambda: gone(child))
