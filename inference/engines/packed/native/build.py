"""Builds the kernels with this machine's own compiler, once; the library is kept in HEARTH_CACHE."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import subprocess
from pathlib import Path

from system import ways

log = logging.getLogger(__name__)

_SOURCES = sorted(Path(__file__).parent.glob("*.[ch]"))
# The order of a sum is as it is written, in every variant of a loop: so rows are the same in any company.
_FLAGS = [
    "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros",
    "-fopenmp", "-shared", "-fPIC",
]  # fmt: skip
_LIMIT = 60.0  # seconds


def built(cache: Path) -> Path | None:
    """The library for this processor; None where there is no compiler, or it could not build it."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None or ways.WINDOWS:
        return None
    threads = _threads_library()
    text = "".join(source.read_text() for source in _SOURCES)
    said = f"{text}{_FLAGS}{threads}{os.path.realpath(compiler)}{_processor()}"
    library = cache / f"kernels-{hashlib.sha256(said.encode()).hexdigest()[:16]}.so"
    if library.exists():
        return library
    part = library.with_suffix(f".{os.getpid()}")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        sources = [str(source) for source in _SOURCES if source.suffix == ".c"]
        command = [compiler, *_FLAGS, *sources, "-o", str(part), *threads, "-lm"]
        subprocess.run(command, check=True, capture_output=True, timeout=_LIMIT, stdin=subprocess.DEVNULL)
        part.replace(library)
    except (OSError, subprocess.SubprocessError) as error:
        part.unlink(missing_ok=True)
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace")[-500:]
        log.info("The kernels were not built (%s); torch's own operations are used. %s", error, said)
        return None
    return library


def _threads_library() -> list[str]:
    """The OpenMP library that torch brings: with another one beside it, each would keep threads of its own
    that wait in a loop, and take the processor from the other's."""
    import torch

    found = sorted((Path(torch.__file__).parent / "lib").glob("libgomp*"))
    found += sorted((Path(torch.__file__).parent.parent / "torch.libs").glob("libgomp*"))
    return [str(found[0])] if found else []


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
