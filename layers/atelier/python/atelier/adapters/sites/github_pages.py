"""Target: GitHub Pages, by the Git Data API (docs.github.com/en/rest/git): blobs, a tree, and one commit, which the
branch shows at once.

Everything has the hash of its content as its name, the commit too, because its time is that of the deployment; so each
request can be repeated. Files that the branch has are not sent again; after a crash the first files that may have been
sent are looked up."""

from __future__ import annotations

import base64
from collections.abc import Callable
from html import escape
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
    host_files,
)
from atelier.clock import rfc3339
from atelier.deployments.ports import DomainPlace, DomainRecords, HostAccount, TargetJob, TargetStep

# docs.github.com: limits of GitHub Pages, and of a file that Git takes.
SITE_BYTES_MAX = 1_000_000_000
FILE_BYTES_MAX = 100 * 1024 * 1024
TREE_ENTRIES = 500
# docs.github.com/pages: the addresses for domains that can have no CNAME.
APEX_ADDRESSES = tuple(f"185.199.{number}.153" for number in (108, 109, 110, 111))
APEX_ADDRESSES6 = tuple(f"2606:50c0:{number}::153" for number in (8000, 8001, 8002, 8003))
LIMITS = (
    "GitHub Pages: at most 1 GB a site, 100 GB a month and 10 builds an hour; no shops and no services for payment."
)
NO_PREVIEWS = "GitHub Pages has one address, and no previews."


class GitHubPages(HostTarget):
    """SiteTarget on GitHub Pages."""

    name = "GitHub"

    def client(self, account: HostAccount) -> HostClient:
        headers = {
            "authorization": f"Bearer {account.credentials}",
            "accept": "application/vnd.github+json",
            "x-github-api-version": "2022-11-28",
        }
        return HostClient(self.base_url, headers, now=self.now, is_busy=_is_limited)

    def greet(self, account: HostAccount, client: HostClient) -> None:
        client.call("GET", _repository(account))

    def advance(self, job: TargetJob, client: HostClient, progress: Progress) -> TargetStep:
        if job.deployment.is_preview:
            raise HostFailed(NO_PREVIEWS)
        branch, state = _Branch(job, client), progress.state
        if "tree" not in state:
            if job.deployment.rolls_back_to:
                state["tree"] = job.earlier_state.get("tree")
                return progress.step()
            return _send_files(job, branch, progress)
        if "commit" not in state:
            state["commit"] = branch.commit(str(state["tree"]))
            progress.lines.append(f"The branch {branch.name} is at {state['commit']}.")
            return progress.step()
        if "pages" not in state:
            branch.enable_pages()
            state["pages"] = True
            return progress.step()
        return _wait(branch, progress)

    def domain_records(self, place: DomainPlace) -> DomainRecords | None:
        owner = place.settings.get("owner")
        return DomainRecords(f"{owner}.github.io".lower(), APEX_ADDRESSES, APEX_ADDRESSES6) if owner else None

    def stop(self, job: TargetJob, client: HostClient) -> None:
        """Until the branch is moved nothing is shown; what was sent is never asked for."""


