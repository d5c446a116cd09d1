"""The expected errors: each class names its code, its HTTP status and whether a retry can help; facts become fields.

Codes and statuses are part of the API and do not change. `http/errors.py` is the one place that turns errors into
responses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, ClassVar

from atelier.dataclass import dataclass

if TYPE_CHECKING:
    from pydantic import ValidationError

# Of a refusal by a model: how many of its errors are named, and how long a part of their paths may be.
FIELDS_MAX = 50
NAME_CHARACTERS_MAX = 200
# pydantic's type of the error for a field that the model does not have, and our text for it.
UNKNOWN_FIELD = "extra_forbidden"
UNKNOWN_FIELD_MESSAGE = "is not a field of this request"


class AtelierError(Exception):
    """Base of every expected failure. `facts` become the response's `details`; `message` is written for the caller."""

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts: dict[str, Any] = facts


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """The response to a failed request; `status` None means the status of the error's class."""

    body: Any
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    status: int | None = None


class Internal(AtelierError):
    """An unexpected failure on our side; the cause is in the log only."""

    retryable = True


class BadRequest(AtelierError):
    code, status = "BAD_REQUEST", 400


class Unauthenticated(AtelierError):
    code, status = "UNAUTHENTICATED", 401


class InsufficientCredits(AtelierError):
    """The wallet cannot cover the hold. `needed` and `available` are whole credits. `reason`: why the wallet gets no
    daily credits, or why others do not count (a key of `explanations`); None where there is nothing to explain."""

    code, status = "INSUFFICIENT_CREDITS", 402
    explanations: ClassVar[dict[str, str]] = {
        "email_unverified": " The daily credits wait until the e-mail address is verified.",
        "mailbox_shared": " The daily credits of this mailbox go to another account.",
        "free_credits": " Daily and promotional credits pay nobody else.",
    }

    def __init__(self, *, needed: int, available: int, reason: str | None = None) -> None:
        super().__init__(
            f"This needs {needed} credits and the wallet has {available}.{self.explanations.get(reason or '', '')}",
            limit="wallet",
            needed=needed,
            available=available,
            **({"reason": reason} if reason else {}),
        )


class BudgetExceeded(AtelierError):
    """The highest possible cost of the request is more than its budget has left. Amounts are in micro-USD; `limit`
    names the budget."""

    code, status = "BUDGET_EXCEEDED", 402

    def __init__(self, *, limit: str, needed: int, available: int) -> None:
        super().__init__(
            f"This may cost {needed} micro-USD and the budget has {available} left.",
            limit=limit,
            needed=needed,
            available=available,
        )


class PaymentRequired(AtelierError):
    """The workspace's tier does not include what the request needs. feature: `kind:video`, or `model:` and its id.
    tiers: the ids of the tiers on sale that include it."""

    code, status = "PAYMENT_REQUIRED", 402

    def __init__(self, message: str, *, feature: str, tiers: Sequence[str]) -> None:
        super().__init__(message, feature=feature, tiers=list(tiers))


class QuotaExceeded(AtelierError):
    """The workspace has as much of something as its tier allows, or would have more. quota: what is limited, such
    as `projects`. used: how much there is. tiers: the ids of the tiers on sale that allow more."""

    code, status = "QUOTA_EXCEEDED", 403

    def __init__(self, message: str, *, quota: str, limit: int, used: int, tiers: Sequence[str]) -> None:
        super().__init__(message, quota=quota, limit=limit, used=used, tiers=list(tiers))


class Forbidden(AtelierError):
    code, status = "FORBIDDEN", 403


class NotFound(AtelierError):
    """The resource does not exist, or belongs to another workspace: the two cases look the same to the caller."""

    code, status = "NOT_FOUND", 404

    def __init__(self, message: str = "There is no such resource.") -> None:
        super().__init__(message)


class Gone(AtelierError):
    """The resource was public, and was deleted for good: whoever keeps its address may forget it."""

    code, status = "GONE", 410

    def __init__(self, message: str = "This was deleted.") -> None:
        super().__init__(message)


