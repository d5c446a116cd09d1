"""Second factors as values: what an account has, and the proof of one that a request has given."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum

from atelier.dataclass import dataclass
from atelier.errors import Conflict, NotFound, Unauthenticated

TOTP = "totp"
PASSKEY = "passkey"
# The tries to prove a second factor within WINDOW_SECONDS, for each account: a code has 10^6 values.
TRIES_PER_WINDOW = 5
WINDOW_SECONDS = 300
PASSKEYS_MAX = 20
CHALLENGE_LIFETIME = timedelta(minutes=5)


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


@dataclass(frozen=True, slots=True)
class Totp:
    """An authenticator app. record: its sealed secret. It counts from confirmed_at on; until then the next set-up
    replaces it. last_step: of the newest code that was accepted."""

    id: str
    record: str = field(repr=False)
    created_at: datetime
    confirmed_at: datetime | None = None
    last_step: int | None = None


@dataclass(frozen=True, slots=True)
class RecoveryCodes:
    """A set of recovery codes: the digests of those that were not used."""

    set_id: str
    digests: frozenset[str] = field(repr=False)
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey. workspace_id: its owner's personal one. credential: the SHA-256 of the credential's id in hex.
    credential_id, public_key (COSE): as WebAuthn gave them. backed_up: whether a password manager keeps copies."""

    id: str
    workspace_id: str
    credential: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    name: str
    backed_up: bool
    created_at: datetime
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Factors:
    """The second factors of an account. Passkeys are listed oldest first."""

    totp: Totp | None = None
    recovery_codes: RecoveryCodes | None = None
    passkeys: tuple[Passkey, ...] = ()

    @property
    def confirmed_totp(self) -> Totp | None:
        """The authenticator, if it counts."""
        return self.totp if self.totp and self.totp.confirmed_at else None

    @property
    def any(self) -> bool:
        """Whether the account has a second factor."""
        return self.confirmed_totp is not None or bool(self.passkeys)

    def passkey(self, passkey_id: str) -> Passkey:
        """Raises NotFound."""
        for passkey in self.passkeys:
            if passkey.id == passkey_id:
                return passkey
        raise NotFound("There is no such passkey.")


class ChallengePurpose(StrEnum):
    """What a passkey signs a challenge for."""

    REGISTER = "register"
    LOG_IN = "log_in"


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge for passkeys, single use. user_id: for whom it was made; None = for whoever answers."""

    value: bytes = field(repr=False)
    purpose: ChallengePurpose
    user_id: str | None
    expires_at: datetime


class TooManyPasskeys(Conflict):
    """The account has PASSKEYS_MAX passkeys."""

    def __init__(self) -> None:
        super().__init__(f"An account has at most {PASSKEYS_MAX} passkeys. Remove one first.")


class FactorsChanged(Conflict):
    """What the request changes is not there any more, or was made meanwhile by another request."""

    def __init__(self) -> None:
        super().__init__("The second factors were changed meanwhile. Look again.")
