"""HTTP schemas of reports: the query, and the answers."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field, WithJsonSchema
from typing_extensions import TypedDict

from atelier.analytics.period import Period
from atelier.lazy_model import LazyModel

_DIMENSION = "(provider|model|kind|project|token|user)"
_DAY_CHARACTERS = len("2026-11-01")
# Times outside are typing errors, and calendar arithmetic on them would leave what a date can be.
YEAR_MIN, YEAR_MAX = 2000, 2200


def _midnight_of_day(value: object) -> object:
    return f"{value}T00:00:00Z" if isinstance(value, str) and len(value) == _DAY_CHARACTERS else value


def _bounded(value: datetime) -> datetime:
    if not YEAR_MIN <= value.year <= YEAR_MAX:
        raise ValueError(f"must be between the years {YEAR_MIN} and {YEAR_MAX}")
    return value


# A string without a format in the document, because it takes two of them: a day, or a time of RFC 3339.
Moment = Annotated[
    AwareDatetime, BeforeValidator(_midnight_of_day), AfterValidator(_bounded), WithJsonSchema({"type": "string"})
]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class ReportQuery(LazyModel):
    """Which range, in which periods, by what, and of what."""

    model_config = ConfigDict(extra="ignore")

    begin: Moment | None = Field(
        default=None,
        alias="from",
        description="A day or a time; moved back to the beginning of its period. Without it: 24 hours, 30 days or "
        "12 months before `to`.",
        examples=["2026-11-01"],
    )
    end: Moment | None = Field(
        default=None,
        alias="to",
        description="Before this day or time; it is moved on to the end of its period. Without it: the end of the "
        "present period.",
        examples=["2026-12-01"],
    )
    period: Period = Field(
        default=Period.DAILY, description="Of UTC. At most 7 days by hour, 400 days by day, 5 years by month."
    )
    group_by: str | None = Field(
        default=None,
        pattern=f"^{_DIMENSION}(,{_DIMENSION})?$",
        description="One or two of provider, model, kind, project, token, user, separated by a comma.",
        examples=["model", "project,user"],
    )
    project: Name | None = None
    provider: Name | None = None
    model: Name | None = Field(default=None, examples=["local/canvas"])
    kind: Name | None = None
    token: Name | None = None
    user: Name | None = None
    previous: bool = Field(default=True, description="Whether the range before is read too.")

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What `group_by` names, each once."""
        return tuple(dict.fromkeys(self.group_by.split(","))) if self.group_by else ()

    @property
    def filters(self) -> dict[str, str]:
        """What the sums are about, by dimension."""
        names = ("project", "provider", "model", "kind", "token", "user")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class CreditsQuery(LazyModel):
    """Which range, in which periods."""

    model_config = ConfigDict(extra="ignore")

    begin: Moment | None = Field(default=None, alias="from", description="As of the other reports.")
    end: Moment | None = Field(default=None, alias="to", description="As of the other reports.")
    period: Period = Field(default=Period.DAILY, description="Of UTC; the ranges are those of the other reports.")
    previous: bool = Field(default=True, description="Whether the range before is read too.")


class Durations(TypedDict):
    """Of attempts that succeeded, and of runs, in milliseconds; null without any. Percentiles are at most 3 % off."""

    mean: int | None
    p50: int | None
    p95: int | None
    p99: int | None


class OwnKey(TypedDict):
    """What was done with the workspace's own provider keys. `share`: of all attempts, from 0 to 1. Its cost is in the
    costs too, and is paid to the provider directly."""

    attempts: int
    share: float | None
    cost_microusd: int


class UsageSums(TypedDict):
    """`refused`: by moderation; they are in `failed` too. `prompts_refused`: by moderation too, before anything was
    stored; they are no `requests`. `cost_by_source`: who said it: the provider, our prices for
    the usage that it reported, or our estimate alone."""

    requests: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    reused: int
    refused: int
    prompts_refused: int
    fallbacks: int
    tokens_input: int
    tokens_output: int
    tokens_cached: int
    media_seconds: float
    megapixels: float
    credits: int
    cost_microusd: int
    cost_by_source: dict[str, int]
    own_key: OwnKey
    failed_by_class: dict[str, int]
    duration_ms: Durations


