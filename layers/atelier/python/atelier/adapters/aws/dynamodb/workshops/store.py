"""WorkshopStore on DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, cast

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import (
    Condition,
    size,  # pyright: ignore[reportUnknownVariableType]
)
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import (
    CONFLICT_CODES,
    ConditionsFailed,
    ItemAddress,
    Transaction,
    batch_read,
    conditional,
    newest_page,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.ledger.transactions import put_posting
from atelier.adapters.aws.dynamodb.workshops.items import (
    DUE_OF,
    ENROLLED,
    ENROLMENT,
    ITEMS,
    OUTBOX,
    PLACE,
    PUBLIC,
    QUEUE,
    REVIEW,
    WORK,
    WORKSHOP,
    EnrolledItem,
    EnrolmentItem,
    ShownWorksItem,
    WaitListItem,
    WorkshopItem,
    WorkshopOutboxItem,
    WorkshopPlaceItem,
    WorkshopReviewItem,
    enrolment_item,
    enrolment_key,
    enrolment_of,
    is_listed,
    place_of,
    review_item,
    review_of,
    shown_works_of,
    time_text,
    wait_list_item,
    workshop_item,
    workshop_of,
)
from atelier.audit_log.model import AuditEvent
from atelier.clock import rfc3339
from atelier.errors import Conflict, NotFound
from atelier.events.catalogue import parse
from atelier.events.event import Event, payload
from atelier.ledger.operations import Posting
from atelier.ledger.ports import StaleWallet
from atelier.workshops.model import (
    WITH_PLACE,
    Enrolment,
    EnrolmentState,
    PlaceInQueue,
    Review,
    ShownWorks,
    Workshop,
    WorkshopChanged,
    WorkshopExists,
)
from atelier.workshops.ports import Counted, EnrolmentPage, WorkshopPage

BUSY = "The workshop is busy. Try again."
TRIES_MAX = 60


class DynamoWorkshops:
    """WorkshopStore on DynamoDB. The ledger's and the audit log's items must be bound to their tables."""

    def __init__(self, table_name: str) -> None:
        for item in ITEMS:
            item.bind(table_name)

    def create(self, workshops: Sequence[Workshop], events: Sequence[AuditEvent]) -> None:
        def fill(write: Transaction) -> None:
            for workshop in workshops:
                write.save(workshop_item(workshop), WorkshopItem.pk.does_not_exist(), part="workshop")
                write.save(WorkshopPlaceItem(workshop.id, PLACE, workspace_id=workshop.workspace_id))
            save_events(write, events)

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise WorkshopExists from error

    def find(self, workshop_id: str) -> Workshop:
        try:
            place = WorkshopPlaceItem.get(workshop_id, PLACE, consistent_read=True)
            return workshop_of(WorkshopItem.get(place.workspace_id, WORKSHOP + workshop_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def change(
        self, before: Workshop, after: Workshop, events: Sequence[AuditEvent], outbox: Sequence[Event] = ()
    ) -> None:
        item = WorkshopItem
        listed = item.public.set(PUBLIC) if is_listed(after) else item.public.remove()
        actions: list[Action] = [
            item.title.set(after.title),
            item.description.set(after.description) if after.description else item.description.remove(),
            item.starts_at.set(rfc3339(after.starts_at)),
            item.ends_at.set(rfc3339(after.ends_at)),
            item.time_zone.set(after.time_zone),
            item.capacity.set(after.capacity),
            item.price_credits.set(after.price_credits),
            item.visibility.set(after.visibility.value),
            item.status.set(after.status.value),
            item.updated_at.set(rfc3339(after.updated_at)),
            item.material_ids.set(list(after.material_ids)) if after.material_ids else item.material_ids.remove(),
            item.sequence.set(after.sequence),
            item.reminded.remove() if after.reminded is None else item.reminded.set(after.reminded),
            item.moved_at.remove() if after.moved_at is None else item.moved_at.set(rfc3339(after.moved_at)),
            listed,
            *_due_actions(after.due_at),
            item.version.add(1),
        ]

        def fill(write: Transaction) -> None:
            write.update(_bare(before), actions, item.version == before.version, part="workshop")
            save_events(write, events)
            for event in outbox:
                _put_event(write, before, event)

        _write(fill)

    def page(self, workspace_id: str, after_key: str | None, limit: int) -> WorkshopPage:
        bounds = (WORKSHOP, WORKSHOP + "~")
        items, next_key = newest_page(
            WorkshopItem, workspace_id, bounds, matching=None, after=after_key, limit=limit, mostly_matching=True
        )
        return WorkshopPage(tuple(map(workshop_of, items)), next_key)

    def public_page(self, now: datetime, after_key: str | None, limit: int) -> WorkshopPage:
        # The key of a page: the prefix, the start, the workspace and the workshop. What has started meanwhile is no
        # place to begin from any more; then the page begins with what starts next.
        _, starts_at, pk, workshop_id = (after_key or "###").split("#")
        place = {"public": PUBLIC, "starts_at": starts_at, "pk": pk, "sk": WORKSHOP + workshop_id}
        start = {name: {"S": value} for name, value in place.items()} if starts_at > rfc3339(now) else None
        future = WorkshopItem.starts_at > rfc3339(now)
        found = WorkshopItem.of_public.query(PUBLIC, future, limit=limit, page_size=limit, last_evaluated_key=start)
        keys = [(WorkshopItem, item.pk, item.sk) for item in found]
        last = cast("dict[str, Any] | None", found.last_evaluated_key)
        items = batch_read(keys) if keys else {}
        workshops = [workshop_of(cast("WorkshopItem", items[key])) for key in keys if key in items]
        next_key = f"public#{last['starts_at']['S']}#{last['pk']['S']}#{last['sk']['S'][9:]}" if last else None
        return WorkshopPage(tuple(each for each in workshops if is_listed(each)), next_key)

    def enrolled_page(
        self, user_id: str, after_key: str | None, limit: int
    ) -> tuple[Sequence[tuple[Workshop, Enrolment]], str | None]:
        bounds = (ENROLLED, ENROLLED + "~")
        items, next_key = newest_page(
            EnrolledItem, user_id, bounds, matching=None, after=after_key, limit=limit, mostly_matching=True
        )
        addresses = list[tuple[ItemAddress, ItemAddress]]()
        for item in items:
            id = item.sk.removeprefix(ENROLLED)
            of_workshop = (WorkshopItem, item.workspace_id, WORKSHOP + id)
            addresses.append((of_workshop, (EnrolmentItem, item.workspace_id, enrolment_key(id, user_id))))
        read = batch_read([each for pair in addresses for each in pair]) if addresses else {}
        # An erased workspace has no workshops any more.
        found = [
            (workshop_of(cast("WorkshopItem", read[first])), enrolment_of(cast("EnrolmentItem", read[second])))
            for first, second in addresses
            if first in read and second in read
        ]
        return found, next_key

    def enrolment(self, workshop: Workshop, user_id: str) -> Enrolment | None:
        try:
            key = enrolment_key(workshop.id, user_id)
            return enrolment_of(EnrolmentItem.get(workshop.workspace_id, key, consistent_read=True))
        except DoesNotExist:
            return None

    def enrolments(self, workshop: Workshop, after_user: str | None, limit: int) -> EnrolmentPage:
        prefix = f"{ENROLMENT}{workshop.id}#"
        found = _ascending(EnrolmentItem, workshop, prefix, after_user, limit)
        enrolments = tuple(map(enrolment_of, found))
        last = cast("dict[str, Any] | None", found.last_evaluated_key)
        return EnrolmentPage(enrolments, last["sk"]["S"].removeprefix(prefix) if last else None)

    def queue(self, workshop: Workshop, limit: int) -> Sequence[PlaceInQueue]:
        return self._places(workshop, EnrolmentState.WAITING, limit)

    def offers(self, workshop: Workshop, limit: int) -> Sequence[PlaceInQueue]:
        return self._places(workshop, EnrolmentState.OFFERED, limit)

    def _places(self, workshop: Workshop, state: EnrolmentState, limit: int) -> Sequence[PlaceInQueue]:
        prefix = f"{QUEUE}{workshop.id}#{state.value}#"
        return list(map(place_of, _ascending(WaitListItem, workshop, prefix, None, limit)))

    def take_place(
        self, workshop: Workshop, before: Enrolment | None, after: Enrolment, postings: Sequence[Posting], event: Event
    ) -> None:
        item = WorkshopItem
        is_free = (item.places_taken < item.capacity) & (item.waiting_count == 0)
        is_free &= item.price_credits == workshop.price_credits
        self._put_new(workshop, before, after, is_free, Counted(places=1), postings, event)

    def join_queue(self, workshop: Workshop, before: Enrolment | None, after: Enrolment, event: Event) -> None:
        item = WorkshopItem
        is_full = (item.places_taken >= item.capacity) | (item.waiting_count > 0)
        self._put_new(workshop, before, after, is_full, Counted(waiting=1), (), event)

    @staticmethod
    def _put_new(
        workshop: Workshop,
        before: Enrolment | None,
        after: Enrolment,
        condition: Condition,
        counted: Counted,
        postings: Sequence[Posting],
        event: Event,
    ) -> None:
        def fill(write: Transaction) -> None:
            _count(write, workshop, counted, condition, after.updated_at)
            unchanged = EnrolmentItem.pk.does_not_exist() if before is None else _is_unchanged(before)
            write.save(enrolment_item(after), unchanged, part="enrolment")
            enrolled = EnrolledItem(after.user_id, ENROLLED + workshop.id, workspace_id=workshop.workspace_id)
            enrolled.at = rfc3339(after.created_at)
            write.save(enrolled)
            place = wait_list_item(after)
            if place is not None:
                write.save(place)
            _put_event(write, workshop, event)
            for posting in postings:
                put_posting(write, posting)

        _write(fill)

    def change_enrolment(
        self,
        workshop: Workshop,
        before: Enrolment,
        after: Enrolment,
        counted: Counted,
        postings: Sequence[Posting] = (),
        event: Event | None = None,
    ) -> None:
        item = WorkshopItem
        takes_place = after.state in WITH_PLACE and before.state not in WITH_PLACE
        condition = item.places_taken < item.capacity if takes_place else item.pk.exists()

        def fill(write: Transaction) -> None:
            _count(write, workshop, counted, condition, after.updated_at)
            write.save(enrolment_item(after), _is_unchanged(before), part="enrolment")
            place_before, place_after = wait_list_item(before), wait_list_item(after)
            if place_before is not None:
                write.delete(place_before, WaitListItem.pk.exists(), part="queue")
            if place_after is not None:
                write.save(place_after)
            if event is not None:
                _put_event(write, workshop, event)
            for posting in postings:
                put_posting(write, posting)

        _write(fill)

    def set_due(
        self,
        workshop: Workshop,
        due_at: datetime | None,
        *,
        started_at: datetime | None = None,
        reminded: int | None = None,
        settled_at: datetime | None = None,
        is_move_announced: bool = False,
    ) -> bool:
        item = WorkshopItem
        actions = [*_due_actions(due_at), item.version.add(1)]
        actions += [item.started_at.set(rfc3339(started_at))] if started_at else []
        actions += [item.reminded.set(reminded)] if reminded else []
        actions += [item.settled_at.set(rfc3339(settled_at))] if settled_at else []
        actions += [item.moved_at.remove()] if is_move_announced else []
        unchanged = item.version == workshop.version
        return conditional(lambda: _bare(workshop).update(actions, condition=unchanged), CONFLICT_CODES)

    def due(self, now: datetime, limit: int) -> Sequence[str]:
        found = WorkshopItem.due.query(DUE_OF, WorkshopItem.due_at <= rfc3339(now), limit=limit, page_size=limit)
        return [item.sk.removeprefix(WORKSHOP) for item in found]

    def outbox(self, workshop: Workshop, limit: int) -> Sequence[tuple[str, Event]]:
        found = _ascending(WorkshopOutboxItem, workshop, f"{OUTBOX}{workshop.id}#", None, limit)
        return [(item.sk, parse(item.type, item.detail)) for item in found]

    def published(self, workshop: Workshop, key: str) -> None:
        WorkshopOutboxItem(workshop.workspace_id, key).delete()

    def save_review(self, review: Review) -> None:
        review_item(review).save()

    def reviews(self, workshop: Workshop, after_user: str | None, limit: int) -> Sequence[Review]:
        prefix = f"{REVIEW}{workshop.id}#"
        return list(map(review_of, _ascending(WorkshopReviewItem, workshop, prefix, after_user, limit)))

    def show_work(self, workshop: Workshop, user_id: str, listing_id: str, most: int, now: datetime) -> None:
        shown = ShownWorksItem.listing_ids
        has_room = shown.does_not_exist() | shown.contains(listing_id) | (size("listing_ids") < most)
        actions: list[Action] = [shown.add({listing_id}), ShownWorksItem.updated_at.set(rfc3339(now))]
        if not conditional(lambda: _shown(workshop, user_id).update(actions, condition=has_room)):
            raise Conflict(f"A person shows at most {most} works with a workshop.", limit=most)

    def take_off_work(self, workshop: Workshop, user_id: str, listing_id: str, now: datetime) -> None:
        shown = ShownWorksItem.listing_ids
        actions: list[Action] = [shown.delete({listing_id}), ShownWorksItem.updated_at.set(rfc3339(now))]
        conditional(lambda: _shown(workshop, user_id).update(actions, condition=shown.contains(listing_id)))

    def shown_works(self, workshop: Workshop, after_user: str | None, limit: int) -> Sequence[ShownWorks]:
        prefix = f"{WORK}{workshop.id}#"
        return list(map(shown_works_of, _ascending(ShownWorksItem, workshop, prefix, after_user, limit)))


def _write(fill: Callable[[Transaction], None]) -> None:
    try:
        write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
    except ConditionsFailed as error:
        raise (WorkshopChanged if error.parts - {"wallet"} else StaleWallet) from error


def _count(write: Transaction, workshop: Workshop, counted: Counted, condition: Condition, now: datetime) -> None:
    """Add to a transaction the counters of a workshop whose status, start and end of enrolments are as read. It is due
    at once: `advance.py` publishes what happened, should this process not come to it."""
    item = WorkshopItem
    as_read = (item.status == workshop.status.value) & (item.starts_at == rfc3339(workshop.starts_at))
    started_at = time_text(workshop.started_at)
    as_read &= item.started_at == started_at if started_at else item.started_at.does_not_exist()
    actions: list[Action] = [
        item.places_taken.add(counted.places),
        item.waiting_count.add(counted.waiting),
        item.version.add(1),
        *_due_actions(now),
    ]
    write.update(_bare(workshop), actions, as_read & condition, part="workshop")


def _shown(workshop: Workshop, user_id: str) -> ShownWorksItem:
    return ShownWorksItem(workshop.workspace_id, f"{WORK}{workshop.id}#{user_id}")


def _bare(workshop: Workshop) -> WorkshopItem:
    return WorkshopItem(workshop.workspace_id, WORKSHOP + workshop.id)


def _due_actions(due_at: datetime | None) -> list[Action]:
    if due_at is None:
        return [WorkshopItem.due_of.remove(), WorkshopItem.due_at.remove()]
    return [WorkshopItem.due_of.set(DUE_OF), WorkshopItem.due_at.set(rfc3339(due_at))]


def _is_unchanged(enrolment: Enrolment) -> Condition:
    item = EnrolmentItem
    unchanged = (item.enrolment_id == enrolment.id) & (item.state == enrolment.state.value)
    return unchanged & (item.updated_at == rfc3339(enrolment.updated_at))


def _put_event(write: Transaction, workshop: Workshop, event: Event) -> None:
    key = f"{OUTBOX}{workshop.id}#{event.occurred_at}#{event.id.replace('#', ' ')}"
    write.save(WorkshopOutboxItem(workshop.workspace_id, key, type=event.type, detail=payload(event)))


def _ascending(model: Any, workshop: Workshop, prefix: str, after: str | None, limit: int) -> Any:
    start = {"pk": {"S": workshop.workspace_id}, "sk": {"S": prefix + after}} if after else None
    return model.query(
        workshop.workspace_id,
        model.sk.startswith(prefix),
        consistent_read=True,
        limit=limit,
        page_size=limit,
        last_evaluated_key=start,
    )
