"""The request and response models of second factors. Secrets are only in the response that makes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from atelier.identity.manage_factors import AddedPasskey, TotpSetup
from atelier.identity.prove_factor import Proof
from atelier.identity.schemas import Delivery, Password
from atelier.identity.second_factor import Factors, Passkey
from atelier.lazy_model import LazyModel

TICKET_LENGTH_MAX = 256
Code = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
RecoveryCode = Annotated[str, StringConstraints(strip_whitespace=True, min_length=16, max_length=40)]
PasskeyName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Credential = Annotated[
    dict[str, Any], Field(description="What the browser's `PublicKeyCredential.toJSON()` gives.", max_length=12)
]


class Strict(LazyModel):
    """Base of the bodies."""

    model_config = ConfigDict(extra="forbid")


class VerifyRequest(Strict):
    """The second factor of a sign-in: a code, or a recovery code."""

    mfa_ticket: str = Field(max_length=TICKET_LENGTH_MAX, repr=False)
    code: Code | None = Field(default=None, repr=False, description="Of the authenticator app.")
    recovery_code: RecoveryCode | None = Field(default=None, repr=False)
    token_delivery: Delivery = "cookie"

    @model_validator(mode="after")
    def _one(self) -> Self:
        require_one(self.code, self.recovery_code)
        return self

    @property
    def proof(self) -> Proof:
        """What is to be checked."""
        return Proof(self.code, self.recovery_code)


class StepUpRequest(Strict):
    """A fresh proof of one factor."""

    code: Code | None = Field(default=None, repr=False, description="Of the authenticator app.")
    recovery_code: RecoveryCode | None = Field(default=None, repr=False)
    password: Password | None = Field(
        default=None, repr=False, description="Enough only for accounts without a second factor."
    )
    credential: Credential | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        require_one(self.code, self.recovery_code, self.password, self.credential)
        return self

    @property
    def proof(self) -> Proof:
        """What is to be checked."""
        return Proof(self.code, self.recovery_code, self.password, self.credential)


class CodeRequest(Strict):
    """A code of the authenticator app."""

    code: Code = Field(repr=False)


class RegisterPasskeyRequest(Strict):
    """A passkey that the browser has made."""

    name: PasskeyName = Field(default="Passkey", description="What you call it.", examples=["My phone"])
    credential: Credential


class PasskeyLogInRequest(Strict):
    """A passkey's answer to a challenge."""

    credential: Credential
    mfa_ticket: str | None = Field(
        default=None,
        max_length=TICKET_LENGTH_MAX,
        repr=False,
        description="Of a log-in by password, whose second factor this is.",
    )
    token_delivery: Delivery = "cookie"


class TotpView(LazyModel):
    """A new authenticator, which counts once a code of it was confirmed."""

    secret: str = Field(repr=False, description="In base32.")
    otpauth_url: str = Field(repr=False, description="What the app reads from a QR code.")


class RecoveryCodesView(LazyModel):
    """New recovery codes, shown this once. Each is good once; codes from before are not accepted any more."""

    recovery_codes: list[str] = Field(repr=False)


class PasskeyView(LazyModel):
    """A passkey in a list."""

    id: str
    name: str
    backed_up: bool = Field(description="Whether a password manager keeps copies of it.")
    created_at: datetime
    last_used_at: datetime | None


class PasskeyList(LazyModel):
    """Passkeys, oldest first."""

    items: list[PasskeyView]


class AddedPasskeyView(LazyModel):
    """A new passkey; with recovery codes, shown this once, when it is the account's first second factor."""

    passkey: PasskeyView
    recovery_codes: list[str] | None = Field(repr=False)


class FactorsView(LazyModel):
    """What the account asks for after a password."""

    totp: bool = Field(description="Whether there is an authenticator app.")
    passkeys: list[PasskeyView]
    recovery_codes_left: int


def require_one(*given: object) -> None:
    """Raises ValueError unless exactly one is given."""
    if sum(each is not None for each in given) != 1:
        raise ValueError("give exactly one proof")


def totp_view(setup: TotpSetup) -> TotpView:
    """The response model of a new authenticator."""
    return TotpView(secret=setup.secret, otpauth_url=setup.otpauth_url)


def passkey_view(passkey: Passkey) -> PasskeyView:
    """The response model of a passkey."""
    return PasskeyView.model_validate(passkey, from_attributes=True)


def passkey_list(factors: Factors) -> PasskeyList:
    """The response model of an account's passkeys."""
    return PasskeyList(items=[passkey_view(passkey) for passkey in factors.passkeys])


def added_passkey_view(added: AddedPasskey) -> AddedPasskeyView:
    """The response model of a new passkey."""
    codes = list(added.recovery_codes) if added.recovery_codes else None
    return AddedPasskeyView(passkey=passkey_view(added.passkey), recovery_codes=codes)


def factors_view(factors: Factors) -> FactorsView:
    """The response model of an account's second factors."""
    codes = factors.recovery_codes
    return FactorsView(
        totp=factors.confirmed_totp is not None,
        passkeys=passkey_list(factors).items,
        recovery_codes_left=len(codes.digests) if codes else 0,
    )
