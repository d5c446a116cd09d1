"""Members and invitations of organisations over HTTP."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from atelier.clock import system_clock
from atelier.identity.api_calls import month_of_calls
from atelier.identity.permissions import Role
from atelier.wiring import auth
from tests.functions.conftest import AwsResources
from tests.functions.people import (
    Person,
    call,
    create_organization,
    create_person,
    invitation_token,
    invite,
    join,
    roles,
    set_tier,
)
from tests.functions.responses import Reply, error_of, invoke_app, success_data
from tests.invoke import EVENTS, complete_event, load_function, with_request


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/workspaces")


@pytest.fixture
def ada(cloud: AwsResources) -> Person:
    return create_person("ada")


@pytest.fixture
def eve(cloud: AwsResources) -> Person:
    return create_person("eve")


@pytest.fixture
def atlas(app: ModuleType, ada: Person) -> str:
    """An organisation of Ada's, which may have three members."""
    made = create_organization(app, ada)
    set_tier(made["id"], "starter@1")
    workspace_id: str = made["id"]
    return workspace_id


def details(response: Reply) -> Any:
    return json.loads(response["body"])["details"]


def audited(cloud: AwsResources, log: str) -> list[tuple[str, str]]:
    """The events of a log: action and target, oldest first."""
    found = [item for item in cloud.items(cloud.tables.audit) if item["pk"]["S"] == log]
    events = sorted(found, key=lambda item: item["sk"]["S"])
    return [(item["action"]["S"], item.get("target", {}).get("S", "")) for item in events]


def test_an_invitation_is_mailed_listed_accepted_and_audited(
    app: ModuleType, cloud: AwsResources, ada: Person, eve: Person, atlas: str
) -> None:
    path = f"/api/workspaces/{atlas}"
    made = success_data(call(app, ada, f"POST {path}/invitations", {"email": " Eve@Example.com", "role": "editor"}))
    invitation = made["invitation"]
    assert success_data(call(app, ada, f"GET {path}/invitations"))["items"] == [invitation]
    [mail] = [item for item in cloud.items(cloud.tables.identity) if item["sk"]["S"].startswith("mail#")]
    assert (mail["pk"]["S"], mail["to"]["S"], mail["mail_kind"]["S"]) == (atlas, "eve@example.com", "invitation")
    token = invitation_token(atlas, invitation["id"])
    # The link is stored nowhere: only the mail has it.
    assert token.rpartition(".")[2] not in str(cloud.items(cloud.tables.identity))

    opened = success_data(call(app, eve, f"GET /api/invitations/{token}"))["invitation"]
    assert (opened["workspace_name"], opened["inviter_name"], opened["role"], opened["for_you"]) == (
        "Atlas Films",
        "Ada",
        "editor",
        True,
    )
    joined = success_data(call(app, eve, f"POST /api/invitations/{token}/accept"))["workspace"]
    assert (joined["id"], joined["role"], joined["members"]) == (atlas, "editor", 2)
    assert success_data(call(app, ada, f"GET {path}/invitations"))["items"] == []
    assert success_data(call(app, eve, f"GET {path}"))["workspace"] == joined
    assert roles(atlas) == {ada.user_id: Role.OWNER, eve.user_id: Role.EDITOR}
    assert audited(cloud, atlas) == [
        ("workspace.created", atlas),
        ("member.invited", invitation["id"]),
        ("member.joined", eve.user_id),
    ]
    assert audited(cloud, eve.user_id) == [("member.joined", eve.user_id)]


def test_an_invitation_is_accepted_once_and_its_taker_may_repeat(
    app: ModuleType, ada: Person, eve: Person, atlas: str
) -> None:
    token = invite(app, ada, atlas, eve.email)
    first, second = (call(app, eve, f"POST /api/invitations/{token}/accept") for _ in range(2))
    assert success_data(first)["workspace"]["id"] == success_data(second)["workspace"]["id"] == atlas
    assert call(app, ada, f"DELETE /api/workspaces/{atlas}/members/{eve.user_id}")["statusCode"] == 204
    # Whoever was removed cannot use the link again.
    assert error_of(call(app, eve, f"POST /api/invitations/{token}/accept")) == (404, "NOT_FOUND")


