"""What this machine has, on one screen."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys

from launcher import state
from launcher.place import Place


def first_line(command: list[str], timeout: float = 60) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().partition("\n")[0] if done.returncode == 0 else ""


def memory() -> str:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return "unknown"
    return f"{total / 2**30:.1f} GiB, {os.cpu_count()} CPUs"


def listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def without_password(address: str) -> str:
    scheme, found, rest = address.partition("://")
    return scheme + found + rest.rpartition("@")[2]


def inference(place: Place) -> str:
    found = state.inference_state(place)
    if found is None:
        return "does not answer (it answers while Hearth runs)"
    return f"pid {found.get('pid')}, {len(found.get('models', []))} models in memory"


def show(place: Place) -> int:
    python = [str(place.python), "-c"]
    gpu = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    torch = "import torch; print(torch.__version__, 'CUDA' if torch.cuda.is_available() else 'CPU')"
    home = place.data if place.data.exists() else place.root
    disk = shutil.disk_usage(str(home))
    rows = [
        ("Python", f"{sys.version.split()[0]}, children: {place.python}"),
        ("Node", first_line(["node", "--version"]) or "not found (needed to build the page)"),
        ("Memory", memory()),
        ("Disk", f"{disk.free / 2**30:.1f} GiB free at {home}"),
        ("torch", first_line([*python, torch]) or "not installed"),
        ("GPU", first_line(gpu) or "none that nvidia-smi knows"),
        ("Data", str(place.data)),
        ("Database", without_password(os.environ.get("DATABASE_URL", "")) or "SQLite in the data folder"),
        ("Redis", without_password(os.environ.get("REDIS_URL", "")) or "not used"),
        (f"Port {place.port}", state.port_problem(place.host, place.port) or "free"),
        ("Hearth", (state.running(place) or {}).get("url", "not running")),
        ("Inference", inference(place)),
    ]
    for name, value in rows:
        print(f"{name:<11}{value}")
    return 0
