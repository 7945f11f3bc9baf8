"""Hugging Face's routes, as huggingface_hub 2.4 calls them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from tests.fake_hub.answers import Answers, bearer
from tests.fake_hub.repos import Entry, Repo


class HuggingFace(Answers):
    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/models", self.search),
            web.get("/api/models/{owner}/{name}", self.info),
            web.get("/api/models/{owner}/{name}/revision/{revision}", self.info),
            web.get("/api/models/{owner}/{name}/tree/{revision}", self.tree),
            web.get("/{owner}/{name}/resolve/{revision}/{path:.+}", self.resolve),
        ]

    async def search(self, request: web.Request) -> web.StreamResponse:
        if refused := await self.refused(request):
            return refused
        asked = request.query
        words = asked.get("search", "").lower().split()
        found = [repo for repo in self.repos.all() if all(word in repo.id.lower() for word in words)]
        found.sort(key=lambda repo: -repo.said.get("downloads", 0))
        limit, start = int(asked.get("limit", 100)), int(asked.get("cursor", 0))
        page = [self._model(repo) for repo in found[start : start + limit]]
        headers = {}
        if start + limit < len(found):
            further = urlencode({**asked, "cursor": start + limit})
            headers["Link"] = f'<{self.origin()}/api/models?{further}>; rel="next"'
        return web.json_response(page, headers=headers)

    async def info(self, request: web.Request) -> web.StreamResponse:
        if refused := await self.refused(request):
            return refused
        repo = self.repo(request)
        if repo is None:
            return _missing("RepoNotFound", "Repository not found", 404 if bearer(request) else 401)
        if not repo.at(request.match_info.get("revision", "main")):
            return _missing("RevisionNotFound", "Invalid rev id")
        blobs = "blobs" in request.query
        body = self._model(repo) | {
            "sha": repo.commit,
            "cardData": {"license": repo.said.get("license")},
            "siblings": [self._sibling(repo, entry, blobs) for entry in repo.entries],
        }
        return web.json_response(body)

    async def tree(self, request: web.Request) -> web.StreamResponse:
        if refused := await self.refused(request):
            return refused
        repo = self.repo(request)
        if repo is None:
            return _missing("RepoNotFound", "Repository not found", 404 if bearer(request) else 401)
        if not repo.at(request.match_info["revision"]):
            return _missing("RevisionNotFound", "Invalid rev id")
        return web.json_response([self._node(repo, entry) for entry in repo.entries])

    async def resolve(self, request: web.Request) -> web.StreamResponse:
        repo = self.repo(request)
        if repo is None:
            return _missing("RepoNotFound", "Repository not found", 404 if bearer(request) else 401)
        if not repo.at(request.match_info["revision"]):
            return _missing("RevisionNotFound", "Invalid rev id")
        entry = repo.entry(request.match_info["path"])
        if entry is None:
            return _missing("EntryNotFound", "Entry not found")
        if repo.said.get("gated") and bearer(request) != repo.said.get("token", "agreed"):
            return _missing(
                "GatedRepo", "Access to this model is restricted.", 403 if bearer(request) else 401
            )
        headers = {"X-Repo-Commit": repo.commit}
        if entry.lfs:
            headers |= {"X-Linked-Size": str(entry.size), "X-Linked-ETag": f'"{entry.sha256}"'}
            return web.Response(status=302, headers=headers | {"Location": self.cdn(repo, entry)})
        return await self.file(request, repo, entry, headers | {"ETag": f'"{entry.sha1}"'})

    def _model(self, repo: Repo) -> dict[str, Any]:
        said = repo.said
        tags = [*said.get("tags", ["text-generation"])]
        if said.get("license"):
            tags.append(f"license:{said['license']}")
        body: dict[str, Any] = {
            "_id": repo.commit[:24],
            "id": repo.id,
            "modelId": repo.id,
            "private": False,
            "gated": "manual" if said.get("gated") else False,
            "downloads": said.get("downloads", 0),
            "likes": said.get("likes", 0),
            "tags": tags,
            "pipeline_tag": "text-generation",
            "library_name": "transformers",
            "createdAt": "2025-01-01T00:00:00.000Z",
            "lastModified": said.get("updated", "2025-06-01T12:00:00.000Z"),
            "usedStorage": repo.size,
        }
        if "parameters" in said:
            count = said["parameters"]
            body["safetensors"] = {"parameters": {"BF16": count}, "total": count}
        return body

    def _sibling(self, repo: Repo, entry: Entry, blobs: bool) -> dict[str, Any]:
        if not blobs:
            return {"rfilename": entry.path}
        size, sha256, sha1 = self.listed(repo, entry)
        lfs = {"lfs": {"sha256": sha256, "size": size, "pointerSize": 134}} if entry.lfs else {}
        return {"rfilename": entry.path, "size": size, "blobId": sha1} | lfs

    def _node(self, repo: Repo, entry: Entry) -> dict[str, Any]:
        size, sha256, sha1 = self.listed(repo, entry)
        lfs = {"lfs": {"oid": sha256, "size": size, "pointerSize": 134}} if entry.lfs else {}
        return {"type": "file", "oid": sha1, "size": size, "path": entry.path} | lfs


def _missing(code: str, message: str, status: int = 404) -> web.Response:
    headers = {"X-Error-Code": code, "X-Error-Message": message}
    return web.json_response({"error": message}, status=status, headers=headers)
