"""The commands of `start.py` and their flags, as they are typed."""

from __future__ import annotations

import argparse
from pathlib import Path

from launcher import mirrors, torch_choice
from launcher.place import ROLES
from launcher.words import LANGUAGES


def parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    # SUPPRESS: a default of the command's own parser would overwrite what stood before the command.
    none = argparse.SUPPRESS
    shared.add_argument(
        "--data", type=Path, default=none, help="the data folder (default: ./data beside start.py)"
    )
    shared.add_argument("--host", default=none, help="the address to listen on (default: 127.0.0.1)")
    shared.add_argument("--port", type=int, default=none, help="the port of the page (default: 8000)")
    shared.add_argument(
        "--tls",
        nargs=2,
        metavar=("CERT", "KEY"),
        default=none,
        help="serve https with this certificate and key",
    )
    shared.add_argument(
        "--here", action="store_true", default=none, help="use this Python and the built page as they are"
    )
    shared.add_argument("--lang", choices=LANGUAGES, default=none, help="the language of start.py")
    starting = argparse.ArgumentParser(add_help=False)
    starting.add_argument("--no-browser", action="store_true", default=none, help="do not open a browser")
    starting.add_argument(
        "--mirror",
        choices=mirrors.WORDS,
        default=none,
        help="where packages and models come from: cn, none, auto",
    )
    starting.add_argument(
        "--torch", choices=torch_choice.WORDS, default=none, help="the build of torch, instead of what fits"
    )
    starting.add_argument(
        "--models", type=Path, metavar="DIR", default=none, help="a folder whose models are used where they lie"
    )
    starting.add_argument(
        "--no-first-download",
        action="store_true",
        default=none,
        help="do not fetch Qwen3-0.6B in the background for a new house",
    )
    starting.add_argument("--background", action="store_true", default=none, help="return once it is ready")

    main = argparse.ArgumentParser(
        prog="start.py",
        description="Start Hearth on this machine and keep it running until Ctrl-C.",
        parents=[shared, starting],
    )
    commands = main.add_subparsers(dest="command", metavar="command", parser_class=argparse.ArgumentParser)
    commands.add_parser("start", parents=[shared, starting], help="what start.py does without a command")
    one = commands.add_parser("run", parents=[shared], help="run one role in the foreground")
    one.add_argument("role", choices=ROLES)
    commands.add_parser("stop", parents=[shared], help="stop what runs on the data folder")
    shown = commands.add_parser("status", parents=[shared], help="what runs on the data folder")
    shown.add_argument("--json", action="store_true")
    logs = commands.add_parser("logs", parents=[shared], help="the last lines of the logs")
    logs.add_argument("role", nargs="?", choices=ROLES)
    logs.add_argument("-n", "--lines", type=int, default=40)
    logs.add_argument("-f", "--follow", action="store_true")
    commands.add_parser("doctor", parents=[shared], help="what this machine has, on one screen")
    release_of = commands.add_parser(
        "release", parents=[shared], help="an archive that carries the built page"
    )
    release_of.add_argument("target", nargs="?", type=Path, help="default: hearth-VERSION.tar.gz here")
    admin = commands.add_parser("create-admin", parents=[shared], help="make an administrator")
    admin.add_argument("--username", required=True)
    admin.add_argument("--password", required=True)
    commands.add_parser("test", help="every check; with arguments only pytest, with those", add_help=False)
    return main
