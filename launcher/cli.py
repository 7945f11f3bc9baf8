"""The commands of `start.py`."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from launcher import checks, doctor, listening, models, prepare, release, state, supervisor
from launcher.arguments import parser
from launcher.causes import cause
from launcher.place import ROLES, ROOT, LauncherError, Place, manage, python_for
from launcher.words import t
from system.children import apart, become, kill

STOP_TIMEOUT = 12.0


def place_of(args: argparse.Namespace) -> Place:
    chosen = getattr(args, "data", None) or os.environ.get("HEARTH_DATA") or ROOT / "data"
    port = getattr(args, "port", None)
    return Place(
        data=Path(chosen).expanduser().resolve(),
        python=python_for(hasattr(args, "here")),
        host=getattr(args, "host", None) or os.environ.get("HEARTH_HOST") or "127.0.0.1",
        port=port if port is not None else port_of(os.environ.get("HEARTH_PORT") or "8000"),
        tls=listening.check_tls(*args.tls) if hasattr(args, "tls") else None,
        extra=(("HEARTH_FIRST_DOWNLOAD", "0"),) if hasattr(args, "no_first_download") else (),
    )


def port_asked(args: argparse.Namespace) -> bool:
    """A port that somebody named is not replaced by another."""
    return getattr(args, "port", None) is not None or bool(os.environ.get("HEARTH_PORT"))


def port_of(word: str) -> int:
    if not word.isdecimal():
        raise LauncherError(t("HEARTH_PORT is {word}; it must be a number, as 8000", word=repr(word)))
    return int(word)


def start(args: argparse.Namespace) -> int:
    place = place_of(args)
    place.make()
    with_browser = not hasattr(args, "no_browser") and has_screen()
    if hasattr(args, "background"):
        return start_in_background(place, args)
    lock = supervisor.hold(place)
    if lock is None:
        running = state.read(place).get("url") or t("it is still starting")
        print(t("Hearth is running already: {url}", url=running))
        return 0
    with lock:
        supervisor.end_leftovers(place)
        place = listening.with_free_port(place, asked=port_asked(args))
        began = time.monotonic()

        def on_ready() -> None:
            took = time.monotonic() - began
            ready = t("Hearth is ready: {url}   ({took:.1f} s; Ctrl-C stops it)", url=place.url, took=took)
            lines = [ready, *listening.words_when_ready(place, screen=has_screen())]
            print("\n" + "\n".join(f"  {line}" for line in lines) + "\n", flush=True)
            if with_browser:
                open_browser(place.url)
            aside.append(models.tell_found(place))

        with models.aside() as aside, supervisor.signals() as wake:
            try:
                # Known to `stop` and `status` while it still prepares.
                supervisor.Supervisor(place, wake, on_ready).save()
                place = prepare.everything(place, wishes_of(args))
                supervisor.Supervisor(place, wake, on_ready).run()
            except supervisor.Stopped:
                supervisor.say(t("stopped"))
            finally:
                place.state_file.unlink(missing_ok=True)
    return 0


def has_screen() -> bool:
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


def open_browser(url: str) -> None:
    """A desktop without a browser, or WSL without a way to Windows' own, is no reason to fail."""
    with contextlib.suppress(Exception):
        webbrowser.open(url)


def wishes_of(args: argparse.Namespace) -> prepare.Wishes:
    return prepare.Wishes(
        here=hasattr(args, "here"),
        mirror=getattr(args, "mirror", "auto"),
        torch=getattr(args, "torch", "auto"),
        models=models.folder_of(getattr(args, "models", None)),
    )


