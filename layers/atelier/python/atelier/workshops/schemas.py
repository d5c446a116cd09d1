"""HTTP schemas of workshops: requests and responses. Fees are integer credits."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, model_validator

from atelier.identity.profile_schemas import valid_time_zone
from atelier.lazy_model import LazyModel
from atelier.workshops.manage import WorkshopFields
from atelier.workshops.model import (
    CAPACITY_MAX,
    MATERIALS_MAX,
    PRICE_CREDITS_MAX,
    REFUND_RULES,
    SERIES_MAX,
    Enrolment,
    EnrolmentState,
    Review,
    Visibility,
    Workshop,
)
from atelier.workshops.series import Repetition

Title = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
Description = Annotated[str, Field(max_length=10_000)]


def _within_reach(at: datetime) -> datetime:
    """A time that can be counted with, in UTC, to the millisecond, as times are stored. Raises ValueError for another
    century."""
    if not 2000 <= at.year < 2200:
        raise ValueError("must be a time of this century or the next one")
    return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)


Instant = Annotated[AwareDatetime, AfterValidator(_within_reach)]
Zone = Annotated[str, Field(max_length=64, examples=["Europe/Berlin"]), AfterValidator(valid_time_zone)]
Capacity = Annotated[int, Field(ge=1, le=CAPACITY_MAX)]
Price = Annotated[int, Field(ge=0, le=PRICE_CREDITS_MAX, description="Credits; 0 = free.")]
Materials = Annotated[
    list[Annotated[str, Field(pattern=r"^ast_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]],
    Field(max_length=MATERIALS_MAX, description="Assets of the workspace, for those who are enrolled."),
]
Cursor = Annotated[str, Field(max_length=300)]


class Repeat(LazyModel):
    """A series: the workshop again every so many weeks at the same local time, `count` in all, or until a day."""

    model_config = ConfigDict(extra="forbid")

    every_weeks: int = Field(default=1, ge=1, le=52)
    count: int | None = Field(default=None, ge=2, le=SERIES_MAX)
    until: date | None = None

    @model_validator(mode="after")
    def _ends(self) -> Repeat:
        if (self.count is None) == (self.until is None):
            raise ValueError("say either `count` or `until`")
        return self


class CreateWorkshopRequest(LazyModel):
    """A new workshop, as a draft."""

    model_config = ConfigDict(extra="forbid")

    title: Title
    description: Description = ""
    starts_at: Instant
    ends_at: Instant
    time_zone: Zone = "UTC"
    capacity: Capacity
    price_credits: Price = 0
    visibility: Visibility = Visibility.WORKSPACE
    material_ids: Materials = Field(default_factory=list[str])
    repeat: Repeat | None = None

    @property
    def fields(self) -> WorkshopFields:
        """What the educator says."""
        return WorkshopFields(
            self.title,
            self.description,
            self.starts_at,
            self.ends_at,
            self.time_zone,
            self.capacity,
            self.price_credits,
            self.visibility,
            tuple(self.material_ids),
        )

    @property
    def repetition(self) -> Repetition | None:
        """How the workshop is repeated."""
        return Repetition(self.repeat.every_weeks, self.repeat.count, self.repeat.until) if self.repeat else None


class ChangeWorkshopRequest(LazyModel):
    """Change the fields that the body names."""

    model_config = ConfigDict(extra="forbid")

    title: Title = "-"
    description: Description = ""
    starts_at: Instant = datetime(2000, 1, 1, tzinfo=UTC)
    ends_at: Instant = datetime(2000, 1, 1, tzinfo=UTC)
    time_zone: Zone = "UTC"
    capacity: Capacity = 1
    price_credits: Price = 0
    visibility: Visibility = Visibility.WORKSPACE
    material_ids: Materials = Field(default_factory=list[str])

    def change(self, before: Workshop) -> WorkshopFields:
        """The workshop's fields with this request's changes."""
        values: dict[str, Any] = {name: getattr(before, name) for name in WorkshopFields.__dataclass_fields__}
        for name in self.model_fields_set:
            values[name] = getattr(self, name)
        values["material_ids"] = tuple(values["material_ids"])
        return WorkshopFields(**values)


class WorkshopQuery(LazyModel):
    model_config = ConfigDict(extra="ignore")

    scope: Literal["workspace", "public", "enrolled"] = Field(
        default="workspace",
        description="`workspace`: those of this workspace, newest first; `public`: those of all, by their start; "
        "`enrolled`: those in which you have enrolled, newest first.",
    )
    limit: int = Field(default=25, ge=1, le=50)
    cursor: Cursor | None = None


class PeopleQuery(LazyModel):
    model_config = ConfigDict(extra="ignore")

    limit: int = Field(default=50, ge=1, le=100)
    cursor: Cursor | None = None


class PlaceRequest(LazyModel):
    """Take a place, at the price that you have seen; when it is another one by now, the answer is a 409 that names
    it."""

    model_config = ConfigDict(extra="forbid")

    price_credits: Price | None = None


class AttendanceRequest(LazyModel):
    """Whether somebody who is enrolled has attended."""

    model_config = ConfigDict(extra="forbid")

    attended: bool


class ReviewRequest(LazyModel):
    """What you say of a workshop that you attended; it replaces what you said before."""

    model_config = ConfigDict(extra="forbid")

    stars: int = Field(ge=1, le=5)
    text: str = Field(default="", max_length=2000)


class EnrolmentView(LazyModel):
    """A person's place, or place in the wait list. price_credits: what it costs, or has cost."""

    id: str
    workshop_id: str
    state: EnrolmentState
    price_credits: int
    refunded_credits: int
    created_at: datetime
    offer_ends_at: datetime | None = Field(description="Until when the offered place may be confirmed.")


