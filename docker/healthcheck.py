"""Is this container's process well? ``python docker/healthcheck.py web|inference|worker [URL]``; 0 says yes.

Standard library only, and no Django: it runs every few seconds. The worker listens nowhere; its sign of life
is in the database, and the web process reads it.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Any

PATIENCE = 4.0
ADDRESSES = {
    "web": "http://127.0.0.1:8000/healthz",
    "inference": "http://127.0.0.1:8100/healthz",
    "worker": "http://web:8000/readyz",
}


def well(role: str, address: str) -> bool:
    # No proxy stands between the containers; "localhost" is a name that the web answers to in any case.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _AnyStatus())
    request = urllib.request.Request(address, headers={"Host": "localhost"})
    with opener.open(request, timeout=PATIENCE) as answer:
        body = answer.read()
        # /readyz says 503 when anything at all is amiss; here only the worker is asked about.
        return json.loads(body)["worker"]["state"] == "ok" if role == "worker" else answer.status == 200


class _AnyStatus(urllib.request.HTTPErrorProcessor):
    def http_response(self, request: Any, response: Any) -> Any:
        return response


if __name__ == "__main__":
    try:
        role = sys.argv[1]
        good = well(role, sys.argv[2] if len(sys.argv) > 2 else ADDRESSES[role])
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
    sys.exit(0 if good else f"{sys.argv[1]} is not well")
