"""The query and the view of the report of the whole platform."""

from __future__ import annotations

from datetime import date, timedelta

from pydantic import ConfigDict, Field

from atelier.analytics.milestones import report_people
from atelier.analytics.ports import PeopleSums, PlatformSums
from atelier.analytics.report_platform import report_platform
from atelier.errors import ValidationFailed
from atelier.lazy_model import LazyModel

# The reads of a longer time take longer than a request may; the task `report_platform` takes 400 days.
DAYS_MAX = 62


class PlatformModelView(LazyModel):
    """One model: what became of its requests, what it earned and cost. margin_microusd: null for a run."""

    model: str
    kind: str
    requests: int
    stages: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    reused: int
    refused: int
    fallbacks: int
    credits: int
    cost_microusd: int
    own_key_cost_microusd: int
    margin_microusd: int | None


class PeopleDayView(LazyModel):
    """The people of one day."""

    day: date
    sign_ups: int
    active_users: int
    first_pictures: int
    first_payments: int


class CohortView(LazyModel):
    """The people who signed up in a month. active_after_months: how many were active n months after it."""

    month: str
    sign_ups: int
    first_pictures: int
    first_payments: int
    active_after_months: list[int]


class PeopleView(LazyModel):
    """People by day, and by the month of their sign-up."""

    days: list[PeopleDayView]
    cohorts: list[CohortView]


class PlatformReport(LazyModel):
    """The sums of the whole platform. `to` is not included."""

    model_config = ConfigDict(serialize_by_alias=True)

    begin: date = Field(serialization_alias="from", validation_alias="from")
    end: date = Field(serialization_alias="to", validation_alias="to")
    time_zone: str
    microusd_per_credit: int
    credits: dict[str, int] = Field(description="Where credits came from and went.")
    models: list[PlatformModelView]
    margin_microusd: int
    people: PeopleView


class PlatformQuery(LazyModel):
    """Which days are reported, and what a credit is worth."""

    model_config = ConfigDict(extra="ignore")

    begin: date = Field(alias="from", description="The first day, UTC.")
    end: date = Field(alias="to", description=f"The day after the last one, at most {DAYS_MAX} days after `from`.")
    microusd_per_credit: int = Field(default=10_000, ge=0, le=10_000_000, description="What a credit is worth.")

    def report(self, *, sums: PlatformSums, people: PeopleSums) -> PlatformReport:
        """The report. Raises ValidationFailed."""
        if self.end > self.begin + timedelta(days=DAYS_MAX):
            raise ValidationFailed([{"path": "query.to", "message": f"must be 1 to {DAYS_MAX} days after from"}])
        found = report_platform(self.begin, self.end, self.microusd_per_credit, sums=sums)
        return PlatformReport.model_validate(found | {"people": report_people(self.begin, self.end, sums=people)})
