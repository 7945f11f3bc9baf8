"""A server program as a child of the manager: started, listened to, and ended with all that it started."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from inference.engines import server_guard
from inference.errors import InferenceError
from system import ways
from system.children import apart, kill_group

#: What is kept of the output: so many lines, each so long.
LINES, LONGEST_LINE = 64, 400
_NICE = 5
_GUARD = str(Path(server_guard.__file__).resolve())
# A guard asks, waits and kills; one that does not come to that is killed itself (seconds).
_EXIT_LIMIT = server_guard.PATIENCE * 2 + 2
# What of our environment a strange program gets: none of our secrets, and no switch of its own that could
# take the place of a flag.
_KEPT = re.compile(
    r"PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|TEMP|TMP|SYSTEMROOT|LD_LIBRARY_PATH|XDG_\w+|OMP_\w+|MKL_\w+|KMP_\w+"
    r"|CUDA_\w+|NVIDIA_\w+|NCCL_\w+|GLOO_\w+|HIP_\w+|ROCR_\w+|ROCM_\w+|GGML_\w+|VLLM_\w+|SGLANG_\w+|SGL_\w+"
    r"|RAY_\w+|TORCH\w*|TRITON_\w+"
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD")
_CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


class ServerProcess:
    """`on_line` is told each line of the output (stdout and stderr alike). `exited` is set when the program
    and all that it started are gone."""

    def __init__(self, on_line: Callable[[str], None] = lambda line: None) -> None:
        self.exited = asyncio.Event()
        self.pid: int | None = None  # of the program
        self.lines: deque[str] = deque(maxlen=LINES)
        self._on_line = on_line
        self._guard: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self, command: list[str], environment: Mapping[str, str]) -> None:
        """Raises OSError: the program cannot be started at all."""
        self._guard = await asyncio.create_subprocess_exec(
            sys.executable, "-I", _GUARD, str(_NICE), *command,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**_environment(), **environment}, cwd="/" if os.name == "posix" else None,
            **apart(),
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read(self._guard))

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def kill(self) -> None:
        """The program, at once; the guard ends what is left."""
        if self.pid is not None:
            kill_group(self.pid)

    async def stop(self) -> None:
        """Returns when all of it is gone. May be called more than once."""
        guard = self._guard
        if guard is None:
            self.exited.set()
            return
        if guard.stdin is not None:
            guard.stdin.close()
        try:
            async with asyncio.timeout(_EXIT_LIMIT):
                await self.exited.wait()
        except TimeoutError:
            self.kill()
            with suppress(ProcessLookupError):
                guard.kill()
            await self.exited.wait()

    async def _read(self, guard: asyncio.subprocess.Process) -> None:
        """Always takes what comes, so that the program never waits for us; a line without end is cut."""
        assert guard.stdout is not None
        rest = b""
        try:
            while data := await guard.stdout.read(1 << 16):
                *lines, rest = re.split(rb"[\r\n]+", rest + data)
                rest = rest[-LONGEST_LINE * 4 :]
                for line in lines[-LINES * 4 :]:
                    self._line(line)
            self._line(rest)
            await guard.wait()
        finally:
            self.kill()
            self.exited.set()

    def _line(self, data: bytes) -> None:
        line = _CODES.sub("", data.decode("utf-8", "replace")).rstrip()[:LONGEST_LINE]
        if self.pid is None and line.startswith("pid "):
            self.pid = int(line[4:])
        elif line:
            self.lines.append(line)
            self._on_line(line)


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if _KEPT.fullmatch(name) and not _SECRET.search(name)
    }


def program(named: str | None, name: str, remedy: str) -> list[str]:
    """The command of a server: what an administrator `named` in the environment, else `name` on the PATH.
    Raises InferenceError("load_failed") with the `remedy`."""
    if ways.WINDOWS:  # no guard there, and no Unix sockets
        message = f"{name} is no child of the model service on Windows: add it as a remote endpoint."
        raise InferenceError("load_failed", message)
    command = shlex.split(named or "") or [name]
    found = shutil.which(command[0])
    if found is None:
        message = f"There is no program {command[0]} for the model service. {remedy}"
        raise InferenceError("load_failed", message)
    return [found, *command[1:]]
