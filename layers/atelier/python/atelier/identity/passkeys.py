"""Passkeys (WebAuthn): register one, and sign in with one. A passkey that has verified its user (by fingerprint, face
or PIN) is two factors at once, so it is a whole sign-in; after a password it is the second factor.

The browser is given options with a random challenge, which is stored and taken once, also when what comes back is
refused. Credentials are discoverable: their user handle is our user id, so that nobody types an address and nothing
tells which accounts exist. The library checks everything that the authenticator has signed.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlsplit

from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.errors import Unauthenticated
from atelier.identity.model import User
from atelier.identity.ports import SecondFactors
from atelier.identity.second_factor import (
    CHALLENGE_LIFETIME,
    Challenge,
    ChallengePurpose,
    Factors,
    Passkey,
    PasskeyUse,
)
from atelier.identity.signing import from_base64url
from atelier.ids import is_id, new_id

CHALLENGE_BYTES = 32
TIMEOUT_MILLISECONDS = int(CHALLENGE_LIFETIME.total_seconds() * 1000)
NAME = "Atelier"
PASSKEY_REFUSED = "The passkey was not accepted."


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """To whom passkeys belong: the host of the public URL. allows_origin: whether pages of an origin may use them."""

    public_url: str
    allows_origin: Callable[[str], bool]

    @property
    def id(self) -> str:
        """The host, without a port."""
        return urlsplit(self.public_url).hostname or ""


@dataclass(frozen=True, slots=True)
class ProvenPasskey:
    """A passkey that has signed a challenge, with the use of it that is still to be spent."""

    user_id: str
    passkey: Passkey
    use: PasskeyUse


class PasskeyRefused(Unauthenticated):
    """A passkey that is unknown, of another account or another site, or whose answer is not right. reason: for the
    audit log; the caller is not told. user_id: whose passkey it was, if that is sure."""

    def __init__(self, reason: str, user_id: str | None = None) -> None:
        super().__init__(PASSKEY_REFUSED)
        self.reason = reason
        self.user_id = user_id


def registration_options(
    user: User, factors: Factors, *, second_factors: SecondFactors, relying_party: RelyingParty, now: datetime
) -> dict[str, Any]:
    """What `navigator.credentials.create` needs, as JSON."""
    # The library is imported on first use: it takes longer than the rest of a cold start.
    import webauthn
    from webauthn.helpers import structs

    challenge = _new_challenge(ChallengePurpose.REGISTER, user.id, second_factors, now)
    options = webauthn.generate_registration_options(
        rp_id=relying_party.id,
        rp_name=NAME,
        user_id=user.id.encode(),
        user_name=user.email,
        user_display_name=user.name,
        challenge=challenge.value,
        timeout=TIMEOUT_MILLISECONDS,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            require_resident_key=True,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=each.credential_id) for each in factors.passkeys],
    )
    return cast("dict[str, Any]", json.loads(webauthn.options_to_json(options)))


def registered_passkey(
    credential: Mapping[str, Any],
    name: str,
    user_id: str,
    workspace_id: str,
    *,
    second_factors: SecondFactors,
    relying_party: RelyingParty,
    now: datetime,
) -> Passkey:
    """The passkey that a browser has made for a user, still to be stored. Raises PasskeyRefused."""
    import webauthn
    from webauthn.helpers.exceptions import WebAuthnException

    client_data = _client_data(credential)
    challenge = _take_challenge(client_data, ChallengePurpose.REGISTER, user_id, second_factors, now)
    try:
        verified = webauthn.verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge.value,
            expected_rp_id=relying_party.id,
            expected_origin=_own_origin(client_data, relying_party),
            require_user_verification=True,
        )
    except (WebAuthnException, TypeError, ValueError) as error:
        # The library's own errors, and Python's for JSON of other types than WebAuthn has.
        raise PasskeyRefused(type(error).__name__, user_id) from error
    return Passkey(
        new_id("pky", now),
        workspace_id,
        credential_digest(verified.credential_id),
        verified.credential_id,
        verified.credential_public_key,
        verified.sign_count,
        name,
        verified.credential_backed_up,
        now,
    )


def log_in_options(*, second_factors: SecondFactors, relying_party: RelyingParty, now: datetime) -> dict[str, Any]:
    """What `navigator.credentials.get` needs, as JSON: the same for everybody, without any credential."""
    import webauthn
    from webauthn.helpers import structs

    challenge = _new_challenge(ChallengePurpose.LOG_IN, None, second_factors, now)
    options = webauthn.generate_authentication_options(
        rp_id=relying_party.id,
        challenge=challenge.value,
        timeout=TIMEOUT_MILLISECONDS,
        user_verification=structs.UserVerificationRequirement.REQUIRED,
    )
    return cast("dict[str, Any]", json.loads(webauthn.options_to_json(options)))


def prove_passkey(
    credential: Mapping[str, Any],
    *,
    second_factors: SecondFactors,
    relying_party: RelyingParty,
    expected_user_id: str | None,
    now: datetime,
) -> ProvenPasskey:
    """Check a passkey's answer to a challenge of `log_in_options`. expected_user_id: the account that it must belong
    to; None = the one that it names. Raises PasskeyRefused."""
    import webauthn
    from webauthn.helpers.exceptions import WebAuthnException

    client_data = _client_data(credential)
    challenge = _take_challenge(client_data, ChallengePurpose.LOG_IN, None, second_factors, now)
    user_id = _user_handle(credential) or expected_user_id
    if user_id is None or (expected_user_id is not None and user_id != expected_user_id):
        raise PasskeyRefused("foreign_user")
    credential_id = _bytes_of(credential, "id")
    digest = credential_digest(credential_id)
    passkey = next((each for each in second_factors.factors(user_id).passkeys if each.credential == digest), None)
    if passkey is None:
        raise PasskeyRefused("unknown_credential")
    try:
        verified = webauthn.verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge.value,
            expected_rp_id=relying_party.id,
            expected_origin=_own_origin(client_data, relying_party),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except (WebAuthnException, TypeError, ValueError) as error:
        # The library's own errors, and Python's for JSON of other types than WebAuthn has.
        raise PasskeyRefused(type(error).__name__, user_id) from error
    # Ours, because the library does not tell this refusal from others: a counter that does not grow means that there
    # are two copies of the key. Authenticators without a counter always say 0.
    if (verified.new_sign_count or passkey.sign_count) and verified.new_sign_count <= passkey.sign_count:
        raise PasskeyRefused("sign_count", user_id)
    use = PasskeyUse(digest, passkey.sign_count, verified.new_sign_count, rfc3339(now))
    return ProvenPasskey(user_id, passkey, use)


def credential_digest(credential_id: bytes) -> str:
    """By which a credential is stored: the SHA-256 of its id in hex."""
    return hashlib.sha256(credential_id).hexdigest()


def _new_challenge(
    purpose: ChallengePurpose, user_id: str | None, second_factors: SecondFactors, now: datetime
) -> Challenge:
    challenge = Challenge(secrets.token_bytes(CHALLENGE_BYTES), purpose, user_id, now + CHALLENGE_LIFETIME)
    second_factors.add_challenge(challenge)
    return challenge


def _take_challenge(
    client_data: Mapping[str, Any],
    purpose: ChallengePurpose,
    user_id: str | None,
    second_factors: SecondFactors,
    now: datetime,
) -> Challenge:
    try:
        value = from_base64url(str(client_data.get("challenge", "")))
    except ValueError as error:
        raise PasskeyRefused("no_challenge") from error
    challenge = second_factors.take_challenge(value) if len(value) == CHALLENGE_BYTES else None
    if (
        challenge is None
        or challenge.purpose is not purpose
        or challenge.user_id != user_id
        or now >= challenge.expires_at
    ):
        raise PasskeyRefused("challenge", user_id)
    return challenge


def _client_data(credential: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the browser says that was signed. It is trusted only after the signature was checked; before, it names the
    challenge and the origin with which to check."""
    try:
        response = cast("Mapping[str, Any]", credential["response"])
        found: object = json.loads(from_base64url(str(response["clientDataJSON"])))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise PasskeyRefused("client_data") from error
    if not isinstance(found, dict):
        raise PasskeyRefused("client_data")
    return cast("Mapping[str, Any]", found)


def _own_origin(client_data: Mapping[str, Any], relying_party: RelyingParty) -> str:
    origin = client_data.get("origin")
    if not isinstance(origin, str) or not relying_party.allows_origin(origin):
        raise PasskeyRefused("origin")
    return origin


def _user_handle(credential: Mapping[str, Any]) -> str | None:
    response = cast("Mapping[str, Any]", credential["response"])
    handle = response.get("userHandle")
    if handle is None:
        return None
    try:
        user_id = from_base64url(str(handle)).decode()
    except ValueError as error:
        raise PasskeyRefused("user_handle") from error
    if not is_id(user_id, "usr"):
        raise PasskeyRefused("user_handle")
    return user_id


def _bytes_of(credential: Mapping[str, Any], name: str) -> bytes:
    try:
        return from_base64url(str(credential.get(name, "")))
    except ValueError as error:
        raise PasskeyRefused("credential_id") from error
