"""A project moves into an organisation as an outside client sees it, on the whole stack with its IAM policies."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.local.client import AccountClient, poll_until
from tests.local.conftest import Stack
from tests.local.teams import create_organization, working_in


def test_a_project_moves_with_its_pictures(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    made = person.http.post("/api/projects", json={"name": "Harbour lights", "budget_microusd": 5_000_000})
    path = f"/api/projects/{made.json()['data']['project']['id']}"
    project_id = path.rpartition("/")[2]
    body = {"prompt": "a lighthouse", "model": "local/canvas", "parameters": {"width": 64, "height": 64}}
    prompts = ("boats", "boats, again", "boats " * 200)
    for prompt in prompts:
        answer = person.http.post(
            "/api/generate/image",
            json={**body, "prompt": prompt, "project_id": project_id},
            headers={"Prefer": "wait=20"},
        )
        assert answer.json()["data"]["generation"]["status"] == "succeeded", answer.text
    # One more picture was made for no project, and is put into this one.
    alone = person.http.post("/api/generate/image", json={**body, "prompt": "oars"}, headers={"Prefer": "wait=20"})
    [asset] = alone.json()["data"]["generation"]["assets"]
    put = person.http.put(f"/api/assets/{asset['id']}", json={"project_id": project_id})
    assert put.status_code == 200, put.text
    before = {asset["id"]: asset for asset in person.get("/api/assets").json()["data"]["items"]}
    digests = {asset_id: _digest(person, asset) for asset_id, asset in before.items()}
    organization = create_organization(person)
    used = person.get(f"/api/workspaces/{person.workspace_id}/usage").json()["data"]

    begun = person.http.post(f"{path}/move", json={"workspace_id": organization})
    assert (begun.status_code, begun.headers["location"]) == (202, f"{path}/move")
    moved = poll_until(
        lambda: person.get(f"{path}/move").json()["data"]["move"], lambda found: found["state"] == "moved"
    )
    assert (moved["workspace_id"], moved["assets"], moved["generations"]) == (organization, 4, 3)
    gone = person.get(path)
    assert (gone.status_code, gone.json()["details"]) == (404, {"workspace_id": organization, "state": "moved"})

    headers = working_in(organization)
    shown = person.http.get(path, headers=headers).json()["data"]["project"]
    assert (shown["name"], shown["budget_microusd"]) == ("Harbour lights", 5_000_000)
    after = person.http.get(f"/api/assets?project_id={project_id}", headers=headers).json()["data"]["items"]
    assert {asset["id"]: _digest(person, asset) for asset in after} == digests
    assert person.get("/api/assets").json()["data"]["items"] == []
    listed = person.http.get(f"/api/generations?project_id={project_id}", headers=headers).json()["data"]["items"]
    assert {generation["prompt"] for generation in listed} == {prompt.strip() for prompt in prompts}
    # The URLs from before fail cleanly, and both sides count what they have.
    assert {person.http.get(asset["url"]).status_code for asset in before.values()} <= {403, 404}
    sizes = sum(asset["size_bytes"] for asset in before.values())
    target = person.get(f"/api/workspaces/{organization}/usage").json()["data"]
    source = person.get(f"/api/workspaces/{person.workspace_id}/usage").json()["data"]
    assert [_used(each, "storage_bytes") for each in (used, source, target)] == [sizes, 0, sizes]
    assert [_used(each, "projects") for each in (used, source, target)] == [1, 0, 1]
    person.assert_books_balance()


def _digest(person: AccountClient, asset: dict[str, Any]) -> tuple[str, str]:
    """What the URLs of a picture and of its thumbnail lead to."""
    answers = [person.http.get(asset[name]) for name in ("url", "thumbnail_url")]
    assert [answer.status_code for answer in answers] == [200, 200]
    file, thumbnail = (hashlib.sha256(answer.content).hexdigest() for answer in answers)
    return file, thumbnail


def _used(usage: dict[str, Any], quota: str) -> int:
    [found] = [each["used"] for each in usage["quotas"] if each["name"] == quota]
    return int(found)
