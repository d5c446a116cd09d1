"""A simulator of Netlify's API of file digests (docs.netlify.com/api/get-started): sites, deploys, uploads, restore.

`python -m infra.simulators.site_hosts.netlify` serves it alone."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar
from urllib.parse import unquote

from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.server import RequestRefused, Route, main
from infra.simulators.site_hosts.host import HostSimulator


class NetlifySimulator(HostSimulator):
    """Netlify, on loopback."""

    base_path: ClassVar[str] = "/api/v1"

    def __init__(self, port: int = 0, **options: Any) -> None:
        self.made: dict[str, dict[str, Any]] = {}
        self.deploys: dict[str, dict[str, Any]] = {}
        self.stored: dict[str, bytes] = {}
        self.published: dict[str, str] = {}
        super().__init__(port, **options)

    def routes(self) -> list[Route]:
        base = "/api/v1"
        return [
            ("GET", f"{base}/user", self._user),
            ("GET", f"{base}/sites", self._list_sites),
            ("POST", f"{base}/sites", self._create_site),
            ("POST", f"{base}/([^/]+)/sites", self._create_site),
            ("GET", f"{base}/sites/([^/]+)", self._show_site),
            ("GET", f"{base}/sites/([^/]+)/deploys", self._list_deploys),
            ("POST", f"{base}/sites/([^/]+)/deploys", self._create_deploy),
            ("POST", f"{base}/sites/([^/]+)/deploys/([^/]+)/restore", self._restore),
            ("GET", f"{base}/deploys/([^/]+)", self._poll),
            ("POST", f"{base}/deploys/([^/]+)/cancel", self._cancel),
            ("PUT", f"{base}/deploys/([^/]+)/files(/.+)", self._upload),
        ]

    def is_upload(self, method: str, path: str) -> bool:
        return method == "PUT"

    def _site(self, id: str) -> dict[str, Any]:
        found = self.made.get(id)
        if found is None:
            raise RequestRefused(Response(404, {"code": 404, "message": "Not Found"}))
        return found

    def _deploy(self, id: str) -> dict[str, Any]:
        found = self.deploys.get(id)
        if found is None:
            raise RequestRefused(Response(404, {"code": 404, "message": "Not Found"}))
        return found

    def _list_sites(self, request: Request) -> Response:
        name = request.query.get("name", "")
        with self.lock:
            return Response(200, [site for site in self.made.values() if name in site["name"]])

    def _user(self, _request: Request) -> Response:
        return Response(200, {"id": "user"})

    def _show_site(self, _request: Request, id: str) -> Response:
        return Response(200, self._site(id))

    def _create_site(self, request: Request, _team: str = "") -> Response:
        with self.lock:
            name = request.json().get("name") or f"site-{len(self.made)}"
            if any(site["name"] == name for site in self.made.values()):
                return Response(422, {"code": 422, "message": "Name already taken"})
            id = f"site-{len(self.made) + 1}"
            self.made[id] = {"id": id, "name": name, "ssl_url": f"https://{name}.netlify.app"}
            return Response(201, self.made[id])

    def _list_deploys(self, _request: Request, site_id: str) -> Response:
        self._site(site_id)
        with self.lock:
            return Response(200, [each for each in self.deploys.values() if each["site_id"] == site_id])

    def _create_deploy(self, request: Request, site_id: str) -> Response:
        site, body = self._site(site_id), request.json()
        with self.lock:
            id = f"deploy-{len(self.deploys) + 1}"
            deploy = {
                "id": id,
                "site_id": site_id,
                "title": request.query.get("title"),
                "state": "preparing",
                "files": body["files"],
                "draft": bool(body.get("draft")),
                "deploy_ssl_url": f"https://{id}--{site['name']}.netlify.app",
                "polls": 0,
            }
            self.deploys[id] = deploy
            return Response(200, self._view(deploy))

    def _view(self, deploy: dict[str, Any]) -> dict[str, Any]:
        lacking = sorted({sha for sha in deploy["files"].values() if sha not in self.stored})
        return {**deploy, "required": lacking}

    def _poll(self, _request: Request, id: str) -> Response:
        deploy = self._deploy(id)
        with self.lock:
            lacking = self._view(deploy)["required"]
            if deploy["state"] == "preparing":
                deploy["state"] = "prepared"
            elif deploy["state"] in ("prepared", "uploading", "processing") and not lacking:
                deploy["state"] = "processing"
                deploy["polls"] += 1
                if self.fate == "error":
                    deploy |= {"state": "error", "error_message": "The post-processing failed"}
                elif self.fate == "ready" and deploy["polls"] > self.slow_polls:
                    deploy["state"] = "ready"
                    self._show(deploy)
            return Response(200, self._view(deploy))

    def _show(self, deploy: dict[str, Any]) -> None:
        files = {path: self.stored[sha] for path, sha in deploy["files"].items()}
        self.sites[deploy["deploy_ssl_url"]] = files
        if not deploy["draft"]:
            self.sites[self._site(deploy["site_id"])["ssl_url"]] = files

    def _upload(self, request: Request, id: str, path: str) -> Response:
        deploy = self._deploy(id)
        wanted, found = (
            deploy["files"].get(unquote(path)),
            hashlib.sha1(request.body, usedforsecurity=False).hexdigest(),
        )
        with self.lock:
            if wanted != found:
                return Response(422, {"code": 422, "message": f"The digest of {path} is not the announced one"})
            self.stored[found] = request.body
            deploy["state"] = "uploading"
            return Response(200, {"path": path, "sha": found})

    def _cancel(self, _request: Request, id: str) -> Response:
        deploy = self._deploy(id)
        with self.lock:
            deploy |= {"state": "error", "error_message": "Canceled"}
            return Response(201, self._view(deploy))

    def _restore(self, _request: Request, site_id: str, id: str) -> Response:
        self._site(site_id)
        deploy = self._deploy(id)
        with self.lock:
            self._show(deploy)
            return Response(201, self._view(deploy))


SIMULATOR = NetlifySimulator

if __name__ == "__main__":
    main(NetlifySimulator, "site_hosts.netlify")
