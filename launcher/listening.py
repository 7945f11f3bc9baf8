"""Where the page can be reached: port, addresses of this machine, TLS, and who must be there first."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import os
import socket
import subprocess
from pathlib import Path

from launcher import state
from launcher.place import ROOT, LauncherError, Place
from launcher.steps import step
from launcher.words import t

LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")
EVERYWHERE = ("0.0.0.0", "::", "")
#: How many ports after the usual one are looked at.
NEXT_PORTS = 50
#: What `manage.py create_admin --exists` ends with where there is no administrator.
NOBODY = 3


def beyond_loopback(place: Place) -> bool:
    return place.host not in LOOPBACK_HOSTS


def with_free_port(place: Place, *, asked: bool) -> Place:
    """The place, on the next free port where the usual is taken; for an asked-for one that is an error."""
    problem = state.port_problem(place.host, place.port)
    if not problem:
        return place
    if not asked:
        for port in range(place.port + 1, place.port + 1 + NEXT_PORTS):
            if not state.port_problem(place.host, port):
                print(
                    t("{problem}; taking the next free one: {port}", problem=problem, port=port), flush=True
                )
                return dataclasses.replace(place, port=port)
    after = place.port % 65535 + 1
    raise LauncherError(
        t("{problem}. Choose another with --port, as --port {after}", problem=problem, after=after)
    )


def own_addresses() -> list[str]:
    """This machine's addresses that others may know it by: the one of its default route first."""
    found = []
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            # A datagram socket that is connected sends nothing; it only chooses the route.
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((target, 9))
                found.append(str(probe.getsockname()[0]))
        except OSError:
            continue
    with contextlib.suppress(OSError):
        found += [str(one[4][0]) for one in socket.getaddrinfo(socket.gethostname(), None)]
    return [one for one in dict.fromkeys(found) if not one.startswith(("127.", "::1", "fe80"))]


def url(place: Place, host: str) -> str:
    return dataclasses.replace(place, host=host).url


def words_when_ready(place: Place, *, screen: bool, addresses: list[str] | None = None) -> list[str]:
    """What is told below the address: those of the network, how to look from elsewhere, what to beware of."""
    addresses = own_addresses() if addresses is None else addresses
    said = []
    if beyond_loopback(place):
        shown = addresses if place.host in EVERYWHERE else [place.host]
        if shown:
            said.append(t("In your network: {urls}", urls="  ".join(url(place, one) for one in shown)))
        if not place.tls:
            said.append(
                t("Without TLS passwords can be read on the way: --tls CERT KEY, or a proxy with TLS.")
            )
    elif not screen:
        host = addresses[0] if addresses else socket.gethostname()
        line = f"ssh -L {place.port}:127.0.0.1:{place.port} {user_name()}@{host}"
        said.append(t("No screen here. From your own machine:  {line}", line=line))
        said.append(t("and open {url} there.", url=place.url))
    return said


def user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "USER"  # a container's user need not have a name


def check_tls(cert: str, key: str) -> tuple[str, str]:
    for file in (cert, key):
        if not os.access(file, os.R_OK):
            raise LauncherError(t("--tls: {file} cannot be read", file=file))
    return str(Path(cert).resolve()), str(Path(key).resolve())


def demand_admin(place: Place) -> None:
    """Beyond loopback the first stranger would become the administrator: somebody must be it before."""
    if not beyond_loopback(place):
        return
    command = [str(place.python), "manage.py", "create_admin"]
    looked = subprocess.run([*command, "--exists"], cwd=str(ROOT), env=place.environ(), check=False)
    if looked.returncode == 0:
        return
    if looked.returncode != NOBODY:
        raise LauncherError(t("Whether there is an administrator could not be found out."))
    if os.environ.get("HEARTH_ADMIN_PASSWORD"):
        name = os.environ.get("HEARTH_ADMIN_NAME") or "admin"
        step(place, t("Making the administrator {name}", name=name), [*command, "--username", name])
        return
    data = f" --data {place.data}" if place.data != ROOT / "data" else ""
    line = f"python3 start.py create-admin{data} --username admin --password …"
    raise LauncherError(
        "\n".join(
            [
                t(
                    "Nobody is the administrator yet: on {host} the first stranger would become it.",
                    host=place.host,
                ),
                t("Type:  {line}", line=line),
                t("or set HEARTH_ADMIN_PASSWORD (and HEARTH_ADMIN_NAME, else admin), as in a container."),
            ]
        )
    )
