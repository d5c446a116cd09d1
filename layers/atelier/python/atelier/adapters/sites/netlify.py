"""Target: Netlify, by its API of file digests (docs.netlify.com/api/get-started).

A deploy names the SHA-1 of all files and is answered with those that Netlify lacks. Its title is our id, so that one
whose answer was lost is found again; what was uploaded before a crash is not `required` any more."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import quote, urlsplit

from atelier.adapters.sites._host import (
    FILES_PER_STEP,
    POLL_SECONDS,
    HostClient,
    HostFailed,
    HostFile,
    HostTarget,
    Progress,
    host_files,
)
from atelier.deployments.ports import DomainPlace, DomainRecords, HostAccount, TargetJob, TargetStep

PREPARING = frozenset({"new", "enqueued", "pending_review", "accepted", "preparing", "building", "retrying"})
TAKES_FILES = frozenset({"prepared", "uploading"})
HEADERS_FILE = b"/_assets/*\n  Cache-Control: public, max-age=31536000, immutable\n"
DEPLOYS_READ = 100
# docs.netlify.com/domains/configure-domains: the load balancer for domains that can have no CNAME.
APEX_ADDRESSES = ("75.2.60.5",)


class Netlify(HostTarget):
    """SiteTarget on Netlify."""

    name = "Netlify"

    def client(self, account: HostAccount) -> HostClient:
        return HostClient(self.base_url, {"authorization": f"Bearer {account.credentials}"}, now=self.now)

    def greet(self, account: HostAccount, client: HostClient) -> None:
        site_id = account.settings.get("site_id")
        client.call("GET", f"/sites/{quote(site_id, safe='')}" if site_id else "/user")

    def advance(self, job: TargetJob, client: HostClient, progress: Progress) -> TargetStep:
        state = progress.state
        if "site_id" not in state:
            site = _find_site(job, client)
            state |= {"site_id": site["id"], "site_url": site.get("ssl_url") or site.get("url")}
            return progress.step()
        files = {} if job.deployment.rolls_back_to else _files(job)
        if "deploy_id" not in state:
            deploy = (
                _restored(job, client, state) if job.deployment.rolls_back_to else _created(job, client, state, files)
            )
            state["deploy_id"] = deploy["id"]
            progress.lines.append(f"Netlify's deploy is {deploy['id']}.")
            return progress.step()
        deploy = client.call("GET", f"/deploys/{state['deploy_id']}").body
        match deploy.get("state"):
            case "ready":
                preview = deploy.get("deploy_ssl_url") or deploy.get("deploy_url")
                url = preview if job.deployment.is_preview else state["site_url"]
                return progress.step(url=str(url))
            case "error" | "rejected":
                raise HostFailed(f"The deploy failed: {deploy.get('error_message') or deploy.get('state')}")
            case found if found in TAKES_FILES and deploy.get("required"):
                return _upload(deploy, files, client, progress)
            case _:
                return progress.step(wait_seconds=POLL_SECONDS)

    def domain_records(self, place: DomainPlace) -> DomainRecords | None:
        host = urlsplit(str(place.state.get("site_url") or "")).hostname
        return DomainRecords(host, APEX_ADDRESSES) if host else None

    def stop(self, job: TargetJob, client: HostClient) -> None:
        deploy_id = job.deployment.state.get("deploy_id")
        if deploy_id:
            client.call("POST", f"/deploys/{deploy_id}/cancel")


def _files(job: TargetJob) -> dict[str, HostFile]:
    extra = {"/_headers": HEADERS_FILE}
    if job.manifest.redirects:
        lines = [f"{each.path} {each.to} {301 if each.permanent else 302}!" for each in job.manifest.redirects]
        extra["/_redirects"] = ("\n".join(lines) + "\n").encode()
    files = {each.file.path: each for each in host_files(job, extra)}
    wrong = [path for path in files if "#" in path or "?" in path]
    if wrong:
        raise HostFailed(f"A path may contain neither # nor ?: {', '.join(wrong[:5])}")
    return files


def _find_site(job: TargetJob, client: HostClient) -> dict[str, Any]:
    """The site of the settings, or one whose name is made of our id, so that it is created once."""
    assert job.account is not None, "see HostTarget.step"
    chosen = job.account.settings.get("site_id")
    if chosen:
        return client.call("GET", f"/sites/{quote(chosen, safe='')}").body
    name = f"atelier-{job.deployment.site_id.partition('_')[2].lower()}"
    listed: list[dict[str, Any]] = client.call("GET", f"/sites?name={name}&filter=all").body
    found = next((site for site in listed if site.get("name") == name), None)
    if found is not None:
        return found
    team = job.account.settings.get("team")
    path = f"/{quote(team, safe='')}/sites" if team else "/sites"
    return client.call("POST", path, body={"name": name}).body


def _created(job: TargetJob, client: HostClient, state: dict[str, Any], files: dict[str, HostFile]) -> dict[str, Any]:
    site, title = quote(str(state["site_id"]), safe=""), job.deployment.id
    known: list[dict[str, Any]] = client.call("GET", f"/sites/{site}/deploys?per_page={DEPLOYS_READ}").body
    found = next((deploy for deploy in known if deploy.get("title") == title), None)
    if found is not None:
        return found
    body = {
        "files": {path: each.file.sha1 for path, each in files.items()},
        "draft": job.deployment.is_preview,
        "async": True,
    }
    return client.call("POST", f"/sites/{site}/deploys?title={title}", body=body).body


def _restored(job: TargetJob, client: HostClient, state: dict[str, Any]) -> dict[str, Any]:
    earlier = job.earlier_state.get("deploy_id")
    if not earlier:
        raise HostFailed("Nothing is known of the earlier deploy.")
    return client.call("POST", f"/sites/{quote(str(state['site_id']), safe='')}/deploys/{earlier}/restore").body


def _upload(deploy: dict[str, Any], files: dict[str, HostFile], client: HostClient, progress: Progress) -> TargetStep:
    required = set(cast("list[str]", deploy["required"]))
    for path, each in files.items():
        if each.file.sha1 in required:
            required.remove(each.file.sha1)
            body = each.read()
            place = f"/deploys/{deploy['id']}/files{quote(path)}"
            client.call("PUT", place, content=body, headers={"content-type": "application/octet-stream"})
            progress.sent(len(body))
            if progress.uploaded == FILES_PER_STEP:
                return progress.step()
    return progress.step() if progress.uploaded else progress.step(wait_seconds=POLL_SECONDS)
