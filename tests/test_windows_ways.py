"""What can be told about Windows without one: nothing that only Unix has is imported or asked for."""

from __future__ import annotations

import ast
import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from system import address, ways
from tests.docs_facts import ROOT, WEB, trees
from tests.house import House

OURS = (*WEB, "inference", "launcher", "system")
#: Modules that Windows' Python has not; uvloop has no wheel for it.
MISSING = (
    "fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "readline", "syslog", "posix", "crypt",
    "uvloop", "multiprocessing.forkserver", "multiprocessing.popen_fork",
    "multiprocessing.popen_forkserver",
)  # fmt: skip
#: What the modules that it has do not have there.
UNIX_ONLY = {
    "os": """
        fork forkpty setsid setpgid getpgid getpgrp killpg getuid geteuid getgid getegid setuid
        chown fchown fchmod lchown mkfifo mknod nice getpriority statvfs fstatvfs sysconf pathconf
        pread pwrite readv writev sendfile posix_fadvise O_NOFOLLOW O_NONBLOCK O_CLOEXEC O_DIRECTORY
        O_SYNC wait waitpid wait3 wait4 waitid WNOHANG uname getloadavg sched_getaffinity
        sched_setaffinity openpty ttyname posix_spawn register_at_fork WIFSIGNALED initgroups
        getgroups getresuid confstr lockf posix_fallocate set_blocking execve execvp
    """,
    "signal": """
        SIGKILL SIGHUP SIGCHLD SIGUSR1 SIGUSR2 SIGALRM SIGSTOP SIGCONT SIGPIPE SIGQUIT SIGTSTP
        setitimer ITIMER_REAL alarm pause pthread_kill pthread_sigmask sigwait sigtimedwait
    """,
    "socket": "AF_UNIX AF_NETLINK SO_REUSEPORT recv_fds send_fds SCM_RIGHTS sethostname",
    "loop": "add_signal_handler remove_signal_handler create_unix_connection create_unix_server",
}
#: Where they may stand, and why nothing is wrong with that.
ALLOWED = {
    "system/ways.py": "asks which system this is",
    "system/children.py": "the same",
    "system/loops.py": "the same",
    "system/leash.py": "looks whether there is one",
    "inference/server/address.py": "only for unix: addresses",
    "inference/engines/server_guard.py": "runs on Unix only (`server_process.program`)",
    "inference/engines/template_child.py": "looks whether there is one",
    "inference/engines/child.py": "looks whether there is one",
    "inference/engines/checkpoint.py": "looks whether there is one",
    "inference/cli/chat.py": "looks whether there is one",
    "launcher/find_python.py": "asks which system this is, on any Python",
    "launcher/probes.py": "takes their absence for an answer",
    "launcher/supervisor.py": "asks ways.WINDOWS",
}
IMPORT_ALL = """
import importlib, importlib.abc, os, pkgutil, sys
ROOT, MISSING, OURS = {root!r}, {missing!r}, {ours!r}

class Windows(importlib.abc.MetaPathFinder):
    '''No such module for who lives in the checkout; others choose for themselves by sys.platform.'''
    def find_spec(self, name, path=None, target=None):
        if name in MISSING:
            frame = sys._getframe(1)
            while "importlib" in frame.f_code.co_filename:
                frame = frame.f_back
            file = os.path.abspath(frame.f_code.co_filename)
            if name == "uvloop" or file.startswith(ROOT) and "/.venv/" not in file:
                raise ModuleNotFoundError(f"Windows has no {{name}}, asked for by {{file}}", name=name)

sys.meta_path.insert(0, Windows())
for name in MISSING:
    if name not in ("posix",):
        sys.modules.pop(name, None)
{extra}
import django
django.setup()
count = 0
for package in OURS:
    for module in pkgutil.walk_packages([os.path.join(ROOT, package)], package + "."):
        parts = module.name.split(".")
        if "tests" not in parts and "migrations" not in parts and parts[-1] != "__main__":
            importlib.import_module(module.name)
            count += 1
for name in ("inference.__main__", "inference.server.__main__"):
    importlib.import_module(name)
print("imported", count, "uvloop" in sys.modules)
"""


