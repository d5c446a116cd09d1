"""Updates to thousands of people: each exactly once, also when workers die, run twice, or people read meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.audit_log import AuditEventItem
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, IdentityItem, UserItem, directory_of
from atelier.adapters.aws.dynamodb.identity.mails import MailItem
from atelier.adapters.aws.dynamodb.ledger.items import wallet_item
from atelier.adapters.aws.dynamodb.notifications.directory import DynamoPeopleDirectory
from atelier.adapters.aws.dynamodb.notifications.due_mails import DynamoDueMails
from atelier.adapters.aws.dynamodb.notifications.items import DueMailItem, NotificationItem
from atelier.adapters.aws.dynamodb.notifications.people import DynamoPeople
from atelier.adapters.aws.dynamodb.notifications.store import DynamoNotifications
from atelier.adapters.aws.dynamodb.notifications.updates import DynamoUpdates
from atelier.audit_log.model import Origin
from atelier.clock import rfc3339
from atelier.errors import Conflict, ValidationFailed
from atelier.events.catalogue import UpdatePublished
from atelier.events.event import Event
from atelier.ids import new_id
from atelier.ledger.model import new_wallet
from atelier.notifications import change, manage_updates
from atelier.notifications.dispatch import DispatchDeps, dispatch_shard, process, start_due_updates
from atelier.notifications.manage_updates import ManageUpdatesDeps
from atelier.notifications.model import Action, Digest, Preferences
from atelier.notifications.ports import NotificationView
from atelier.notifications.send_mails import SendMailsDeps, send_due_mails
from atelier.notifications.update_ports import UpdateDelivery
from atelier.notifications.updates import Content, Segment, ShardProgress, ShardState, Update, UpdateState, UpdateTopic
from tests.conftest import Tables
from tests.fake_feeds import FakeFeeds

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
EVERYBODY = Content(Segment(), UpdateTopic.NEWS, "A new model", "Try it.", Action("Try it", "/create"))
LETTERS = "0adgjmps"


class Queue:
    """UpdateQueue in memory."""

    def __init__(self) -> None:
        self.shards: list[tuple[str, int]] = []

    def send_shard(self, update_id: str, shard: int, delay_seconds: int = 0) -> None:
        self.shards.append((update_id, shard))


class Keys:
    """IdempotencyKeys in memory."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}

    def reserve(self, workspace_id: str, key: str, fingerprint: str, new_id: str) -> str:
        return self.ids.setdefault(key, new_id)

    def find(self, workspace_id: str, key: str) -> str | None:
        return self.ids.get(key)


class Killed(Exception):
    """The process dies here."""


class DyingUpdates(DynamoUpdates):
    """Dies once after so many pages, before or after the page is written."""

    pages_left = 10**9
    is_written = True

    def deliver(self, progress: ShardProgress, deliveries: Sequence[UpdateDelivery], after: ShardProgress) -> int:
        self.pages_left -= 1
        if self.pages_left == 0 and not self.is_written:
            raise Killed
        count = super().deliver(progress, deliveries, after)
        if self.pages_left == 0:
            raise Killed
        return count


