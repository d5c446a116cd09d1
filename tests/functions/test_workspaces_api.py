"""Organisations and their members over HTTP."""

from __future__ import annotations

import json
from types import ModuleType

import pytest

from atelier.clock import system_clock
from atelier.wiring import ledger
from tests.functions.conftest import AwsResources
from tests.functions.people import Person, call, create_organization, create_person, join, set_tier
from tests.functions.responses import error_of, success_data
from tests.invoke import load_function


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/workspaces")


@pytest.fixture
def ada(cloud: AwsResources) -> Person:
    return create_person("ada")


@pytest.fixture
def eve(cloud: AwsResources) -> Person:
    return create_person("eve")


def test_an_organization_is_created_with_its_owner_and_wallet(app: ModuleType, ada: Person) -> None:
    made = create_organization(app, ada)
    assert (made["kind"], made["name"], made["slug"], made["role"]) == (
        "organization",
        "Atlas Films",
        "atlas-films",
        "owner",
    )
    assert made["settings"] == {"require_mfa": False, "open_invitations": False}
    listed = success_data(call(app, ada, "GET /api/workspaces"))["items"]
    assert [(each["kind"], each["role"]) for each in listed] == [("personal", "owner"), ("organization", "owner")]
    assert listed[1] == made == success_data(call(app, ada, f"GET /api/workspaces/{made['id']}"))["workspace"]
    members = success_data(call(app, ada, f"GET /api/workspaces/{made['id']}/members"))["items"]
    assert [(each["user_id"], each["email"], each["role"]) for each in members] == [
        (ada.user_id, "ada@example.com", "owner")
    ]
    # Daily credits belong to a mailbox: an organisation has a wallet, and gets none.
    wallet = ledger.refresh_wallet(made["id"], system_clock())
    assert (wallet.available, wallet.tier) == (0, "free")


def test_a_repeated_creation_returns_the_first_organization(app: ModuleType, ada: Person) -> None:
    body, key = {"name": "Atlas Films"}, {"idempotency-key": "once"}
    first, second = (call(app, ada, "POST /api/workspaces", body, **key) for _ in range(2))
    assert success_data(first) == success_data(second)
    assert (first["headers"].get("Idempotent-Replayed"), second["headers"]["Idempotent-Replayed"]) == (None, "true")
    other = call(app, ada, "POST /api/workspaces", {"name": "Another"}, **key)
    assert error_of(other) == (422, "IDEMPOTENCY_MISMATCH")


def test_a_chosen_slug_is_unique_and_a_suggested_one_gives_way(app: ModuleType, ada: Person, eve: Person) -> None:
    atlas = create_organization(app, ada, slug="atlas")
    assert error_of(call(app, eve, "POST /api/workspaces", {"name": "Atlas", "slug": "atlas"})) == (409, "CONFLICT")
    other = create_organization(app, eve, "Atlas")
    assert other["slug"].startswith("atlas-")
    path = f"/api/workspaces/{other['id']}"
    assert error_of(call(app, eve, f"PUT {path}", {"slug": "atlas"})) == (409, "CONFLICT")
    renamed = call(app, ada, f"PUT /api/workspaces/{atlas['id']}", {"slug": "atlas-films", "name": "Atlas Films"})
    assert success_data(renamed)["workspace"]["slug"] == "atlas-films"
    # The slug that was given up is free again.
    assert success_data(call(app, eve, f"PUT {path}", {"slug": "atlas"}))["workspace"]["slug"] == "atlas"


def test_changes_leave_other_fields_as_they_are(app: ModuleType, ada: Person) -> None:
    made = create_organization(app, ada)
    path = f"/api/workspaces/{made['id']}"
    first = success_data(call(app, ada, f"PUT {path}", {"settings": {"open_invitations": True}}))["workspace"]
    second = success_data(call(app, ada, f"PUT {path}", {"name": "Atlas"}))["workspace"]
    assert first["settings"] == second["settings"] == {"require_mfa": False, "open_invitations": True}
    assert (second["name"], second["slug"]) == ("Atlas", "atlas-films")
    missing = {"avatar_asset_id": "ast_01M7XCN60QZZZZZZZZZZZZZZZZ"}
    assert error_of(call(app, ada, f"PUT {path}", missing)) == (422, "VALIDATION_FAILED")


