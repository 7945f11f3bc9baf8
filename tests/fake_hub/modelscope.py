"""ModelScope's routes, as modelscope-hub 0.5 calls them: /openapi/v1 to find, /api/v1 for files."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tests.fake_hub.answers import Answers, bearer
from tests.fake_hub.repos import Entry, Repo

#: The hub cuts its list of files here without a word.
_CUT = 3000


class ModelScope(Answers):
    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/openapi/v1/models", self.search),
            web.get("/openapi/v1/models/{owner}/{name}", self.model),
            web.get("/api/v1/models/{owner}/{name}", self.model),
            web.get("/api/v1/models/{owner}/{name}/revisions", self.revisions),
            web.get("/api/v1/models/{owner}/{name}/repo/files", self.files),
            web.get("/api/v1/models/{owner}/{name}/repo", self.download),
        ]

    async def search(self, request: web.Request) -> web.StreamResponse:
        if refused := await self.refused(request):
            return refused
        size, page = int(request.query.get("page_size", 10)), int(request.query.get("page_number", 1))
        if size > 50 or size * page > 3000:
            return _open_error(400, "InputParameterError", "page_size must be at most 50")
        words = request.query.get("search", "").lower().split()
        found = [repo for repo in self.repos.all() if all(word in repo.id.lower() for word in words)]
        shown = found[(page - 1) * size : page * size]
        data = {
            "models": [self._model(repo) for repo in shown],
            "total_count": len(found),
            "page_number": page,
            "page_size": size,
        }
        return web.json_response({"success": True, "request_id": "fake", "data": data})

    async def model(self, request: web.Request) -> web.StreamResponse:
        if refused := await self.refused(request):
            return refused
        repo = self.repo(request)
        if repo is None:
            return _open_error(404, "ResourceNotFound", "模型不存在")
        return web.json_response({"success": True, "request_id": "fake", "data": self._model(repo)})

    async def revisions(self, request: web.Request) -> web.StreamResponse:
        if (repo := self.repo(request)) is None:
            return _error(404, "模型不存在")
        branches = [{"Revision": "master", "CreatedAt": 1748779200}]
        return _data({"RevisionMap": {"Branches": branches, "Tags": []}, "Id": repo.commit})

    async def files(self, request: web.Request) -> web.StreamResponse:
        if refused := await self.refused(request):
            return refused
        repo = self.repo(request)
        if repo is None:
            return _error(404, "模型不存在")
        if not self._may(request, repo):
            return _error(403, "无访问权限")
        if not repo.at(request.query.get("Revision", "master")):
            # No error: this is how the hub says that there is no such revision.
            return _data({"Files": None, "IsVisual": 0, "LatestCommitter": None})
        root = request.query.get("Root", "")
        entries = [e for e in repo.entries if not root or e.path.startswith(root.rstrip("/") + "/")]
        folders = sorted({entry.path.rpartition("/")[0] for entry in entries if "/" in entry.path})
        nodes = [_folder(path) for path in folders] + [self._node(repo, entry) for entry in entries]
        latest = {"Id": "", "ShortId": repo.commit[:8], "Message": "a commit", "CommitterName": "someone"}
        return _data({"Files": nodes[:_CUT], "IsVisual": 0, "LatestCommitter": latest})

    async def download(self, request: web.Request) -> web.StreamResponse:
        repo = self.repo(request)
        if repo is None:
            return _error(404, "模型不存在")
        if not self._may(request, repo):
            return _error(403, "无访问权限")
        entry = repo.entry(request.query.get("FilePath", ""))
        if entry is None or not repo.at(request.query.get("Revision", "master")):
            return _error(404, "文件不存在")
        if entry.lfs:
            return web.Response(status=302, headers={"Location": self.cdn(repo, entry)})
        return await self.file(request, repo, entry, {"X-Linked-ETag": f'"{entry.sha256}"'})

    def _may(self, request: web.Request, repo: Repo) -> bool:
        return not repo.said.get("gated") or bearer(request) == repo.said.get("token", "agreed")

    def _model(self, repo: Repo) -> dict[str, Any]:
        said = repo.said
        return {
            "id": repo.id,
            "display_name": repo.id.partition("/")[2],
            "description": "",
            "downloads": said.get("downloads", 0),
            "likes": said.get("likes", 0),
            "license": said.get("license"),
            "tags": said.get("tags", ["transformers"]),
            "tasks": ["text-generation"],
            "created_at": "2025-01-01T00:00:00Z",
            "last_modified": said.get("updated", "2025-06-01T12:00:00Z"),
            "file_size": repo.size,
            "private": False,
            "gated": bool(said.get("gated")),
            "login_required": bool(said.get("gated")),
        }

    def _node(self, repo: Repo, entry: Entry) -> dict[str, Any]:
        size, sha256, _ = self.listed(repo, entry)
        return {
            "Type": "blob",
            "Path": entry.path,
            "Name": entry.path.rpartition("/")[2],
            "Size": size,
            "Sha256": sha256,
            "IsLFS": entry.lfs,
            "Mode": str(entry.mode),
            "InCheck": False,
            # The last commit that touched the file; the newest file has the repository's own.
            "Revision": repo.commit if entry is repo.entries[-1] else entry.sha1,
            "CommittedDate": 1748779200,
            "CommitMessage": "a commit",
            "CommitterName": "someone",
        }


def _folder(path: str) -> dict[str, Any]:
    return {"Type": "tree", "Path": path, "Name": path.rpartition("/")[2], "Size": 0, "Mode": "16384"}


def _data(data: dict[str, Any]) -> web.Response:
    body = {"Code": 200, "Data": data, "Message": "success", "RequestId": "fake", "Success": True}
    return web.json_response(body)


def _error(status: int, message: str) -> web.Response:
    body = {"Code": 10010205001, "Message": message, "RequestId": "fake", "Success": False}
    return web.json_response(body, status=status)


def _open_error(status: int, code: str, message: str) -> web.Response:
    body = {"success": False, "code": code, "message": message, "request_id": "fake"}
    return web.json_response(body, status=status)
