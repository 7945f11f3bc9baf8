"""Renders a checkpoint's chat template in a process of its own: a template is code from a stranger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

from inference.engines import template_child
from inference.errors import InferenceError

_KEPT = ("PATH", "TZ", "LD_LIBRARY_PATH", "SYSTEMROOT")


class Refused(Exception):
    """The template says no to these messages, or fails on them."""


class Renderer:
    """One small process, started when it is first needed and again after one that was ended. It ends by
    itself when this process does. `render` may be called from any thread; calls wait for each other.

    The sandbox keeps a template from Python's insides, the process from time and memory without end, and
    from this process' secrets. It is no wall against a hole in Python itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def render(self, template: str, variables: dict[str, Any]) -> str:
        """Raises Refused; invalid_request when it takes too long or too much."""
        line = json.dumps({"template": template, "variables": variables}) + "\n"
        with self._lock:
            process = self._running()
            assert process.stdin and process.stdout
            # Its own alarm is sooner, where there is one (not on Windows).
            clock = threading.Timer(2 * template_child.SECONDS, process.kill)
            clock.daemon = True
            clock.start()
            try:
                process.stdin.write(line)
                process.stdin.flush()
                answer = process.stdout.readline()
            except OSError:
                answer = ""
            finally:
                clock.cancel()
            if not answer:
                self._end()
                limit = f"more than {template_child.SECONDS:g} s or too much memory"
                raise InferenceError("invalid_request", f"The model's chat template takes {limit}.")
        result = json.loads(answer)
        if "error" in result:
            raise Refused(result["error"])
        return str(result["text"])

    def close(self) -> None:
        with self._lock:
            self._end()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            script = str(Path(template_child.__file__).resolve())
            self._process = subprocess.Popen(
                [sys.executable, "-I", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
                env={name: os.environ[name] for name in _KEPT if name in os.environ},
            )  # fmt: skip
            self._finalizer = weakref.finalize(self, _put_away, self._process)
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._finalizer()
            self._process = None


def _put_away(process: subprocess.Popen[str]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(OSError):  # what was not written has no reader any more
                pipe.close()
    process.wait()