class CostSums(TypedDict):
    """`cost_per_result_microusd`: all cost by the attempts that succeeded."""

    requests: int
    succeeded: int
    credits: int
    cost_microusd: int
    cost_by_source: dict[str, int]
    own_key: OwnKey
    attempts: int
    cost_per_result_microusd: int | None


class ProviderSums(TypedDict):
    """All counts are of attempts. `success_rate`: from 0 to 1. `estimate_drift_percent`: how far known costs were above
    what was estimated for them; below it is negative."""

    attempts: int
    succeeded: int
    success_rate: float | None
    failed_by_class: dict[str, int]
    duration_ms: Durations
    cost_microusd: int
    cost_per_result_microusd: int | None
    estimate_drift_percent: float | None
    own_key: OwnKey


class ModelSums(TypedDict):
    """`results`: new ones, of requests and of stages. `share`: of the results of all models, from 0 to 1. `credits`
    contain a stage's part of its run's, which are also those of the pipeline."""

    requests: int
    stages: int
    results: int
    share: float | None
    credits: int
    credits_per_result: float | None
    cost_microusd: int
    cost_per_result_microusd: int | None
    failed_by_class: dict[str, int]
    duration_ms: Durations


class CreditSums(TypedDict):
    """Whole credits. `operator_loss`: results that were delivered free."""

    granted: int
    granted_by_source: dict[str, int]
    spent: int
    expired: int
    revoked: int
    adjusted_down: int
    transferred: int
    operator_loss: int


# The values of a group by dimension; null = nothing of this kind: no project, a session instead of a token, no attempt.
Group = dict[str, str | None]


class UsageGroup(UsageSums):
    group: Group


class UsagePoint(UsageGroup):
    period_start: datetime


class CostGroup(CostSums):
    group: Group


class CostPoint(CostGroup):
    period_start: datetime


class ProviderGroup(ProviderSums):
    group: Group


class ProviderPoint(ProviderGroup):
    period_start: datetime


class ModelGroup(ModelSums):
    group: Group


class ModelPoint(ModelGroup):
    period_start: datetime


class MemberGroup(UsageGroup):
    """`last_day_active`: the last day in the range with a request, null without one."""

    last_day_active: date | None


class CreditGroup(CreditSums):
    group: Group


class CreditPoint(CreditGroup):
    period_start: datetime


# The keys `from` and `to` are reserved words of Python or hide it, so these are made by the functional form.
_Range = TypedDict("_Range", {"from": datetime, "to": datetime})


class ReportFields(_Range):
    """`series`: each period with each group of the range, zeros too; `groups`: each group over the range, the largest
    first; `totals`: all of it; `previous`: the range before that is as long (before whole months, as many months).
    `complete_until`: what happened before this is counted."""

    period: Period
    group_by: list[str]
    time_zone: Literal["UTC"]
    complete_until: datetime


class PreviousUsage(_Range):
    totals: UsageSums
    groups: list[UsageGroup]


class UsageReport(ReportFields):
    series: list[UsagePoint]
    groups: list[UsageGroup]
    totals: UsageSums
    previous: PreviousUsage | None


class MemberReport(ReportFields):
    series: list[UsagePoint]
    groups: list[MemberGroup]
    totals: UsageSums
    previous: PreviousUsage | None


class PreviousCost(_Range):
    totals: CostSums
    groups: list[CostGroup]


class CostReport(ReportFields):
    series: list[CostPoint]
    groups: list[CostGroup]
    totals: CostSums
    previous: PreviousCost | None


class PreviousProviders(_Range):
    totals: ProviderSums
    groups: list[ProviderGroup]


class ProviderReport(ReportFields):
    series: list[ProviderPoint]
    groups: list[ProviderGroup]
    totals: ProviderSums
    previous: PreviousProviders | None


class PreviousModels(_Range):
    totals: ModelSums
    groups: list[ModelGroup]


class ModelReport(ReportFields):
    series: list[ModelPoint]
    groups: list[ModelGroup]
    totals: ModelSums
    previous: PreviousModels | None


class PreviousCredits(_Range):
    totals: CreditSums
    groups: list[CreditGroup]


class CreditReport(ReportFields):
    series: list[CreditPoint]
    groups: list[CreditGroup]
    totals: CreditSums
    previous: PreviousCredits | None
