"""A member is removed while requests are under way: what was begun ends as it would have, and belongs to the
organisation; the next request is refused in every door."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from infra.simulators.kit.samples import sample_png
from tests.local.client import AccountClient, poll_until
from tests.local.conftest import Stack
from tests.local.teams import create_organization, join, subscribe, working_in

pytestmark = pytest.mark.usefixtures("healthy_provider")

REMOTE = {"model": "replicate/sdxl", "parameters": {"width": 512, "height": 512}}
HANGING = {**REMOTE, "prompt": "a lake [[run:hang]] [[webhook:lost]]"}


@pytest.fixture(scope="module")
def owner(stack: Stack) -> AccountClient:
    return AccountClient(stack.base_url)


@pytest.fixture(scope="module")
def organization(stack: Stack, owner: AccountClient) -> str:
    made = create_organization(owner)
    subscribe(stack, owner, made)
    return made


def remove(owner: AccountClient, organization: str, user_id: str) -> None:
    assert owner.http.delete(f"/api/workspaces/{organization}/members/{user_id}").status_code == 204


def generations(owner: AccountClient, organization: str, **query: str) -> list[dict[str, Any]]:
    answer = owner.http.get("/api/generations", params=query, headers=working_in(organization))
    return list(answer.json()["data"]["items"])


def test_an_open_wait_ends_and_what_it_waits_for_stays(stack: Stack, owner: AccountClient, organization: str) -> None:
    eve = AccountClient(stack.base_url)
    user_id, headers = join(stack, owner, organization, eve), working_in(organization)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(
            eve.http.post, "/api/generate/image", json=HANGING, headers={**headers, "Prefer": "wait=25"}
        )
        [running] = poll_until(
            lambda: generations(owner, organization, status="running"), lambda found: len(found) == 1
        )
        remove(owner, organization, user_id)
        # The next request is refused, while the first one is still open.
        one = f"/api/generations/{running['id']}"
        other = httpx.Client(base_url=stack.base_url, timeout=40, headers=eve.http.headers)
        refused = [
            other.get(one, headers=headers),
            other.get("/api/generations", headers=headers),
            other.post("/api/generate/image", json=HANGING, headers=headers),
            other.post(f"{one}/cancel", headers=headers),
        ]
        assert [answer.status_code for answer in refused] == [404] * 4
        assert not waiting.done()
        # It belongs to the organisation, whose owner may end it.
        assert owner.http.get(one, headers=headers).json()["data"]["generation"]["status"] == "running"
        assert owner.http.post(f"{one}/cancel", headers=headers).status_code in (200, 202)
        answer = waiting.result(60)
    assert answer.status_code in (200, 202), answer.text
    ended = poll_until(
        lambda: owner.http.get(one, headers=headers).json()["data"]["generation"],
        lambda found: found["status"] != "running",
    )
    assert ended["status"] == "cancelled"
    wallet = owner.http.get("/api/credits", headers=headers).json()["data"]
    assert wallet["held"] == 0
    # The own workspace is not concerned.
    assert eve.get("/api/generations").status_code == 200


def test_a_generation_ends_without_its_author(stack: Stack, owner: AccountClient, organization: str) -> None:
    eve = AccountClient(stack.base_url)
    user_id, headers = join(stack, owner, organization, eve), working_in(organization)
    made = eve.http.post("/api/generate/image", json={**REMOTE, "prompt": "a lake"}, headers=headers)
    assert made.status_code == 202, made.text
    remove(owner, organization, user_id)
    one = f"/api/generations/{made.json()['data']['generation']['id']}"
    ended = poll_until(
        lambda: owner.http.get(one, headers=headers).json()["data"]["generation"],
        lambda found: found["status"] not in ("queued", "running"),
    )
    assert (ended["status"], len(ended["assets"])) == ("succeeded", 1)
    assert eve.http.get(one, headers=headers).status_code == 404


def test_an_upload_that_was_announced_is_never_completed(stack: Stack, owner: AccountClient, organization: str) -> None:
    eve = AccountClient(stack.base_url)
    user_id, headers = join(stack, owner, organization, eve), working_in(organization)
    data = sample_png(64, 64, 7)
    body = {"name": "harbour.png", "content_type": "image/png", "size": len(data)}
    announced = eve.http.post("/api/assets/uploads", json=body, headers=headers)
    assert announced.status_code == 201, announced.text
    upload, asset_id = announced.json()["data"]["upload"], announced.json()["data"]["asset"]["id"]
    remove(owner, organization, user_id)
    # The form was signed before, and takes its one file until it expires; the bucket deletes it after a day.
    sent = httpx.post(upload["url"], data=upload["fields"], files={"file": ("x", data)}, timeout=40)
    assert sent.status_code in (201, 204), sent.text
    assert eve.http.post(f"/api/assets/{asset_id}/complete", headers=headers).status_code == 404
    found = owner.http.get(f"/api/assets/{asset_id}", headers=headers)
    assert found.status_code == 404


def test_a_members_token_is_refused_in_every_door(stack: Stack, owner: AccountClient, organization: str) -> None:
    eve = AccountClient(stack.base_url)
    user_id, headers = join(stack, owner, organization, eve), working_in(organization)
    body = {"name": "n8n", "scopes": ["all"]}
    issued = eve.http.post("/api/tokens", json=body, headers=headers)
    assert issued.status_code == 201, issued.text
    program = httpx.Client(
        base_url=stack.base_url, timeout=40, headers={"Authorization": f"Bearer {issued.json()['data']['token']}"}
    )
    chat = {"model": "local/scribe", "messages": [{"role": "user", "content": "Hello"}]}

    def statuses() -> list[int]:
        return [
            program.get("/api/assets").status_code,
            program.post("/api/quotes", json={"kind": "image", **REMOTE, "prompt": "a lake"}).status_code,
            program.get("/v1/models").status_code,
            program.post("/v1/chat/completions", json=chat).status_code,
        ]

    before = statuses()
    assert 401 not in before
    assert before[:3] == [200, 200, 200], before
    remove(owner, organization, user_id)
    assert statuses() == [401, 401, 401, 401]
