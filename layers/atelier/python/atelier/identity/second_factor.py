"""Second factors as values: what an account has, and the proof of one that a request has given."""

from __future__ import annotations

from atelier.dataclass import dataclass
from atelier.errors import Conflict, Unauthenticated

TOTP = "totp"
PASSKEY = "passkey"
# The tries to prove a second factor within WINDOW_SECONDS, for each account: a code has 10^6 values.
TRIES_PER_WINDOW = 5
WINDOW_SECONDS = 300


class FactorUsed(Unauthenticated):
    """The proof was used before, or at the same time by another request."""

    def __init__(self) -> None:
        super().__init__("The code is wrong.")


class LastWayIn(Conflict):
    """Without this passkey, login or password nobody could sign in to the account any more."""

    def __init__(self) -> None:
        super().__init__("This is the last way to sign in to the account. Add another one first.")


@dataclass(frozen=True, slots=True)
class TotpUse:
    """The use of an authenticator's code. step: the number of its 30 seconds since 1970; each is accepted once."""

    factor_id: str
    step: int


@dataclass(frozen=True, slots=True)
class RecoveryCodeUse:
    """The use of a recovery code, whose digest then goes. set_id: of the set that it belongs to."""

    set_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class PasskeyUse:
    """The use of a passkey. The signature counter must still be `count_before`, and becomes `count_after`.
    credential: the SHA-256 of its id in hex. at: RFC 3339."""

    credential: str
    count_before: int
    count_after: int
    at: str


FactorUse = TotpUse | RecoveryCodeUse | PasskeyUse
