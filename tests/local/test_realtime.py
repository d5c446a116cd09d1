"""Real time from outside: a generation is watched by a connection and by waiting requests; who may not listen."""

from __future__ import annotations

import time
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.local.client import AccountClient
from tests.local.conftest import Stack
from tests.local.sockets import Socket, ticket_url
from tests.local.teams import create_organization, join, subscribe, working_in

LIFE = ["generation.queued", "generation.running", "generation.succeeded", "asset.created", "credits.spent"]


@pytest.fixture
def account(stack: Stack) -> AccountClient:
    return AccountClient(stack.base_url)


def generate(account: AccountClient, prompt: str = "a lighthouse") -> str:
    return str(account.generate(prompt).json()["data"]["generation"]["id"])


def types_of(messages: list[dict[str, Any]]) -> list[str]:
    return [message["type"] for message in messages]


def test_a_generation_is_watched_from_the_queue_to_its_files(account: AccountClient) -> None:
    with Socket(account) as socket:
        start = socket.subscribe("workspace")
        generation_id = generate(account)
        messages = socket.receive_until("credits.spent")
    assert types_of(messages) == LIFE
    first = messages[0]["sequence"]
    assert [message["sequence"] for message in messages] == list(range(first, first + 5))
    assert first > start
    assert {message["data"]["generation_id"] for message in messages} == {generation_id}
    [asset] = messages[2]["data"]["assets"]
    shown = account.generation(generation_id)
    assert (asset["id"], asset["sha256"]) == (shown["assets"][0]["id"], shown["assets"][0]["sha256"])
    assert account.http.get(asset["url"]).headers["content-type"].startswith("image/")
    assert messages[4]["data"]["credits"] == shown["credits_charged"]


def test_a_client_that_comes_back_gets_what_it_missed_in_order(account: AccountClient) -> None:
    with Socket(account) as socket:
        socket.subscribe("workspace")
        first = generate(account)
        seen = socket.receive_until("generation.running")
    second = generate(account, "a harbour")
    for generation_id in (first, second):
        account.wait_for_end(generation_id)
    with Socket(account) as socket:
        cursor = seen[-1]["sequence"]
        assert socket.subscribe("workspace", cursor) == cursor
        while len(seen) < 10:
            seen.append(socket.receive())
        # What comes next is new.
        third = generate(account, "a pier")
        new = socket.receive_until("credits.spent")
    start = seen[0]["sequence"]
    assert [message["sequence"] for message in seen + new] == list(range(start, start + 15))
    for generation_id in (first, second):
        own = [message for message in seen if message["data"]["generation_id"] == generation_id]
        assert types_of(own) == LIFE
    assert {message["data"]["generation_id"] for message in new} == {third}


def test_channels_have_their_own_events_alone(account: AccountClient) -> None:
    with Socket(account) as socket:
        socket.subscribe("workspace")
        other = generate(account)
        # Its last event, so that none of it comes later.
        socket.receive_until("credits.spent")
    with Socket(account) as socket:
        socket.subscribe("wallet")
        socket.subscribe(f"generation:{other}")
        generate(account, "a boat")
        [spent] = socket.receive_until("credits.spent")
        assert spent["channel"] == "wallet"
        socket.send(action="unsubscribe", channel="wallet")
        assert socket.receive() == {"type": "unsubscribed", "channel": "wallet"}
        account.wait_for_end(generate(account, "a gull"))
        socket.send(action="ping")
        assert socket.receive()["type"] == "pong"


def test_waiting_requests_get_the_same_events(account: AccountClient) -> None:
    start = account.get("/api/events", channel="workspace").json()["data"]
    assert (start["items"], start["incomplete"]) == ([], False)
    generate(account)
    found: list[dict[str, Any]] = []
    cursor = start["next_cursor"]
    for _ in range(20):
        answer = account.get("/api/events", channel="workspace", cursor=cursor, wait=10)
        assert answer.status_code == 200, answer.text
        found += answer.json()["data"]["items"]
        cursor = answer.json()["data"]["next_cursor"]
        if len(found) == len(LIFE):
            break
    assert types_of(found) == LIFE
    assert found[2]["data"]["assets"][0]["url"].partition("?")[0].endswith(".png")
    assert account.get("/api/events", channel="workspace", cursor=cursor).json()["data"]["items"] == []
    old = account.get("/api/events", channel="workspace", cursor=1).json()["data"]
    assert (old["incomplete"], types_of(old["items"])) == (True, LIFE)


