"""Who passes to the routes of the platform's administrators, each of them sent through its handler."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.identity.items import PROFILE, SessionItem, UserItem, session_sk
from atelier.clock import rfc3339, system_clock
from atelier.http.api import Route
from atelier.identity.permissions import PLATFORM_ACT, PLATFORM_PERMISSIONS, PLATFORM_READ
from atelier.identity.scopes import SCOPES
from atelier.identity.step_up import STEP_UP_LIFETIME
from tests.functions.conftest import AwsResources
from tests.functions.example_data import SESSION, TOKEN, USER, WORKSPACE, add_api_token, make_administrator
from tests.functions.responses import Reply
from tests.functions.route_matrix import routes
from tests.functions.test_route_matrix import CLAIMS, MISSING, send
from tests.invoke import load_function

FOLDERS = {
    folder: [route for route in declared.values() if route.path.startswith("/api/admin/")]
    for folder, declared in routes().items()
    if any(route.path.startswith("/api/admin/") for route in declared.values())
}
TOKEN_CLAIMS = {"user_id": USER, "token_id": TOKEN, "workspace_id": WORKSPACE, "expires_at": 2**40}


def request(folder: str, route: Route, claims: dict[str, Any] = CLAIMS) -> Reply:
    """Send a request that ends behind the gate: its ids name nothing, and its body is broken."""
    path = re.sub(r"<(\w+)\+?>", lambda part: (MISSING | {"workspace_id": WORKSPACE})[part[1]], route.path)
    body = "{" if route.method in ("POST", "PUT", "PATCH") else None
    return send(load_function(folder), folder, f"{route.method} {path}", body, claims)


def answers(claims: dict[str, Any] = CLAIMS) -> set[tuple[str, int, str, str]]:
    """(permission, status, error, the fact that says more) of all routes."""
    found = set[tuple[str, int, str, str]]()
    for folder, declared in FOLDERS.items():
        for route in declared:
            response = request(folder, route, claims)
            envelope = json.loads(response["body"])
            details = envelope.get("details", {})
            more = str(details.get("reason") or details.get("factor") or "")
            found.add((str(route.permission), response["statusCode"], envelope.get("error", ""), more))
    return found


def refusals(status: int, error: str, more: str = "", *, of: frozenset[str] | None = None) -> set[Any]:
    """What `answers` gives where all routes, or those with the permissions `of`, are refused alike."""
    declared = {str(route.permission) for routes_of in FOLDERS.values() for route in routes_of}
    return {(permission, status, error, more) for permission in declared & (of or PLATFORM_PERMISSIONS)}


def prove_second_factor(ago: timedelta) -> None:
    SessionItem(USER, session_sk(SESSION)).update([SessionItem.mfa_at.set(rfc3339(system_clock() - ago))])


def test_every_route_of_administrators_declares_it_and_no_other_one_does() -> None:
    for declared in routes().values():
        for route in declared.values():
            is_admins = route.path.startswith("/api/admin/")
            assert is_admins == (route.permission in PLATFORM_PERMISSIONS), route.path
            if is_admins:
                acts = route.method != "GET"
                assert (route.permission, bool(route.step_up)) == (PLATFORM_ACT if acts else PLATFORM_READ, acts)


def test_a_person_without_the_role_is_refused_and_so_is_a_stranger(cloud: AwsResources) -> None:
    assert answers() == refusals(403, "FORBIDDEN")
    assert answers({"reason": "This call needs an access token."}) == refusals(401, "UNAUTHENTICATED")


def test_a_new_administrator_without_a_second_factor_is_refused_and_told_why(cloud: AwsResources) -> None:
    make_administrator()
    UserItem(USER, PROFILE).update([UserItem.totp.remove()])
    assert answers() == refusals(403, "FORBIDDEN", "mfa_required")


def test_a_session_that_has_not_proven_the_second_factor_is_refused(cloud: AwsResources) -> None:
    make_administrator()
    SessionItem(USER, session_sk(SESSION)).update([SessionItem.mfa_at.remove()])
    assert answers() == refusals(403, "STEP_UP_REQUIRED", "totp")


def test_acts_want_a_factor_of_the_last_minutes_and_reads_do_not(cloud: AwsResources) -> None:
    make_administrator()
    prove_second_factor(STEP_UP_LIFETIME + timedelta(seconds=5))
    acts = refusals(403, "STEP_UP_REQUIRED", "totp", of=frozenset({PLATFORM_ACT}))
    answered = answers()
    assert {each for each in answered if each[0] == PLATFORM_ACT} == acts
    assert not {each for each in answered - acts if each[1] in (401, 403, 500)}


def test_an_administrator_with_a_fresh_factor_passes_every_route(cloud: AwsResources) -> None:
    make_administrator()
    assert not {each for each in answers() if each[1] in (401, 403, 500)}


def test_no_api_token_passes_whatever_its_scopes_and_its_users_role(cloud: AwsResources) -> None:
    make_administrator()
    add_api_token(*SCOPES)
    assert answers(TOKEN_CLAIMS) == refusals(403, "FORBIDDEN")


@pytest.mark.parametrize("change", ["role", "session", "status", "expired"])
def test_role_session_and_state_are_read_at_each_request(cloud: AwsResources, change: str) -> None:
    make_administrator()
    claims = CLAIMS
    if change == "role":
        UserItem(USER, PROFILE).update([UserItem.platform_role.set("user")])
    elif change == "session":
        SessionItem(USER, session_sk(SESSION)).update([SessionItem.revoked_at.set(rfc3339(system_clock()))])
    elif change == "status":
        UserItem(USER, PROFILE).update([UserItem.status.set("suspended")])
    else:
        claims = CLAIMS | {"expires_at": int(system_clock().timestamp()) - 60}
    expected = refusals(403, "FORBIDDEN") if change == "role" else refusals(401, "UNAUTHENTICATED")
    assert answers(claims) == expected
