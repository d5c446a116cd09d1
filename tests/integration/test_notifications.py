"""Notifications of events: who gets which, each once, and counters that are exact in every race."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.identity.items import PROFILE, IdentityItem, UserItem, WorkspaceItem
from atelier.adapters.aws.dynamodb.notifications.items import DueMailItem, NotificationItem
from atelier.adapters.aws.dynamodb.notifications.people import DynamoPeople
from atelier.adapters.aws.dynamodb.notifications.store import DynamoNotifications
from atelier.adapters.aws.dynamodb.workspaces.invitations import PREFIX, InvitationItem
from atelier.adapters.aws.dynamodb.workspaces.items import MEMBER_PREFIX, MemberItem
from atelier.clock import rfc3339
from atelier.errors import NotFound
from atelier.feeds.model import FeedEvent
from atelier.identity.model import Credentials
from atelier.identity.permissions import Role
from atelier.ids import new_id
from atelier.notifications import change
from atelier.notifications.model import Digest, Notification, NotificationKind, Preferences, QuietHours
from atelier.notifications.notify import NotifyDeps, notify_of_events
from atelier.notifications.ports import NotificationView
from tests.conftest import Tables
from tests.fake_feeds import FakeFeeds

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
WORKSPACE = "wsp_01M7XCN60Q0Z9AH99VAAQWYH99"
ALERT = FeedEvent("alr_1", "budget.alert", rfc3339(NOW), {"budget": "workspace", "threshold": 80})
PAST_DUE = FeedEvent("wsp#7", "subscription.past_due", rfc3339(NOW), {"tier": "pro@1", "status": "past_due"})
CURRENT, UNREAD, ARCHIVED = NotificationView


class House:
    """An organisation with members, and its notifications."""

    def __init__(self, tables: Tables) -> None:
        IdentityItem.bind(tables.identity)
        self.feeds = FakeFeeds()
        self.store = DynamoNotifications(tables.notifications)
        self.deps = NotifyDeps(self.store, DynamoPeople(tables.identity), self.feeds)
        WorkspaceItem(
            WORKSPACE,
            PROFILE,
            name="Atlas Films",
            workspace_kind="organization",
            owner_id="",
            tier="pro",
            created_at=rfc3339(NOW),
        ).save()

    def add_user(self, name: str, role: Role | None = None, **fields: Any) -> str:
        """A user, who is a member if there is a role."""
        user_id = new_id("usr", NOW)
        UserItem(
            user_id,
            PROFILE,
            email=f"{name}@example.com",
            name=name,
            workspace_id=new_id("wsp", NOW),
            **{
                "email_verified": True,
                "persona": "none",
                "platform_role": "user",
                "status": "active",
                "created_at": rfc3339(NOW),
                "last_login_at": rfc3339(NOW),
                **fields,
            },
        ).save()
        if role:
            MemberItem(WORKSPACE, MEMBER_PREFIX + user_id, role=role.value, created_at=rfc3339(NOW)).save()
        return user_id

    def notify(self, *events: FeedEvent, now: datetime = NOW) -> None:
        notify_of_events(WORKSPACE, events, self.deps, now)

    def kinds(self, user_id: str, view: NotificationView = CURRENT) -> list[str]:
        return [each.kind.value for each in self.store.page(user_id, view, None, 100).notifications]

    def only(self, user_id: str) -> Notification:
        (found,) = self.store.page(user_id, CURRENT, None, 100).notifications
        return found

    def due(self) -> list[str]:
        return sorted(item.sk.partition("#")[0] for item in DueMailItem.scan() if item.pk.startswith("due#"))

    def change(self, act: Any, user_id: str, notification_id: str) -> Notification:
        changed: Notification = act(user_id, notification_id, store=self.store, feeds=self.feeds, now=NOW)
        return changed


@pytest.fixture
def house(tables: Tables) -> House:
    return House(tables)


def filler(user_id: str, number: int = 1) -> list[Notification]:
    """Notifications that are new."""
    kind = NotificationKind.BUDGET_ALERT
    return [Notification(new_id("ntf", NOW), user_id, kind, f"Title {at}", "Body", NOW) for at in range(number)]


def test_roles_decide_who_is_notified_in_their_own_language(house: House) -> None:
    owner = house.add_user("ada", Role.OWNER, locale="de")
    admin = house.add_user("bob", Role.ADMIN)
    editor = house.add_user("eve", Role.EDITOR)
    suspended = house.add_user("sue", Role.ADMIN, status="suspended")
    house.notify(ALERT, PAST_DUE)
    assert sorted(house.kinds(owner)) == ["budget_alert", "payment_failed"]
    assert house.kinds(admin) == ["budget_alert"]
    assert house.kinds(editor) == house.kinds(suspended) == []
    assert house.only(admin).body == "A budget in Atlas Films has reached 80 % of its limit."
    german = {each.title for each in house.store.page(owner, CURRENT, None, 9).notifications}
    assert german == {"80 % eines Budgets sind ausgegeben", "Eine Zahlung ist gescheitert"}


def test_events_that_come_again_and_at_the_same_time_notify_once(house: House) -> None:
    owner = house.add_user("ada", Role.OWNER)

    def notify(_number: int) -> None:
        house.notify(ALERT, PAST_DUE)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(notify, range(8)))
    assert sorted(house.kinds(owner)) == ["budget_alert", "payment_failed"]
    assert house.store.unread(owner) == 2
    assert house.feeds.types(owner) == ["notification.created"] * 2
    assert len(house.due()) == 2


def test_a_process_that_dies_before_the_feed_is_written_is_made_good(house: House) -> None:
    owner = house.add_user("ada", Role.OWNER)
    house.notify(ALERT)
    house.feeds.events.clear()
    house.notify(ALERT)
    (event,) = house.feeds.events[owner]
    assert (event.type, event.data["unread"]) == ("notification.created", 1)


def test_the_creator_hears_of_a_generation_that_failed_late(house: House) -> None:
    creator, owner = house.add_user("eve", Role.EDITOR), house.add_user("ada", Role.OWNER)
    generation = new_id("gen", NOW - timedelta(minutes=30))
    data = {"generation_id": generation, "user_id": creator}
    house.notify(FeedEvent(f"{generation}#failed", "generation.failed", rfc3339(NOW), data))
    found = house.only(creator)
    assert found.action
    assert (found.title, found.action.url) == ("A generation failed after 30 minutes", f"/generations/{generation}")
    assert house.kinds(owner) == []


@pytest.mark.parametrize("is_verified", [True, False])
def test_only_a_verified_address_hears_of_its_invitation(house: House, is_verified: bool) -> None:
    guest = house.add_user("guest", email_verified=is_verified)
    from atelier.adapters.aws.dynamodb.identity.items import credentials_item

    credentials_item(Credentials("guest@example.com", guest, "wsp_1", "no hash")).save()
    InvitationItem(
        WORKSPACE,
        f"{PREFIX}inv_1",
        email="guest@example.com",
        role="editor",
        invited_by="",
        expires_at_seconds=2**33,
        created_at=rfc3339(NOW),
        sent_at=rfc3339(NOW),
        ends_at=rfc3339(NOW),
    ).save()
    data = {"invitation_id": "inv_1", "role": "editor", "user_id": None}
    house.notify(FeedEvent("chg_1", "member.invited", rfc3339(NOW), data))
    assert house.kinds(guest) == ["invitation"] * is_verified
    house.notify(FeedEvent("chg_2", "member.joined", rfc3339(NOW), {"user_id": guest}))
    assert [each.is_open for each in house.store.page(guest, CURRENT, None, 9).notifications] == [False] * is_verified


def test_a_payment_that_succeeds_ends_the_action_item(house: House) -> None:
    owner = house.add_user("ada", Role.OWNER)
    house.notify(PAST_DUE)
    assert house.only(owner).is_open
    with pytest.raises(change.StillOpen):
        house.change(change.archive, owner, house.only(owner).id)
    house.notify(FeedEvent("wsp#8", "subscription.changed", rfc3339(NOW), {"status": "active"}))
    assert not house.only(owner).is_open
    house.change(change.archive, owner, house.only(owner).id)
    assert house.kinds(owner) == []
    assert house.kinds(owner, ARCHIVED) == ["payment_failed"]


def test_channels_that_are_off_get_nothing(house: House) -> None:
    names = ("in_app", "email", "webhook")
    users = {name: house.add_user(name, Role.ADMIN, time_zone="Europe/Berlin") for name in (*names, "none")}
    for name, user_id in users.items():
        chosen = {("budget_alert", each): each == name for each in names}
        night = QuietHours(time(12), time(18))
        house.store.save_preferences(user_id, Preferences(chosen, night, Digest.AT_ONCE))
    house.notify(ALERT)
    assert house.kinds(users["in_app"]) == ["budget_alert"]
    # What is not shown is in the archive, from which its mail is written.
    for name in ("email", "webhook"):
        assert (house.kinds(users[name]), house.kinds(users[name], ARCHIVED)) == ([], ["budget_alert"])
        assert house.store.unread(users[name]) == 0
        assert house.feeds.types(users[name]) == []
    assert list(NotificationItem.query(users["none"], NotificationItem.sk.startswith("ntf_"))) == []
    # 12:00 UTC is in the quiet hours of Berlin, which end at 17:00 UTC.
    assert house.due() == ["2026-11-29T17:00:00.000Z"]
    (event,) = house.feeds.events[WORKSPACE]
    assert (event.type, event.data["user_id"]) == ("notification.created", users["webhook"])


def test_reading_twice_and_at_the_same_time_counts_once(house: House) -> None:
    owner = house.add_user("ada", Role.OWNER)
    notifications = filler(owner, 3)
    for each in notifications:
        assert house.store.add(each)
        assert not house.store.add(each)

    def act(number: int) -> None:
        house.change((change.read, change.acknowledge, change.archive)[number % 3], owner, notifications[0].id)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(act, range(12)))
    assert house.store.unread(owner) == 2
    assert house.store.find(owner, notifications[0].id).acknowledged_at == NOW


def test_reading_all_beside_new_ones_keeps_the_counter_exact(house: House) -> None:
    owner = house.add_user("ada", Role.OWNER)
    for each in filler(owner, 45):
        house.store.add(each)
    late = filler(owner, 20)

    def act(number: int) -> None:
        if number % 4 == 0:
            change.read_all(owner, store=house.store, feeds=house.feeds, now=NOW)
        else:
            house.store.add(late[number - number // 4 - 1])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(act, range(26)))
    unread = house.store.page(owner, UNREAD, None, 100).notifications
    assert house.store.unread(owner) == len(unread)
    assert change.read_all(owner, store=house.store, feeds=house.feeds, now=NOW) == 0
    assert house.store.page(owner, UNREAD, None, 100).notifications == ()


def test_only_what_is_read_and_done_is_deleted_later(house: House) -> None:
    owner = house.add_user("ada", Role.OWNER)
    house.notify(PAST_DUE)
    found = house.only(owner)

    def expiry() -> float | None:
        return NotificationItem.get(owner, found.id).expires_at_seconds

    assert expiry() is None
    house.change(change.read, owner, found.id)
    assert expiry() is None
    house.change(change.acknowledge, owner, found.id)
    assert expiry() == (NOW + timedelta(days=180)).timestamp()


def test_a_notification_of_somebody_else_is_not_there(house: House) -> None:
    owner, other = house.add_user("ada", Role.OWNER), house.add_user("bob")
    house.notify(ALERT)
    with pytest.raises(NotFound):
        house.change(change.read, other, house.only(owner).id)


def test_a_key_that_is_refused_all_day_notifies_once_a_day(house: House) -> None:
    admin = house.add_user("bob", Role.ADMIN)
    for hours in (0, 1, 5, 20):
        at = rfc3339(NOW + timedelta(hours=hours))
        data = {"provider": "fal", "key_id": "key_1"}
        house.notify(FeedEvent(f"gen_{hours}#key_1#refused", "provider_key.refused", at, data))
    assert house.kinds(admin) == ["provider_key_refused"] * 2
