"""What is counted, and under what. Everything here is a sum: counts of two facts are added counter by counter, so facts
may be counted in any order and any grouping, and a correction is a fact with the difference.

A *fact* is what one committed change adds: to the *counts* of one or more *groups*, in the hour in which it happened
(UTC). The counts of a finished day are also kept by *view*, so that a report reads sums and no hours.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum

from atelier.dataclass import dataclass
from atelier.ids import created_at

DIGEST_BYTES = 10
# Longer than streams collect records, so that most batches have one window; and short, because a window's receipts are
# read with each batch.
WINDOW_MINUTES = 5

# Counter → number; a counter that is not there is 0. Durations are counted by bucket too: see sketch.py.
Counts = Mapping[str, int]

# Counters of generations, with their meaning. `failed_…` and `attempts_failed_…` are further ones, one for each error
# class; `bucket_…` for each bucket of durations.
COUNTERS: Mapping[str, str] = {
    "requests": "generations and runs that ended; a stage is not a request",
    "succeeded": "requests with a result",
    "failed": "requests that failed",
    "cancelled": "requests that were cancelled",
    "expired": "requests without a result at their deadline",
    "reused": "requests that an earlier result has served",
    "refused": "requests that a provider's or our own moderation refused; they are in `failed` too",
    "prompts_refused": "requests that moderation refused before they were stored; in no other counter",
    "fallbacks": "requests and stages that more than one candidate attempted",
    "stages": "stages of runs that ended",
    "stages_succeeded": "stages with a result",
    "credits": "credits charged for requests",
    "stage_credits": "the part of a run's credits that a stage has taken; in `credits` of the run",
    "tokens_input": "input tokens, as far as providers report them",
    "tokens_output": "output tokens",
    "tokens_cached": "input tokens that a provider had in its cache; in `tokens_input` too",
    "media_ms": "milliseconds of delivered video, audio and avatars; a reused result was delivered before",
    "pixels": "pixels of delivered images; a reused result was delivered before",
    "attempts": "attempts that ended, of generations that ended",
    "attempts_succeeded": "attempts with a result",
    "cost_provider_microusd": "cost that a provider reported",
    "cost_usage_microusd": "cost computed from the usage that a provider reported",
    "cost_estimate_microusd": "cost that is only estimated",
    "own_key_attempts": "attempts with the workspace's own key; in `attempts` too",
    "own_key_cost_microusd": "their cost, which the workspace pays to the provider; in the costs too",
    "estimated_microusd": "what succeeded attempts with a known cost were estimated at",
    "estimated_actual_microusd": "their known cost",
    "duration_ms": "the sum of the durations of succeeded attempts, and of succeeded runs",
    "durations": "how many they are",
}

# Counters of the ledger: credits of a wallet's movements.
CREDIT_COUNTERS: Mapping[str, str] = {
    "granted_daily": "daily credits",
    "granted_monthly": "credits of a paid plan",
    "granted_purchase": "bought credits",
    "granted_promo": "credits of a promotion or a trial",
    "granted_refund": "credits given back: revoked ones after a won dispute or a failed refund, held ones that expired",
    "granted_admin": "credits from an administrator",
    "granted_transfer": "credits from another workspace",
    "spent": "credits charged for generations: `credits` of all requests, unless a project came or went",
    "expired": "credits that were not spent in time, without those that were revoked afterwards",
    "revoked": "credits that a refund or a dispute took back",
    "adjusted_down": "credits that an administrator took",
    "transferred": "credits that went to another workspace, with the fee",
    "operator_loss": "results that were delivered free",
}


class Dataset(StrEnum):
    """What a fact is about: generations, or the movements of the wallet."""

    USAGE = "usage"
    CREDITS = "credits"


@dataclass(frozen=True, slots=True)
class Group:
    """Under what something is counted; "" = nothing of this kind (no project, a session instead of a token, no
    attempt). `model`: as in the catalogue, with its provider ("openai/gpt-image-1"); "pipeline/<name>" for a run. Facts
    of the wallet have an empty group."""

    project: str = ""
    token: str = ""
    user: str = ""
    model: str = ""
    kind: str = ""

    @property
    def provider(self) -> str:
        """The first part of the model."""
        return self.model.partition("/")[0]


class View(StrEnum):
    """What the sums of a day are kept by. All views of a dataset have the same total."""

    MODEL = "model"
    PROJECT = "project"
    ACTOR = "actor"
    PROJECT_ACTOR = "project-actor"
    CREDITS = "credits"

    def key(self, group: Group) -> Group:
        """The group with only what this view keeps. Each view of generations keeps model and kind."""
        by_project = self in (View.PROJECT, View.PROJECT_ACTOR)
        by_actor = self in (View.ACTOR, View.PROJECT_ACTOR)
        return Group(
            group.project if by_project else "",
            group.token if by_actor else "",
            group.user if by_actor else "",
            group.model,
            group.kind,
        )


VIEWS: Mapping[Dataset, tuple[View, ...]] = {
    Dataset.USAGE: (View.MODEL, View.PROJECT, View.ACTOR, View.PROJECT_ACTOR),
    Dataset.CREDITS: (View.CREDITS,),
}


@dataclass(frozen=True, slots=True)
class Row:
    """Where counts are kept first: the finest group, in one hour (its beginning, UTC)."""

    dataset: Dataset
    hour: datetime
    group: Group


@dataclass(frozen=True, slots=True)
class Fact:
    """What one committed change adds to the sums of a workspace. `id`: one for each change, so that a repeated one is
    recognised; `at`: when it was committed or happened, the same whenever it is delivered. `counts` are by row: a
    correction takes from the row where the earlier fact was counted."""

    workspace_id: str
    id: str
    at: datetime
    counts: Mapping[Row, Counts]


# Sums by group, as a report or a view has them.
Sums = dict[Group, dict[str, int]]


def digest(fact_id: str) -> bytes:
    """The digest of a fact's id, as receipts keep it. Ids are compared within one workspace and window only."""
    return hashlib.blake2b(fact_id.encode(), digest_size=DIGEST_BYTES).digest()


