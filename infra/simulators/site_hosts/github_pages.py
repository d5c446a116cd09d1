"""A simulator of GitHub's Git Data API and of Pages (docs.github.com/en/rest), for one repository of one owner.

`python -m infra.simulators.site_hosts.github_pages` serves it alone."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, ClassVar

from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.server import RequestRefused, Route, main
from infra.simulators.site_hosts.host import HostSimulator

Json = dict[str, Any]


class GitHubPagesSimulator(HostSimulator):
    """GitHub with the empty repository acme/site, on loopback. Other kinds of 403 than a wrong token: the secondary
    rate limit is `403-seconds` of `fail`."""

    repository: ClassVar[str] = "/repos/acme/site"

    def __init__(self, port: int = 0, **options: Any) -> None:
        self.blobs: dict[str, bytes] = {}
        self.trees: dict[str, dict[str, str]] = {}
        self.commits: dict[str, Json] = {}
        self.refs: dict[str, str] = {}
        self.pages: Json | None = None
        self.builds: dict[str, int] = {}
        super().__init__(port, **options)

    def routes(self) -> list[Route]:
        base = self.repository
        return [
            ("GET", base, self._repository),
            ("GET", f"{base}/git/ref/heads/(.+)", self._ref),
            ("POST", f"{base}/git/refs", self._create_ref),
            ("PATCH", f"{base}/git/refs/heads/(.+)", self._move_ref),
            ("GET", f"{base}/git/blobs/([0-9a-f]+)", self._blob),
            ("POST", f"{base}/git/blobs", self._create_blob),
            ("GET", f"{base}/git/trees/([0-9a-f]+)", self._tree),
            ("POST", f"{base}/git/trees", self._create_tree),
            ("GET", f"{base}/git/commits/([0-9a-f]+)", self._commit),
            ("POST", f"{base}/git/commits", self._create_commit),
            ("POST", f"{base}/pages", self._enable),
            ("GET", f"{base}/pages", self._site),
            ("GET", f"{base}/pages/builds/latest", self._build),
        ]

    def is_upload(self, method: str, path: str) -> bool:
        return method == "POST" and path.endswith("/git/blobs")

    def unauthorized(self) -> Response:
        return Response(401, {"message": "Bad credentials", "status": "401"})

    def _repository(self, _request: Request) -> Response:
        return Response(200, {"full_name": "acme/site"})

    def _ref(self, _request: Request, name: str) -> Response:
        if name not in self.refs:
            raise RequestRefused(Response(404, {"message": "Not Found"}))
        return Response(200, {"ref": f"refs/heads/{name}", "object": {"sha": self.refs[name], "type": "commit"}})

    def _create_ref(self, request: Request) -> Response:
        body = request.json()
        name = body["ref"].removeprefix("refs/heads/")
        with self.lock:
            if name in self.refs:
                return Response(422, {"message": "Reference already exists"})
            self._known(self.commits, body["sha"])
            self._show(name, body["sha"])
            return Response(201, {"ref": body["ref"], "object": {"sha": body["sha"]}})

    def _move_ref(self, request: Request, name: str) -> Response:
        body = request.json()
        with self.lock:
            commit = self._known(self.commits, body["sha"])
            if self.refs.get(name) != body["sha"] and self.refs.get(name) not in commit["parents"]:
                return Response(422, {"message": "Update is not a fast forward"})
            self._show(name, body["sha"])
            return Response(200, {"ref": f"refs/heads/{name}", "object": {"sha": body["sha"]}})

    def _show(self, name: str, commit: str) -> None:
        self.refs[name] = commit
        tree = self.trees[self.commits[commit]["tree"]]
        self.sites["https://acme.github.io/site/"] = {f"/{path}": self.blobs[sha] for path, sha in tree.items()}

    def _blob(self, _request: Request, sha: str) -> Response:
        content = self._known(self.blobs, sha)
        return Response(200, {"sha": sha, "encoding": "base64", "content": base64.b64encode(content).decode()})

    def _create_blob(self, request: Request) -> Response:
        content = base64.b64decode(request.json()["content"])
        sha = _git_hash("blob", content)
        with self.lock:
            self.blobs[sha] = content
            return Response(201, {"sha": sha})

    def _tree(self, _request: Request, sha: str) -> Response:
        """A tree by its own hash or by that of a commit."""
        found = self.trees[self.commits[sha]["tree"]] if sha in self.commits else self._known(self.trees, sha)
        entries = [{"path": path, "type": "blob", "sha": blob} for path, blob in found.items()]
        return Response(200, {"sha": sha, "tree": entries, "truncated": False})

    def _create_tree(self, request: Request) -> Response:
        body = request.json()
        with self.lock:
            tree = dict(self._known(self.trees, body["base_tree"])) if body.get("base_tree") else {}
            for entry in body["tree"]:
                if entry["sha"] not in self.blobs:
                    return Response(422, {"message": f"tree.sha {entry['sha']} is not a valid blob"})
                tree[entry["path"]] = entry["sha"]
            sha = _git_hash("tree", json.dumps(sorted(tree.items())).encode())
            self.trees[sha] = tree
            return Response(201, {"sha": sha})

    def _commit(self, _request: Request, sha: str) -> Response:
        found = self._known(self.commits, sha)
        return Response(200, {"sha": sha, "message": found["message"], "tree": {"sha": found["tree"]}})

    def _create_commit(self, request: Request) -> Response:
        body = request.json()
        with self.lock:
            self._known(self.trees, body["tree"])
            sha = _git_hash("commit", json.dumps(body, sort_keys=True).encode())
            self.commits[sha] = body
            return Response(201, {"sha": sha})

    def _enable(self, request: Request) -> Response:
        with self.lock:
            if self.pages is not None:
                return Response(409, {"message": "GitHub Pages is already enabled."})
            self.pages = request.json()["source"]
            return Response(201, {"html_url": "https://acme.github.io/site/"})

    def _site(self, _request: Request) -> Response:
        if self.pages is None:
            raise RequestRefused(Response(404, {"message": "Not Found"}))
        return Response(200, {"html_url": "https://acme.github.io/site/", "status": "built", "source": self.pages})

    def _build(self, _request: Request) -> Response:
        with self.lock:
            if self.pages is None:
                return Response(404, {"message": "Not Found"})
            commit = self.refs[self.pages["branch"]]
            polls = self.builds[commit] = self.builds.get(commit, 0) + 1
            if self.fate == "error":
                return Response(200, {"commit": commit, "status": "errored", "error": {"message": "Page build failed"}})
            is_built = self.fate == "ready" and polls > self.slow_polls
            return Response(200, {"commit": commit, "status": "built" if is_built else "building"})

    def _known(self, objects: dict[str, Any], sha: str) -> Any:
        if sha not in objects:
            raise RequestRefused(Response(404, {"message": "Not Found"}))
        return objects[sha]


def _git_hash(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


SIMULATOR = GitHubPagesSimulator

if __name__ == "__main__":
    main(GitHubPagesSimulator, "site_hosts.github_pages")