@pytest.mark.parametrize("ticket", ["", "ticket=", "ticket=nonsense", "other=1"])
def test_a_connection_without_a_valid_ticket_is_refused(account: AccountClient, ticket: str) -> None:
    url = ticket_url(account).partition("?")[0]
    with pytest.raises(InvalidStatus) as refused, connect(f"{url}?{ticket}"):
        pass
    assert refused.value.response.status_code == 401
    # Not the address of a page either.
    assert account.http.get("/ws").status_code == 426


def test_a_ticket_opens_one_connection(account: AccountClient) -> None:
    url = ticket_url(account)
    with connect(url), pytest.raises(InvalidStatus), connect(url):
        pass


def test_a_ticket_is_found_behind_a_url_that_has_it_already(account: AccountClient) -> None:
    url = ticket_url(account)
    with connect(f"{url}?ticket={url.partition('=')[2]}") as connection:
        connection.send('{"action": "ping"}')
        assert "pong" in str(connection.recv(timeout=30))


def test_wrong_messages_are_answered_and_the_connection_stays(account: AccountClient, stack: Stack) -> None:
    stranger = AccountClient(stack.base_url)
    foreign = generate(stranger)
    cases = [
        ({"action": "subscribe", "channel": f"generation:{foreign}"}, "NOT_FOUND"),
        ({"action": "subscribe", "channel": "generation:gen_nonsense"}, "VALIDATION_FAILED"),
        ({"action": "subscribe", "channel": stranger.workspace_id}, "VALIDATION_FAILED"),
        ({"action": "subscribe", "channel": "workspace", "cursor": -1}, "VALIDATION_FAILED"),
        ({"action": "subscribe", "channel": "workspace", "workspace": stranger.workspace_id}, "VALIDATION_FAILED"),
        ({"action": "subscribe", "channel": "admin"}, "FORBIDDEN"),
        ({"action": "subscribe"}, "VALIDATION_FAILED"),
        ({"action": "listen"}, "VALIDATION_FAILED"),
        ({"action": ["subscribe"]}, "VALIDATION_FAILED"),
        ({}, "VALIDATION_FAILED"),
    ]
    with Socket(account) as socket:
        for message, code in cases:
            socket.send(**message)
            answer = socket.receive()
            assert (answer["type"], answer["error"]) == ("error", code), message
        for text in ("nonsense", "[]", "null", '"subscribe"', "{" * 5000):
            socket.connection.send(text)
            assert socket.receive()["error"] == "BAD_REQUEST", text[:20]
        socket.subscribe("workspace")
        socket.send(action="subscribe", channel="workspace")
        assert socket.receive()["error"] == "CONFLICT"
        # Nothing of the stranger's was sent meanwhile.
        socket.send(action="ping")
        assert socket.receive()["type"] == "pong"


def assert_closed_soon(socket: Socket) -> None:
    """Reads what is still sent, until the connection is closed."""

    def read_all() -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            socket.receive(30)

    with pytest.raises(ConnectionClosed):
        read_all()


def test_the_end_of_a_session_closes_its_connections(account: AccountClient) -> None:
    with Socket(account) as socket, Socket(account) as other:
        ended = account.http.post("/api/auth/logout", json={"refresh_token": account.refresh_token})
        assert ended.status_code < 300, ended.text
        assert_closed_soon(socket)
        assert_closed_soon(other)


def test_a_role_that_changes_closes_the_members_connections(stack: Stack) -> None:
    owner, member = AccountClient(stack.base_url), AccountClient(stack.base_url)
    workspace_id = create_organization(owner)
    subscribe(stack, owner, workspace_id)
    user_id = join(stack, owner, workspace_id, member)
    member.http.headers.update(working_in(workspace_id))
    with Socket(member) as socket:
        socket.subscribe("workspace")
        changed = owner.http.put(f"/api/workspaces/{workspace_id}/members/{user_id}", json={"role": "viewer"})
        assert changed.status_code == 200, changed.text
        assert_closed_soon(socket)
    with Socket(member) as socket:
        # A viewer sees what is made, and nothing of the plan.
        socket.subscribe("workspace")
        removed = owner.http.delete(f"/api/workspaces/{workspace_id}/members/{user_id}")
        assert removed.status_code < 300, removed.text
        assert_closed_soon(socket)