class Platform:
    """A deployment with people, and time that stands still."""

    def __init__(self, tables: Tables) -> None:
        IdentityItem.bind(tables.identity)
        AuditEventItem.bind(tables.audit)
        self.now = NOW
        self.queue, self.feeds = Queue(), FakeFeeds()
        self.updates, self.store = DyingUpdates(tables.notifications), DynamoNotifications(tables.notifications)
        people = DynamoPeople(tables.identity)
        mails = SendMailsDeps(
            DynamoDueMails(tables.notifications, tables.identity), self.store, people, "https://media.example.com"
        )
        directory = DynamoPeopleDirectory(tables.identity, tables.ledger, lambda: self.now)
        self.deps = DispatchDeps(self.updates, self.store, directory, self.queue, mails, self, lambda: self.now)
        self.published = list[UpdatePublished]()
        self.manage = ManageUpdatesDeps(self.updates, Keys())

    def publish(self, event: Event) -> None:
        """As the event bus does."""
        assert isinstance(event, UpdatePublished)
        self.published.append(event)

    def add_people(self, number: int, **fields: Any) -> list[str]:
        """Users with addresses in every shard of the directory."""
        ids = list[str]()
        with UserItem.batch_write() as batch:
            for at in range(number):
                email = f"{LETTERS[at % len(LETTERS)]}{at:06}-{len(ids)}@example.com"
                user_id = new_id("usr", NOW)
                values: dict[str, Any] = {
                    "email": email,
                    "email_verified": True,
                    "name": "Ada",
                    "persona": "none",
                    "platform_role": "user",
                    "status": "active",
                    "workspace_id": f"wsp_{user_id[4:]}",
                    "created_at": rfc3339(NOW),
                    "last_login_at": rfc3339(NOW),
                    "directory": directory_of(email),
                }
                batch.save(UserItem(user_id, PROFILE, **(values | fields)))
                ids.append(user_id)
        return ids

    def create(self, content: Content = EVERYBODY) -> Update:
        return manage_updates.create_update(content, None, Origin("usr_admin"), deps=self.manage, now=self.now)[0]

    def send(self, content: Content = EVERYBODY) -> Update:
        """A new update whose shards are queued."""
        update = self.create(content)
        manage_updates.schedule_update(update.id, None, Origin("usr_admin"), deps=self.manage, now=self.now)
        start_due_updates(self.deps)
        return update

    def work(self) -> None:
        """Works until the queue is empty, as workers that run one after the other."""
        while self.queue.shards:
            self.step()

    def step(self, message: tuple[str, int] | None = None) -> None:
        """One message, the next one by default; a process that dies leaves it in the queue."""
        update_id, shard = message = message or self.queue.shards.pop(0)
        try:
            dispatch_shard(update_id, shard, self.deps, None)
        except Killed:
            self.queue.shards.append(message)

    def state(self, update: Update) -> UpdateState:
        return self.updates.get(update.id).state

    def received(self) -> dict[str, int]:
        """How many notifications each person has."""
        found = dict[str, int]()
        for item in NotificationItem.scan():
            if item.sk.startswith("ntf_"):
                found[item.pk] = found.get(item.pk, 0) + 1
        return found


@pytest.fixture
def platform(tables: Tables) -> Platform:
    return Platform(tables)


def test_thousands_get_an_update_once_though_workers_die_and_run_twice(platform: Platform) -> None:
    people = platform.add_people(2000)
    update = platform.send()
    # Every shard twice, by workers at the same time; some die after a page was written, and some before.
    platform.queue.shards *= 2
    for is_written in (True, False):
        platform.updates.pages_left, platform.updates.is_written = 7, is_written
        messages = [platform.queue.shards.pop(0) for _ in range(min(8, len(platform.queue.shards)))]
        with ThreadPoolExecutor(4) as workers:
            list(workers.map(platform.step, messages))
    platform.updates.pages_left = 10**9
    platform.work()
    received = platform.received()
    assert received == dict.fromkeys(people, 1)
    assert platform.state(update) is UpdateState.SENT
    assert platform.updates.counts(update.id).sent == 2000
    assert platform.store.unread(people[77]) == 1
    # A message that comes late changes nothing.
    platform.queue.send_shard(update.id, 3)
    platform.work()
    assert platform.updates.counts(update.id).sent == 2000


def test_a_cancelled_update_reaches_nobody_more(platform: Platform) -> None:
    platform.add_people(800)
    update = platform.send()
    platform.step()
    for _ in range(2):
        manage_updates.cancel_update(update.id, Origin("usr_admin"), deps=platform.manage, now=NOW)
    before = platform.updates.counts(update.id).sent
    platform.work()
    assert 0 < before == platform.updates.counts(update.id).sent == len(platform.received())
    assert platform.state(update) is UpdateState.CANCELLED
    assert {each.state for each in platform.updates.shards(update.id)} == {ShardState.DONE, ShardState.CANCELLED}


