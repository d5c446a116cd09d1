"""The list of erasures on DynamoDB, in a table of its own, which no restore replaces.

    pk usr_… or wsp_…      sk erasure        one erasure; the personal workspace of an account has one too, so that
                                             whoever looks for a log finds that it was erased
    pk wsp_…               sk reference#…    the id of an object of Stripe, whose last webhooks come later
    pk begun               sk <month>#<id>   the subjects by the month in which their erasure was begun
    pk open                sk <id>           the erasures that are not complete

What is due stands in the identity table (`due_erasure`), because it is written with the request for the deletion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from pynamodb.attributes import MapAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.operand import Path

from atelier.adapters.aws.dynamodb import ConditionsFailed, Item, Transaction, write_transaction
from atelier.adapters.aws.dynamodb.identity.items import (
    DUE_ERASURES,
    PROFILE,
    DueErasureItem,
    IdentityItem,
    UserItem,
    WorkspaceItem,
)
from atelier.clock import parse_rfc3339, rfc3339
from atelier.erasures.model import Erasure
from atelier.errors import NotFound
from atelier.identity.model import UserStatus
from atelier.item_kinds import USER

ERASURE, BEGUN, OPEN_ERASURES = "erasure", "begun", "open"
HIGHEST = "\uffff"
TRIES_MAX = 8
BUSY = "The account is busy just now. Try again."


class ErasureItem(Item):
    """One erasure. counts: how much was erased, by step."""

    subject = UnicodeAttribute()
    workspace_id = UnicodeAttribute()
    claimed_at = UnicodeAttribute()
    completed_at = UnicodeAttribute(null=True)
    counts: MapAttribute[str, int] = MapAttribute(default=dict)


class ErasureEntryItem(Item):
    """An entry of the lists `begun` and `open`."""


class ErasureCountItem(Item):
    """How much a step has erased, all its runs together."""

    total = NumberAttribute()


class DynamoErasures:
    """ErasureStore on DynamoDB."""

    @staticmethod
    def bind(table_name: str, identity_table: str) -> None:
        """Set the tables of these items."""
        for item in (ErasureItem, ErasureEntryItem, ErasureCountItem):
            item.bind(table_name)
        IdentityItem.bind(identity_table)

    def due(self, now: datetime) -> Iterator[str]:
        items = DueErasureItem.query(DUE_ERASURES, DueErasureItem.sk < rfc3339(now) + HIGHEST, consistent_read=True)
        for item in items:
            yield item.sk.partition("#")[2]

    def claim(self, subject: str, now: datetime) -> bool:
        entry = next((item for item in self._entries(now) if item.sk.endswith(f"#{subject}")), None)
        if entry is None:
            return False
        is_user = subject.startswith(USER)
        due_at = entry.sk.partition("#")[0]
        workspace_id = UserItem.get(subject, PROFILE, consistent_read=True).workspace_id if is_user else subject

        def fill(write: Transaction) -> None:
            # Fails when the deletion was taken back, and when it was requested anew since.
            write.delete(entry, DueErasureItem.pk.exists(), part="entry")
            if is_user:
                requested = UserItem.deletion_due_at == due_at
                actions = [UserItem.status.set(UserStatus.ERASED.value)]
                write.update(UserItem(subject, PROFILE), actions, requested, part="subject")
            else:
                changed = [WorkspaceItem.updated_at.set(rfc3339(now))]
                write.update(
                    WorkspaceItem(subject, PROFILE), changed, WorkspaceItem.deleted_at.exists(), part="subject"
                )
            for id in {subject, workspace_id}:
                write.save(_new(id, subject, workspace_id, now))
            write.save(ErasureEntryItem(OPEN_ERASURES, subject))
            write.save(ErasureEntryItem(BEGUN, f"{now:%Y-%m}#{subject}"))

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed:
            return False
        return True

    @staticmethod
    def _entries(now: datetime) -> Iterator[DueErasureItem]:
        yield from DueErasureItem.query(DUE_ERASURES, DueErasureItem.sk < rfc3339(now) + HIGHEST, consistent_read=True)

    def open(self) -> Iterator[str]:
        for item in ErasureEntryItem.query(OPEN_ERASURES, consistent_read=True):
            yield item.sk

    def get(self, subject: str) -> Erasure:
        try:
            item = ErasureItem.get(subject, ERASURE, consistent_read=True)
        except DoesNotExist as error:
            raise NotFound from error
        counts = ErasureCountItem.query(subject, ErasureCountItem.sk.startswith("count#"))
        return Erasure(
            item.subject,
            item.workspace_id,
            parse_rfc3339(item.claimed_at),
            parse_rfc3339(item.completed_at) if item.completed_at else None,
            {each.sk.removeprefix("count#"): int(each.total) for each in counts},
        )

    def add_counts(self, subject: str, counts: Mapping[str, int]) -> None:
        for name, count in counts.items():
            ErasureCountItem(subject, f"count#{name}").update([Path(["total"]).add(count)])  # pyright: ignore[reportArgumentType]

    def complete(self, subject: str, at: datetime) -> None:
        erasure = self.get(subject)

        def fill(write: Transaction) -> None:
            for id in {subject, erasure.workspace_id}:
                write.update(ErasureItem(id, ERASURE), [ErasureItem.completed_at.set(rfc3339(at))])
            write.delete(ErasureEntryItem(OPEN_ERASURES, subject))

        write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)

    def begun_since(self, month: str) -> Iterator[str]:
        for item in ErasureEntryItem.query(BEGUN, ErasureEntryItem.sk >= month, consistent_read=True):
            yield item.sk.partition("#")[2]

    def reopen(self, subject: str) -> None:
        ErasureEntryItem(OPEN_ERASURES, subject).save()

    def is_erased(self, log: str) -> bool:
        """Whether the log of a user or a workspace is erased, or being erased."""
        return ErasureItem.count(log, ErasureItem.sk == ERASURE, limit=1) > 0


def _new(id: str, subject: str, workspace_id: str, now: datetime) -> ErasureItem:
    return ErasureItem(id, ERASURE, subject=subject, workspace_id=workspace_id, claimed_at=rfc3339(now))
