"""The outcome of an attempt, as JSON data that travels through the workflow: ids, keys and URLs, never bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from atelier.dataclass import dataclass
from atelier.generations.ports import OutputLocation
from atelier.provider_port import Cancelled, Done, ErrorClass, Failed, FinishReason

# An error class of our own beside those of the providers: the result was made, and moderation withheld it.
MODERATED_OUTPUT = "moderated_output"

# After these no other candidate is tried: it would refuse too, or the caller must change the request first.
FINAL_CLASSES = frozenset({ErrorClass.INVALID_INPUT, ErrorClass.MODERATED, ErrorClass.MODERATED_BILLED})


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status` is succeeded, failed, cancelled, or unknown (no answer in time). `attempt_id` is the attempt of this
    outcome, None = the outcome is of the generation as a whole. `provider_code` is the provider's own code for what is
    wrong with the request."""

    status: str
    outputs: tuple[OutputLocation, ...] = ()
    usage: dict[str, int] = field(default_factory=dict[str, int])
    cost_microusd: int | None = None
    error_class: str | None = None
    message: str | None = None
    attempt_id: str | None = None
    finish_reason: FinishReason | None = None
    provider_code: str | None = None

    def as_data(self) -> dict[str, Any]:
        """The outcome as plain JSON values."""
        optional = {"finish_reason": self.finish_reason, "provider_code": self.provider_code}
        return {
            "status": self.status,
            "outputs": [{"key": output.key, "url": output.url} for output in self.outputs],
            "usage": self.usage,
            "cost_microusd": self.cost_microusd,
            "error_class": self.error_class,
            "message": self.message,
            "attempt_id": self.attempt_id,
            **{name: value for name, value in optional.items() if value},
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Outcome:
        """The inverse of `as_data`. Any other data, such as a caught time-out, becomes an unknown outcome."""
        if data.get("status") not in ("succeeded", "failed", "cancelled"):
            return cls(
                "unknown", error_class=ErrorClass.UNKNOWN_OUTCOME, message="The provider did not answer in time."
            )
        return cls(
            data["status"],
            tuple(OutputLocation(output.get("key"), output.get("url")) for output in data["outputs"]),
            dict(data["usage"]),
            data["cost_microusd"],
            data["error_class"],
            data["message"],
            data.get("attempt_id"),
            FinishReason(data["finish_reason"]) if data.get("finish_reason") else None,
            data.get("provider_code"),
        )


def outcome_of(
    end: Done | Failed | Cancelled, outputs: tuple[OutputLocation, ...] = (), attempt_id: str | None = None
) -> Outcome:
    """The outcome of an ended attempt; `outputs` name the places where its results were staged."""
    match end:
        case Done():
            return Outcome(
                "succeeded",
                outputs,
                end.usage,
                end.cost_microusd,
                attempt_id=attempt_id,
                finish_reason=end.finish_reason,
            )
        case Failed():
            return Outcome(
                "failed",
                (),
                end.usage,
                end.cost_microusd,
                end.error_class,
                end.message,
                attempt_id,
                provider_code=end.code,
            )
        case Cancelled():
            return Outcome("cancelled", (), end.usage, end.cost_microusd, attempt_id=attempt_id)


def input_deleted_outcome() -> Outcome:
    """The outcome of a generation whose input file was deleted."""
    return Outcome(
        "failed", error_class=ErrorClass.INVALID_INPUT, message="A file that this was to start from has been deleted."
    )


def input_unusable_outcome(message: str) -> Outcome:
    """The outcome of a generation whose input file does not fit. No provider is called, and nothing is charged."""
    return Outcome("failed", error_class=ErrorClass.INVALID_INPUT, message=message)


def no_time_left_outcome() -> Outcome:
    """The outcome of a generation whose candidates could not end before its deadline any more."""
    return Outcome(
        "failed",
        error_class=ErrorClass.TIMEOUT_UNSTARTED,
        message="Too little time was left before the deadline for an attempt, so none was begun, and nothing is charged"
        " for it. Try again; the stages of a run that were delivered are kept.",
    )


def unavailable_outcome(error_class: str | None = None) -> Outcome:
    """The outcome of a generation that has no available candidate left. `error_class` is the failure of its last
    attempt, if there was one."""
    return Outcome(
        "failed",
        error_class=error_class or ErrorClass.CAPACITY,
        message="No provider that can make this is available at the moment. The credits are back; try again soon.",
    )
