"""API tokens over the whole stack: what a program can do with one, and what ends it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.local.client import AccountClient, poll_until
from tests.local.conftest import Stack
from tests.local.secret_scan import find_in_stack

PICTURE = {"prompt": "a lighthouse at dusk", "model": "local/canvas", "parameters": {"width": 256, "height": 256}}
ULID = "01M7XC43T8VQH8B4746A8669M7"


@pytest.fixture(scope="module")
def person(stack: Stack) -> AccountClient:
    return AccountClient(stack.base_url)


def issue(person: AccountClient, *scopes: str, workspace_id: str | None = None, **body: Any) -> dict[str, Any]:
    headers = {"Atelier-Workspace": workspace_id} if workspace_id else {}
    sent = {"name": "n8n", "scopes": scopes or ["all"], **body}
    answer = person.http.post("/api/tokens", json=sent, headers=headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


def program(person: AccountClient, token: str) -> httpx.Client:
    """A client with the token and no other credentials."""
    return httpx.Client(base_url=person.http.base_url, headers={"Authorization": f"Bearer {token}"}, timeout=40)


def refused(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert (body["success"], body["error"]) == (False, code)
    return str(body["message"])


def join(stack: Stack, guest: AccountClient, host: AccountClient, role: str) -> None:
    """Add the guest to the host's workspace, as an invitation will do."""
    user_id = guest.get("/api/auth/me").json()["data"]["user"]["id"]
    item = {
        "pk": user_id,
        "sk": f"member#{host.workspace_id}",
        "kind": "membership",
        "role": role,
        "created_at": "2026-11-20T21:04:05.123Z",
    }
    stack.running.aws().client("dynamodb").put_item(
        TableName=stack.running.table("identity"), Item={name: {"S": value} for name, value in item.items()}
    )


def test_a_tokens_generation_is_charged_to_its_workspaces_wallet(person: AccountClient) -> None:
    made = issue(person)
    with program(person, made["token"]) as http:
        before = http.get("/api/credits").json()["data"]
        assert before == person.balance()
        answer = http.post("/api/generate/image", json=PICTURE, headers={"Prefer": "wait=25"})
        assert answer.status_code in (200, 202), answer.text
        generation = person.wait_for_end(answer.json()["data"]["generation"]["id"])
        assert generation["status"] == "succeeded"
        assert (
            http.get("/api/credits").json()["data"]["available"] == before["available"] - generation["credits_charged"]
        )
        assert http.get(f"/api/assets/{generation['assets'][0]['id']}").status_code == 200
        named = {"Atelier-Workspace": person.workspace_id}
        assert http.get("/api/generations", headers=named).json()["data"]["items"]
    [listed] = [item for item in person.get("/api/tokens").json()["data"]["items"] if item["id"] == made["id"]]
    assert listed["last_used_at"] is not None
    person.assert_books_balance()


def test_a_token_is_limited_to_its_scopes_and_excluded_from_account_routes(person: AccountClient) -> None:
    reading, making = issue(person, "read")["token"], issue(person, "generations.create")["token"]
    with program(person, reading) as http:
        assert http.get("/api/generations").status_code == 200
        refused(http.post("/api/generate/image", json=PICTURE), 403, "FORBIDDEN")
    with program(person, making) as http:
        assert http.post("/api/generate/image", json=PICTURE).status_code == 202
        refused(http.get("/api/generations"), 403, "FORBIDDEN")
    with program(
        person, issue(person, "all", "api-keys.manage", "providers.manage", "budgets.manage")["token"]
    ) as http:
        refused(http.get("/api/tokens"), 403, "FORBIDDEN")
        refused(http.post("/api/tokens", json={"name": "another", "scopes": ["all"]}), 403, "FORBIDDEN")
        refused(http.delete(f"/api/tokens/tok_{ULID}"), 403, "FORBIDDEN")
        refused(http.get("/api/auth/me"), 403, "FORBIDDEN")
        assert http.get("/api/api-keys").status_code == 200


def test_a_revoked_token_is_refused_at_once(person: AccountClient) -> None:
    made = issue(person)
    with program(person, made["token"]) as http:
        assert http.post("/api/generate/image", json=PICTURE).status_code == 202
        assert person.http.delete(f"/api/tokens/{made['id']}").status_code == 204
        for answer in (http.post("/api/generate/image", json=PICTURE), http.get("/api/credits")):
            assert refused(answer, 401, "UNAUTHENTICATED") == "The API token has been revoked."
            assert answer.headers["www-authenticate"] == "Bearer"
    assert made["id"] not in person.get("/api/tokens").text


def test_an_expired_token_is_refused(person: AccountClient) -> None:
    made = issue(person, expires_at=(datetime.now(UTC) + timedelta(seconds=3)).isoformat())
    with program(person, made["token"]) as http:
        answer = poll_until(lambda: http.get("/api/credits"), lambda found: found.status_code != 200)
        assert refused(answer, 401, "UNAUTHENTICATED") == "The API token has expired."
        refused(http.post("/api/generate/image", json=PICTURE), 401, "UNAUTHENTICATED")
    assert made["id"] in person.get("/api/tokens").text


