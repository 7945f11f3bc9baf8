"""The commands of `start.py` and their flags, as they are typed."""

from __future__ import annotations

import argparse
from pathlib import Path

from launcher import mirrors, torch_choice
from launcher.chinese import ARGPARSE
from launcher.place import ROLES
from launcher.words import LANGUAGES, language, t


def parser() -> argparse.ArgumentParser:
    # argparse asks gettext for its own words; it has no other way to be given a language.
    setattr(argparse, "_", lambda word: ARGPARSE.get(word, word) if language() == "zh" else word)  # noqa: B010
    shared = argparse.ArgumentParser(add_help=False)
    # SUPPRESS: a default of the command's own parser would overwrite what stood before the command.
    none = argparse.SUPPRESS
    shared.add_argument(
        "--data", type=Path, default=none, help=t("the data folder (default: ./data beside start.py)")
    )
    shared.add_argument("--host", default=none, help=t("the address to listen on (default: 127.0.0.1)"))
    shared.add_argument("--port", type=int, default=none, help=t("the port of the page (default: 8000)"))
    shared.add_argument(
        "--tls",
        nargs=2,
        metavar=("CERT", "KEY"),
        default=none,
        help=t("serve https with this certificate and key"),
    )
    shared.add_argument(
        "--here", action="store_true", default=none, help=t("use this Python and the built page as they are")
    )
    shared.add_argument("--lang", choices=LANGUAGES, default=none, help=t("the language of start.py"))
    starting = argparse.ArgumentParser(add_help=False)
    starting.add_argument("--no-browser", action="store_true", default=none, help=t("do not open a browser"))
    starting.add_argument(
        "--mirror",
        choices=mirrors.WORDS,
        default=none,
        help=t("where packages and models come from: cn, none, auto"),
    )
    starting.add_argument(
        "--torch",
        choices=torch_choice.WORDS,
        default=none,
        help=t("the build of torch, instead of what fits"),
    )
    starting.add_argument(
        "--models",
        type=Path,
        metavar="DIR",
        default=none,
        help=t("a folder whose models are used where they lie"),
    )
    starting.add_argument(
        "--no-first-download",
        action="store_true",
        default=none,
        help=t("do not fetch Qwen3-0.6B in the background for a new house"),
    )
    starting.add_argument(
        "--background", action="store_true", default=none, help=t("return once it is ready")
    )

    main = argparse.ArgumentParser(
        prog="start.py",
        description=t("Start Hearth on this machine and keep it running until Ctrl-C."),
        parents=[shared, starting],
    )
    commands = main.add_subparsers(dest="command", metavar="command", parser_class=argparse.ArgumentParser)
    commands.add_parser("start", parents=[shared, starting], help=t("what start.py does without a command"))
    one = commands.add_parser("run", parents=[shared], help=t("run one role in the foreground"))
    one.add_argument("role", choices=ROLES)
    commands.add_parser("stop", parents=[shared], help=t("stop what runs on the data folder"))
    shown = commands.add_parser("status", parents=[shared], help=t("what runs on the data folder"))
    shown.add_argument("--json", action="store_true")
    logs = commands.add_parser("logs", parents=[shared], help=t("the last lines of the logs"))
    logs.add_argument("role", nargs="?", choices=ROLES)
    logs.add_argument("-n", "--lines", type=int, default=40)
    logs.add_argument("-f", "--follow", action="store_true")
    commands.add_parser("doctor", parents=[shared], help=t("what this machine has, on one screen"))
    release_of = commands.add_parser(
        "release", parents=[shared], help=t("an archive that carries the built page")
    )
    release_of.add_argument("target", nargs="?", type=Path, help=t("default: hearth-VERSION.tar.gz here"))
    admin = commands.add_parser("create-admin", parents=[shared], help=t("make an administrator"))
    admin.add_argument("--username", required=True)
    admin.add_argument("--password", required=True)
    commands.add_parser("test", help=t("every check; with arguments only pytest, with those"), add_help=False)
    return main