def test_an_update_is_cancelled_between_two_pages_of_a_shard(platform: Platform) -> None:
    platform.add_people(400)
    update = platform.send()
    platform.updates.pages_left = 1
    platform.step()
    manage_updates.cancel_update(update.id, Origin("usr_admin"), deps=platform.manage, now=NOW)
    platform.work()
    assert platform.updates.counts(update.id).sent == 30 == len(platform.received())


def test_a_run_that_dies_before_the_shards_are_queued_is_made_good(platform: Platform) -> None:
    people = platform.add_people(16)
    update = platform.send()
    # The list of what is due still has the update, and no message has been sent.
    platform.queue.shards.clear()
    from atelier.adapters.aws.dynamodb.notifications.update_items import due_item

    due_item(platform.updates.get(update.id)).save()
    start_due_updates(platform.deps)
    assert len(platform.queue.shards) == 8
    platform.work()
    assert platform.received() == dict.fromkeys(people, 1)
    start_due_updates(platform.deps)
    assert platform.queue.shards == []
    # It is told again, as the same fact.
    assert {(each.id, each.occurred_at) for each in platform.published} == {
        (f"{update.id}#published", rfc3339(update.send_at or NOW))
    }


def test_segments_are_whom_they_name(platform: Platform) -> None:
    artists = platform.add_people(9, persona="artist", locale="de-CH")
    platform.add_people(9, persona="educator", locale="de")
    platform.add_people(9, persona="artist", status="suspended", locale="de")
    old = platform.add_people(9, persona="artist", last_login_at=rfc3339(NOW - timedelta(days=90)), locale="de")
    segment = Segment(personas=("artist",), locales=("de",), seen_after=NOW - timedelta(days=30), roles=("user",))
    platform.send(replace(EVERYBODY, segment=segment))
    platform.work()
    assert platform.received() == dict.fromkeys(artists, 1)
    platform.send(replace(EVERYBODY, segment=Segment(seen_before=NOW - timedelta(days=30))))
    platform.send(replace(EVERYBODY, segment=Segment(user_id=artists[0])))
    platform.work()
    assert platform.received() == {**dict.fromkeys(artists, 1), **dict.fromkeys(old, 1), artists[0]: 2}
    assert [each.audience for each in platform.published] == ["segment", "segment", "user"]


def test_tiers_are_those_of_the_wallets(platform: Platform) -> None:
    people = platform.add_people(4)
    for user_id, tier in zip(people, ("pro@1", "pro@2", "free", "free"), strict=True):
        wallet_item(new_wallet(f"wsp_{user_id[4:]}", tier, NOW)).save()
    platform.send(replace(EVERYBODY, segment=Segment(tiers=("pro",))))
    platform.work()
    assert platform.received() == dict.fromkeys(people[:2], 1)


def test_readers_are_counted_once_and_exactly(platform: Platform) -> None:
    people = platform.add_people(24)
    update = platform.send(replace(EVERYBODY, is_action_item=True))
    platform.work()

    def act(number: int) -> None:
        user_id = people[number % len(people)]
        (each,) = platform.store.page(user_id, NotificationView.CURRENT, None, 9).notifications
        what = change.acknowledge if number % 3 == 0 else change.read
        what(user_id, each.id, store=platform.store, feeds=platform.feeds, now=NOW)

    with ThreadPoolExecutor(4) as readers:
        list(readers.map(act, range(48)))
    counts = platform.updates.counts(update.id)
    assert (counts.sent, counts.read, counts.acknowledged) == (24, 24, 8)


