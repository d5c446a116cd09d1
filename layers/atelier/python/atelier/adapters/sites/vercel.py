"""Target: Vercel, by its API of files and deployments (vercel.com/docs/rest-api).

A deployment names the SHA-1 of all files; Vercel answers which ones it lacks (`missing_files`), these are sent, and the
same request creates the deployment. Its metadata has our id, so that one whose answer was lost is found again."""

from __future__ import annotations

import json
from typing import Any, cast
from urllib.parse import quote

from atelier.adapters.sites._host import (
    FILES_PER_STEP,
    POLL_SECONDS,
    HostAnswer,
    HostClient,
    HostFailed,
    HostFile,
    HostTarget,
    Progress,
    error_text,
    host_files,
)
from atelier.deployments.ports import DomainPlace, DomainRecords, HostAccount, TargetJob, TargetStep

STATIC = {"framework": None, "buildCommand": None, "outputDirectory": None}
OURS = "atelierDeployment"
DEPLOYMENTS_READ = 50
# vercel.com/docs/domains: the same for all projects.
DOMAIN_RECORDS = DomainRecords("cname.vercel-dns.com", ("76.76.21.21",))
# Sent with the creation: all of it is known, so a project is made without questions.
QUERY = "forceNew=1&skipAutoDetectionConfirmation=1"


class Vercel(HostTarget):
    """SiteTarget on Vercel."""

    name = "Vercel"

    def client(self, account: HostAccount) -> HostClient:
        return HostClient(self.base_url, {"authorization": f"Bearer {account.credentials}"}, now=self.now)

    def greet(self, account: HostAccount, client: HostClient) -> None:
        client.call("GET", _path("/v2/user", account))

    def advance(self, job: TargetJob, client: HostClient, progress: Progress) -> TargetStep:
        assert job.account is not None, "see HostTarget.step"
        state = progress.state
        if "id" not in state:
            found = _find(job, client) or _create(job, client, progress)
            if found is None:
                return progress.step()
            state["id"] = found["id"]
            progress.lines.append(f"Vercel's deployment is {found['id']}.")
            return progress.step()
        deployment = client.call("GET", _path(f"/v13/deployments/{state['id']}", job.account)).body
        match deployment.get("readyState"):
            case "READY":
                return progress.step(url=_url(job, deployment))
            case "ERROR" | "CANCELED":
                why = deployment.get("errorMessage") or deployment.get("readyState")
                raise HostFailed(f"The deployment failed: {why}")
            case _:
                return progress.step(wait_seconds=POLL_SECONDS)

    def domain_records(self, place: DomainPlace) -> DomainRecords | None:
        return DOMAIN_RECORDS

    def stop(self, job: TargetJob, client: HostClient) -> None:
        assert job.account is not None, "see HostTarget.step"
        id = job.deployment.state.get("id")
        if id:
            client.call("PATCH", _path(f"/v12/deployments/{id}/cancel", job.account))


def _project(job: TargetJob) -> str:
    return f"atelier-{job.deployment.site_id.partition('_')[2].lower()}"


def _path(path: str, account: HostAccount, query: str = "") -> str:
    team = account.settings.get("team_id")
    parts = [query, f"teamId={quote(team, safe='')}" if team else ""]
    joined = "&".join(part for part in parts if part)
    return f"{path}?{joined}" if joined else path


def _find(job: TargetJob, client: HostClient) -> dict[str, Any] | None:
    assert job.account is not None, "see HostTarget.step"
    query = f"app={_project(job)}&limit={DEPLOYMENTS_READ}"
    listed: Any = client.call("GET", _path("/v7/deployments", job.account, query)).get("deployments")
    found = cast("list[dict[str, Any]]", listed or [])
    metadata = [cast("dict[str, str]", each.get("meta") or {}) for each in found]
    ours = next(
        (each for each, facts in zip(found, metadata, strict=True) if facts.get(OURS) == job.deployment.id), None
    )
    return None if ours is None else {**ours, "id": ours.get("id") or ours["uid"]}


def _create(job: TargetJob, client: HostClient, progress: Progress) -> dict[str, Any] | None:
    """The new deployment; None when files had to be sent first."""
    assert job.account is not None, "see HostTarget.step"
    body: dict[str, Any] = {"name": _project(job), "project": _project(job), "meta": {OURS: job.deployment.id}}
    files: dict[str, HostFile] = {}
    if not job.deployment.is_preview:
        body["target"] = "production"
    if job.deployment.rolls_back_to:
        if not job.earlier_state.get("id"):
            raise HostFailed("Nothing is known of the earlier deployment.")
        body["deploymentId"] = job.earlier_state["id"]
    else:
        listed = host_files(job, {"/vercel.json": _settings(job)})
        files = {each.file.sha1: each for each in listed}
        entries = [each.file for each in listed]
        body["files"] = [{"file": file.path[1:], "sha": file.sha1, "size": file.size} for file in entries]
        body["projectSettings"] = STATIC
    answer = client.call("POST", _path("/v13/deployments", job.account, QUERY), body=body, accepts=(400,))
    if answer.status < 400:
        return cast("dict[str, Any]", answer.body)
    missing = _missing(answer)
    if not missing:
        raise HostFailed(error_text(answer))
    for sha in missing[:FILES_PER_STEP]:
        if sha not in files:
            raise HostFailed("It asks for a file that the site does not have.")
        content = files[sha].read()
        headers = {"x-vercel-digest": sha, "content-type": "application/octet-stream"}
        client.call("POST", _path("/v2/files", job.account), content=content, headers=headers)
        progress.sent(len(content))
    return None


def _missing(answer: HostAnswer) -> list[str]:
    error: Any = answer.get("error")
    facts = cast("dict[str, Any]", error) if isinstance(error, dict) else {}
    found: Any = facts.get("missing") if facts.get("code") == "missing_files" else None
    return sorted(set(cast("list[str]", found))) if found else []


def _settings(job: TargetJob) -> bytes:
    redirects = [
        {"source": each.path.rstrip("/") or "/", "destination": each.to, "statusCode": 301 if each.permanent else 302}
        for each in job.manifest.redirects
    ]
    immutable = {"key": "Cache-Control", "value": "public, max-age=31536000, immutable"}
    facts = {
        "trailingSlash": True,
        "redirects": redirects,
        "headers": [{"source": "/_assets/(.*)", "headers": [immutable]}],
    }
    return json.dumps(facts, indent=1).encode()


def _url(job: TargetJob, deployment: dict[str, Any]) -> str:
    aliases = cast("list[str]", deployment.get("alias") or [])
    host = deployment["url"] if job.deployment.is_preview or not aliases else aliases[0]
    return f"https://{host}"
