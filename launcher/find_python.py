"""A Python that can run Hearth, looked for by one that cannot. Runs on Python 3.8.

Looked at in this order: the checkout's own .venv, the PATH, pyenv, conda, what `uv` knows or fetches.
"""

import glob
import os
import subprocess
import sys

from launcher.words import t

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST = (3, 11)
# The newest first that torch's builds have been out for longest; any later one is better than none.
MINORS = (12, 13, 11, 14, 15, 16)
ASK = "import sys, ssl, sqlite3; print('%d.%d.%d' % sys.version_info[:3])"
HANDED = "HEARTH_HANDED_OVER"
CONDAS = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "miniconda", "anaconda")
WINDOWS = os.name == "nt"


def version(text):
    # type: (str) -> tuple[int, ...]
    try:
        return tuple(int(part) for part in text.strip().split("."))
    except ValueError:
        return ()


def ask(python):
    # type: (str) -> tuple[int, ...]
    """Its version; () when it does not run, or lacks TLS or SQLite."""
    try:
        done = subprocess.run(
            [python, "-c", ASK], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return version(done.stdout.decode(errors="replace")) if done.returncode == 0 else ()


def programs(folder):
    # type: (str) -> list[str]
    if WINDOWS:
        return [os.path.join(folder, "python.exe"), os.path.join(folder, "Scripts", "python.exe")]
    return [os.path.join(folder, "bin", "python")]


def on_path(environ):
    # type: (dict[str, str]) -> list[str]
    names = [f"python3.{minor}" for minor in MINORS] + ["python3", "python"]
    ending = ".exe" if WINDOWS else ""
    folders = [folder for folder in environ.get("PATH", os.defpath).split(os.pathsep) if folder]
    return [os.path.join(folder, name + ending) for name in names for folder in folders]


def best_first(folders):
    # type: (list[str]) -> list[str]
    """By the number in their names: 3.12.1 before 3.9.18, and those of MINORS in that order before others."""

    def rank(folder):
        # type: (str) -> tuple[int, list[int]]
        found = version(os.path.basename(folder))
        proven = MINORS.index(found[1]) if found[1:2] and found[1] in MINORS else len(MINORS)
        return proven, [-part for part in found]

    return sorted(folders, key=rank)


def candidates(environ, home, root=ROOT):
    # type: (dict[str, str], str, str) -> list[str]
    """Programs that exist, each once."""
    found = programs(os.path.join(root, ".venv"))
    found += on_path(environ)
    pyenv = environ.get("PYENV_ROOT") or os.path.join(home, ".pyenv")
    for folder in best_first(glob.glob(os.path.join(pyenv, "versions", "*"))):
        found += programs(folder)
    condas = [os.path.join(home, name) for name in CONDAS] + ["/opt/conda", "/opt/miniconda3"]
    if environ.get("CONDA_EXE"):
        condas.insert(0, os.path.dirname(os.path.dirname(environ["CONDA_EXE"])))
    if environ.get("CONDA_PREFIX"):
        condas.insert(0, environ["CONDA_PREFIX"])
    for base in condas:
        for folder in [base, *best_first(glob.glob(os.path.join(base, "envs", "*")))]:
            found += programs(folder)
    seen = []  # type: list[str]
    for program in found:
        if program not in seen and os.path.isfile(program) and os.access(program, os.X_OK):
            seen.append(program)
    return seen


def uv_command(environ, home):
    # type: (dict[str, str], str) -> list[str]
    """How `uv` is called, [] when it is not there. `pip install --user uv` puts it in ~/.local/bin."""
    name = "uv.exe" if WINDOWS else "uv"
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    folders += [os.path.join(home, ".local", "bin"), os.path.join(home, ".cargo", "bin")]
    for folder in folders:
        program = os.path.join(folder, name)
        if os.path.isfile(program) and os.access(program, os.X_OK):
            return [program]
    return []


def by_uv(command):
    # type: (list[str]) -> str
    """The Python that uv finds, or else fetches; '' when it can do neither."""
    wanted = ">=3.11"
    for words in (["python", "find", wanted], ["python", "install", "3.12"], ["python", "find", wanted]):
        if words[1] == "install":
            print(t("Fetching Python 3.12 with uv …"), flush=True)
        try:
            done = subprocess.run(command + words, stdout=subprocess.PIPE, timeout=900, check=False)
        except (OSError, subprocess.SubprocessError):
            return ""
        if done.returncode == 0 and words[1] == "find":
            return done.stdout.decode(errors="replace").strip()
    return ""


def find(environ, home, root=ROOT):
    # type: (dict[str, str], str, str) -> tuple[str, tuple[int, ...]]
    """The program and its version; ('', ()) when there is none."""
    for program in candidates(environ, home, root):
        found = ask(program)
        if found[:2] >= OLDEST:
            return program, found
    command = uv_command(environ, home)
    program = by_uv(command) if command else ""
    found = ask(program) if program else ()
    return (program, found) if found[:2] >= OLDEST else ("", ())


def what_to_type():
    # type: () -> str
    python = "py" if WINDOWS else "python3"
    return python + " -m pip install --user uv && " + python + " start.py"


def hand_over(argv):
    # type: (list[str]) -> int
    """Runs `argv` with a Python that can, or says why that is not possible."""
    mine = ".".join(str(part) for part in sys.version_info[:3])
    program, found = find(dict(os.environ), os.path.expanduser("~"))
    if not program or os.environ.get(HANDED):
        print(t("Hearth needs Python 3.11 or later; this is {mine}.", mine=mine), file=sys.stderr)
        print(
            t("Its packages (Django 5.2, torch 2.13) are not made for older ones; no newer one was found."),
            file=sys.stderr,
        )
        print(t("Type this, it needs no root:  {line}", line=what_to_type()), file=sys.stderr)
        return 1
    print(
        t(
            "This is Python {mine}; going on with {found}: {program}",
            mine=mine,
            found=".".join(str(part) for part in found),
            program=program,
        ),
        flush=True,
    )
    command = [program, os.path.abspath(argv[0]), *argv[1:]]
    environ = dict(os.environ)
    environ[HANDED] = "1"
    # A pyenv shim or a conda environment of the old Python must not lead the new one astray.
    for name in ("PYTHONHOME", "PYENV_VERSION", "__PYVENV_LAUNCHER__"):
        environ.pop(name, None)
    if WINDOWS:
        return subprocess.call(command, env=environ)
    os.execve(program, command, environ)
