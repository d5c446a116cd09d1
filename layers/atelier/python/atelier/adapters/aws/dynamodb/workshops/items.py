"""The items of workshops, in the community table, and their values.

    pk wsp_…  sk workshop#wks_…                        a workshop, in its educator's workspace
    pk wsp_…  sk enrolment#wks_…#usr_…                 a person's enrolment, one for each person
    pk wsp_…  sk queue#wks_…#waiting#enr_…             the wait list, in the order of the requests
    pk wsp_…  sk queue#wks_…#offered#<until>#enr_…     places that are offered, in the order in which the offers end
    pk wsp_…  sk review#wks_…#usr_…                    a person's review
    pk wsp_…  sk work#wks_…#usr_…                      the listings that a person shows
    pk wsp_…  sk outbox#wks_…#<time>#<event>           an event that was not published yet
    pk wks_…  sk place                                 whose workshop it is
    pk usr_…  sk enrolled#wks_…                        a workshop in which the person has enrolled

A workshop that has to be looked at is in the index `due`, a public one that is scheduled in the index `public`.
"""

from __future__ import annotations

from datetime import datetime

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UnicodeSetAttribute
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from atelier.adapters.aws.dynamodb import CompactJSON, Item
from atelier.clock import parse_rfc3339, rfc3339
from atelier.workshops.model import (
    Enrolment,
    EnrolmentState,
    PlaceInQueue,
    Review,
    ShownWorks,
    Visibility,
    Workshop,
    WorkshopStatus,
)

WORKSHOP, ENROLMENT, QUEUE, REVIEW, WORK = "workshop#", "enrolment#", "queue#", "review#", "work#"
OUTBOX, ENROLLED, PLACE = "outbox#", "enrolled#", "place"
DUE_OF, PUBLIC = "workshops", "workshops"


class _WorkshopDue(GlobalSecondaryIndex["WorkshopItem"]):
    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    due_of = UnicodeAttribute(hash_key=True)
    due_at = UnicodeAttribute(range_key=True)


class _PublicWorkshops(GlobalSecondaryIndex["WorkshopItem"]):
    class Meta:
        index_name = "public"
        projection = KeysOnlyProjection()

    public = UnicodeAttribute(hash_key=True)
    starts_at = UnicodeAttribute(range_key=True)


class WorkshopItem(Item):
    """One workshop. due_of: there while due_at is. public: there while everybody sees it in the list."""

    educator_id = UnicodeAttribute()
    title = UnicodeAttribute()
    description = UnicodeAttribute(null=True)
    starts_at = UnicodeAttribute()
    ends_at = UnicodeAttribute()
    time_zone = UnicodeAttribute()
    capacity = NumberAttribute()
    price_credits = NumberAttribute()
    visibility = UnicodeAttribute()
    status = UnicodeAttribute()
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    series_id = UnicodeAttribute(null=True)
    material_ids = CompactJSON(null=True)
    places_taken = NumberAttribute(default=0)
    waiting_count = NumberAttribute(default=0)
    version = NumberAttribute()
    sequence = NumberAttribute(default=0)
    started_at = UnicodeAttribute(null=True)
    reminded = NumberAttribute(null=True)
    moved_at = UnicodeAttribute(null=True)
    settled_at = UnicodeAttribute(null=True)
    due_of = UnicodeAttribute(null=True)
    due_at = UnicodeAttribute(null=True)
    public = UnicodeAttribute(null=True)
    due = _WorkshopDue()
    of_public = _PublicWorkshops()


class WorkshopPlaceItem(Item):
    """Whose a workshop is, by its id alone."""

    workspace_id = UnicodeAttribute()


class EnrolmentItem(Item):
    """One enrolment."""

    enrolment_id = UnicodeAttribute()
    payer_id = UnicodeAttribute()
    price_credits = NumberAttribute()
    state = UnicodeAttribute()
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    agreed_start = UnicodeAttribute()
    offer_ends_at = UnicodeAttribute(null=True)
    refunded_credits = NumberAttribute(default=0)
    paid_at = UnicodeAttribute(null=True)
    request_key = UnicodeAttribute(null=True)


class WaitListItem(Item):
    """Somebody who waits, or is offered a place; all else is in the enrolment."""

    user_id = UnicodeAttribute()


class EnrolledItem(Item):
    """That a person has enrolled in a workshop, so that the person's workshops are found."""

    workspace_id = UnicodeAttribute()
    at = UnicodeAttribute()


class WorkshopReviewItem(Item):
    """One review."""

    stars = NumberAttribute()
    text = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()


class ShownWorksItem(Item):
    """The listings that one person shows with a workshop."""

    listing_ids = UnicodeSetAttribute(null=True)
    updated_at = UnicodeAttribute()


class WorkshopOutboxItem(Item):
    """An event that was not published yet."""

    type = UnicodeAttribute()
    detail = CompactJSON()


ITEMS: tuple[type[Item], ...] = (
    WorkshopItem,
    WorkshopPlaceItem,
    EnrolmentItem,
    WaitListItem,
    EnrolledItem,
    WorkshopReviewItem,
    ShownWorksItem,
    WorkshopOutboxItem,
)