def test_an_invitation_is_for_its_verified_address_unless_invitations_are_open(
    app: ModuleType, ada: Person, eve: Person, atlas: str
) -> None:
    bob = create_person("bob", verified=False)
    for_eve, for_bob = invite(app, ada, atlas, eve.email), invite(app, ada, atlas, bob.email)
    unverified = call(app, bob, f"POST /api/invitations/{for_bob}/accept")
    assert (error_of(unverified), details(unverified)["reason"]) == ((403, "FORBIDDEN"), "email_not_verified")
    max_ = create_person("max")
    other = call(app, max_, f"POST /api/invitations/{for_eve}/accept")
    assert (error_of(other), details(other)["reason"]) == ((403, "FORBIDDEN"), "another_email")
    assert success_data(call(app, max_, f"GET /api/invitations/{for_eve}"))["invitation"]["for_you"] is False

    success_data(call(app, ada, f"PUT /api/workspaces/{atlas}", {"settings": {"open_invitations": True}}))
    assert success_data(call(app, max_, f"POST /api/invitations/{for_eve}/accept"))["workspace"]["id"] == atlas
    assert error_of(call(app, eve, f"POST /api/invitations/{for_eve}/accept")) == (404, "NOT_FOUND")


def test_only_verified_members_who_manage_members_invite(app: ModuleType, ada: Person, eve: Person, atlas: str) -> None:
    path = f"POST /api/workspaces/{atlas}/invitations"
    join(app, ada, atlas, eve, "editor")
    assert error_of(call(app, eve, path, {"email": "new@example.com"})) == (403, "FORBIDDEN")
    success_data(call(app, ada, f"PUT /api/workspaces/{atlas}/members/{eve.user_id}", {"role": "admin"}))
    assert error_of(call(app, eve, path, {"email": "new@example.com", "role": "owner"})) == (403, "FORBIDDEN")
    assert call(app, eve, path, {"email": "new@example.com", "role": "admin"})["statusCode"] == 201

    bob = create_person("bob", verified=False)
    own = create_organization(app, bob, "Bobs")
    refused = call(app, bob, f"POST /api/workspaces/{own['id']}/invitations", {"email": "new@example.com"})
    assert (error_of(refused), details(refused)["reason"]) == ((403, "FORBIDDEN"), "email_not_verified")
    personal = call(app, ada, f"POST /api/workspaces/{ada.workspace_id}/invitations", {"email": "new@example.com"})
    assert error_of(personal) == (409, "CONFLICT")


def test_an_address_has_one_open_invitation_and_a_member_none(
    app: ModuleType, ada: Person, eve: Person, atlas: str
) -> None:
    path, body = f"POST /api/workspaces/{atlas}/invitations", {"email": "new@example.com"}
    first = call(app, ada, path, body, **{"idempotency-key": "once"})
    again = call(app, ada, path, body, **{"idempotency-key": "once"})
    assert success_data(first) == success_data(again)
    assert again["headers"]["Idempotent-Replayed"] == "true"
    assert error_of(call(app, ada, path, body)) == (409, "CONFLICT")
    join(app, ada, atlas, eve)
    assert error_of(call(app, ada, path, {"email": eve.email})) == (409, "CONFLICT")


def test_an_invitation_is_sent_again_by_the_same_link_and_revoked_for_good(
    app: ModuleType, cloud: AwsResources, ada: Person, eve: Person, atlas: str
) -> None:
    path = f"/api/workspaces/{atlas}/invitations"
    made = success_data(call(app, ada, f"POST {path}", {"email": eve.email}))["invitation"]
    again = success_data(call(app, ada, f"POST {path}/{made['id']}/resend"))["invitation"]
    assert again["expires_at"] >= made["expires_at"]
    mails = [item for item in cloud.items(cloud.tables.identity) if item["sk"]["S"].startswith("mail#")]
    assert len(mails) == 2
    assert len({item["link_id"]["S"] for item in mails}) == 1

    assert call(app, ada, f"DELETE {path}/{made['id']}")["statusCode"] == 204
    token = invitation_token(atlas, made["id"])
    answers = [
        call(app, ada, f"DELETE {path}/{made['id']}"),
        call(app, ada, f"POST {path}/{made['id']}/resend"),
        call(app, eve, f"GET /api/invitations/{token}"),
        call(app, eve, f"POST /api/invitations/{token}/accept"),
        call(app, eve, f"POST /api/invitations/{token[:-1]}A/accept"),
        call(app, eve, "POST /api/invitations/nothing/accept"),
    ]
    assert [error_of(answer) for answer in answers] == [(404, "NOT_FOUND")] * len(answers)
    assert len({json.loads(answer["body"])["message"] for answer in answers}) == 1
    # The address is free for a new invitation.
    assert call(app, ada, f"POST {path}", {"email": eve.email})["statusCode"] == 201


def test_an_address_gets_five_invitations_a_day(app: ModuleType, ada: Person, atlas: str) -> None:
    path = f"/api/workspaces/{atlas}/invitations"
    made = success_data(call(app, ada, f"POST {path}", {"email": "new@example.com"}))["invitation"]
    statuses = [call(app, ada, f"POST {path}/{made['id']}/resend")["statusCode"] for _ in range(5)]
    assert statuses == [200, 200, 200, 200, 429]


