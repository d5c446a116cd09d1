"""Every route of every function × every role and none × API tokens × own, foreign and missing ids, sent through the
handlers with the table ROUTES.md as what is right. A new route without a row fails; so does one that is answered
otherwise."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.clock import system_clock
from atelier.http.api import Route
from atelier.identity.api_tokens import new_token
from atelier.identity.permissions import PLATFORM_PERMISSIONS, Role
from atelier.identity.scopes import SCOPES
from atelier.ids import new_id
from atelier.provider_keys.model import ProviderKey
from atelier.wiring import identity, provider_key_store
from infra.simulators.kit.samples import sample_png
from tests.functions.conftest import AwsResources
from tests.functions.example_data import (
    SESSION,
    USER,
    WEBHOOK_DELIVERY,
    WORKSPACE,
    create_character,
    create_project,
    create_template,
    create_upload,
    create_webhook_endpoint,
    submit_example,
)
from tests.functions.responses import Reply, invoke_app, success_data
from tests.functions.route_matrix import HEAD, ROLES, TABLE, routes, stored_rows, table, unused_permissions
from tests.invoke import EVENTS, complete_event, load_function, with_request

CLAIMS = {"user_id": USER, "session_id": SESSION, "workspace_id": WORKSPACE, "expires_at": 2**40}
ROWS = stored_rows()
# How a missing thing is named in a path, by the name of the path's parameter.
MISSING = {
    "export_id": "exp_01M7XCN60QZZZZZZZZZZZZZZZZ",
    **{
        name: new_id(prefix, system_clock())
        for name, prefix in {
            "token_id": "tok",
            "session_id": "ses",
            "passkey_id": "psk",
            "checkout_id": "chk",
            "generation_id": "gen",
            "video_id": "gen",
            "template_id": "tpl",
            "character_id": "chr",
            "asset_id": "ast",
            "project_id": "prj",
            "site_id": "sit",
            "page_id": "pag",
            "deployment_id": "dep",
            "integration_id": "int",
            "comment_id": "cmt",
            "component_id": "cmp",
            "section_id": "sec",
            "alert_id": "alr",
            "key_id": "key",
            "invitation_id": "inv",
            "endpoint_id": "whe",
            "delivery_id": "whd",
            "user_id": "usr",
            "adjustment_id": "adj",
            "payment_id": "pur",
            "notification_id": "ntf",
            "proposal_id": "prp",
            "update_id": "upd",
            "item_id": "mod",
            "workshop_id": "wks",
            "listing_id": "lst",
            "article_id": "art",
            "livestream_id": "liv",
        }.items()
    },
    "kind": "image",
    "queue": "events",
    "job": "none",
    "model_id": "local/none",
    "provider": "google",
    "target_id": "none",
    "token": "none",
    "version": "1",
}


def test_the_table_of_routes_is_up_to_date() -> None:
    assert TABLE.read_text("utf-8") == table(), (
        "the routes have changed: write ROUTES.md anew by `PYTHONPATH=layers/atelier/python .venv/bin/python -m "
        "tests.functions.route_matrix`, and read in its diff who may do what"
    )
    assert TABLE.read_text("utf-8").startswith(HEAD)


def test_every_permission_is_used_by_a_route() -> None:
    assert unused_permissions() == set()


class Organization:
    """An organisation with its member USER, whose role the tests change; every cell begins with it as it was made."""

    def __init__(self, cloud: AwsResources, folder: str) -> None:
        self.table = cloud.tables.identity
        self.app, self.folder = load_function(folder), folder
        made = send(load_function("api/workspaces"), "api/workspaces", "POST /api/workspaces", {"name": "Atlas"})
        self.id = str(success_data(made)["workspace"]["id"])
        self.token, self.token_text = new_token(
            new_id("tok", system_clock()),
            self.id,
            USER,
            "n8n",
            ("read",),
            system_clock().replace(year=2099),
            system_clock(),
        )
        identity.api_tokens().add_token(self.token)
        self.items = [
            client("dynamodb").get_item(TableName=self.table, Key={"pk": {"S": pk}, "sk": {"S": sk}})["Item"]
            for pk, sk in (
                (self.id, "profile"),
                (USER, f"member#{self.id}"),
                (USER, "profile"),
                (USER, f"session#{SESSION}"),
                (self.id, f"token#{self.token.id}"),
            )
        ]

    def prepare(self, role: Role | None, scopes: str = "read") -> None:
        """Everything as it was made, with this role of USER (None = no member), and these scopes of the token."""
        profile, member, user, session, token = self.items
        for item in (profile, user, session, token | {"scopes": {"S": scopes}}):
            client("dynamodb").put_item(TableName=self.table, Item=item)
        if role is None:
            keys = {name: member[name] for name in ("pk", "sk")}
            client("dynamodb").delete_item(TableName=self.table, Key=keys)
        else:
            client("dynamodb").put_item(TableName=self.table, Item=member | {"role": {"S": role.value}})

    def request(self, route: Route, *, token: bool = False, **ids: str) -> Reply:
        """Send a request to the route, with ids that name nothing. One with a body has a broken one, so that it ends
        behind the gate."""
        path = re.sub(r"<(\w+)\+?>", lambda part: ({"workspace_id": self.id} | MISSING | ids)[part[1]], route.path)
        body = "{" if route.method in ("POST", "PUT", "PATCH") else None
        claims = CLAIMS
        if token:
            claims = {"user_id": USER, "token_id": self.token.id, "workspace_id": self.id, "expires_at": 2**40}
        return send(self.app, self.folder, f"{route.method} {path}", body, claims, self.id)


def send(
    app: ModuleType,
    folder: str,
    request: str,
    body: Any = None,
    claims: dict[str, Any] = CLAIMS,
    workspace_id: str | None = None,
) -> Reply:
    headers = {"atelier-workspace": workspace_id} if workspace_id else {}
    event = with_request(complete_event(EVENTS / folder), request, body=body, headers=headers)
    event["requestContext"]["authorizer"] = {"lambda": claims}
    return invoke_app(app, event)


def is_refused_by_role(response: Reply) -> bool:
    return response["statusCode"] == 403 and "does not allow this" in response["body"]


def is_refused_by_scope(response: Reply) -> bool:
    return response["statusCode"] == 403 and (
        "scopes do not allow" in response["body"] or "may not do this" in response["body"]
    )


def is_no_such_workspace(response: Reply) -> bool:
    return response["statusCode"] == 404 and "There is no such workspace." in response["body"]


def protected(folder: str) -> Iterator[tuple[str, Route, list[str]]]:
    """The routes of a function that need a permission of a workspace, with the cells of their rows. Those of the
    platform's administrators are in test_platform_gate.py."""
    for name, route in routes()[folder].items():
        assert name in ROWS, f"{name} has no row in ROUTES.md"
        if route.permission is not None and route.permission not in PLATFORM_PERMISSIONS:
            yield name, route, ROWS[name]


