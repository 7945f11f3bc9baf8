"""python -m tests.fake_hub FOLDER --port 8100"""

from __future__ import annotations

import argparse
import signal
import threading

from tests.fake_hub import FakeHub


def main() -> None:
    parser = argparse.ArgumentParser(description="A hub of models from the folders <FOLDER>/<owner>/<name>/.")
    parser.add_argument("folder")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with FakeHub(given.folder, given.port) as hub:
        print(hub.endpoint, flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