def workshop_item(workshop: Workshop) -> WorkshopItem:
    """The stored form of a workshop."""
    return WorkshopItem(
        workshop.workspace_id,
        WORKSHOP + workshop.id,
        educator_id=workshop.educator_id,
        title=workshop.title,
        description=workshop.description or None,
        starts_at=rfc3339(workshop.starts_at),
        ends_at=rfc3339(workshop.ends_at),
        time_zone=workshop.time_zone,
        capacity=workshop.capacity,
        price_credits=workshop.price_credits,
        visibility=workshop.visibility.value,
        status=workshop.status.value,
        created_at=rfc3339(workshop.created_at),
        updated_at=rfc3339(workshop.updated_at),
        series_id=workshop.series_id,
        material_ids=list(workshop.material_ids) or None,
        places_taken=workshop.places_taken,
        waiting_count=workshop.waiting_count,
        version=workshop.version,
        sequence=workshop.sequence,
        started_at=time_text(workshop.started_at),
        reminded=workshop.reminded,
        moved_at=time_text(workshop.moved_at),
        settled_at=time_text(workshop.settled_at),
        due_of=DUE_OF if workshop.due_at else None,
        due_at=time_text(workshop.due_at),
        public=PUBLIC if is_listed(workshop) else None,
    )


def workshop_of(item: WorkshopItem) -> Workshop:
    """The workshop in an item."""
    return Workshop(
        item.sk.removeprefix(WORKSHOP),
        item.pk,
        item.educator_id,
        item.title,
        item.description or "",
        parse_rfc3339(item.starts_at),
        parse_rfc3339(item.ends_at),
        item.time_zone,
        int(item.capacity),
        int(item.price_credits),
        Visibility(item.visibility),
        WorkshopStatus(item.status),
        parse_rfc3339(item.created_at),
        parse_rfc3339(item.updated_at),
        item.series_id,
        tuple(item.material_ids or ()),
        int(item.places_taken),
        int(item.waiting_count),
        int(item.version),
        int(item.sequence),
        _time(item.started_at),
        int(item.reminded) if item.reminded else None,
        _time(item.settled_at),
        _time(item.due_at),
        _time(item.moved_at),
    )


def is_listed(workshop: Workshop) -> bool:
    """Whether everybody sees it in the list of public workshops."""
    return workshop.visibility is Visibility.PUBLIC and workshop.status is WorkshopStatus.SCHEDULED


def enrolment_key(workshop_id: str, user_id: str) -> str:
    """The sort key of an enrolment."""
    return f"{ENROLMENT}{workshop_id}#{user_id}"


def enrolment_item(enrolment: Enrolment) -> EnrolmentItem:
    """The stored form of an enrolment."""
    return EnrolmentItem(
        enrolment.workspace_id,
        enrolment_key(enrolment.workshop_id, enrolment.user_id),
        enrolment_id=enrolment.id,
        payer_id=enrolment.payer_id,
        price_credits=enrolment.price_credits,
        state=enrolment.state.value,
        created_at=rfc3339(enrolment.created_at),
        updated_at=rfc3339(enrolment.updated_at),
        agreed_start=rfc3339(enrolment.agreed_start),
        offer_ends_at=time_text(enrolment.offer_ends_at),
        refunded_credits=enrolment.refunded_credits,
        paid_at=time_text(enrolment.paid_at),
        request_key=enrolment.request_key,
    )


def enrolment_of(item: EnrolmentItem) -> Enrolment:
    """The enrolment in an item."""
    _, workshop_id, user_id = item.sk.split("#")
    return Enrolment(
        item.enrolment_id,
        workshop_id,
        item.pk,
        user_id,
        item.payer_id,
        int(item.price_credits),
        EnrolmentState(item.state),
        parse_rfc3339(item.created_at),
        parse_rfc3339(item.updated_at),
        parse_rfc3339(item.agreed_start),
        _time(item.offer_ends_at),
        int(item.refunded_credits),
        _time(item.paid_at),
        item.request_key,
    )


def wait_list_item(enrolment: Enrolment) -> WaitListItem | None:
    """The place in the wait list of an enrolment; None when it has none."""
    prefix = f"{QUEUE}{enrolment.workshop_id}#{enrolment.state.value}#"
    if enrolment.state is EnrolmentState.WAITING:
        return WaitListItem(enrolment.workspace_id, prefix + enrolment.id, user_id=enrolment.user_id)
    if enrolment.state is EnrolmentState.OFFERED and enrolment.offer_ends_at:
        key = f"{prefix}{rfc3339(enrolment.offer_ends_at)}#{enrolment.id}"
        return WaitListItem(enrolment.workspace_id, key, user_id=enrolment.user_id)
    return None


def place_of(item: WaitListItem) -> PlaceInQueue:
    """The place in the wait list in an item."""
    parts = item.sk.split("#")
    return PlaceInQueue(parts[-1], item.user_id, parse_rfc3339(parts[3]) if len(parts) == 5 else None)


def review_item(review: Review) -> WorkshopReviewItem:
    """The stored form of a review."""
    return WorkshopReviewItem(
        review.workspace_id,
        f"{REVIEW}{review.workshop_id}#{review.user_id}",
        stars=review.stars,
        text=review.text or None,
        created_at=rfc3339(review.created_at),
        updated_at=rfc3339(review.updated_at),
    )


def review_of(item: WorkshopReviewItem) -> Review:
    """The review in an item."""
    _, workshop_id, user_id = item.sk.split("#")
    at = parse_rfc3339(item.created_at), parse_rfc3339(item.updated_at)
    return Review(workshop_id, item.pk, user_id, int(item.stars), item.text or "", *at)


def shown_works_of(item: ShownWorksItem) -> ShownWorks:
    """What a person shows, in an item."""
    return ShownWorks(item.sk.rpartition("#")[2], tuple(sorted(item.listing_ids or ())))


def time_text(at: datetime | None) -> str | None:
    """A time as it is stored."""
    return rfc3339(at) if at else None


def _time(text: str | None) -> datetime | None:
    return parse_rfc3339(text) if text else None