FOLDERS = [folder for folder in routes() if any(protected(folder))]


@pytest.fixture(autouse=True)
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_RATE_REQUESTS_PER_MINUTE", "1000000")


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_route_is_open_to_the_marked_roles_alone(folder: str, cloud: AwsResources) -> None:
    organization = Organization(cloud, folder)
    wrong: list[str] = []
    for name, route, (_, *cells) in protected(folder):
        for role, mark in zip(ROLES, cells, strict=False):
            organization.prepare(role)
            response = organization.request(route)
            passes = not is_refused_by_role(response) and response["statusCode"] not in (401, 500)
            if passes != bool(mark) or is_no_such_workspace(response):
                wrong.append(f"{name} as {role}: {response['statusCode']} {response['body'][:120]}")
        organization.prepare(None)
        response = organization.request(route)
        if not is_no_such_workspace(response):
            wrong.append(f"{name} as nobody: {response['statusCode']} {response['body'][:120]}")
    assert wrong == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_api_token_needs_the_routes_scope_and_its_users_role(folder: str, cloud: AwsResources) -> None:
    organization = Organization(cloud, folder)
    wrong: list[str] = []

    def expect(name: str, route: Route, what: str, is_right: Any) -> None:
        response = organization.request(route, token=True)
        if not is_right(response):
            wrong.append(f"{name} {what}: {response['statusCode']} {response['body'][:120]}")

    def passes(response: Reply) -> bool:
        return response["statusCode"] not in (401, 403, 500)

    for name, route, (permission, *cells) in protected(folder):
        others = " ".join(sorted(set(SCOPES) - {"all", "read", permission}))
        organization.prepare(Role.OWNER, others)
        expect(name, route, "with every other scope", is_refused_by_scope)
        organization.prepare(Role.OWNER, f"{others} all read {permission}")
        if not cells[len(ROLES)]:
            expect(name, route, "with every scope", is_refused_by_scope)
            continue
        expect(name, route, "with every scope", passes)
        organization.prepare(Role.OWNER, permission)
        expect(name, route, "with its scope", passes)
        organization.prepare(None, permission)
        expect(name, route, "of a former member", lambda response: response["statusCode"] == 401)
        unmarked = [role for role, mark in zip(ROLES, cells, strict=False) if not mark]
        for role in unmarked[:1]:
            organization.prepare(role, permission)
            expect(name, route, f"of a {role}", is_refused_by_role)
    assert wrong == []


