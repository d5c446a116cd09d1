"""What a provider adapter must do: submit, poll, cancel, read a webhook. Outcomes are values, never exceptions.

The shapes follow the cross-provider matrix: some providers answer at once, some take a webhook, all can lie, so every
outcome that means “the job may be running and we do not know” has its own name and is never resent blindly.
"""

from __future__ import annotations

from dataclasses import field
from datetime import date
from enum import StrEnum
from typing import Any, Protocol

from atelier.frozen import dataclass

# How long an attempt waits for a provider that answers with the finished work: less than its function may run.
WORK_SECONDS_MAX = 840
# An answer that comes a little late is worth having: it has been paid for.
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
    """Why a text ends before its own end: it was as long as it may be, a filter of the provider's stopped it, or it is
    the model's own refusal in words."""

    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class Input:
    """A file that the work starts from. `url` is where the provider may fetch the same bytes, when it can reach us."""

    data: bytes
    content_type: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt's work, in the product's terms. `settings` is the model's own part of the catalogue entry; `inputs`
    are files by role: image, mask, audio, reference."""

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
    """One result file: inline bytes (synchronous providers) or a provider's URL, never both. Text is UTF-8 bytes with
    the content type text/plain or text/html."""

    data: bytes | None = None
    url: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has the job; `reference` is its own id for it."""

    reference: str


@dataclass(frozen=True, slots=True)
class Pending:
    """Still queued or running; progress is 0–99."""

    progress: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """Finished with results. `cost_microusd` is the provider's own figure when it reports one, else None; `usage` holds
    integer counts by unit, and only what the provider did report, since a missing count is not a zero:

    tokens_input    all input tokens; of them tokens_cached (read from a cache), tokens_cache_write, tokens_image
    tokens_output   all output tokens
    predict_milliseconds (of running), output_milliseconds (of film or sound), images, characters

    A text or a page may have no output at all: a model that has spent its tokens on thinking has worked, is billed, and
    has said nothing."""

    outputs: tuple[Output, ...]
    usage: dict[str, int] = field(default_factory=dict[str, int])
    cost_microusd: int | None = None
    finish_reason: FinishReason | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Finished, or refused, with nothing to deliver. `message` is safe to show to the caller; `code` is the provider's
    own name for what is wrong with the request, where it has one. `provider_wide`: whether it concerns every model of
    the access; None = as is usual for its class."""

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
    """Bytes were sent and no answer came: the job may exist and may be billed. Reconciled, never resent."""

    message: str


Submitted = Accepted | Done | Failed | Unknown
Progress = Pending | Done | Failed | Cancelled | Unknown


class CancelResult(StrEnum):
    """`pending`: asked, and not confirmed yet or not answered at all: the next poll tells."""

    CANCELLED = "cancelled"
    PENDING = "pending"
    TOO_LATE = "too_late"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A verified webhook: the provider's event id, its reference for the job, and what it says of it."""

    event_id: str
    reference: str
    progress: Progress


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model as the provider's own list names it, without the provider's prefix of ours."""

    name: str
    shutdown_on: date | None


class WebhookInvalid(Exception):
    """The signature, the timestamp or the shape of a webhook is wrong; the text says which, for the log only."""


class Provider(Protocol):
    """One provider. Methods never raise for an expected failure; SDK imports happen inside them.

    An adapter is made with its credentials, the platform's or a workspace's own, and its base URL.
    `resend_safe`: sending the same job twice is harmless and free, so a crash in the middle needs no reconciliation."""

    @property
    def resend_safe(self) -> bool: ...

    def submit(self, job: Job) -> Submitted:
        """Send the job once. Never retries after bytes were sent."""
        ...

    def poll(self, reference: str, job: Job) -> Progress:
        """Ask how a submitted job stands. Unknown means that this question got no answer: ask again later."""
        ...

    def cancel(self, reference: str) -> CancelResult:
        """Ask the provider to stop a job."""
        ...

    def find(self, job: Job) -> str | None:
        """The reference of a job whose submission's answer was lost. None when it can't be found, which does not prove
        that it never was."""
        ...

    def parse_webhook(
        self, headers: dict[str, str], body: bytes, now_seconds: int, job: Job | None = None
    ) -> WebhookEvent:
        """Verify the raw bytes (header names lower-case) and read them; raises WebhookInvalid.

        `job` is absent when only verification matters (before the webhook is stored); with it, a webhook that is of
        another job is invalid too."""
        ...

    def check(self) -> Failed | None:
        """Whether the provider answers and takes our credentials, by a call that costs nothing; None = all is well."""
        ...

    def models(self) -> tuple[ListedModel, ...] | None:
        """The provider's own list of models with their shutdown dates; None where it publishes none, or gave no
        answer."""
        ...
