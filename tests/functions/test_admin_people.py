"""functions/api/admin_people: users and workspaces for administrators of the platform."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.identity.factor_items import TotpItem
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, SessionItem, UserItem, session_sk
from atelier.audit_log.model import PLATFORM_LOG
from atelier.audit_log.ports import EventFilter
from atelier.clock import system_clock
from atelier.errors import Unauthenticated
from atelier.identity.api_tokens import TOKEN_LIFETIME_MAX, new_token
from atelier.identity.model import Device, open_session
from atelier.identity.opening import Opening
from atelier.ids import new_id
from atelier.wiring import audit_log, auth, identity
from tests.functions.conftest import AwsResources
from tests.functions.people import (
    Person,
    call,
    create_administrator,
    create_organization,
    create_person,
    join,
    set_tier,
)
from tests.functions.responses import Reply, error_of, invoke_app, success_data
from tests.integration.world import before_first_request, client_event_hook
from tests.invoke import EVENTS, complete_event, load_function, with_request


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/admin_people")


@pytest.fixture
def ada(cloud: AwsResources) -> Person:
    """An administrator with a fresh second factor."""
    return create_administrator("ada")


def user_of(response: Reply) -> dict[str, Any]:
    user: dict[str, Any] = success_data(response)["user"]
    return user


def emails(app: ModuleType, ada: Person, prefix: str = "", limit: int = 25) -> list[list[str]]:
    """The addresses on each page."""
    pages: list[list[str]] = []
    cursor = ""
    while True:
        query = f"email={prefix}&limit={limit}{cursor}"
        page = success_data(call(app, ada, f"GET /api/admin/users?{query}"))
        pages.append([each["email"] for each in page["items"]])
        if page["next_cursor"] is None:
            return pages
        cursor = f"&cursor={page['next_cursor']}"


def actions(log: str) -> list[tuple[str, str | None]]:
    return [(each["action"], each["actor"]) for each in audit_log.reads().page(log, EventFilter(), None, 50).events]


def test_users_are_listed_in_the_order_of_their_addresses_in_pages(app: ModuleType, ada: Person) -> None:
    names = ["zoe", "bob", "anna", "änne", "9nine", "mary", "abel", "martin"]
    for name in names:
        create_person(name)
    everybody = sorted(f"{name}@example.com" for name in [*names, "ada", "of-the-examples"])
    for limit in (1, 3, 25):
        pages = emails(app, ada, limit=limit)
        assert [email for page in pages for email in page] == everybody
        assert all(len(page) == limit for page in pages[:-1])


def test_a_prefix_of_an_address_finds_it_whatever_its_case(app: ModuleType, ada: Person) -> None:
    for name in ("martin", "mary", "max"):
        create_person(name)
    assert emails(app, ada, "MAR") == [["martin@example.com", "mary@example.com"]]
    assert emails(app, ada, "mar", limit=1) == [["martin@example.com"], ["mary@example.com"]]
    assert emails(app, ada, "nobody") == [[]]


@pytest.mark.parametrize("cursor", ["bm90aGluZw", "dXNlcnMjW10", "dXNlcnMjWyJ6b2VAZXhhbXBsZS5jb20iLCJ1c3JfMSJd", "é"])
def test_a_cursor_of_another_list_is_refused(app: ModuleType, ada: Person, cursor: str) -> None:
    answer = call(app, ada, f"GET /api/admin/users?email=a&cursor={cursor}")
    assert error_of(answer) == (422, "VALIDATION_FAILED")


def test_a_user_is_shown_with_sessions_workspaces_and_when_they_were_seen(app: ModuleType, ada: Person) -> None:
    bob = create_person("bob")
    organization = create_organization(load_function("api/workspaces"), bob)
    found = success_data(call(app, ada, f"GET /api/admin/users/{bob.user_id}"))
    assert found["user"]["email"] == bob.email
    assert (found["user"]["status"], found["user"]["platform_role"], found["tier"]) == ("active", "user", "free")
    assert [session["id"] for session in found["sessions"]] == [bob.session_id]
    assert {workspace["id"] for workspace in found["workspaces"]} == {bob.workspace_id, organization["id"]}
    assert found["last_seen_at"] == found["sessions"][0]["last_used_at"]
    assert error_of(call(app, ada, f"GET /api/admin/users/{new_id('usr', system_clock())}")) == (404, "NOT_FOUND")


def test_a_suspended_account_has_no_session_no_token_and_no_new_sign_in(app: ModuleType, ada: Person) -> None:
    bob = create_person("bob")
    now = system_clock()
    token, _ = new_token(
        new_id("tok", now), bob.workspace_id, bob.user_id, "n8n", ("all",), now + TOKEN_LIFETIME_MAX / 2, now
    )
    identity.api_tokens().add_token(token)
    by_token = {"token_id": token.id, "user_id": bob.user_id, "workspace_id": bob.workspace_id, "expires_at": 2**40}
    characters = with_request(complete_event(EVENTS / "api/library"), "GET /api/characters")
    characters["requestContext"]["authorizer"] = {"lambda": by_token}
    library = load_function("api/library")
    assert invoke_app(library, characters)["statusCode"] == 200

    reason = "Sells access to the account"
    suspended = user_of(call(app, ada, f"POST /api/admin/users/{bob.user_id}/suspend", {"reason": reason}))
    assert (suspended["status"], suspended["suspension_reason"]) == ("suspended", reason)
    # The same once more, as after a lost answer, with another reason: what happened first counts.
    again = user_of(call(app, ada, f"POST /api/admin/users/{bob.user_id}/suspend", {"reason": "something else"}))
    assert again == suspended

    assert SessionItem.get(bob.user_id, session_sk(bob.session_id)).revoked_at
    assert error_of(invoke_app(library, characters)) == (401, "UNAUTHENTICATED")
    session, _ = open_session(bob.user_id, bob.workspace_id, Device("", ""), now)
    with pytest.raises(Unauthenticated):
        identity.sign_in_deps().sign_ins.open(Opening(session), spent=None, use=None)
    assert actions(bob.user_id) == [("account.suspended", ada.user_id)]
    assert actions(PLATFORM_LOG)[0] == ("account.suspended", ada.user_id)

    for _ in range(2):
        active = user_of(call(app, ada, f"POST /api/admin/users/{bob.user_id}/unsuspend"))
        assert (active["status"], active["suspension_reason"], active["suspended_at"]) == ("active", None, None)
    assert invoke_app(library, characters)["statusCode"] == 200
    assert actions(bob.user_id)[0] == ("account.unsuspended", ada.user_id)


@pytest.mark.parametrize("act", ["suspend", "sign-out"])
def test_an_account_that_was_ended_reads_its_own_workspace_no_more(app: ModuleType, ada: Person, act: str) -> None:
    bob, eve = create_person("bob"), create_person("eve")
    library = load_function("api/library")

    def status(person: Person) -> int:
        return int(call(library, person, "GET /api/characters")["statusCode"])

    assert (status(bob), status(eve)) == (200, 200)
    assert call(app, ada, f"POST /api/admin/users/{bob.user_id}/{act}", {"reason": "Sells"})["statusCode"] == 200
    # Nobody is refused for being in the list: what counts is the session.
    identity.revocations().add(eve.user_id, system_clock())
    # As a worker does that has read the list since.
    auth.revoked.cache_clear()
    assert (status(bob), status(eve)) == (401, 200)


def test_no_session_is_left_by_a_suspension_also_of_many_and_late_ones(app: ModuleType, ada: Person) -> None:
    bob = create_person("bob")
    now = system_clock()
    for _ in range(64):
        session, _ = open_session(bob.user_id, bob.workspace_id, Device("", ""), now)
        identity.sign_in_deps().sign_ins.open(Opening(session), spent=None, use=None)
    path = f"POST /api/admin/users/{bob.user_id}/suspend"
    # One more is opened right before the transaction, and the run dies right after it.
    late, _ = open_session(bob.user_id, bob.workspace_id, Device("", ""), now + timedelta(seconds=1))
    open_late = partial(identity.sign_in_deps().sign_ins.open, Opening(late), spent=None, use=None)
    with (
        before_first_request(open_late, about="account.suspended"),
        dying_once_suspended(bob.user_id),
        pytest.raises(ProcessDied),
    ):
        call(app, ada, path, {"reason": "Many sessions"})
    assert UserItem.get(bob.user_id, PROFILE).status == "suspended"
    sessions = identity.sessions().sessions_of(bob.user_id)
    assert len(sessions) == 66
    assert all(each.revoked_at for each in sessions)
    assert user_of(call(app, ada, path, {"reason": "Many sessions"}))["status"] == "suspended"


class ProcessDied(BaseException):
    """The process dies here."""


@contextmanager
def dying_once_suspended(user_id: str) -> Iterator[None]:
    """The process dies after the transaction that suspends an account."""

    def die(**_: Any) -> None:
        if UserItem.get(user_id, PROFILE, consistent_read=True).status == "suspended":
            raise ProcessDied

    with client_event_hook("after-call.dynamodb.TransactWriteItems", die):
        yield


def test_what_reads_the_session_is_refused_at_once_at_the_same_price(app: ModuleType, ada: Person) -> None:
    bob, olga, workspaces = create_person("bob"), create_person("olga"), load_function("api/workspaces")
    organization = create_organization(workspaces, olga)["id"]
    set_tier(organization, "studio@1")
    join(workspaces, olga, organization, bob)
    library, here = load_function("api/library"), {"atelier-workspace": organization}
    template = {"name": "Bob", "kind": "image", "prompt": "A fox"}

    def requests_of(send: Callable[[], Reply]) -> tuple[int, list[str]]:
        sent = list[str]()
        with client_event_hook("before-call.dynamodb", lambda model, **_: sent.append(model.name)):
            return send()["statusCode"], sent

    reads: list[Callable[[], Reply]] = [
        lambda: call(library, bob, "GET /api/templates", **here),
        lambda: call(library, bob, "POST /api/templates", template),
        lambda: call(library, bob, "POST /api/templates", template, **here),
    ]
    before = [requests_of(send) for send in reads]
    user_of(call(app, ada, f"POST /api/admin/users/{bob.user_id}/suspend", {"reason": "At once"}))
    after = [requests_of(send) for send in reads]
    assert [status for status, _ in before] == [200, 201, 201]
    # The one batch that these requests begin with anyway.
    assert after == [(401, ["BatchGetItem"])] * 3
    assert [sent[0] for _, sent in before] == ["BatchGetItem"] * 3


def test_neither_oneself_nor_an_administrator_is_suspended(app: ModuleType, ada: Person) -> None:
    bob = create_person("bob")
    identity.make_administrator(bob.email, system_clock())
    for person in (ada, bob):
        answer = call(app, ada, f"POST /api/admin/users/{person.user_id}/suspend", {"reason": "A mistake"})
        assert error_of(answer) == (409, "CONFLICT")
    assert UserItem.get(bob.user_id, PROFILE).status == "active"


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "  a "}, {"reason": "x" * 501}, {"reason": "a\nbcd"}])
def test_a_suspension_needs_a_reason(app: ModuleType, ada: Person, body: dict[str, str]) -> None:
    bob = create_person("bob")
    assert error_of(call(app, ada, f"POST /api/admin/users/{bob.user_id}/suspend", body)) == (422, "VALIDATION_FAILED")


def test_signing_out_ends_the_sessions_and_is_in_both_logs(app: ModuleType, ada: Person) -> None:
    bob = create_person("bob")
    for _ in range(2):
        user_of(call(app, ada, f"POST /api/admin/users/{bob.user_id}/sign-out"))
    assert not [each for each in identity.sessions().sessions_of(bob.user_id) if each.is_live(system_clock())]
    assert actions(bob.user_id) == [("session.revoked", ada.user_id)]
    assert actions(PLATFORM_LOG)[0] == ("session.revoked", ada.user_id)


def test_an_administrator_gives_the_role_and_takes_it_back(app: ModuleType, ada: Person) -> None:
    bob, eve = create_person("bob"), create_person("eve", verified=False)
    path = f"PUT /api/admin/users/{bob.user_id}/platform-role"
    for role in ("admin", "admin", "user", "user"):
        assert user_of(call(app, ada, path, {"role": role}))["platform_role"] == role
    assert actions(bob.user_id) == [("platform_role.revoked", ada.user_id), ("platform_role.granted", ada.user_id)]
    own = call(app, ada, f"PUT /api/admin/users/{ada.user_id}/platform-role", {"role": "user"})
    assert error_of(own) == (409, "CONFLICT")
    unverified = call(app, ada, f"PUT /api/admin/users/{eve.user_id}/platform-role", {"role": "admin"})
    assert error_of(unverified) == (409, "CONFLICT")


def test_a_workspace_is_shown_with_tier_quotas_and_members(app: ModuleType, ada: Person) -> None:
    bob, eve = create_person("bob"), create_person("eve")
    workspaces = load_function("api/workspaces")
    organization = create_organization(workspaces, bob)
    set_tier(organization["id"], "pro@1")
    join(workspaces, bob, organization["id"], eve)
    found = success_data(call(app, ada, f"GET /api/admin/workspaces/{organization['id']}"))
    assert [member["user_id"] for member in found["members"]] == [bob.user_id, eve.user_id]
    assert (found["owner_id"], found["tier"]) == (bob.user_id, "pro@1")
    used = {quota["name"]: quota["used"] for quota in found["quotas"]}
    assert used == {"storage_bytes": 0, "projects": 0, "members": 2, "sites": 0, "api_calls": 0}
    personal = success_data(call(app, ada, f"GET /api/admin/workspaces/{bob.workspace_id}"))
    assert (personal["workspace"]["kind"], personal["members"]) == ("personal", [])
    missing = call(app, ada, f"GET /api/admin/workspaces/{new_id('wsp', system_clock())}")
    assert error_of(missing) == (404, "NOT_FOUND")


def test_two_indexes_of_one_table_are_read_by_one_process(app: ModuleType, ada: Person) -> None:
    for _ in range(2):
        assert emails(app, ada, "ada") == [[ada.email]]
        assert list(TotpItem.of_key.query("no key")) == []


def test_an_account_from_before_the_list_is_listed_after_its_next_sign_in(app: ModuleType, ada: Person) -> None:
    bob = create_person("bob")
    UserItem(bob.user_id, PROFILE).update([UserItem.directory.remove()])
    assert emails(app, ada, "bob") == [[]]
    session, _ = open_session(bob.user_id, bob.workspace_id, Device("", ""), system_clock())
    opening = replace(Opening(session), email=bob.email)
    identity.sign_in_deps().sign_ins.open(opening, spent=None, use=None)
    assert emails(app, ada, "bob") == [[bob.email]]