def test_the_tier_limits_the_members_when_inviting_and_when_accepting(
    app: ModuleType, ada: Person, eve: Person, atlas: str
) -> None:
    people = [eve, create_person("max"), create_person("bob")]
    tokens = [invite(app, ada, atlas, person.email) for person in people]
    answers = [
        call(app, person, f"POST /api/invitations/{token}/accept") for person, token in zip(people, tokens, strict=True)
    ]
    assert [answer["statusCode"] for answer in answers] == [200, 200, 403]
    assert error_of(answers[2]) == (403, "QUOTA_EXCEEDED")
    full = {"quota": "members", "limit": 3, "used": 3, "tiers": ["pro@1", "studio@1"]}
    assert details(answers[2]) == full
    more = call(app, ada, f"POST /api/workspaces/{atlas}/invitations", {"email": "more@example.com"})
    assert (error_of(more), details(more)) == ((403, "QUOTA_EXCEEDED"), full)
    # With a larger tier the same link is accepted.
    set_tier(atlas, "pro@1")
    assert call(app, people[2], f"POST /api/invitations/{tokens[2]}/accept")["statusCode"] == 200


def test_owners_alone_change_owners_and_one_remains(app: ModuleType, ada: Person, eve: Person, atlas: str) -> None:
    path = f"/api/workspaces/{atlas}"
    join(app, ada, atlas, eve, "admin")
    assert error_of(call(app, ada, f"POST {path}/leave")) == (409, "CONFLICT")
    assert error_of(call(app, ada, f"PUT {path}/members/{ada.user_id}", {"role": "admin"})) == (409, "CONFLICT")
    for request, body in (
        (f"PUT {path}/members/{eve.user_id}", {"role": "owner"}),
        (f"PUT {path}/members/{ada.user_id}", {"role": "viewer"}),
        (f"DELETE {path}/members/{ada.user_id}", None),
    ):
        assert error_of(call(app, eve, request, body)) == (403, "FORBIDDEN")
    member = success_data(call(app, ada, f"PUT {path}/members/{eve.user_id}", {"role": "owner"}))["member"]
    assert (member["user_id"], member["role"]) == (eve.user_id, "owner")
    assert call(app, ada, f"POST {path}/leave")["statusCode"] == 204
    assert error_of(call(app, ada, f"GET {path}")) == (404, "NOT_FOUND")
    assert roles(atlas) == {eve.user_id: Role.OWNER}
    assert error_of(call(app, eve, f"POST {path}/leave")) == (409, "CONFLICT")


def test_ownership_is_transferred_and_audited_in_both_logs(
    app: ModuleType, cloud: AwsResources, ada: Person, eve: Person, atlas: str
) -> None:
    path = f"POST /api/workspaces/{atlas}/transfer"
    assert error_of(call(app, ada, path, {"user_id": eve.user_id})) == (404, "NOT_FOUND")
    assert error_of(call(app, ada, path, {"user_id": ada.user_id})) == (409, "CONFLICT")
    join(app, ada, atlas, eve, "viewer")
    assert success_data(call(app, ada, path, {"user_id": eve.user_id}))["workspace"]["role"] == "admin"
    assert roles(atlas) == {ada.user_id: Role.ADMIN, eve.user_id: Role.OWNER}
    assert error_of(call(app, ada, path, {"user_id": eve.user_id})) == (403, "FORBIDDEN")
    assert audited(cloud, atlas)[-1] == audited(cloud, eve.user_id)[-1] == ("ownership.transferred", eve.user_id)
    # The counters follow: the new owner is the only one.
    assert error_of(call(app, eve, f"POST /api/workspaces/{atlas}/leave")) == (409, "CONFLICT")


def test_a_removal_counts_from_the_next_request_on(app: ModuleType, ada: Person, eve: Person, atlas: str) -> None:
    path = f"/api/workspaces/{atlas}"
    join(app, ada, atlas, eve)
    assert call(app, eve, f"GET {path}")["statusCode"] == 200
    assert call(app, ada, f"DELETE {path}/members/{eve.user_id}")["statusCode"] == 204
    assert error_of(call(app, eve, f"GET {path}")) == (404, "NOT_FOUND")
    assert error_of(call(app, ada, f"DELETE {path}/members/{eve.user_id}")) == (404, "NOT_FOUND")
    # A role change, likewise.
    join(app, ada, atlas, eve, "admin")
    assert call(app, eve, f"PUT {path}", {"name": "Atlas"})["statusCode"] == 200
    success_data(call(app, ada, f"PUT {path}/members/{eve.user_id}", {"role": "viewer"}))
    assert error_of(call(app, eve, f"PUT {path}", {"name": "Eves"})) == (403, "FORBIDDEN")