# ---- ids -------------------------------------------------------------------------------------------------------------


def own_and_foreign_ids(workspace_id: str) -> dict[str, str]:
    """A thing of each kind that belongs to a workspace, by the name of the path's parameter."""
    now = system_clock()
    key = ProviderKey(new_id("key", now), workspace_id, USER, "fal", "x", "last", b"1", "0011223344556677", now)
    provider_key_store.keys().add(key)
    token, _ = new_token(new_id("tok", now), workspace_id, USER, "n8n", ("read",), now.replace(year=2099), now)
    identity.api_tokens().add_token(token)
    return {
        "key_id": key.id,
        "token_id": token.id,
        "project_id": create_project(workspace_id=workspace_id).id,
        "character_id": create_character(workspace_id).id,
        "template_id": create_template(workspace_id).id,
        "endpoint_id": create_webhook_endpoint(workspace_id).id,
        "delivery_id": WEBHOOK_DELIVERY,
        "asset_id": create_upload(sample_png(8, 8, 1), workspace_id).id,
    }


def without_request_id(response: Reply) -> tuple[int, dict[str, Any]]:
    envelope = json.loads(response["body"]) if response["body"] else {}
    return response["statusCode"], {name: value for name, value in envelope.items() if name != "request_id"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_foreign_id_is_answered_like_a_missing_one(folder: str, cloud: AwsResources) -> None:
    """The things belong to WORKSPACE, of which the caller is the owner too: what is asked for decides, not who asks."""
    organization = Organization(cloud, folder)
    foreign = own_and_foreign_ids(WORKSPACE) | {"generation_id": submit_example().id, "video_id": submit_example().id}
    wrong: list[str] = []
    organization.prepare(Role.OWNER)
    for name, route, _ in protected(folder):
        parameters = set(re.findall(r"<(\w+)\+?>", route.path)) & foreign.keys()
        if not parameters:
            continue
        organization.prepare(Role.OWNER)
        missing = without_request_id(organization.request(route))
        answered = without_request_id(organization.request(route, **{each: foreign[each] for each in parameters}))
        if answered != missing:
            wrong.append(f"{name}: {answered}, and {missing} for a missing one")
        if route.method == "GET":
            own = send(
                organization.app,
                folder,
                "GET " + re.sub(r"<(\w+)\+?>", lambda part: (MISSING | foreign)[part[1]], route.path),
                workspace_id=WORKSPACE,
            )
            # An own upload is no asset yet, the example's generation is no video and not for a site, and its project
            # goes nowhere.
            is_there = not parameters & {"asset_id", "video_id"} and not re.search("/move$|/writings/", route.path)
            if own["statusCode"] == 404 and is_there:
                wrong.append(f"{name}: the own thing is not found")
    assert wrong == []
