"""A generation as a value, its attempts, and the transitions between its states. Pure: nothing here knows AWS."""

from __future__ import annotations

import hashlib
import json
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from atelier.frozen import dataclass
from atelier.ids import CROCKFORD
from atelier.pricing.candidates import candidate
from atelier.pricing.shapes import InputFacts
from atelier.providers._contract import ErrorClass

# No generation may live longer, whatever its model says: bounds what a sweep has to look at.
LIFETIME_MAX = timedelta(hours=2)
# As often one candidate may say that it takes no more requests for now.
LIMITED_TRIES_MAX = 4


class Kind(StrEnum):
    """What is made."""

    TEXT = "text"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    AVATAR = "avatar"
    PAGE = "page"
    UPSCALE = "upscale"


# What may be empty: a model can work without writing a word.
WRITTEN = frozenset({Kind.TEXT, Kind.PAGE})


class Status(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


OPEN = (Status.QUEUED, Status.RUNNING)


class AttemptStatus(StrEnum):
    SUBMITTING = "submitting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


# Where the figure of a cost comes from.
LEAST_SURE_FIRST = ("estimate", "usage", "provider")

# What becomes of an attempt under way when its generation ends without a result.
LEFT = {
    Status.FAILED: AttemptStatus.FAILED,
    Status.CANCELLED: AttemptStatus.CANCELLED,
    Status.EXPIRED: AttemptStatus.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Source:
    """A file that the work starts from: an asset of the workspace, and (once it is known to be there) where its bytes
    are, how large it is in pixels, and how long it lasts."""

    asset_id: str
    sha256: str = ""
    format: str = ""
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None


Sources = dict[str, tuple[Source, ...]]


def facts_of(inputs: Sources) -> InputFacts:
    """What prices and shapes depend on: the first picture's size, and the length of the sound."""
    picture = next(iter(inputs.get("image", ())), None)
    sound = next(iter(inputs.get("audio", ())), None)
    return InputFacts(
        picture.width if picture else None,
        picture.height if picture else None,
        sound.duration_ms if sound else None,
    )


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that the caller asked for: enough to run it again. `parameters` are the model's, validated; `inputs`
    are files by role: image, mask, audio, reference, and the pictures of a character, of which each model takes as many
    as it has room for. `asked` stands for the request where the recipe came of more than itself."""

    kind: Kind
    prompt: str
    model: str = "auto"
    negative_prompt: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    inputs: Sources = field(default_factory=Sources)
    character_id: str | None = None
    template_id: str | None = None
    asked: str | None = field(default=None, compare=False)

    @property
    def files(self) -> dict[str, int]:
        """How many files of each role."""
        return {role: len(sources) for role, sources in self.inputs.items()}

    @property
    def facts(self) -> InputFacts:
        """What is known of them, and what is sent beside the prompt."""
        return replace(facts_of(self.inputs), negative_prompt=self.negative_prompt or "")

    def fingerprint(self) -> str:
        """The same for the same request, whatever the order of its fields: what an idempotency key is bound to."""
        if self.asked:
            return self.asked
        facts: list[Any] = [self.kind, self.prompt, self.model, self.negative_prompt, self.parameters]
        if self.inputs:
            facts.append({role: [source.asset_id for source in sources] for role, sources in self.inputs.items()})
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try with one provider, written before any byte is sent to it. `key`: the id of the workspace's own key that
    it is made with, None = the platform's access. `cost_microusd` is what the provider bills for it, delivered or not,
    as far as we know."""

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

    @property
    def candidate(self) -> str:
        """The candidate that is tried here."""
        return candidate(self.model, self.key)


@dataclass(frozen=True, slots=True)
class Delivered:
    """A delivered file as the generation shows it. type: image, video, audio, text or page. Sizes are in pixels, of
    what has any; `has_thumbnail`: whether a small picture of it is kept beside it; `notes` say what was left out or
    changed, and are kept with the asset alone."""

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
    """Why a generation did not succeed: a contract code, the provider's error class, a text for the caller, and, where
    there is one, the provider's own code for what is wrong with the request, or our moderation's category."""

    code: str
    error_class: str
    message: str
    provider_code: str | None = None
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a run, as it is asked for and then planned: who may make it, for how many credits at most.

    says: the earlier stage whose text is this one's prompt; None = the run's own prompt. starts_from: by role, the
    earlier stage whose file this one starts from, beside `inputs` of its own. made_by: the generation that has made
    this stage in an earlier run; nobody pays for it again."""

    name: str
    kind: Kind
    model: str = "auto"
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    negative_prompt: str | None = None
    inputs: Sources = field(default_factory=Sources)
    says: str | None = None
    starts_from: dict[str, str] = field(default_factory=dict[str, str])
    candidates: tuple[str, ...] = ()
    credits_max: int = 0
    made_by: str | None = None

    @property
    def files(self) -> dict[str, int]:
        """How many files of each role, those of earlier stages included."""
        own = {role: len(sources) for role, sources in self.inputs.items()}
        return own | {role: own.get(role, 0) + 1 for role in self.starts_from}

    @property
    def facts(self) -> InputFacts:
        """What is known of them: of those that earlier stages make, that they are to come; and what is sent beside the
        prompt."""
        own = {role: sources for role, sources in self.inputs.items() if sources}
        pending = frozenset(self.starts_from.keys() - own.keys())
        return replace(facts_of(own), pending=pending, negative_prompt=self.negative_prompt or "")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What a run makes, one stage after the other."""

    name: str
    stages: tuple[Stage, ...]

    def fingerprint(self) -> str:
        """The same for the same stages asked for in the same way."""
        facts: list[Any] = [self.name]
        for stage in self.stages:
            asked = {role: [source.asset_id for source in sources] for role, sources in stage.inputs.items()}
            facts.append([stage.name, stage.model, stage.parameters, stage.negative_prompt, asked, stage.made_by])
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Generation:
    """The whole state. Money is integer micro-USD, credits are integers, times UTC. `reserved_microusd` is what it may
    cost at most, reserved on each of `budgets` until it ends.

    With a `pipeline` it is a run: it holds the credits for all stages and tries nobody itself. `stages_begun` counts
    the stages up to the latest one that has begun. Each stage is a generation with a `parent_id` and without a hold of
    its own: its `credits_held` are the most that it may take of the run's."""

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
    project_id: str | None = None
    quote_id: str | None = None
    budgets: tuple[str, ...] = ()
    reserved_microusd: int = 0
    # Of the cost, what the budgets have counted: all of it that is stored.
    counted_microusd: int = field(default=0, compare=False)
    progress: int = 0
    credits_charged: int = 0
    cost_microusd: int = 0
    cost_source: str = "estimate"
    usage: dict[str, int] = field(default_factory=dict[str, int])
    attempts: tuple[Attempt, ...] = ()
    assets: tuple[Delivered, ...] = ()
    failure: Failure | None = None
    cancel_requested_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    pipeline: Pipeline | None = None
    stages_begun: int = 0
    enhanced_prompt: str | None = None
    parent_id: str | None = None
    stage: str | None = None
    # Under which key its result is kept for identical requests, and whose result it shows itself.
    reuse_key: str | None = None
    reused_from: str | None = None
    # Of a text: why it ends before its own end (see FinishReason).
    finish_reason: str | None = None

    @property
    def begun(self) -> int:
        """How many attempts have begun, or stages of a run: whoever plans a write holds it to this number."""
        return len(self.attempts) if self.pipeline is None else self.stages_begun

    @property
    def is_open(self) -> bool:
        """Not yet in a final state."""
        return self.status in OPEN

    @property
    def attempt(self) -> Attempt | None:
        """The latest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def awaited(self) -> Attempt | None:
        """The attempt that may still bring a result: the one under way, or the one that was out when time was up."""
        last = self.attempt
        return last if last is not None and last.ended_at is None else None

    @property
    def untried(self) -> tuple[str, ...]:
        """The candidates that may still be tried: those that have not been, in order, and then those that only said
        that they take no more requests for now."""
        left = list(self.candidates)
        refused = dict.fromkeys(self.candidates, 0)
        for attempt in self.attempts:
            if attempt.candidate in left:
                left.remove(attempt.candidate)
            was_limited = attempt.error_class == ErrorClass.RATE_LIMITED
            refused[attempt.candidate] = refused.get(attempt.candidate, 0) + 1 if was_limited else LIMITED_TRIES_MAX
        return (*left, *(each for each, times in refused.items() if 0 < times < LIMITED_TRIES_MAX))

    @property
    def next_candidate(self) -> str | None:
        """The candidate to try next, None when all have been tried."""
        return next(iter(self.untried), None)

    def attempting(self, attempt: Attempt) -> Generation:
        """With a new attempt begun."""
        return replace(
            self,
            status=Status.RUNNING,
            attempts=(*self.attempts, attempt),
            started_at=self.started_at or attempt.started_at,
        )

    def billed(self, cost_microusd: int, cost_source: str) -> Generation:
        """With what its latest attempt cost. Those that failed before it may have been billed too, whoever pays: the
        generation has cost all of them, and of several sources the least sure one says how far that is known."""
        last = replace(self.attempts[-1], cost_microusd=cost_microusd, cost_source=cost_source)
        attempts = (*self.attempts[:-1], last)
        sources = {each.cost_source for each in attempts if each.cost_microusd} or {cost_source}
        return replace(
            self,
            attempts=attempts,
            cost_microusd=sum(each.cost_microusd for each in attempts),
            cost_source=next((source for source in LEAST_SURE_FIRST if source in sources), cost_source),
        )

    def attempt_ended(self, status: AttemptStatus, at: datetime, error_class: str | None = None) -> Generation:
        """With the latest attempt in a new state; no change when it has none or has ended already. An unknown outcome
        is no end."""
        last = self.attempt
        if last is None or last.ended_at is not None:
            return self
        ended_at = None if status is AttemptStatus.UNKNOWN else at
        return replace(
            self,
            attempts=(*self.attempts[:-1], replace(last, status=status, ended_at=ended_at, error_class=error_class)),
        )

    def succeeded(self, assets: tuple[Delivered, ...], charged: int, at: datetime) -> Generation:
        """Delivered: the bytes are stored, the credits settle."""
        return replace(
            self.attempt_ended(AttemptStatus.SUCCEEDED, at),
            status=Status.SUCCEEDED,
            progress=100,
            assets=assets,
            credits_charged=charged,
            failure=None,
            completed_at=at,
        )

    def ended(self, status: Status, charged: int, failure: Failure | None, at: datetime) -> Generation:
        """In a final state without a result: failed, cancelled or expired. An attempt that is out when time is up has
        not ended: its result may still come."""
        closed = self.attempt_ended(LEFT[status], at, failure.error_class if failure else None)
        return replace(closed, status=status, credits_charged=charged, failure=failure, completed_at=at)


def asset_id(generation_id: str, number: int) -> str:
    """The id of a generation's n-th asset: derived, so that finishing twice stores it once."""
    return f"ast_{generation_id[4:14]}{_tail(f'{generation_id}#{number}')}"


def stage_id(run_id: str, number: int) -> str:
    """The id of a run's n-th stage: derived, so that planning it twice makes one, and with the run's own time."""
    return f"gen_{run_id[4:14]}{_tail(f'{run_id}#stage#{number}')}"


def _tail(facts: str) -> str:
    digest = int.from_bytes(hashlib.sha256(facts.encode()).digest()[:10])
    return "".join(CROCKFORD[digest >> shift & 31] for shift in range(75, -5, -5))
