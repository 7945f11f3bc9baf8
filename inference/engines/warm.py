"""The warm parent: a fork server that has imported torch and transformers and touched no device.

A model's child that is forked from it starts in milliseconds. On Windows children are spawned.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from contextlib import suppress
from multiprocessing.context import BaseContext
from pathlib import Path

from system import children, ways

_ROOT = str(Path(__file__).resolve().parents[2])


def has_fork() -> bool:
    return not ways.WINDOWS and "forkserver" in multiprocessing.get_all_start_methods()


def context(heavy: bool) -> BaseContext:
    """Where a child comes from. A light one needs no torch, so it does not wait for the warm parent."""
    _make_importable()
    if heavy and has_fork():
        multiprocessing.set_forkserver_preload(["inference.engines.preload"])
        return multiprocessing.get_context("forkserver")
    return multiprocessing.get_context("spawn")


def start() -> None:
    """Begin the imports; returns at once, a child that is asked for meanwhile waits for them."""
    if has_fork():
        from multiprocessing import forkserver

        context(heavy=True)
        forkserver.ensure_running()


def stop() -> None:
    """The fork server would end by itself, but only after its imports."""
    forkserver = sys.modules.get("multiprocessing.forkserver")
    pid = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
    if pid:
        with suppress(OSError):
            children.kill(pid)


def _make_importable() -> None:
    # A preload that cannot be imported fails in silence, so the working directory must not decide it.
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if _ROOT not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([_ROOT, *filter(None, paths)])
