"""Idempotency keys: the first answer for a key is kept for a day and given again, whatever it was."""

from __future__ import annotations

from dataclasses import dataclass

from infra.simulators.stripe.errors import StripeError

KEY_LENGTH_MAX = 255
KEPT_SECONDS = 24 * 3600


@dataclass
class KeptAnswer:
    """What a key was first used for (`path`, `parameters`), and the answer; None while it is being made."""

    path: str
    parameters: str
    request_id: str
    created: int
    status: int | None = None
    body: bytes = b""


class IdempotencyKeys:
    """The keys of the last day. `kept`: their answers."""

    def __init__(self, kept: dict[str, KeptAnswer] | None = None) -> None:
        self.kept: dict[str, KeptAnswer] = kept or {}

    def begin(self, key: str, path: str, parameters: str, request_id: str, now: int) -> KeptAnswer | None:
        """The kept answer for this key; None for a new key, which is from now on in use. Raises StripeError for a key
        that is in use, or that was used for something else."""
        if len(key) > KEY_LENGTH_MAX:
            raise StripeError(
                400, f"The idempotency key has more than {KEY_LENGTH_MAX} characters.", type="idempotency_error"
            )
        kept = self.kept.get(key)
        if kept is None or kept.created + KEPT_SECONDS <= now:
            self.kept[key] = KeptAnswer(path, parameters, request_id, now)
            return None
        other = f"Try using a key other than '{key}' if you meant to execute a different request."
        if kept.path != path:
            text = "Keys for idempotent requests can only be used for the same endpoint they were first used for "
            raise StripeError(400, f"{text}('{path}' vs '{kept.path}'). {other}", type="idempotency_error")
        if kept.parameters != parameters:
            text = "Keys for idempotent requests can only be used with the same parameters they were first used with. "
            raise StripeError(400, text + other, type="idempotency_error")
        if kept.status is None:
            raise in_use(key)
        return kept

    def keep(self, key: str, status: int, body: bytes) -> None:
        self.kept[key].status, self.kept[key].body = status, body

    def forget(self, key: str) -> None:
        """The request was refused before it began: the key is free again."""
        self.kept.pop(key, None)


def in_use(key: str) -> StripeError:
    """The refusal of a request whose key another request is using at the same time."""
    text = (
        f"There is currently another in-progress request using this Idempotent Key: {key}. Please try again later, or "
        "use a different key."
    )
    return StripeError(409, text, type="idempotency_error", code="idempotency_key_in_use")
