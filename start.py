#!/usr/bin/env python3
"""Start, stop and look after Hearth on this machine: `python3 start.py --help`."""

import sys


def run() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - this file must still parse on an older Python to say so
        print("Hearth needs Python 3.11 or later; this is " + sys.version.split()[0], file=sys.stderr)
        return 1
    from launcher.cli import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