def window_of(at: datetime) -> datetime:
    """The beginning of the window of WINDOW_MINUTES (UTC), from the full hour on."""
    return at.replace(minute=at.minute - at.minute % WINDOW_MINUTES, second=0, microsecond=0)


def hour_of(at: datetime) -> datetime:
    """The beginning of the hour (UTC)."""
    return at.replace(minute=0, second=0, microsecond=0)


def day_of(at: datetime) -> date:
    """The day (UTC)."""
    return at.date()


def difference(after: Counts, before: Counts) -> dict[str, int]:
    """`after` minus `before`, without zeros."""
    changed = {name: after.get(name, 0) - before.get(name, 0) for name in {*after, *before}}
    return {name: value for name, value in changed.items() if value}


def add(sums: Sums, group: Group, counts: Counts) -> None:
    """Add counts to those of a group."""
    kept = sums.setdefault(group, {})
    for name, value in counts.items():
        kept[name] = kept.get(name, 0) + value


def add_rows(sums: dict[Row, dict[str, int]], counts: Mapping[Row, Counts]) -> None:
    """Add counts by row to others."""
    for row, numbers in counts.items():
        kept = sums.setdefault(row, {})
        for name, value in numbers.items():
            kept[name] = kept.get(name, 0) + value


def total(groups: Iterable[Counts]) -> dict[str, int]:
    """The sum of counts."""
    result: defaultdict[str, int] = defaultdict(int)
    for counts in groups:
        for name, value in counts.items():
            result[name] += value
    return dict(result)


def by_view(view: View, sums: Mapping[Group, Counts]) -> Sums:
    """Sums of the finest groups, by what a view keeps."""
    result: Sums = {}
    for group, counts in sums.items():
        add(result, view.key(group), counts)
    return result


class MilestoneKind(StrEnum):
    """What was reached, as it is counted. A member is active by a request that ended; the other milestones are a
    workspace's, and each account has one."""

    SIGN_UP = "sign_ups"
    FIRST_PICTURE = "first_pictures"
    FIRST_PAYMENT = "first_payments"
    ACTIVE_DAY = "active_users"
    ACTIVE_MONTH = "active_in_month"


@dataclass(frozen=True, slots=True)
class Milestone:
    """`subject`: the id of a workspace or a member, which contains the time of the sign-up. `on`: the day, or the first
    day of the month."""

    subject: str
    kind: MilestoneKind
    on: date

    @property
    def key(self) -> str:
        """Unique among those of the subject."""
        is_repeated = self.kind in (MilestoneKind.ACTIVE_DAY, MilestoneKind.ACTIVE_MONTH)
        return f"{self.kind.value}#{self.on}" if is_repeated else self.kind.value

    @property
    def cohort(self) -> date:
        """The first day of the month of the sign-up."""
        return created_at(self.subject).date().replace(day=1)

    @property
    def months_after(self) -> int:
        """How many months after that of the sign-up."""
        return (self.on.year - self.cohort.year) * 12 + self.on.month - self.cohort.month
