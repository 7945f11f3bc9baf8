"""``python -m tests.access_page`` writes docs/reference/access.md; tests/test_docs.py says when it is old."""

from __future__ import annotations

from pathlib import Path

from tests import access_table as table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "access.md"

HEAD = """\
# Who may call what

Written by `python -m tests.access_page` from `tests/access_table.py`; do not edit it. `tests/test_access.py`
holds the running code against the same table.

- **open**: no token is asked for.
- **token**: an access token or an API key (`Authorization: Bearer …`); without a good one 401, code
  `unauthorized`. The API also takes the session cookie of somebody who signed in at `/admin/`, with its CSRF
  token, so that the browsable API works.
- **administrator**: the same, of an administrator; any other user gets 403, code `permission_denied`.

What belongs to one user answers every other user, administrators included, like what does not exist: 404,
code `not_found`.
"""


def page() -> str:
    routes = sorted(table.ROUTES.items(), key=lambda entry: (entry[0][1], entry[0][0]))
    lines = [HEAD, "## Routes\n", "| | path | who |", "|---|---|---|"]
    lines += [f"| {method} | `{path}` | {who} |" for (method, path), who in routes]
    lines += [f"| GET, POST | `{path}` | open |" for path in table.ADMIN_OPEN]
    lines += ["| all | `/admin/…`, everything else below it | administrator, by session |"]
    lines += ["\n## Sockets and their frames\n", "| | who |", "|---|---|"]
    lines += [
        f"| `{path}` | {who}, as the second subprotocol; else closed with 4401 |"
        for path, who in table.SOCKETS.items()
    ]
    lines += [f"| frame `{kind}` | {who} |" for kind, who in table.FRAMES.items()]
    lines += ["\n## Ids that need no owner\n", "| where | why |", "|---|---|"]
    lines += [f"| `{path}` | {why} |" for path, why in table.SHARED_ROUTES.items()]
    lines += [f"| field `{field}` of a frame | {why} |" for field, why in table.SHARED_FIELDS.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
