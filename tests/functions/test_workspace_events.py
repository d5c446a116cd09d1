"""Events from the streams of the ledger, library, identity and requests tables: quotas, credits, files that came and
went. Each is in the feed of its workspace once, however often the stream delivers its record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from atelier.adapters.aws.dynamodb import transaction
from atelier.adapters.aws.dynamodb.archived_assets import DynamoArchivedAssets
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, WorkspaceItem
from atelier.adapters.aws.dynamodb.ledger.items import WALLET, WalletItem
from atelier.adapters.aws.dynamodb.ledger.transactions import put_tier
from atelier.adapters.aws.dynamodb.usage import PROJECTS, STORAGE, put_usage
from atelier.clock import system_clock
from atelier.feeds.model import FeedEvent
from atelier.ledger.model import GrantSource
from atelier.ledger.post import adjust, grant
from atelier.library.delete_asset import delete_asset
from atelier.realtime.model import entries_of, parse_channel, visible_events
from atelier.wiring import auth, feeds, ledger, library, payments
from atelier.wiring.prices import prices
from tests.functions.conftest import AwsResources
from tests.functions.delivered_streams import DeliveredStreams
from tests.functions.example_data import USER, WORKSPACE
from tests.functions.moving import create_project, make_generation, store_upload
from tests.functions.people import Person, call, create_organization, create_person
from tests.functions.responses import success_data
from tests.invoke import load_function

FREE = prices().tier("free")


def told(feed_id: str = WORKSPACE) -> list[FeedEvent]:
    """The events of a feed."""
    return [entry.event for entry in feeds.feeds().after(feed_id, 0, system_clock()).entries]


def types(feed_id: str = WORKSPACE) -> list[str]:
    return [event.type for event in told(feed_id)]


def published(cloud: AwsResources, count: int) -> list[tuple[str, str]]:
    """Type and id of so many events of the bus."""
    found: list[tuple[str, str]] = []
    while len(found) < count:
        messages = cloud.take_messages(cloud.events_queue, seconds_max=10)
        assert messages
        found += [(message["detail-type"], message["detail"]["id"]) for message in messages]
    return found


def count(name: str, change: int) -> None:
    """What a workspace's counter counts has changed."""
    library.assets()  # Binds the counters to their table.
    with transaction() as write:
        put_usage(write, WORKSPACE, name, change)


# ---- quotas ----------------------------------------------------------------------------------------------------------


def test_a_quota_is_told_at_80_percent_and_when_it_is_full_once_a_month(cloud: AwsResources) -> None:
    streams, limit = DeliveredStreams(cloud.tables, "library"), FREE.projects_max
    assert limit == 50
    for change, expected in ((39, 0), (1, 1), (5, 1), (-10, 1), (6, 1), (9, 2), (-10, 2), (9, 2)):
        count(PROJECTS, change)
        assert streams.deliver("streams/usage", times=2) == 1
        assert types() == ["quota.threshold_reached"] * expected
    period = system_clock().strftime("%Y-%m")
    assert [(each.data["quota"], each.data["percent"], each.data["used"], each.data["limit"]) for each in told()] == [
        ("projects", 80, 40, 50),
        ("projects", 100, 50, 50),
    ]
    assert [each.id for each in told()] == [f"{WORKSPACE}#projects#50#{percent}#{period}" for percent in (80, 100)]
    assert sorted(published(cloud, 2)) == sorted((each.type, each.id) for each in told())


def test_a_larger_limit_has_thresholds_of_its_own(cloud: AwsResources) -> None:
    streams = DeliveredStreams(cloud.tables, "library")
    count(PROJECTS, 40)
    streams.deliver("streams/usage")
    with transaction() as write:
        put_tier(write, WORKSPACE, "starter@1", None, part="tier")
    count(PROJECTS, 119)
    streams.deliver("streams/usage")
    count(PROJECTS, 1)
    streams.deliver("streams/usage")
    assert [each.data["limit"] for each in told()] == [50, 200]