def test_a_token_is_not_valid_in_another_workspace_of_its_user(stack: Stack, person: AccountClient) -> None:
    host = AccountClient(stack.base_url)
    join(stack, person, host, "editor")
    elsewhere = {"Atelier-Workspace": host.workspace_id}
    assert person.http.get("/api/credits", headers=elsewhere).status_code == 200
    with program(person, issue(person)["token"]) as http:
        answers = [
            http.request(method, path, json=body, headers={"Atelier-Workspace": workspace_id})
            for method, path, body in (("GET", "/api/credits", None), ("POST", "/api/generate/image", PICTURE))
            for workspace_id in (host.workspace_id, f"wsp_{ULID}", "wsp_1")
        ]
        assert {refused(answer, 404, "NOT_FOUND") for answer in answers} == {"There is no such workspace."}
    # And the reverse: a token that was issued there is valid there.
    with program(person, issue(person, workspace_id=host.workspace_id)["token"]) as http:
        assert http.get("/api/credits").json()["data"] == host.balance()
        refused(http.get("/api/credits", headers={"Atelier-Workspace": person.workspace_id}), 404, "NOT_FOUND")
    assert {item["user_id"] for item in host.get("/api/tokens").json()["data"]["items"]} == {
        person.get("/api/auth/me").json()["data"]["user"]["id"]
    }


def test_a_token_never_exceeds_its_users_current_role(stack: Stack) -> None:
    host, guest = AccountClient(stack.base_url), AccountClient(stack.base_url)
    there = {"Atelier-Workspace": host.workspace_id}
    join(stack, guest, host, "editor")
    wider = guest.http.post("/api/tokens", json={"name": "n8n", "scopes": ["providers.manage"]}, headers=there)
    refused(wider, 403, "FORBIDDEN")
    made = issue(guest, workspace_id=host.workspace_id)
    with program(guest, made["token"]) as http:
        assert http.post("/api/generate/image", json=PICTURE).status_code == 202
        join(stack, guest, host, "viewer")
        refused(http.post("/api/generate/image", json=PICTURE), 403, "FORBIDDEN")
        assert http.get("/api/generations").status_code == 200
        refused(
            guest.http.post("/api/tokens", json={"name": "n8n", "scopes": ["all"]}, headers=there), 403, "FORBIDDEN"
        )
        user_id = guest.get("/api/auth/me").json()["data"]["user"]["id"]
        stack.running.aws().client("dynamodb").delete_item(
            TableName=stack.running.table("identity"),
            Key={"pk": {"S": user_id}, "sk": {"S": f"member#{host.workspace_id}"}},
        )
        for answer in (http.post("/api/generate/image", json=PICTURE), http.get("/api/credits")):
            refused(answer, 401, "UNAUTHENTICATED")
    # The workspace's owner can still remove it.
    assert host.http.delete(f"/api/tokens/{made['id']}").status_code == 204


def test_a_foreign_token_gets_the_response_of_a_missing_one(stack: Stack, person: AccountClient) -> None:
    made, stranger = issue(person), AccountClient(stack.base_url)
    answers = [stranger.http.delete(f"/api/tokens/{each}") for each in (made["id"], f"tok_{ULID}", "nonsense")]
    assert {refused(answer, 404, "NOT_FOUND") for answer in answers} == {"There is no such resource."}
    refused(stranger.http.get("/api/tokens", headers={"Atelier-Workspace": person.workspace_id}), 404, "NOT_FOUND")
    assert stranger.get("/api/tokens").json()["data"]["items"] == []
    with program(person, made["token"]) as http:
        assert http.get("/api/credits").status_code == 200


def test_a_tokens_secret_appears_only_in_the_response_that_issued_it(stack: Stack, person: AccountClient) -> None:
    once = {"Idempotency-Key": "canary"}
    sent = {"name": "canary", "scopes": ["all"]}
    made = person.http.post("/api/tokens", json=sent, headers=once)
    token: str = made.json()["data"]["token"]
    again = person.http.post("/api/tokens", json=sent, headers=once)
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.json()["data"]["id"], again.json()["data"]["token"]) == (made.json()["data"]["id"], None)
    answers = [again, person.get("/api/tokens")]
    with program(person, token) as http:
        answers += [http.get("/api/credits"), http.post("/api/generate/image", json=PICTURE), http.get("/api/nothing")]
        answers += [
            http.get("/api/tokens"),
            http.post("/api/generate/image", content=b"{", headers={"content-type": "application/json"}),
        ]
    forged = token[:60] + ("A" if token[60] != "A" else "B") + token[61:]
    with program(person, forged) as http:
        answers.append(http.get("/api/credits"))
    assert [answer.status_code for answer in answers] == [201, 200, 200, 202, 404, 403, 400, 401]
    answers.append(person.http.delete(f"/api/tokens/{made.json()['data']['id']}"))
    with program(person, token) as http:
        answers.append(http.get("/api/credits"))
    # The first 56 characters name its record; the rest is the secret.
    secrets = [token[56:], forged[56:]]
    assert [secret for secret in secrets for answer in answers if secret in answer.text + str(answer.headers)] == []
    assert find_in_stack(stack.running, secrets) == []
