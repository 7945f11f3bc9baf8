"""Ten machines: which Python is taken. And the real old Python on this one, where it is there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from launcher import find_python
from launcher.place import ROOT

OLD = Path.home() / ".pyenv/versions/3.8.18/bin/python"


def python(path: Path, version: str) -> None:
    """A stand-in that answers every question with its version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)


# What lies where (below a home folder) → which one is taken. `bin` and `bin2` are the PATH.
MACHINES: list[tuple[str, dict[str, str], str]] = [
    ("only an old one", {"bin/python3": "3.8.18"}, ""),
    ("nothing at all", {}, ""),
    ("python3 is new", {"bin/python3": "3.11.2"}, "bin/python3"),
    (
        "a second one under its number",
        {"bin/python3": "3.8.18", "bin/python3.12": "3.12.1"},
        "bin/python3.12",
    ),
    ("further on the PATH", {"bin/python3": "3.9.1", "bin2/python3": "3.13.0"}, "bin2/python3"),
    (
        "the proven before the newest",
        {"bin/python3.15": "3.15.0", "bin/python3.12": "3.12.4"},
        "bin/python3.12",
    ),
    (
        "pyenv, by number",
        {
            "bin/python3": "3.8.18",
            ".pyenv/versions/3.9.18/bin/python": "3.9.18",
            ".pyenv/versions/3.13.0/bin/python": "3.13.0",
            ".pyenv/versions/3.12.1/bin/python": "3.12.1",
            ".pyenv/versions/3.11.7/bin/python": "3.11.7",
        },
        ".pyenv/versions/3.12.1/bin/python",
    ),
    (
        "an environment of conda",
        {"bin/python3": "3.6.9", "miniconda3/bin/python": "3.9.0", "miniconda3/envs/ml/bin/python": "3.11.5"},
        "miniconda3/envs/ml/bin/python",
    ),
    (
        "the environment made before",
        {"bin/python3.12": "3.12.1", "root/.venv/bin/python": "3.11.7"},
        "root/.venv/bin/python",
    ),
    (
        "a broken environment is passed over",
        {"bin/python3.12": "3.12.1", "root/.venv/bin/python": "sh: not found"},
        "bin/python3.12",
    ),
]


@pytest.mark.parametrize(("what", "there", "taken"), MACHINES, ids=[machine[0] for machine in MACHINES])
def test_which_python(what: str, there: dict[str, str], taken: str, tmp_path: Path) -> None:
    for name, version in there.items():
        python(tmp_path / name, version)
    environ = {"PATH": f"{tmp_path}/bin{os.pathsep}{tmp_path}/bin2"}
    program, found = find_python.find(environ, str(tmp_path), str(tmp_path / "root"))
    assert program == (str(tmp_path / taken) if taken else "")
    assert bool(found) == bool(taken)


def test_uv_is_asked_where_nothing_else_is_there(tmp_path: Path) -> None:
    python(tmp_path / "apart" / "python", "3.12.9")
    uv = tmp_path / ".local" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    # As uv does: it finds nothing before it has installed one.
    uv.write_text(
        f"#!/bin/sh\ncd {tmp_path}\n"
        '[ "$2" = install ] && touch installed && exit 0\n'
        f"[ -e installed ] && echo {tmp_path}/apart/python && exit 0\nexit 2\n"
    )
    uv.chmod(0o755)
    found = find_python.find({"PATH": str(tmp_path / "bin")}, str(tmp_path), str(tmp_path / "root"))
    assert found == (str(tmp_path / "apart" / "python"), (3, 12, 9))
    assert (tmp_path / "installed").exists()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "start.py", tmp_path)
    for name in ("launcher", "system"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("tests", "__py*"))
    return tmp_path


@pytest.mark.skipif(not OLD.exists(), reason="no Python 3.8 here")
@pytest.mark.parametrize(
    ("language", "why"), [("C", "needs Python 3.11"), ("zh_CN.UTF-8", "需要 Python 3.11")]
)
def test_an_old_python_says_why_and_what_to_type(checkout: Path, language: str, why: str) -> None:
    env = {
        "HOME": str(checkout),
        "PATH": str(checkout / "bin"),
        "LANG": language,
        "PYTHONIOENCODING": "ascii",
    }
    done = subprocess.run(
        [str(OLD), str(checkout / "start.py"), "status"],
        env=env,
        capture_output=True,
        check=False,
        timeout=60,
    )
    said = done.stderr.decode()
    assert done.returncode == 1
    assert why in said and "3.8.18" in said
    assert "python3 -m pip install --user uv && python3 start.py" in said
    assert len(said.splitlines()) == 3


@pytest.mark.skipif(not OLD.exists(), reason="no Python 3.8 here")
def test_an_old_python_hands_over_to_a_newer_one(checkout: Path) -> None:
    env = {"HOME": str(Path.home()), "PATH": os.environ["PATH"], "LANG": "C"}
    done = subprocess.run(
        [str(OLD), str(checkout / "start.py"), "status"], env=env, text=True, capture_output=True, timeout=60
    )
    assert "going on with 3.1" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == "Hearth is not running."