class RefundRuleView(LazyModel):
    """Who withdraws more than `hours_before` hours ahead of the start gets `percent` of the fee back."""

    hours_before: int
    percent: int


class WorkshopView(LazyModel):
    """One workshop. Times are UTC; `time_zone` is the one in which it was planned."""

    id: str
    workspace_id: str
    educator_id: str
    title: str
    description: str
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    capacity: int
    places_taken: int
    waiting_count: int
    price_credits: int
    visibility: Visibility
    status: Literal["draft", "scheduled", "completed", "cancelled"]
    has_started: bool
    series_id: str | None
    material_ids: list[str]
    refund_rules: list[RefundRuleView]
    created_at: datetime
    updated_at: datetime
    enrolment: EnrolmentView | None = Field(description="Yours, if you have enrolled; not in all lists.")
    is_yours: bool = Field(description="Whether you are its educator; false in lists.")
    can_manage: bool = Field(description="Whether you may change it; false in lists.")


class WorkshopEnvelope(LazyModel):
    workshop: WorkshopView


class CreatedWorkshops(LazyModel):
    """The new workshop; `series`: all of its series, this one included, or nothing."""

    workshop: WorkshopView
    series: list[WorkshopView]


class WorkshopList(LazyModel):
    items: list[WorkshopView]
    next_cursor: str | None


class AttendeeView(EnrolmentView):
    """Somebody's enrolment, for the educator. name: empty when the account is gone."""

    user_id: str
    name: str


class AttendeeEnvelope(LazyModel):
    attendee: AttendeeView


class AttendeeList(LazyModel):
    items: list[AttendeeView]
    next_cursor: str | None


class MaterialView(LazyModel):
    """An asset of the educator, with a signed URL for some minutes."""

    asset_id: str
    name: str
    type: str
    size_bytes: int
    url: str


class MaterialList(LazyModel):
    items: list[MaterialView]
    opens_at: datetime | None = Field(
        description="From when an attendee who has paid sees them: when the fee can no longer go back in full. Until "
        "then there are no items. Null: at once."
    )


class ReviewView(LazyModel):
    user_id: str
    name: str
    stars: int
    text: str
    updated_at: datetime


class ReviewEnvelope(LazyModel):
    review: ReviewView


class ReviewList(LazyModel):
    items: list[ReviewView]
    next_cursor: str | None


class ShownWorkView(LazyModel):
    listing_id: str
    user_id: str
    name: str
    title: str
    thumbnail_url: str | None


class ShownWorkEnvelope(LazyModel):
    work: ShownWorkView


class ShownWorkList(LazyModel):
    items: list[ShownWorkView]
    next_cursor: str | None


def workshop_view(
    workshop: Workshop, mine: Enrolment | None = None, *, can_manage: bool = False, is_yours: bool = False
) -> WorkshopView:
    """The response form of a workshop."""
    rules = [
        RefundRuleView(hours_before=int(rule.before.total_seconds() // 3600), percent=rule.percent)
        for rule in REFUND_RULES
    ]
    return WorkshopView(
        **{
            name: getattr(workshop, name)
            for name in WorkshopView.model_fields
            if name
            not in ("status", "has_started", "material_ids", "refund_rules", "enrolment", "is_yours", "can_manage")
        },
        status=workshop.status.value,
        has_started=workshop.started_at is not None,
        material_ids=list(workshop.material_ids),
        refund_rules=rules if workshop.price_credits else [],
        enrolment=enrolment_view(mine) if mine else None,
        can_manage=can_manage,
        is_yours=is_yours,
    )


def enrolment_view(enrolment: Enrolment) -> EnrolmentView:
    """The response form of an enrolment."""
    return EnrolmentView(**{name: getattr(enrolment, name) for name in EnrolmentView.model_fields})


def attendee_view(enrolment: Enrolment, name: str) -> AttendeeView:
    """The response form of an enrolment for the educator."""
    view = enrolment_view(enrolment).model_dump()
    return AttendeeView(**view, user_id=enrolment.user_id, name=name)


def review_view(review: Review, name: str) -> ReviewView:
    """The response form of a review."""
    return ReviewView(
        user_id=review.user_id, name=name, stars=review.stars, text=review.text, updated_at=review.updated_at
    )
