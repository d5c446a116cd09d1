"""A simulator of Vercel's API of files and deployments (vercel.com/docs/rest-api).

`python -m infra.simulators.site_hosts.vercel` serves it alone."""

from __future__ import annotations

import hashlib
from typing import Any

from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.server import RequestRefused, Route, main
from infra.simulators.site_hosts.host import HostSimulator


class VercelSimulator(HostSimulator):
    """Vercel, on loopback."""

    def __init__(self, port: int = 0, **options: Any) -> None:
        self.stored: dict[str, bytes] = {}
        self.projects: set[str] = set()
        self.deployments: dict[str, dict[str, Any]] = {}
        super().__init__(port, **options)

    def routes(self) -> list[Route]:
        return [
            ("GET", "/v2/user", self._user),
            ("POST", "/v2/files", self._upload),
            ("GET", "/v7/deployments", self._list),
            ("POST", "/v13/deployments", self._create),
            ("GET", "/v13/deployments/([^/]+)", self._poll),
            ("PATCH", "/v12/deployments/([^/]+)/cancel", self._cancel),
        ]

    def is_upload(self, method: str, path: str) -> bool:
        return path.startswith("/v2/files")

    def unauthorized(self) -> Response:
        return Response(403, {"error": {"code": "forbidden", "message": "Not authorized", "invalidToken": True}})

    def _user(self, _request: Request) -> Response:
        return Response(200, {"user": {"id": "user"}})

    def _upload(self, request: Request) -> Response:
        found = hashlib.sha1(request.body, usedforsecurity=False).hexdigest()
        if request.headers.get("x-vercel-digest") != found:
            return Response(400, {"error": {"code": "bad_request", "message": "The digest does not match the file"}})
        with self.lock:
            self.stored[found] = request.body
            return Response(200, {"urls": []})

    def _list(self, request: Request) -> Response:
        with self.lock:
            found = [each for each in self.deployments.values() if each["name"] == request.query.get("app")]
            return Response(200, {"deployments": [{**each, "uid": each["id"]} for each in found]})

    def _create(self, request: Request) -> Response:
        body = request.json()
        with self.lock:
            files = self._wanted_files(body)
            number = len(self.deployments) + 1
            deployment: dict[str, Any] = {
                "id": f"dpl_{number}",
                "name": body["name"],
                "url": f"{body['name']}-{number}.vercel.app",
                "alias": [f"{body['name']}.vercel.app"] if body.get("target") == "production" else [],
                "meta": body.get("meta") or {},
                "readyState": "QUEUED",
                "files": files,
                "polls": 0,
            }
            self.projects.add(body["name"])
            self.deployments[deployment["id"]] = deployment
            return Response(200, _view(deployment))

    def _wanted_files(self, body: dict[str, Any]) -> dict[str, str]:
        """Path → SHA-1 of a new deployment. Raises RequestRefused."""
        if body.get("deploymentId"):
            return self._deployment(body["deploymentId"])["files"]
        if body["name"] not in self.projects and "projectSettings" not in body:
            error = {"code": "missing_project_settings", "message": "The `projectSettings` object is required"}
            raise RequestRefused(Response(400, {"error": error}))
        files = {f"/{each['file']}": each["sha"] for each in body["files"]}
        missing = sorted({sha for sha in files.values() if sha not in self.stored})
        if missing:
            error = {"code": "missing_files", "message": "Missing files", "missing": missing}
            raise RequestRefused(Response(400, {"error": error}))
        return files

    def _deployment(self, id: str) -> dict[str, Any]:
        found = self.deployments.get(id)
        if found is None:
            raise RequestRefused(Response(404, {"error": {"code": "not_found", "message": "Deployment not found"}}))
        return found

    def _poll(self, _request: Request, id: str) -> Response:
        deployment = self._deployment(id)
        with self.lock:
            if deployment["readyState"] in ("QUEUED", "BUILDING"):
                deployment["readyState"] = "BUILDING"
                deployment["polls"] += 1
                if self.fate == "error":
                    deployment |= {"readyState": "ERROR", "errorMessage": "The build failed"}
                elif self.fate == "ready" and deployment["polls"] > self.slow_polls:
                    deployment["readyState"] = "READY"
                    files = {path: self.stored[sha] for path, sha in deployment["files"].items()}
                    for host in (deployment["url"], *deployment["alias"]):
                        self.sites[f"https://{host}"] = files
            return Response(200, _view(deployment))

    def _cancel(self, _request: Request, id: str) -> Response:
        deployment = self._deployment(id)
        with self.lock:
            deployment["readyState"] = "CANCELED"
            return Response(200, _view(deployment))


def _view(deployment: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in deployment.items() if name not in ("files", "polls")}


SIMULATOR = VercelSimulator

if __name__ == "__main__":
    main(VercelSimulator, "site_hosts.vercel")