def test_a_personal_workspace_has_no_members_to_change(app: ModuleType, ada: Person, eve: Person) -> None:
    path = f"/api/workspaces/{ada.workspace_id}"
    assert error_of(call(app, ada, f"POST {path}/leave")) == (409, "CONFLICT")
    assert error_of(call(app, ada, f"PUT {path}/members/{ada.user_id}", {"role": "viewer"})) == (404, "NOT_FOUND")
    assert error_of(call(app, ada, f"POST {path}/transfer", {"user_id": eve.user_id})) == (404, "NOT_FOUND")


def test_usage_shows_each_quota_and_its_use(app: ModuleType, ada: Person, eve: Person, atlas: str) -> None:
    join(app, ada, atlas, eve)
    create_project_in(atlas, ada)
    usage = success_data(call(app, eve, f"GET /api/workspaces/{atlas}/usage"))["quotas"]
    assert usage == [
        {"name": "storage_bytes", "limit": 50_000_000_000, "used": 0},
        {"name": "projects", "limit": 200, "used": 1},
        {"name": "members", "limit": 3, "used": 2},
        {"name": "sites", "limit": 10, "used": 0},
        {"name": "api_calls", "limit": 500_000, "used": 0},
    ]


def create_project_in(workspace_id: str, person: Person) -> None:
    """Creates a project over HTTP."""
    request = with_request(complete_event(EVENTS / "api/projects"), "POST /api/projects", body={"name": "Boats"})
    request["headers"]["atelier-workspace"] = workspace_id
    request["requestContext"]["authorizer"] = {"lambda": person.claims}
    assert invoke_app(load_function("api/projects"), request)["statusCode"] == 201


def issue_token(workspace_id: str, person: Person) -> str:
    """Issues an API token over HTTP; returns its id."""
    request = with_request(
        complete_event(EVENTS / "api/account"), "POST /api/tokens", body={"name": "n8n", "scopes": ["read"]}
    )
    request["headers"]["atelier-workspace"] = workspace_id
    request["requestContext"]["authorizer"] = {"lambda": person.claims}
    token_id: str = success_data(invoke_app(load_function("api/account"), request))["id"]
    return token_id


def list_members_by_token(app: ModuleType, workspace_id: str, person: Person, token_id: str) -> Reply:
    request = with_request(complete_event(EVENTS / "api/workspaces"), f"GET /api/workspaces/{workspace_id}/members")
    claims = {"user_id": person.user_id, "token_id": token_id, "workspace_id": workspace_id, "expires_at": 2**40}
    request["requestContext"]["authorizer"] = {"lambda": claims}
    return invoke_app(app, request)


def test_a_token_ends_with_its_members_membership_for_good(
    app: ModuleType, ada: Person, eve: Person, atlas: str
) -> None:
    path = f"/api/workspaces/{atlas}"
    join(app, ada, atlas, eve)
    token_id = issue_token(atlas, eve)
    assert list_members_by_token(app, atlas, eve, token_id)["statusCode"] == 200
    call(app, ada, f"DELETE {path}/members/{eve.user_id}")
    assert error_of(list_members_by_token(app, atlas, eve, token_id)) == (401, "UNAUTHENTICATED")
    # Whoever joins again has none of the tokens from before.
    join(app, ada, atlas, eve)
    assert error_of(list_members_by_token(app, atlas, eve, token_id)) == (401, "UNAUTHENTICATED")
    again = issue_token(atlas, eve)
    assert list_members_by_token(app, atlas, eve, again)["statusCode"] == 200
    # A deleted organisation ends them all.
    call(app, ada, f"DELETE {path}")
    assert error_of(list_members_by_token(app, atlas, eve, again)) == (401, "UNAUTHENTICATED")


def test_calls_with_tokens_are_counted_and_refused_above_the_tiers_limit(
    app: ModuleType, ada: Person, atlas: str
) -> None:
    token_id = issue_token(atlas, ada)
    share = auth.limiter().share
    statuses = [list_members_by_token(app, atlas, ada, token_id)["statusCode"] for _ in range(share + 1)]
    assert statuses == [200] * (share + 1)
    usage = success_data(call(app, ada, f"GET /api/workspaces/{atlas}/usage"))["quotas"]
    assert usage[-1] == {"name": "api_calls", "limit": 500_000, "used": share}

    auth.call_counters().add(atlas, month_of_calls(system_clock()), 500_000)
    answers = [list_members_by_token(app, atlas, ada, token_id) for _ in range(share)]
    assert [answer["statusCode"] for answer in answers] == [200] * (share - 2) + [403] * 2
    assert error_of(answers[-1]) == (403, "QUOTA_EXCEEDED")
    assert details(answers[-1]) == {
        "quota": "api_calls",
        "limit": 500_000,
        "used": 500_000 + 2 * share,
        "tiers": ["pro@1", "studio@1"],
    }
    # People are not concerned.
    assert call(app, ada, f"GET /api/workspaces/{atlas}")["statusCode"] == 200
