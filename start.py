#!/usr/bin/env python3
"""Start, stop and look after Hearth on this machine: `python3 start.py --help`.

This file, launcher/find_python.py and launcher/words.py must run on Python 3.8: an older Python finds a
newer one and hands over to it, or says what to type.
"""

import sys


def run() -> int:
    from launcher import words

    words.console()
    words.choose(sys.argv[1:])
    if sys.version_info < (3, 11):  # noqa: UP036 - see above
        from launcher import find_python

        return find_python.hand_over(sys.argv)
    from launcher.cli import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
