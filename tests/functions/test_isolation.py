"""Isolation of workspaces a second time: every request to DynamoDB that an API function makes for a caller is held to
the policy that session credentials of the caller would have, `dynamodb:LeadingKeys` = the caller and the caller's
workspaces. What else a function may ask for is listed here, with the reason.

docs/decisions/audit_log.md says why this is a lane of the tests, and not a role that each request assumes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.identity.items import MembershipItem
from atelier.clock import system_clock
from atelier.errors import NotFound
from atelier.generations.model import DeliveredFile
from atelier.identity.permissions import PLATFORM_PERMISSIONS
from atelier.wiring import identity, ledger
from infra.simulators.kit.samples import sample_png
from tests.embedded_aws import Tables
from tests.functions.conftest import AwsResources
from tests.functions.example_data import (
    ASSET,
    USER,
    WORKSPACE,
    add_api_token,
    add_provider_key,
    create_character,
    create_organization,
    create_project,
    create_template,
    create_upload,
    submit_example,
    submit_run,
)
from tests.functions.route_matrix import routes
from tests.integration.world import client_event_hook
from tests.invoke import EVENTS, calls, example_event, load_function
from tests.recorded_assets import record_asset

# Table → a leading key that is neither the caller nor a workspace of the caller → why it is asked for. The first group
# contains the caller's workspace or user; the second is shared by all workspaces.
OWN = f"({WORKSPACE}|{USER})"
EXCEPTIONS = {
    "requests": {
        rf"idempotency#{OWN}#.+": "an Idempotency-Key of the caller; a partition of its own, so that keys spread",
        rf"try#{OWN}#.+": "a repetition of an SDK's request, likewise",
        rf"waiting#.*#?{USER}": "the caller's own leases of requests that wait",
        # The caller's window is written now and then only, so it has no line of its own.
        rf"rate#(account#{USER}|(mail|sign-in)#.+)": "limits of the caller, and of a network address and a mailbox",
    },
    "community": {
        r"editorial": "which workspace writes articles for the deployment; read only",
    },
    "providers": {
        rf"health#{OWN}": "health of the workspace's own keys",
        r"health|sunsets": "what is true of providers for everybody; read only",
    },
    "identity": {
        r"due-erasures": "when the deletion of the caller's account or organisation is due; written, never read",
        r"email#.+": "the claim on an address that the caller names or has; the digest of the password is there",
        r"slug#.+": "the claim on an organisation's name",
        r"revoked": "users whose sessions were ended in the last minutes; whether the caller is one of them",
        r"challenge#.+": "a challenge of WebAuthn, by its random digest",
    },
    "sites": {r"slug#.+": "the claim on a site's name"},
    "billing": {r"trial#.+": "the one trial of a mailbox, by its digest"},
    "realtime": {r"ticket#.+": "a new ticket of the caller, by its random digest"},
}


def leading_keys(operation: str, request: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(table, partition key) of everything that a request names; what names no key, such as a scan, raises KeyError."""
    if operation == "BatchGetItem":
        for table, wanted in request["RequestItems"].items():
            yield from ((table, key["pk"]["S"]) for key in wanted["Keys"])
    elif operation == "TransactWriteItems":
        for item in request["TransactItems"]:
            [(_, part)] = item.items()
            yield part["TableName"], (part.get("Key") or part["Item"])["pk"]["S"]
    elif operation == "Query":
        name, value = re.match(r"\(?(#\w+) = (:\w+)", request["KeyConditionExpression"]).groups()  # type: ignore[union-attr]
        assert request["ExpressionAttributeNames"][name] == "pk", request
        yield request["TableName"], request["ExpressionAttributeValues"][value]["S"]
    else:
        yield request["TableName"], (request.get("Key") or request["Item"])["pk"]["S"]


@contextmanager
def recorded_keys(tables: Tables) -> Iterator[set[tuple[str, str]]]:
    """(context, partition key) of everything that this process asks DynamoDB for within the block."""
    contexts = {getattr(tables, context): context for context in Tables.__dataclass_fields__}
    found: set[tuple[str, str]] = set()

    def record(model: Any, params: dict[str, Any], **_: Any) -> None:
        if model.name != "DescribeTable":
            request = json.loads(params["body"])
            found.update((contexts[table], key) for table, key in leading_keys(model.name, request))

    with client_event_hook("before-call.dynamodb", record):
        yield found


def protected_examples() -> Iterator[tuple[str, str]]:
    """(function, example) of every example of a route that needs a permission of a workspace."""
    for folder, declared in routes().items():
        patterns = [
            (route.method, re.sub(r"<\w+(\+?)>", lambda part: ".+" if part[1] else "[^/]+", route.path))
            for route in declared.values()
            if route.permission is not None and route.permission not in PLATFORM_PERMISSIONS
        ]
        complete = [f"{folder}/{path.stem}" for path in (EVENTS / folder).glob("*.json")]
        for name in [*complete, *(name for name in calls() if name.rpartition("/")[0] == folder)]:
            http = example_event(name)["requestContext"]["http"]
            if any(http["method"] == method and re.fullmatch(path, http["path"]) for method, path in patterns):
                yield folder, name


def own_workspaces() -> set[str]:
    """The workspaces of which the caller is a member."""
    return {
        item.sk.removeprefix("member#") for item in MembershipItem.query(USER, MembershipItem.sk.startswith("member#"))
    }


def test_api_functions_ask_for_items_of_the_callers_workspaces_alone(cloud: AwsResources) -> None:
    submitted = submit_example()
    record_asset(submitted, DeliveredFile(ASSET, "image", "0" * 64, "png", 1, 512, 512, has_thumbnail=True), 0)
    add_provider_key()
    add_api_token()
    create_project()
    create_organization()
    submit_run()
    create_character()
    create_template()
    create_upload(sample_png(64, 64, 7))
    identity.verify_email("of-the-examples@example.com", system_clock())
    table = cloud.tables.identity
    accounts = client("dynamodb").scan(TableName=table)["Items"]
    foreign: set[tuple[str, str, str]] = set()
    used: set[str] = set()
    for folder, name in protected_examples():
        # An example may have ended the session, or revoked the token.
        for item in accounts:
            client("dynamodb").put_item(TableName=table, Item=item)
        with recorded_keys(cloud.tables) as keys:
            load_function(folder).handler(example_event(name), None)
        for context, key in sorted(keys):
            if key in own_workspaces() | {USER}:
                continue
            matching = {pattern for pattern in EXCEPTIONS.get(context, {}) if re.fullmatch(pattern, key)}
            used |= matching
            if not matching:
                foreign.add((name, context, key))
    assert not foreign, "\n".join(map(str, sorted(foreign)))
    listed = {pattern for patterns in EXCEPTIONS.values() for pattern in patterns}
    assert listed - used == set(), "an exception that no example needs: remove it"


def test_what_names_another_workspace_or_no_key_is_found(cloud: AwsResources) -> None:
    other = "wsp_01M7XCN60QZZZZZZZZZZZZZZZZ"
    with recorded_keys(cloud.tables) as keys:
        ledger.wallets().wallet(WORKSPACE)
        with pytest.raises(NotFound):
            ledger.wallets().wallet(other)
    assert {("ledger", WORKSPACE), ("ledger", other)} <= keys
    with pytest.raises(KeyError), recorded_keys(cloud.tables):
        list(MembershipItem.scan())
