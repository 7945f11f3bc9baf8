"""``python -m system.leash MODULE ARGUMENT…``: the module as a program that ends when its input does.

Windows has no signal that asks a process to end, and none that tells of a parent's death. So who starts one
this way holds the other end of its input: to close it is to ask, and the parent's death closes it too.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

#: How long it may take to end before it is ended (seconds): more than the one who asks waits.
PATIENCE = 10.0


def main() -> None:
    module = sys.argv[1]
    del sys.argv[1]
    leash = os.dup(0)  # is not inherited
    # Nor may our own children have it as their input: on Windows their start waits for our reading of it.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_hold, args=(leash,), name="leash", daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _hold(leash: int) -> None:
    while os.read(leash, 64):
        pass
    if hasattr(signal, "pthread_kill"):  # to the main thread, so that what it waits for is broken off
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    else:
        signal.raise_signal(signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(1)


if __name__ == "__main__":
    main()