def test_stored_bytes_of_both_counters_are_added_up(cloud: AwsResources) -> None:
    streams, limit = DeliveredStreams(cloud.tables, "library", "ledger"), FREE.storage_bytes_max
    delivered = WalletItem(WORKSPACE, WALLET)
    # Neither of two changes at once reaches the threshold by itself.
    count(STORAGE, limit * 4 // 10)
    delivered.update([WalletItem.delivered_bytes.set(limit * 4 // 10)])
    streams.deliver("streams/usage", "streams/ledger")
    [event] = told()
    assert (event.data["quota"], event.data["percent"]) == ("storage_bytes", 80)
    delivered.update([WalletItem.delivered_bytes.set(limit)])
    streams.deliver("streams/usage", "streams/ledger")
    assert [each.data["percent"] for each in told()] == [80, 100]


def test_an_organisation_is_told_when_it_is_full_of_members(cloud: AwsResources) -> None:
    streams, app, ada = (
        DeliveredStreams(cloud.tables, "identity"),
        load_function("api/workspaces"),
        create_person("ada"),
    )
    team = create_organization(app, ada)["id"]
    streams.deliver("streams/identity")
    # One of one is no news.
    assert "quota.threshold_reached" not in types(team)
    with transaction() as write:
        put_tier(write, team, "starter@1", None, part="tier")
    for members, expected in ((2, []), (3, [100])):
        WorkspaceItem(team, PROFILE).update([WorkspaceItem.members.set(members)])
        streams.deliver("streams/identity", times=2)
        quota = [each for each in told(team) if each.type == "quota.threshold_reached"]
        assert [each.data["percent"] for each in quota] == expected


def test_calls_of_api_tokens_reach_a_quota_too(cloud: AwsResources) -> None:
    streams, counters, now = DeliveredStreams(cloud.tables, "requests"), auth.call_counters(), system_clock()
    month = now.strftime("%Y-%m")
    counters.add(WORKSPACE, month, FREE.api_calls_max * 8 // 10 - 1)
    assert streams.deliver("streams/usage") == 1
    assert told() == []
    counters.add(WORKSPACE, month, 20)
    streams.deliver("streams/usage")
    assert [(each.data["quota"], each.data["percent"]) for each in told()] == [("api_calls", 80)]


# ---- credits ---------------------------------------------------------------------------------------------------------


def test_credits_that_come_in_are_told_but_daily_ones_are_not(cloud: AwsResources) -> None:
    streams, now = DeliveredStreams(cloud.tables, "ledger"), system_clock()
    ledger.refresh_wallet(WORKSPACE, now)
    deps, soon = payments.ledger(), now + timedelta(days=3)
    grant(WORKSPACE, "grant#test#1", GrantSource.PURCHASE, 500, deps=deps, now=now)
    grant(WORKSPACE, "grant#test#2", GrantSource.PROMO, 7, expires_at=soon, deps=deps, now=now)
    streams.deliver("streams/ledger", times=2)
    assert [(each.type, each.data["credits"], each.data["grant_source"]) for each in told()] == [
        ("credits.granted", 500, "purchase"),
        ("credits.granted", 7, "promo"),
    ]
    assert told()[0].data["expires_at"] is None
    assert datetime.fromisoformat(told()[1].data["expires_at"]).astimezone(UTC) > now


def test_few_credits_are_told_once_until_there_were_enough_again(cloud: AwsResources) -> None:
    streams, now = DeliveredStreams(cloud.tables, "ledger"), system_clock()
    ledger.refresh_wallet(WORKSPACE, now)
    for number, (change, expected) in enumerate(((-40, 0), (-1, 1), (-2, 1), (20, 1), (-18, 2), (-1, 2))):
        adjust(WORKSPACE, f"adjust#test#{number}", change, reason="a test", by=USER, deps=payments.ledger(), now=now)
        streams.deliver("streams/ledger", times=2)
        assert types().count("credits.low") == expected
    low = [each for each in told() if each.type == "credits.low"]
    assert [(each.data["credits"], each.data["threshold"]) for each in low] == [(9, 10), (9, 10)]


def test_a_workspace_chooses_its_threshold_and_a_tier_has_one(cloud: AwsResources) -> None:
    streams, app, ada = DeliveredStreams(cloud.tables, "ledger"), load_function("api/credits"), create_person("ada")
    path = "/api/credits/threshold"
    assert success_data(call(app, ada, f"GET {path}")) == {"credits": 10, "is_chosen": False}
    ledger.refresh_wallet(ada.workspace_id, system_clock())
    # What is there already may be few by the new choice.
    assert success_data(call(app, ada, f"PUT {path}", {"credits": 51})) == {"credits": 51, "is_chosen": True}
    streams.deliver("streams/ledger")
    assert types(ada.workspace_id) == ["credits.low"]
    success_data(call(app, ada, f"PUT {path}", {"credits": None}))
    with transaction() as write:
        put_tier(write, ada.workspace_id, "pro@1", None, part="tier")
    assert success_data(call(app, ada, f"GET {path}")) == {"credits": 660, "is_chosen": False}
    assert call(app, ada, f"PUT {path}", {"credits": -1})["statusCode"] == 422


# ---- files -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def ada(cloud: AwsResources) -> Person:
    person = create_person("ada")
    feeds.feeds().watch(person.workspace_id, system_clock() + timedelta(hours=1))
    return person


def test_an_upload_and_its_deletion_are_told_to_those_who_follow_its_project(cloud: AwsResources, ada: Person) -> None:
    streams, project = DeliveredStreams(cloud.tables, "library"), create_project(ada.workspace_id, "Harbour").id
    asset_id = store_upload(ada, project, "a" * 64)
    streams.deliver("streams/library", times=2)
    delete_asset(ada.workspace_id, asset_id, assets=library.assets(), files=library.stored_files(), now=system_clock())
    streams.deliver("streams/library", times=2)
    created, deleted = told(ada.workspace_id)
    assert (created.type, created.data["asset"]["id"], created.data["asset"]["sha256"]) == (
        "asset.created",
        asset_id,
        "a" * 64,
    )
    facts = {"workspace_id": ada.workspace_id, "asset_id": asset_id, "user_id": ada.user_id, "project_id": project}
    assert (deleted.type, deleted.data) == ("asset.deleted", {**facts, "type": "image"})
    entries = feeds.feeds().after(ada.workspace_id, 0, system_clock()).entries
    for channel, expected in ((f"project:{project}", 2), ("workspace", 2), ("wallet", 0)):
        assert len(entries_of(parse_channel(channel), visible_events(lambda _: True), entries)) == expected


def test_what_the_archive_gives_up_is_told_and_what_nobody_follows_is_not(cloud: AwsResources, ada: Person) -> None:
    streams, now = DeliveredStreams(cloud.tables, "library"), system_clock()
    archive = DynamoArchivedAssets()
    asset_id, bob = store_upload(ada, None, "b" * 64), create_person("bob")
    store_upload(bob, None, "c" * 64)
    library.assets().change(ada.workspace_id, asset_id, {"archived_at": now})
    assert archive.delete_archived(ada.workspace_id, asset_id, now, now)
    assert streams.deliver("streams/library") == 3
    assert types(ada.workspace_id) == ["asset.created", "asset.deleted"]
    assert types(bob.workspace_id) == []


def test_what_a_generation_delivers_is_not_told_twice(cloud: AwsResources, ada: Person) -> None:
    streams = DeliveredStreams(cloud.tables, "library")
    make_generation(ada, None, "d" * 64)
    assert streams.deliver("streams/library") == 0
