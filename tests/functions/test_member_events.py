"""The stream of the identity table: changes of members and deletions become events; other changes none."""

from __future__ import annotations

from collections import Counter
from typing import Any

from atelier.adapters.aws.dynamodb.identity.changes import account_changes
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, UserItem, WorkspaceItem
from atelier.adapters.aws.dynamodb.workspaces.changes import member_changes, workspace_changes
from atelier.audit_log.model import Origin
from atelier.clock import system_clock
from atelier.events.workspace_events import AccountChanged, MemberChanged
from atelier.identity.notices import notice
from atelier.mails.mail import MailKind
from atelier.wiring import identity
from tests.functions.conftest import AwsResources
from tests.functions.people import call, create_organization, create_person
from tests.functions.responses import success_data
from tests.invoke import load_function

WORKSPACE, USER = "wsp_01M7XCN60Q0Z9AH99VAAQWYH99", "usr_01M7XCN60QCB8JGMC722TFVM7C"
INVITATION = "inv_01M7XCN60Q7T2V5X8Z1B4D6F9H"
AT = 1_795_953_600


def record(
    event_id: str, name: str, pk: str, sk: str, new: str | None = None, old: str | None = None
) -> dict[str, Any]:
    """A record of the stream. new, old: the roles in its images."""
    keys = {"pk": {"S": pk}, "sk": {"S": sk}}
    images = {image: {**keys, "role": {"S": role}} for image, role in (("NewImage", new), ("OldImage", old)) if role}
    return {
        "eventID": event_id,
        "eventName": name,
        "dynamodb": {"Keys": keys, "ApproximateCreationDateTime": AT, **images},
    }


RECORDS = [
    record("1", "INSERT", WORKSPACE, f"invitation#{INVITATION}", "admin"),
    record("2", "MODIFY", WORKSPACE, f"invitation#{INVITATION}", "admin", "admin"),
    record("3", "INSERT", WORKSPACE, f"member#{USER}", "admin"),
    record("4", "MODIFY", WORKSPACE, f"member#{USER}", "editor", "admin"),
    record("5", "REMOVE", WORKSPACE, f"member#{USER}", None, "editor"),
    # The other item of a membership, and the workspace itself.
    record("6", "INSERT", USER, f"member#{WORKSPACE}", "admin"),
    record("7", "MODIFY", WORKSPACE, "profile", "none", "none"),
]


def change(
    event_id: str, name: str, role: str, user: str | None = USER, invitation: str | None = None
) -> MemberChanged:
    return MemberChanged(event_id, WORKSPACE, name, user, invitation, role, "2026-11-29T12:00:00.000Z")


def test_changes_of_members_and_new_invitations_are_events() -> None:
    assert list(member_changes(RECORDS)) == [
        change("1", "invited", "admin", None, INVITATION),
        change("3", "joined", "admin"),
        change("4", "role_changed", "editor"),
        change("5", "removed", "editor"),
    ]


def modified(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The record of an item that was changed."""
    images = {"Keys": {name: after[name] for name in ("pk", "sk")}, "OldImage": before, "NewImage": after}
    return {
        "eventID": "8",
        "eventName": "MODIFY",
        "dynamodb": {"ApproximateCreationDateTime": AT, **images},
    }


def test_a_deletion_of_an_account_and_its_restoration_are_events(cloud: AwsResources) -> None:
    ada, profiles = create_person("ada"), identity.profiles()

    def stored() -> dict[str, Any]:
        return UserItem.get(ada.user_id, PROFILE, consistent_read=True).to_dynamodb_dict()

    user, now, before = profiles.user(ada.user_id), system_clock(), stored()
    mail = notice(MailKind.ACCOUNT_DELETION, user, Origin(), now, due_at="soon")
    profiles.request_deletion(user, now, events=(), mail=mail)
    requested = stored()
    profiles.restore(user, events=())
    due_at = requested["deletion_due_at"]["S"]
    expected = [
        AccountChanged(ada.user_id, ada.workspace_id, each, due_at, "2026-11-29T12:00:00.000Z")
        for each in ("deletion_requested", "restored")
    ]
    records = [modified(before, requested), modified(requested, stored()), modified(before, before)]
    assert list(account_changes([*RECORDS, *records])) == expected

    load_function("streams/identity").handler({"Records": records}, None)
    found: list[tuple[str, str]] = []
    while len(found) < 2:
        messages = cloud.take_messages(cloud.events_queue, seconds_max=10)
        assert messages
        found += [(message["detail-type"], message["detail"]["id"]) for message in messages]
    assert sorted(found) == [(each.type, each.id) for each in expected]


def test_a_deletion_of_an_organisation_and_its_restoration_are_events(cloud: AwsResources) -> None:
    app, ada = load_function("api/workspaces"), create_person("ada")
    team = create_organization(app, ada)["id"]

    def change(request: str) -> dict[str, Any]:
        before = WorkspaceItem.get(team, PROFILE, consistent_read=True).to_dynamodb_dict()
        success_data(call(app, ada, request))
        return modified(before, WorkspaceItem.get(team, PROFILE, consistent_read=True).to_dynamodb_dict())

    path = f"/api/workspaces/{team}"
    records = [change(f"DELETE {path}"), change(f"POST {path}/restore")]
    until = success_data(call(app, ada, f"DELETE {path}"))["workspace"]["restorable_until"]
    found = list(workspace_changes([*RECORDS, *records]))
    assert [(each.type, each.workspace_id) for each in found] == [
        ("workspace.deletion_requested", team),
        ("workspace.restored", team),
    ]
    assert found[0].restorable_until == found[1].restorable_until < until


def test_the_function_publishes_them_and_a_repeated_batch_publishes_the_same(cloud: AwsResources) -> None:
    app, published = load_function("streams/identity"), Counter[tuple[str, str]]()
    for _ in range(2):
        app.handler({"Records": RECORDS}, None)
    while published.total() < 8:
        messages = cloud.take_messages(cloud.events_queue, seconds_max=10)
        assert messages
        published.update((message["detail"]["id"], message["detail-type"]) for message in messages)
    expected = [("1", "member.invited"), ("3", "member.joined"), ("4", "member.role_changed"), ("5", "member.removed")]
    assert published == dict.fromkeys(expected, 2)
