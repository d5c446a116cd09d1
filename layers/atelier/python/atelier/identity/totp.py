"""Codes of authenticator apps (RFC 6238): six digits, a new one every 30 seconds, of one step around now."""

from __future__ import annotations

import hmac
from datetime import datetime

STEP_SECONDS = 30
STEPS_AROUND = 1
ISSUER = "Atelier"


def new_secret() -> str:
    """A random secret of 160 bits, in base32."""
    # Imported on first use: the sign-in by password does without.
    import pyotp

    return pyotp.random_base32()


def otpauth_url(secret: str, email: str) -> str:
    """The address that authenticator apps read from a QR code."""
    from pyotp.totp import TOTP

    return TOTP(secret, interval=STEP_SECONDS).provisioning_uri(name=email, issuer_name=ISSUER)


def matching_step(secret: str, code: str, last_step: int | None, now: datetime) -> int | None:
    """The step of a code that is valid now and newer than `last_step`; None for every other code. The store accepts
    each step once, under a condition; this check spares it what it would refuse."""
    from pyotp.totp import TOTP

    totp = TOTP(secret, interval=STEP_SECONDS)
    current = int(now.timestamp()) // STEP_SECONDS
    matching = None
    for step in range(current - STEPS_AROUND, current + STEPS_AROUND + 1):
        # All are compared, so that the time does not tell which one matches.
        if hmac.compare_digest(totp.at(step * STEP_SECONDS), code) and (last_step is None or step > last_step):
            matching = step
    return matching