def start_in_background(place: Place, args: argparse.Namespace) -> int:
    found = state.running(place)
    if found:
        print(t("Hearth is running already: {url}", url=found["url"]))
        return 0
    command = [sys.executable, str(ROOT / "start.py"), "--no-browser", "--data", str(place.data)]
    command += ["--host", place.host, *place.tls_words()]
    command += ["--port", str(place.port)] if port_asked(args) else []
    command += ["--here"] if hasattr(args, "here") else []
    command += ["--no-first-download"] if hasattr(args, "no_first_download") else []
    command += ["--models", str(args.models.absolute())] if hasattr(args, "models") else []
    for name in ("mirror", "torch", "lang"):
        if hasattr(args, name):
            command += [f"--{name}", getattr(args, name)]
    log = place.logs / "start.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            **apart(),
        )
    print(t("Starting Hearth; its words go to {log}", log=log), flush=True)
    while process.poll() is None:
        found = state.running(place)
        if found and found["ready"]:
            print(t("Hearth is ready: {url}", url=found["url"]))
            beside = dataclasses.replace(place, port=urlsplit(found["url"]).port or place.port)
            for line in listening.words_when_ready(beside, screen=has_screen()):
                print(f"  {line}", flush=True)
            models.tell_found(beside).wait()
            return 0
        time.sleep(0.1)
    print(supervisor.tail(log, 40), file=sys.stderr)
    return process.returncode or 1


def run(args: argparse.Namespace) -> int:
    place = place_of(args)
    place.make()
    prepare.for_role(place, args.role)
    command = place.command(args.role)
    os.chdir(place.root)
    return become(command, place.environ())


def stop(args: argparse.Namespace) -> int:
    place = place_of(args)
    found = state.running(place)
    if found is None:
        print(t("Hearth is not running."))
        return 0
    until = time.monotonic() + STOP_TIMEOUT
    try:
        supervisor.ask_to_stop(place, found["pid"])
        while state.runs(found):
            if time.monotonic() > until:
                kill(found["pid"])
                break
            time.sleep(0.05)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise LauncherError(t("It belongs to another user (pid {pid}).", pid=found["pid"])) from None
    print(t("Stopped."))
    return 0


def status(args: argparse.Namespace) -> int:
    """0 when it runs, 1 when it does not."""
    found = state.report(place_of(args))
    if args.json:
        print(json.dumps(found))
    elif found["url"] is None:
        print(t("Hearth is not running."))
    else:
        print(f"{found['url']}  {t('ready') if found['ready'] else t('not ready')}")
        for process in found["processes"]:
            print(f"  {process['name']:<24} pid {process['pid']:<8} {process['rss_bytes'] / 2**20:8.0f} MiB")
    return 0 if found["url"] else 1


def logs(args: argparse.Namespace) -> int:
    place = place_of(args)
    files = [place.logs / f"{role}.log" for role in ([args.role] if args.role else ROLES)]
    if args.follow:
        follow(files, args.lines)
    for file in files:
        print(f"==> {file} <==\n{supervisor.tail(file, args.lines)}")
    return 0


def follow(files: list[Path], lines: int) -> None:
    """What is there and what comes, until Ctrl-C. A log that was cut is read from its beginning."""
    at, last = {file: 0 for file in files}, None
    for file in files:
        print(f"==> {file} <==\n{supervisor.tail(file, lines)}", flush=True)
        at[file] = size_of(file)
    while True:
        for file in files:
            at[file] = 0 if size_of(file) < at[file] else at[file]
            if size_of(file) > at[file]:
                with file.open("rb") as log:
                    log.seek(at[file])
                    data = log.read()
                at[file] += len(data)
                head = f"\n==> {file} <==\n" if last not in (None, file) else ""
                print(head + data.decode(errors="replace"), end="", flush=True)
                last = file
        time.sleep(0.2)


def size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def create_admin(args: argparse.Namespace) -> int:
    place = place_of(args)
    place.make()
    prepare.database(place)
    command = manage(place, "create_admin", "--username", args.username, "--password", args.password)
    return subprocess.run(command, cwd=str(ROOT), env=place.environ(), check=False).returncode


def make_release(args: argparse.Namespace) -> int:
    place = place_of(args)
    place.make()
    return release.make(place, args.target)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "start": start,
    "run": run,
    "stop": stop,
    "status": status,
    "logs": logs,
    "doctor": lambda args: doctor.show(place_of(args)),
    "create-admin": create_admin,
    "release": make_release,
}


def main(words: list[str]) -> int:
    try:
        if words[:1] == ["test"]:
            return checks.run(words[1:])
        args = parser().parse_args(words)
        return COMMANDS[args.command or "start"](args)
    except LauncherError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, a folder of another's
        found = cause(str(error))
        if found is None:
            raise
        print("\n".join([str(error), *found.lines()]), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