def test_a_personal_workspace_can_be_renamed_but_not_deleted(app: ModuleType, ada: Person) -> None:
    path = f"/api/workspaces/{ada.workspace_id}"
    assert success_data(call(app, ada, f"PUT {path}", {"name": "My desk"}))["workspace"]["name"] == "My desk"
    assert error_of(call(app, ada, f"PUT {path}", {"slug": "ada"})) == (409, "CONFLICT")
    assert error_of(call(app, ada, f"PUT {path}", {"settings": {"require_mfa": True}})) == (409, "CONFLICT")
    assert error_of(call(app, ada, f"DELETE {path}")) == (409, "CONFLICT")


def test_a_deleted_organization_exists_for_its_owners_restoring_alone(app: ModuleType, ada: Person) -> None:
    made = create_organization(app, ada)
    path = f"/api/workspaces/{made['id']}"
    deleted = success_data(call(app, ada, f"DELETE {path}"))["workspace"]
    assert deleted["restorable_until"] > deleted["deleted_at"]
    for request in (f"GET {path}", f"GET {path}/members", f"DELETE {path}", f"PUT {path}"):
        assert error_of(call(app, ada, request, {} if "PUT" in request else None)) == (404, "NOT_FOUND")
    listed = success_data(call(app, ada, "GET /api/workspaces"))["items"]
    assert [each["deleted_at"] for each in listed] == [None, deleted["deleted_at"]]
    restored = success_data(call(app, ada, f"POST {path}/restore"))["workspace"]
    assert (restored["deleted_at"], restored["slug"]) == (None, "atlas-films")
    assert success_data(call(app, ada, f"GET {path}"))["workspace"] == restored


def test_a_foreign_organization_gets_the_response_of_a_missing_one(app: ModuleType, ada: Person, eve: Person) -> None:
    made = create_organization(app, ada)
    for workspace_id in (made["id"], made["id"][:-1] + "Z", "wsp_1", ada.workspace_id):
        path = f"/api/workspaces/{workspace_id}"
        for request in (f"GET {path}", f"DELETE {path}", f"POST {path}/restore", f"GET {path}/members"):
            # The header does not open another door: the path names the workspace.
            headers = {"atelier-workspace": eve.workspace_id}
            assert error_of(call(app, eve, request, **headers)) == (404, "NOT_FOUND")


def test_whoever_requires_a_second_factor_has_one_and_members_without_are_refused(app: ModuleType, ada: Person) -> None:
    made = create_organization(app, ada)
    path, strict = f"/api/workspaces/{made['id']}", {"settings": {"require_mfa": True}}
    refused = call(app, ada, f"PUT {path}", strict)
    assert (error_of(refused), json.loads(refused["body"])["details"]["reason"]) == ((403, "FORBIDDEN"), "mfa_required")
    max_ = create_person("max", mfa=True)
    set_tier(made["id"], "starter@1")
    join(app, ada, made["id"], max_, "admin")
    assert success_data(call(app, max_, f"PUT {path}", strict))["workspace"]["settings"]["require_mfa"] is True
    for request in (f"GET {path}", f"DELETE {path}"):
        assert error_of(call(app, ada, request)) == (403, "FORBIDDEN")
    assert success_data(call(app, max_, f"GET {path}"))["workspace"]["role"] == "admin"
    # Elsewhere nothing changes.
    assert [each["kind"] for each in success_data(call(app, ada, "GET /api/workspaces"))["items"]] == [
        "personal",
        "organization",
    ]
