"""Articles of an editorial system elsewhere on the whole local stack, with the permissions of its template."""

from __future__ import annotations

import time
import uuid

import httpx

from infra.simulators.editorial.sanity import SanitySimulator, signature
from tests.local.administrator import create_administrator
from tests.local.client import AccountClient, poll_until
from tests.local.conftest import Stack


def test_a_signed_webhook_brings_an_article_to_the_public_by_the_schedules_job(stack: Stack) -> None:
    sanity, ada = stack.site_hosts["sanity"], AccountClient(stack.base_url)
    root = create_administrator(stack.base_url, stack.running)
    assert isinstance(sanity, SanitySimulator)
    workspace = ada.http.post("/api/workspaces", json={"name": "Atlas"}).json()["data"]["workspace"]["id"]
    settings = {"project_id": "abc123", "dataset": "production"}
    body = {"kind": "sanity", "credentials": sanity.api_key, "settings": settings}
    own = {"atelier-workspace": workspace}
    made = ada.http.post("/api/integrations", json=body, headers=own)
    assert made.status_code == 201, made.text
    integration = made.json()["data"]["integration"]["id"]
    assert ada.http.post(f"/api/integrations/{integration}/test", headers=own).json()["data"]["working"]
    chosen = {"workspace_id": workspace, "integration_id": integration}
    assert root.http.put("/api/admin/editorial", json=chosen).status_code == 200

    def shown(slug: str) -> int:
        return httpx.get(f"{stack.base_url}/api/articles/{slug}").status_code

    def mirrored(slug: str) -> None:
        assert root.http.post("/api/admin/jobs/publish-articles/run").status_code == 202
        poll_until(lambda: shown(slug), lambda status: status == 200, 60)

    first, second = (f"s-{uuid.uuid4().hex[:8]}" for _ in range(2))
    sanity.publish(first)
    mirrored(first)
    sanity.publish(second)
    webhook = root.http.post("/api/admin/editorial/webhook").json()["data"]
    sent = {"content-type": "application/json"}
    forged = {**sent, "sanity-webhook-signature": signature(b"{}", "x", int(time.time() * 1000))}
    assert httpx.post(webhook["url"], content=b"{}", headers=forged).status_code == 401
    signed = {**sent, "sanity-webhook-signature": signature(b"{}", webhook["secret"], int(time.time() * 1000))}
    assert httpx.post(webhook["url"], content=b"{}", headers=signed).status_code == 200
    mirrored(second)
    # Everybody reads what is written here again.
    assert root.http.put("/api/admin/editorial", json={"workspace_id": workspace}).status_code == 200
    assert shown(second) == 404