def test_mails_come_to_those_who_chose_them_once_and_together(platform: Platform) -> None:
    chosen, other = platform.add_people(2)
    wants = Preferences({("update", "email"): True}, None, Digest.HOURLY)
    platform.store.save_preferences(chosen, wants)
    for _ in range(3):
        platform.send()
    platform.work()
    assert send_due_mails(platform.deps.mails, NOW, None) == 0
    later = NOW + timedelta(hours=1)

    def send(_number: int) -> int:
        return send_due_mails(platform.deps.mails, later, None)

    with ThreadPoolExecutor(4) as workers:
        assert sum(workers.map(send, range(4))) == 1
    (mail,) = MailItem.query(chosen, MailItem.sk.startswith("mail#"))
    assert [each["url"] for each in mail.facts["items"]] == ["https://media.example.com/create"] * 3
    assert (mail.mail_kind, mail.link_purpose) == ("notifications", "unsubscribe")
    assert list(MailItem.query(other, MailItem.sk.startswith("mail#"))) == []
    assert [item for item in DueMailItem.scan() if item.pk.startswith("due#")] == []


def test_what_was_read_or_switched_off_meanwhile_is_not_mailed(platform: Platform) -> None:
    reader, leaver = platform.add_people(2)
    for user_id in (reader, leaver):
        platform.store.save_preferences(user_id, Preferences({("update", "email"): True}))
    platform.send()
    platform.work()
    change.read_all(reader, store=platform.store, feeds=platform.feeds, now=NOW)
    platform.store.save_preferences(leaver, Preferences({("update", "email"): False}))
    process({"do": "due"}, platform.deps, None)
    assert [item for item in MailItem.scan() if item.sk.startswith("mail#")] == []


def test_only_a_draft_is_changed_and_only_before_its_end_it_is_sent(platform: Platform) -> None:
    origin = Origin("usr_admin")
    update = platform.create(replace(EVERYBODY, shown_until=NOW + timedelta(days=1)))
    with pytest.raises(ValidationFailed):
        manage_updates.schedule_update(
            update.id, NOW + timedelta(days=2), origin, deps=platform.manage, now=platform.now
        )
    with pytest.raises(Conflict):
        manage_updates.cancel_update(update.id, origin, deps=platform.manage, now=NOW)
    at = NOW + timedelta(hours=2)
    for when in (at - timedelta(hours=1), at, at):
        manage_updates.schedule_update(update.id, when, origin, deps=platform.manage, now=NOW)
    with pytest.raises(Conflict):
        manage_updates.change_update(update.id, EVERYBODY, origin, deps=platform.manage, now=NOW)
    with pytest.raises(Conflict):
        manage_updates.delete_update(update.id, origin, deps=platform.manage, now=NOW)
    assert list(platform.updates.due(at - timedelta(minutes=1))) == []
    assert list(platform.updates.due(at)) == [update.id]
    manage_updates.cancel_update(update.id, origin, deps=platform.manage, now=NOW)
    assert list(platform.updates.due(at)) == []
    draft = platform.create()
    manage_updates.delete_update(draft.id, origin, deps=platform.manage, now=NOW)
    assert [each.id for each in platform.updates.list(None, 9).updates] == [update.id]


def test_an_update_whose_time_is_over_is_sent_to_nobody_more(platform: Platform) -> None:
    platform.add_people(16)
    update = platform.send(replace(EVERYBODY, shown_until=NOW + timedelta(hours=1)))
    platform.step()
    received = platform.received()
    platform.now = NOW + timedelta(hours=2)
    platform.work()
    assert 0 < len(received) == len(platform.received())
    assert platform.state(update) is UpdateState.SENT


def test_a_mail_that_fails_keeps_no_other_one(platform: Platform) -> None:
    people = platform.add_people(8)
    for user_id in people:
        platform.store.save_preferences(user_id, Preferences({("update", "email"): True}))
    update = platform.send()
    platform.work()
    (broken,) = NotificationItem.query(people[0], NotificationItem.sk.startswith("ntf_"))
    broken.update([NotificationItem.kind.set("nonsense")])
    assert send_due_mails(platform.deps.mails, NOW, None) == 7
    broken.update([NotificationItem.kind.set("update")])
    assert send_due_mails(platform.deps.mails, NOW, None) == 1
    assert platform.updates.counts(update.id).sent == 8