class _Branch:
    """The branch that GitHub shows."""

    def __init__(self, job: TargetJob, client: HostClient) -> None:
        assert job.account is not None, "see HostTarget.step"
        self._job, self._client = job, client
        self._place = _repository(job.account)
        self.name = job.account.settings.get("branch") or "gh-pages"

    def call(self, method: str, path: str, body: object = None, accepts: tuple[int, ...] = ()) -> HostAnswer:
        return self._client.call(method, f"{self._place}{path}", body=body, accepts=accepts)

    def blobs(self) -> set[str]:
        """The hashes of the files that the branch has."""
        head = self._head()
        if head is None:
            return set()
        found = self.call("GET", f"/git/trees/{head}?recursive=1", accepts=(404,))
        entries = cast("list[dict[str, Any]]", found.get("tree") or [])
        return {str(entry["sha"]) for entry in entries if entry.get("type") == "blob"}

    def has(self, sha: str) -> bool:
        """Whether the repository has a blob."""
        return self.call("GET", f"/git/blobs/{sha}", accepts=(404,)).status == 200

    def put(self, content: bytes) -> None:
        """Store a blob."""
        self.call("POST", "/git/blobs", {"content": base64.b64encode(content).decode(), "encoding": "base64"})

    def tree(self, files: list[HostFile]) -> str:
        """The tree of these files and of no other."""
        sha: str | None = None
        for first in range(0, len(files), TREE_ENTRIES):
            entries = [
                {"path": each.file.path[1:], "mode": "100644", "type": "blob", "sha": each.file.git}
                for each in files[first : first + TREE_ENTRIES]
            ]
            base = {"base_tree": sha} if sha else {}
            sha = str(self.call("POST", "/git/trees", {**base, "tree": entries}).get("sha"))
        assert sha is not None, "a site has files"
        return sha

    def commit(self, tree: str) -> str:
        """Let the branch show a tree. Repeating it makes no second commit."""
        head, message = self._head(), f"Deployment {self._job.deployment.id}"
        if head is not None:
            known = self.call("GET", f"/git/commits/{head}")
            if known.get("message") == message:
                return head
        at = rfc3339(self._job.deployment.created_at)
        author = {"name": "Atelier", "email": "noreply@users.noreply.github.com", "date": at}
        body = {
            "message": message,
            "tree": tree,
            "parents": [head] if head else [],
            "author": author,
            "committer": author,
        }
        sha = str(self.call("POST", "/git/commits", body).get("sha"))
        if head is None:
            self.call("POST", "/git/refs", {"ref": f"refs/heads/{self.name}", "sha": sha})
        else:
            # Not forced: what somebody else has put on the branch meanwhile is not thrown away.
            self.call("PATCH", f"/git/refs/heads/{quote(self.name)}", {"sha": sha, "force": False})
        return sha

    def enable_pages(self) -> None:
        """Let GitHub show the branch; 409: it does already."""
        source = {"branch": self.name, "path": "/"}
        self.call("POST", "/pages", {"source": source, "build_type": "legacy"}, accepts=(409,))

    def _head(self) -> str | None:
        # 409: the repository is empty.
        found = self.call("GET", f"/git/ref/heads/{quote(self.name)}", accepts=(404, 409))
        target: Any = found.get("object")
        return str(target["sha"]) if found.status == 200 and target else None


def _repository(account: HostAccount) -> str:
    owner, name = account.settings.get("owner", ""), account.settings.get("repository", "")
    return f"/repos/{quote(owner, safe='')}/{quote(name, safe='')}"


def _is_limited(answer: HostAnswer) -> bool:
    """403 for too many requests, which is no refusal of the credentials."""
    limited = "retry-after" in answer.headers or answer.headers.get("x-ratelimit-remaining") == "0"
    return answer.status == 403 and limited


def _files(job: TargetJob) -> list[HostFile]:
    extra = {"/.nojekyll": b""}
    if job.domain:
        extra["/CNAME"] = f"{job.domain}\n".encode()
    # GitHub has no redirects: a page in the place of the old one leads on.
    for each in job.manifest.redirects:
        to = escape(each.to)
        page = f'<!doctype html><meta charset="utf-8"><title>Moved</title><link rel="canonical" href="{to}">'
        page += f'<meta http-equiv="refresh" content="0; url={to}"><p><a href="{to}">{to}</a></p>\n'
        extra[f"{each.path.rstrip('/')}/index.html"] = page.encode()
    files = host_files(job, extra)
    size = sum(each.file.size for each in files)
    if size > SITE_BYTES_MAX or any(each.file.size > FILE_BYTES_MAX for each in files):
        raise HostFailed(f"The site has {size} bytes. {LIMITS}")
    return files


def _send_files(job: TargetJob, branch: _Branch, progress: Progress) -> TargetStep:
    """Send what the branch lacks, in the order of the hashes, and then make the tree. last: of the state: up to which
    hash everything was sent."""
    files, last = _files(job), str(progress.state.get("last", ""))
    if not last:
        progress.lines.append(LIMITS)
    known = branch.blobs()
    missing = {each.file.git: each for each in files if each.file.git not in known and each.file.git > last}
    was_sent: Callable[[str], bool] = branch.has
    for sha, each in sorted(missing.items()):
        if not was_sent(sha):
            # The first one that is not there: no later one was sent.
            was_sent = _never
            body = each.read()
            branch.put(body)
            progress.sent(len(body))
        progress.state["last"] = sha
        if progress.uploaded == FILES_PER_STEP:
            return progress.step()
    progress.state["tree"] = branch.tree(files)
    return progress.step()


def _never(_sha: str) -> bool:
    return False


def _wait(branch: _Branch, progress: Progress) -> TargetStep:
    build = branch.call("GET", "/pages/builds/latest", accepts=(404,))
    if build.get("commit") == progress.state["commit"]:
        if build.get("status") == "built":
            return progress.step(url=str(branch.call("GET", "/pages").get("html_url")))
        if build.get("status") == "errored":
            error: Any = build.get("error")
            why: Any = cast("dict[str, Any]", error).get("message") if isinstance(error, dict) else None
            raise HostFailed(f"The build failed: {why or 'errored'}")
    return progress.step(wait_seconds=POLL_SECONDS)
