"""A generation as a value, its attempts, and the transitions between its states. Pure: nothing here imports AWS."""

from __future__ import annotations

import hashlib
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from atelier.catalogue.candidates import format_candidate
from atelier.catalogue.sizes import InputFacts
from atelier.dataclass import dataclass
from atelier.idempotency import fingerprint
from atelier.ids import CROCKFORD
from atelier.provider_port import ErrorClass

# The longest lifetime of a generation, whatever its model allows. It bounds what a sweep has to read.
LIFETIME_MAX = timedelta(hours=2)
# A candidate that answers with a rate limit is tried at most this many times.
RATE_LIMITED_ATTEMPTS_MAX = 4
# What a deadline allows each generation and each stage, beside the run times of its models: a queue, or one retry after
# a rate limit.
QUEUE_ALLOWANCE = timedelta(minutes=3)


class Kind(StrEnum):
    """What a generation produces."""

    TEXT = "text"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    AVATAR = "avatar"
    PAGE = "page"
    UPSCALE = "upscale"


# Kinds whose result is text. It may be empty: a model can work (and be billed) without writing a word.
TEXT_KINDS = frozenset({Kind.TEXT, Kind.PAGE})


class Status(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


OPEN_STATUSES = (Status.QUEUED, Status.RUNNING)


class AttemptStatus(StrEnum):
    SUBMITTING = "submitting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


# The sources of a cost figure, the least reliable first.
COST_SOURCES_LEAST_RELIABLE_FIRST = ("estimate", "usage", "provider")

# The status of a running attempt after its generation has ended without a result.
ATTEMPT_STATUS_AT_END = {
    Status.FAILED: AttemptStatus.FAILED,
    Status.CANCELLED: AttemptStatus.CANCELLED,
    Status.EXPIRED: AttemptStatus.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class InputAsset:
    """An input file: an asset of the workspace. Hash, format, size in pixels and duration are filled in once the asset
    has been looked up."""

    asset_id: str
    sha256: str = ""
    format: str = ""
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None


InputAssets = dict[str, tuple[InputAsset, ...]]


def input_facts(inputs: InputAssets) -> InputFacts:
    """The facts that prices and sizes depend on: the size of the first image, and the duration of the audio."""
    image = next(iter(inputs.get("image", ())), None)
    audio = next(iter(inputs.get("audio", ())), None)
    return InputFacts(
        image.width if image else None,
        image.height if image else None,
        audio.duration_ms if audio else None,
    )


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that the caller requested: enough to run it again. `parameters` are the validated parameters of the
    model. `inputs` are files by role: image, mask, audio, reference, and the images of a character, of which each model
    takes as many as it accepts. `request_fingerprint` is the fingerprint of the request, where the recipe depends on
    more than the request itself (a template, a character, a run)."""

    kind: Kind
    prompt: str
    model: str = "auto"
    negative_prompt: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    inputs: InputAssets = field(default_factory=InputAssets)
    character_id: str | None = None
    template_id: str | None = None
    request_fingerprint: str | None = field(default=None, compare=False)

    @property
    def files(self) -> dict[str, int]:
        """The number of files of each role."""
        return {role: len(sources) for role, sources in self.inputs.items()}

    @property
    def facts(self) -> InputFacts:
        """What is known of the files, and the negative prompt."""
        return replace(input_facts(self.inputs), negative_prompt=self.negative_prompt or "")

    def fingerprint(self) -> str:
        """A digest that is equal for equal requests, whatever the order of their fields. An idempotency key is bound to
        it."""
        if self.request_fingerprint:
            return self.request_fingerprint
        facts: list[Any] = [self.kind, self.prompt, self.model, self.negative_prompt, self.parameters]
        if self.inputs:
            facts.append({role: [source.asset_id for source in sources] for role, sources in self.inputs.items()})
        return fingerprint(facts)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt with one provider, written before any byte is sent to the provider. `key` is the id of the
    workspace's own key, None = the platform's key. `cost_microusd` is what the provider bills for the attempt, whether
    it delivers or not, as far as we know. `estimated_microusd` is the estimate of a cost that is known by now; it is
    kept, because the catalogue's prices change. None = there is none, or the cost is not known."""

    id: str
    provider: str
    model: str
    status: AttemptStatus
    started_at: datetime
    ended_at: datetime | None = None
    error_class: str | None = None
    key: str | None = None
    cost_microusd: int = 0
    cost_source: str = "estimate"
    estimated_microusd: int | None = None

    @property
    def candidate(self) -> str:
        """The candidate of this attempt: its model, and the workspace's key if there is one."""
        return format_candidate(self.model, self.key)


@dataclass(frozen=True, slots=True)
class DeliveredFile:
    """A delivered file as its generation shows it. `type` is image, video, audio, text or page. `width` and `height`
    are in pixels, for types that have a size. `has_thumbnail` says whether a thumbnail is stored beside the file.
    `notes` say what was left out or changed in processing; they are stored with the asset only."""

    id: str
    type: str
    sha256: str
    format: str
    size_bytes: int
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    has_thumbnail: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a generation did not succeed: an error code of our API, the error class, a text for the caller, and, where
    there is one, the provider's own code for what is wrong with the request, or the category of our moderation."""

    code: str
    error_class: str
    message: str
    provider_code: str | None = None
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a run: first as requested, then planned, with its candidates, the most credits that it may take, and
    the longest that one of its candidates may run.

    says: the earlier stage whose text is this stage's prompt; None = the run's own prompt. starts_from: by file role,
    the earlier stage whose file this stage takes as input, beside its own `inputs`. made_by: the generation that has
    made this stage in an earlier run; it is not charged again."""

    name: str
    kind: Kind
    model: str = "auto"
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    negative_prompt: str | None = None
    inputs: InputAssets = field(default_factory=InputAssets)
    says: str | None = None
    starts_from: dict[str, str] = field(default_factory=dict[str, str])
    candidates: tuple[str, ...] = ()
    credits_max: int = 0
    run_seconds_max: int = 0
    made_by: str | None = None

    @property
    def files(self) -> dict[str, int]:
        """The number of files of each role, including those that earlier stages will make."""
        own = {role: len(sources) for role, sources in self.inputs.items()}
        return own | {role: own.get(role, 0) + 1 for role in self.starts_from}

    @property
    def facts(self) -> InputFacts:
        """What is known of the files, and the negative prompt. Files that earlier stages will make are `pending`."""
        own = {role: sources for role, sources in self.inputs.items() if sources}
        pending = frozenset(self.starts_from.keys() - own.keys())
        return replace(input_facts(own), pending=pending, negative_prompt=self.negative_prompt or "")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages of a run, in the order in which they are made."""

    name: str
    stages: tuple[Stage, ...]

    def fingerprint(self) -> str:
        """A digest that is equal for equal stages with equal options."""
        facts: list[Any] = [self.name]
        for stage in self.stages:
            inputs = {role: [source.asset_id for source in sources] for role, sources in stage.inputs.items()}
            facts.append([stage.name, stage.model, stage.parameters, stage.negative_prompt, inputs, stage.made_by])
        return fingerprint(facts)


@dataclass(frozen=True, slots=True)
class Generation:
    """The whole state of a generation. Money is integer micro-USD, credits are integers, times are UTC.
    `reserved_microusd` is its maximum cost, reserved on each of `budgets` until it ends.

    A generation with a `pipeline` is a run: it holds the credits for all stages and makes no attempt itself.
    `stages_begun` counts the stages up to the latest one that has begun. Each stage is a generation with a `parent_id`
    and without a hold of its own: its `credits_held` is the most that it may take from the run's hold, and its deadline
    is the run's. `later_stages_seconds` of it belong to the stages that follow."""

    id: str
    workspace_id: str
    user_id: str
    recipe: Recipe
    candidates: tuple[str, ...]
    price_version: str
    watermark: bool
    credits_held: int
    status: Status
    created_at: datetime
    deadline_at: datetime
    # The API token that sent the request; None = a session, or a record from before tokens were kept.
    token_id: str | None = None
    project_id: str | None = None
    quote_id: str | None = None
    budgets: tuple[str, ...] = ()
    reserved_microusd: int = 0
    # The part of the cost that the budgets have counted: all of the cost that is stored.
    counted_microusd: int = field(default=0, compare=False)
    progress: int = 0
    credits_charged: int = 0
    cost_microusd: int = 0
    cost_source: str = "estimate"
    usage: dict[str, int] = field(default_factory=dict[str, int])
    attempts: tuple[Attempt, ...] = ()
    assets: tuple[DeliveredFile, ...] = ()
    failure: Failure | None = None
    cancel_requested_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    pipeline: Pipeline | None = None
    stages_begun: int = 0
    enhanced_prompt: str | None = None
    parent_id: str | None = None
    stage: str | None = None
    later_stages_seconds: int = 0
    # The key under which this result is remembered for identical requests, and the generation whose result this one
    # shows.
    reuse_key: str | None = None
    reused_from: str | None = None
    # Why a text was cut short (see FinishReason); None = it is complete.
    finish_reason: str | None = None
    # The address that is called with the final status.
    webhook_url: str | None = None
    # What the result is for, as JSON values of the context that ordered it and acts on the end of the generation; None
    # = it is for the library.
    purpose: dict[str, Any] | None = None
    # Whether its first candidate answers at once, so that an Express execution is the first to attempt it.
    starts_express: bool = False
    # Until when a provider's rate limit delays the next attempt, and the candidate whose slot is reserved for then
    # (None = nothing is reserved). Stays as it is when the attempt begins: see `delay_at`.
    delayed_until: datetime | None = field(default=None, compare=False)
    delayed_candidate: str | None = field(default=None, compare=False)

    @property
    def begun_count(self) -> int:
        """The number of attempts that have begun, or of stages in a run. A write is conditional on this number."""
        return len(self.attempts) if self.pipeline is None else self.stages_begun

    @property
    def is_open(self) -> bool:
        """Whether the generation is not yet in a final state."""
        return self.status in OPEN_STATUSES

    @property
    def attempt(self) -> Attempt | None:
        """The latest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def awaited_attempt(self) -> Attempt | None:
        """The attempt that may still bring a result: the running one, also after the generation has expired."""
        last = self.attempt
        return last if last is not None and last.ended_at is None else None

    def delay_at(self, now: datetime) -> datetime | None:
        """Until when the generation waits for a rate limit; None = it does not, or no longer."""
        is_waiting = self.is_open and self.awaited_attempt is None and self.pipeline is None
        return self.delayed_until if is_waiting and self.delayed_until and self.delayed_until > now else None

    @property
    def remaining_candidates(self) -> tuple[str, ...]:
        """The candidates that may still be tried: first those that were not tried, in order, then those that only
        answered with a rate limit."""
        candidates_left = list(self.candidates)
        rate_limited = dict.fromkeys(self.candidates, 0)
        for attempt in self.attempts:
            if attempt.candidate in candidates_left:
                candidates_left.remove(attempt.candidate)
            was_limited = attempt.error_class == ErrorClass.RATE_LIMITED
            rate_limited[attempt.candidate] = (
                rate_limited.get(attempt.candidate, 0) + 1 if was_limited else RATE_LIMITED_ATTEMPTS_MAX
            )
        return (
            *candidates_left,
            *(each for each, times in rate_limited.items() if 0 < times < RATE_LIMITED_ATTEMPTS_MAX),
        )

    @property
    def next_candidate(self) -> str | None:
        """The candidate to try next; None when no candidate is left."""
        return next(iter(self.remaining_candidates), None)

    def with_attempt(self, attempt: Attempt) -> Generation:
        """A copy with a new attempt."""
        return replace(
            self,
            status=Status.RUNNING,
            attempts=(*self.attempts, attempt),
            started_at=self.started_at or attempt.started_at,
        )

    def with_cost(self, cost_microusd: int, cost_source: str) -> Generation:
        """A copy with the cost of the latest attempt. The cost of the generation is the sum over all attempts, because
        failed ones may be billed too; its source is the least reliable source among them."""
        last = replace(self.attempts[-1], cost_microusd=cost_microusd, cost_source=cost_source)
        attempts = (*self.attempts[:-1], last)
        sources = {each.cost_source for each in attempts if each.cost_microusd} or {cost_source}
        return replace(
            self,
            attempts=attempts,
            cost_microusd=sum(each.cost_microusd for each in attempts),
            cost_source=next(
                (source for source in COST_SOURCES_LEAST_RELIABLE_FIRST if source in sources), cost_source
            ),
        )

    def with_estimate(self, estimated_microusd: int | None) -> Generation:
        """A copy with what the cost of the latest attempt was estimated at."""
        last = replace(self.attempts[-1], estimated_microusd=estimated_microusd)
        return replace(self, attempts=(*self.attempts[:-1], last))

    def with_attempt_ended(self, status: AttemptStatus, at: datetime, error_class: str | None = None) -> Generation:
        """A copy with a new status of the latest attempt; unchanged when there is no attempt or it has ended already.
        After an unknown outcome the attempt has not ended."""
        last = self.attempt
        if last is None or last.ended_at is not None:
            return self
        ended_at = None if status is AttemptStatus.UNKNOWN else at
        return replace(
            self,
            attempts=(*self.attempts[:-1], replace(last, status=status, ended_at=ended_at, error_class=error_class)),
        )

    def as_succeeded(self, assets: tuple[DeliveredFile, ...], charged: int, at: datetime) -> Generation:
        """A copy that has succeeded, with its stored assets and the credits charged."""
        return replace(
            self.with_attempt_ended(AttemptStatus.SUCCEEDED, at),
            status=Status.SUCCEEDED,
            progress=100,
            assets=assets,
            credits_charged=charged,
            failure=None,
            completed_at=at,
        )

    def as_ended(self, status: Status, charged: int, failure: Failure | None, at: datetime) -> Generation:
        """A copy in a final state without a result: failed, cancelled or expired. On expiry a running attempt does not
        end: its result may still come."""
        closed = self.with_attempt_ended(ATTEMPT_STATUS_AT_END[status], at, failure.error_class if failure else None)
        return replace(closed, status=status, credits_charged=charged, failure=failure, completed_at=at)


def asset_id(generation_id: str, number: int) -> str:
    """The id of a generation's n-th asset. It is derived, so that finishing twice stores the asset once."""
    return f"ast_{generation_id[4:14]}{_id_suffix(f'{generation_id}#{number}')}"


def stage_id(run_id: str, number: int) -> str:
    """The id of a run's n-th stage, with the time of the run's id. It is derived, so that planning twice makes one
    stage."""
    return f"gen_{run_id[4:14]}{_id_suffix(f'{run_id}#stage#{number}')}"


def _id_suffix(facts: str) -> str:
    digest = int.from_bytes(hashlib.sha256(facts.encode()).digest()[:10])
    return "".join(CROCKFORD[digest >> shift & 31] for shift in range(75, -5, -5))