def run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "HEARTH_PLATFORM": "windows", "DJANGO_SETTINGS_MODULE": "config.settings.test"}
    return subprocess.run(
        [sys.executable, "-c", code], env=environ | env, cwd=ROOT, text=True, capture_output=True, check=False
    )


def import_all(extra: str = "") -> subprocess.CompletedProcess[str]:
    return run(IMPORT_ALL.format(root=str(ROOT), missing=MISSING, ours=OURS, extra=extra))


def test_every_module_can_be_imported_without_what_windows_lacks() -> None:
    done = import_all()
    assert done.returncode == 0, done.stderr
    word, count, uvloop = done.stdout.split()
    assert word == "imported" and int(count) > 200 and uvloop == "False"


@pytest.mark.parametrize("name", ["fcntl", "uvloop"])
def test_the_look_itself_can_see(name: str, tmp_path: Path) -> None:
    file = ROOT / "made_for_this_test.py"
    done = import_all(f"exec(compile('import {name}', {str(file)!r}, 'exec'))")
    assert done.returncode == 1 and f"Windows has no {name}" in done.stderr


def uses(tree: ast.AST) -> set[str]:
    names = {module: set(words.split()) for module, words in UNIX_ONLY.items()}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            module = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr in names.get(module, ()) or node.attr in names["loop"]:
                found.add(f"{module}.{node.attr}")
        if isinstance(node, ast.keyword) and node.arg in ("preexec_fn", "start_new_session", "pass_fds"):
            found.add(node.arg)
    return found


def test_what_only_unix_has_is_asked_for_in_a_few_places() -> None:
    found = {path.relative_to(ROOT).as_posix(): uses(tree) for path, tree in trees(*OURS)}
    wrong = {path: names for path, names in found.items() if names and path not in ALLOWED}
    assert not wrong, wrong
    assert {path for path in ALLOWED if not found[path]} == set(), "needs no exception any more"


def test_the_platform_is_asked_for_in_the_system_package() -> None:
    """Elsewhere only for a fact: what stands beside each."""
    found = set()
    for path, tree in trees(*OURS):
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and node.value in ("nt", "win32", "posix"):
                found.add(path.relative_to(ROOT).as_posix())
    assert found == {
        "system/ways.py",
        "system/children.py",
        "launcher/cli.py",  # a screen
        "launcher/find_python.py",  # names of programs, on any Python
        "launcher/words.py",  # where the language stands
        "launcher/state.py",  # facts of a process
        "inference/engines/device.py",  # RLIMIT_AS
        "inference/engines/server_process.py",  # a working directory
    }, found


@pytest.mark.e2e
async def test_the_secret_of_a_start_is_told_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in a log, a command line, an environment; a wrong one gets nothing, and each start has its own."""
    monkeypatch.setattr(ways, "WINDOWS", True)
    with House(HEARTH_PLATFORM="windows") as house:
        file = house.data / "run" / "inference.json"
        where = f"loopback:{file}"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        way = address.door(where)
        secret = way.headers["Authorization"].removeprefix("Bearer ")
        anna = house.register("anna")
        house.echo_model(anna, "child", tokens=2)
        async with house.ws(anna) as socket:
            await socket.send("turn.start", client_id="1", conversation=None, content="hi", model="child")
            turn = (await socket.until("turn.accepted"))["turn"]
            assert await socket.text(turn, within=60)
        for path in ("/state", "/watch", "/nothing"):
            for wrong in (None, "", secret[:-1], secret + "x", secret.swapcase()):
                found = await asyncio.to_thread(address.ask, way.base, path, wrong)
                assert found is None, (path, wrong)
        assert address.ask(way.base, "/state", secret) is not None

        told = house.logs()
        for role in ("web", "inference"):
            for process in (psutil.Process(house.pid(role)), *psutil.Process(house.pid(role)).children(True)):
                told += " ".join(process.cmdline()) + " ".join(process.environ().values())
        assert str(house.data) in told and secret not in told
        house.kill("inference")
        house.start("inference")
        assert address.door(where).headers != way.headers
