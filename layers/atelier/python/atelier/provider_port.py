"""The interface of a provider adapter: submit, poll, cancel, read a webhook. Outcomes are values, never exceptions.

Some providers return the result in the response, others call a webhook later, and any of them may report something
wrong. Therefore each outcome that means “the job may be running and we do not know” has its own type (`Unknown`), and
such a job is never sent again blindly.
"""

from __future__ import annotations

from dataclasses import field
from datetime import date
from enum import StrEnum
from typing import Any, Protocol, TypedDict

from atelier.dataclass import dataclass

# How long an attempt waits for a provider that returns the finished work in its response: less than the Lambda
# function's time-out.
WORK_SECONDS_MAX = 840
# How much longer than the job's own limit a response is awaited: a late result has been paid for.
LATE_SECONDS_MAX = 60


class ErrorClass(StrEnum):
    """Why an attempt failed; the billing rule of each class is data in the catalogue."""

    INVALID_INPUT = "invalid_input"
    MODERATED = "moderated"
    MODERATED_BILLED = "moderated_billed"
    AUTH = "auth"
    PROVIDER_BILLING = "provider_billing"
    RATE_LIMITED = "rate_limited"
    CAPACITY = "capacity"
    TRANSIENT = "transient"
    MODEL_GONE = "model_gone"
    TIMEOUT_UNSTARTED = "timeout_unstarted"
    TIMEOUT_STARTED = "timeout_started"
    UNKNOWN_OUTCOME = "unknown_outcome"


class FinishReason(StrEnum):
    """Why a text ended early: it reached the length limit, the provider's filter stopped it, or the model refused in
    words."""

    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class Input:
    """An input file. `url` is where the provider can fetch the same bytes; None when it cannot reach this system."""

    data: bytes
    content_type: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """The work of one attempt, in the product's terms. `settings` is the adapter's part of the model's catalogue entry;
    `inputs` are files by role: image, mask, audio, reference."""

    attempt_id: str
    kind: str
    model: str
    prompt: str
    negative_prompt: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    webhook_url: str | None = None
    run_seconds_max: int = 600
    inputs: dict[str, tuple[Input, ...]] = field(default_factory=dict[str, tuple[Input, ...]])


@dataclass(frozen=True, slots=True)
class Output:
    """One result file: either its bytes (synchronous providers) or a URL at the provider, never both. Text is UTF-8
    bytes with the content type text/plain or text/html."""

    data: bytes | None = None
    url: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider accepted the job; `reference` is the provider's id of the job."""

    reference: str


@dataclass(frozen=True, slots=True)
class Pending:
    """Still queued or running; progress is 0–99."""

    progress: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """Finished with results. `cost_microusd` is the provider's own figure when it reports one, else None. `usage` holds
    integer counts by unit, and only those that the provider reported, since a missing count is not a zero:

    tokens_input    all input tokens; of them tokens_cached (read from a cache), tokens_cache_write, tokens_image
    tokens_output   all output tokens
    predict_milliseconds (the model's running time), output_milliseconds (length of the video or audio), images,
    characters

    A text or a page may have no output at all: a model that spent all its tokens on reasoning is billed although it
    wrote nothing."""

    outputs: tuple[Output, ...]
    usage: dict[str, int] = field(default_factory=dict[str, int])
    cost_microusd: int | None = None
    finish_reason: FinishReason | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Finished or refused, with nothing to deliver. `message` is safe to show to the caller. `code` is the provider's
    own error code for a faulty request, or None. `provider_wide`: whether the failure concerns all models behind the
    same credentials; None = as usual for its error class."""

    error_class: ErrorClass
    message: str
    retry_after_seconds: int | None = None
    usage: dict[str, int] = field(default_factory=dict[str, int])
    cost_microusd: int | None = None
    code: str | None = None
    provider_wide: bool | None = None


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The provider stopped the job."""

    usage: dict[str, int] = field(default_factory=dict[str, int])
    cost_microusd: int | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The request was sent and no usable response came: the job may exist and may be billed. Such a job is looked up
    later, never sent again."""

    message: str


SubmitOutcome = Accepted | Done | Failed | Unknown
PollOutcome = Pending | Done | Failed | Cancelled | Unknown


class CancelResult(StrEnum):
    """The result of a cancellation request. `pending`: the request was sent but not confirmed; the next poll shows what
    happened. `unsupported`: the provider has no cancellation."""

    CANCELLED = "cancelled"
    PENDING = "pending"
    TOO_LATE = "too_late"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A verified webhook: the provider's event id, the provider's id of the job, and the job's reported state."""

    event_id: str
    reference: str
    progress: PollOutcome


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model as the provider's own list names it, without the `<provider>/` prefix that our catalogue adds."""

    name: str
    shutdown_on: date | None


class WebhookInvalid(Exception):
    """The signature, the timestamp or the body of a webhook is wrong; the text says which and is only for the log."""


class AdapterOptions(TypedDict, total=False):
    """How an adapter is built, besides its credentials; an option that is left out keeps the adapter's default.
    `base_url` replaces the provider's usual address, `answer_seconds_max` its longest wait for a response."""

    base_url: str
    answer_seconds_max: float


class Provider(Protocol):
    """One provider. Methods never raise for an expected failure. SDKs are imported inside the methods, so that
    importing the adapter is cheap.

    An adapter is constructed with credentials (the platform's or a workspace's own) and a base URL.
    `resend_safe`: sending the same job twice is harmless and free, so after a crash the job is simply sent again."""

    @property
    def resend_safe(self) -> bool: ...

    def submit(self, job: Job) -> SubmitOutcome:
        """Send the job once. Never retries once any byte was sent, because the job may have been started."""
        ...

    def poll(self, reference: str, job: Job) -> PollOutcome:
        """Return the state of a submitted job. Unknown: this poll got no usable response, so poll again later."""
        ...

    def cancel(self, reference: str) -> CancelResult:
        """Ask the provider to stop a job."""
        ...

    def find(self, job: Job) -> str | None:
        """Look up the reference of a job whose submission got no response. None when it is not found, which does not
        prove that the job was never started."""
        ...

    def parse_webhook(
        self, headers: dict[str, str], body: bytes, now_seconds: int, job: Job | None = None
    ) -> WebhookEvent:
        """Verify the signature over the raw body and parse it. Header names are lower-case. Raises WebhookInvalid.

        Without `job` only the signature and the form are verified (before the webhook is stored); with `job`, a webhook
        of another job is invalid too."""
        ...

    def check(self) -> Failed | None:
        """Check by a free call that the provider responds and accepts the credentials. None when it does."""
        ...

    def models(self) -> tuple[ListedModel, ...] | None:
        """The provider's list of models with their shutdown dates. None when the provider publishes no such list or did
        not respond."""
        ...
