"""What both hubs have in common: the repository that is asked for, its files, the CDN, and faults."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlencode

from aiohttp import web

from tests.fake_hub import body
from tests.fake_hub.faults import Faults
from tests.fake_hub.repos import Entry, Repo, Repos


class Answers:
    def __init__(
        self, repos: Repos, faults: Faults, sent: Callable[[int], None], origin: Callable[[], str]
    ) -> None:
        self.repos, self.faults, self.sent, self.origin = repos, faults, sent, origin

    async def refused(self, request: web.Request) -> web.StreamResponse | None:
        fault = self.faults.take("api", request.path, "status", "silent")
        return await body.refuse(request, fault) if fault is not None else None

    def repo(self, request: web.Request) -> Repo | None:
        return self.repos.get(f"{request.match_info['owner']}/{request.match_info['name']}")

    def listed(self, repo: Repo, entry: Entry) -> tuple[int, str, str]:
        """(size, sha256, blob's sha1) as the list has them; a fault makes them lies."""
        name = f"{repo.id}/{entry.path}"
        size, sha256, sha1 = entry.size, entry.sha256, entry.sha1
        if self.faults.take("any", name, "wrong_hash"):
            sha256, sha1 = "f" * 64, "f" * 40
        if fault := self.faults.take("any", name, "wrong_size"):
            size += fault.after
        return size, sha256, sha1

    def cdn(self, repo: Repo, entry: Entry) -> str:
        """On another host, as the hubs' content networks are: who brings the token there is refused."""
        signed = urlencode({"Expires": "4102444800", "Signature": entry.sha256[:16]})
        host = self.origin().replace("127.0.0.1", "localhost")
        return f"{host}/cdn/{repo.id}/{quote(entry.path)}?{signed}"

    async def from_cdn(self, request: web.Request) -> web.StreamResponse:
        if "Authorization" in request.headers or "m_session_id" in request.cookies:
            return web.json_response({"error": "Only one auth mechanism allowed"}, status=400)
        repo = self.repo(request)
        entry = repo.entry(request.match_info["path"]) if repo is not None else None
        if repo is None or entry is None:
            return web.Response(status=404)
        headers = {"ETag": f'"{entry.sha256}"', "X-Linked-ETag": f'"{entry.sha256}"'}
        return await self.file(request, repo, entry, headers)

    async def file(
        self, request: web.Request, repo: Repo, entry: Entry, headers: dict[str, str]
    ) -> web.StreamResponse:
        return await body.send(
            request,
            repo.content(entry),
            name=f"{repo.id}/{entry.path}",
            headers=headers,
            faults=self.faults,
            sent=self.sent,
        )


def bearer(request: web.Request) -> str | None:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if kind == "Bearer" and token else None