class MethodNotAllowed(AtelierError):
    code, status = "METHOD_NOT_ALLOWED", 405


class Conflict(AtelierError):
    code, status = "CONFLICT", 409


class VersionConflict(AtelierError):
    """What the request changes has been changed since the caller read it. current: its version now."""

    code, status = "VERSION_CONFLICT", 409

    def __init__(self, *, current: int) -> None:
        super().__init__("This was changed meanwhile. Read it again, and decide anew.", current=current)


class QuoteExpired(AtelierError):
    """The quote was valid once, and the caller has to request another."""

    code, status = "QUOTE_EXPIRED", 409


class IdempotencyInFlight(AtelierError):
    code, status, retryable = "IDEMPOTENCY_IN_FLIGHT", 409, True


class PayloadTooLarge(AtelierError):
    code, status = "PAYLOAD_TOO_LARGE", 413


class UnsupportedMediaType(AtelierError):
    code, status = "UNSUPPORTED_MEDIA_TYPE", 415


class UnsupportedEncoding(UnsupportedMediaType):
    """The body's Content-Encoding is not supported."""


class ValidationFailed(AtelierError):
    """The request is invalid. `fields` is a list of `{"path": "parameters.width", "message": "…"}`; a path starts at
    the request's root.

    types: pydantic's type of the error of each field (`missing`, `string_type` …), as far as it is known; it is not
    part of the response."""

    code, status = "VALIDATION_FAILED", 422

    def __init__(
        self,
        fields: list[dict[str, str]],
        message: str = "The request is not valid.",
        *,
        types: Sequence[str] = (),
    ) -> None:
        super().__init__(message, fields=fields)
        self.types = tuple(types)

    @classmethod
    def of_model(cls, error: ValidationError, root: str = "") -> ValidationFailed:
        """A model's refusal as ours, at most FIELDS_MAX of its errors. root: what stands before each path, `query`.

        Parts of a path come from the sender, so they are cut to NAME_CHARACTERS_MAX to keep the response small."""
        found = error.errors(include_url=False, include_input=False, include_context=False)[:FIELDS_MAX]
        start = [root] if root else []
        fields = [
            {
                "path": ".".join([*start, *(str(part)[:NAME_CHARACTERS_MAX] for part in each["loc"])]),
                "message": _plain_message(each["type"], each["msg"]),
            }
            for each in found
        ]
        return cls(fields, types=[each["type"] for each in found])


def _plain_message(type: str, message: str) -> str:
    if type == UNKNOWN_FIELD:
        return UNKNOWN_FIELD_MESSAGE
    # pydantic puts "Value error, " before the text of a ValueError. It tells a caller nothing.
    return message.removeprefix("Value error, ") if type == "value_error" else message


class PromptRefused(ValidationFailed):
    """Moderation refused a text of the request; nothing was stored. path: where the text is in the request. words: the
    refused categories, in words for the text's author."""

    def __init__(self, path: str, categories: Sequence[str], words: str) -> None:
        super().__init__(
            [{"path": path, "message": f"Not allowed here: {words}."}],
            f"Moderation refused the request for {words} in {path}. Nothing was charged.",
        )
        self.words = words
        self.facts |= {"path": path, "category": categories[0], "categories": list(categories)}


class IdempotencyMismatch(AtelierError):
    code, status = "IDEMPOTENCY_MISMATCH", 422


class RateLimited(AtelierError):
    code, status, retryable = "RATE_LIMITED", 429, True

    def __init__(self, *, limit: int, retry_after_seconds: int) -> None:
        super().__init__(
            f"Too many requests. Try again in {retry_after_seconds} s.",
            limit=limit,
            retry_after_seconds=retry_after_seconds,
        )
        self.limit = limit
        self.retry_after_seconds = retry_after_seconds


class ProviderFailed(AtelierError):
    code, status, retryable = "PROVIDER_FAILED", 502, True


class Unavailable(AtelierError):
    """A dependency is throttled or busy; nothing was changed, so a retry is safe."""

    code, status, retryable = "UNAVAILABLE", 503, True
