"""The stream of the identity table: changes of members become events, once each; other changes none."""

from __future__ import annotations

from collections import Counter
from typing import Any

from atelier.adapters.aws.dynamodb.workspaces.changes import member_changes
from atelier.events.catalogue import MemberChanged
from tests.functions.conftest import AwsResources
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
