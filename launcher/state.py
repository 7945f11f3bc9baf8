"""Who runs on a data folder, found without trusting a bare process id: ids are used again."""

from __future__ import annotations

import errno
import functools
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from launcher.place import Place
from launcher.words import t
from system import address, ways, windows


@functools.cache
def boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        return ""


def start_token(pid: int) -> str | None:
    """When `pid` started, as an opaque word; None when it does not run (a zombie does not)."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        # Ticks since the boot alone would be met again after the next one.
        return None if fields[0] in "ZX" else f"{boot()}:{fields[19]}"
    if sys.platform == "win32":
        return windows.started(pid)
    shown = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip() or None


def runs(entry: dict[str, Any]) -> bool:
    """Is the process of `{"pid", "started"}` still that process?"""
    return bool(entry.get("started")) and start_token(int(entry["pid"])) == entry["started"]


def rss_bytes(pid: int) -> int:
    if sys.platform == "linux":
        try:
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        except OSError:
            pass
        return 0
    if sys.platform == "win32":
        return windows.rss_bytes(pid)
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(shown.stdout.strip() or 0) * 1024


def write(place: Place, state: dict[str, Any]) -> None:
    part = place.state_file.with_suffix(".part")
    part.write_text(json.dumps(state, indent=1) + "\n")
    ways.replace(part, place.state_file)


def read(place: Place) -> dict[str, Any]:
    """The last written state, also of a supervisor that is gone; {} when there is none."""
    try:
        found = json.loads(place.state_file.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def running(place: Place) -> dict[str, Any] | None:
    """The state of the supervisor that runs on this data folder."""
    found = read(place)
    return found if "pid" in found and runs(found) else None


def readiness(url: str, timeout: float = 3) -> tuple[bool, str]:
    """Whether /readyz says yes, and its text, or why there is none."""
    # No proxy between this process and its own child, whatever the environment says; and its certificate is
    # for the name that others know this machine by.
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unchecked)
    )
    try:
        with opener.open(url + "/readyz", timeout=timeout) as answer:
            return answer.status == 200, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return False, error.read().decode(errors="replace")[:500]
    except (OSError, http.client.HTTPException) as error:
        return False, str(getattr(error, "reason", error))


def inference_state(place: Place, timeout: float = 3) -> dict[str, Any] | None:
    """What the inference process says of itself and its models; None when it does not answer."""
    found = address.ask(place.service, "/state", place.service_secret(), timeout)
    return found if isinstance(found, dict) else None


def report(place: Place) -> dict[str, Any]:
    """What `status --json` prints."""
    found = running(place)
    if found is None:
        return {"url": None, "ready": False, "processes": []}
    processes = [
        {"name": name, "pid": child["pid"], "rss_bytes": rss_bytes(child["pid"])}
        for name, child in found["children"].items()
        if runs(child)
    ]
    for model in (inference_state(place) or {}).get("models", []):
        if model.get("pid"):
            name = f"model:{model['name']}"
            processes.append({"name": name, "pid": model["pid"], "rss_bytes": rss_bytes(model["pid"])})
    return {"url": found["url"], "ready": readiness(found["url"])[0], "processes": processes}


def port_owner(port: int) -> str:
    """'python (pid 12)' for the listener on `port`, or '' where that cannot be known."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if columns[3] == "0A" and int(columns[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{columns[9]}]")
    if not inodes:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(str(fd)) in inodes for fd in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:
            continue
    return ""


def port_problem(host: str, port: int) -> str:
    """Why nothing can listen there, in words for the user; '' when something can."""
    if not 0 < port < 65536:
        return t("{port} is no port; they go from 1 to 65535", port=port)
    try:
        family, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(where[:2], family=family).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return t("Cannot listen on {host}, port {port}: {why}", host=host, port=port, why=error.strerror)
        owner = port_owner(port)
        return (
            t("Port {port} is taken by {owner}", port=port, owner=owner)
            if owner
            else t("Port {port} is taken", port=port)
        )
    return ""
