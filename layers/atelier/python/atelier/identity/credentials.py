"""What a person signs in with: the form of an e-mail address, and which passwords are good enough."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

EMAIL_BYTES_MAX = 254
LOCAL_PART_BYTES_MAX = 64
PASSWORD_LENGTH_MIN = 12
PASSWORD_LENGTH_MAX = 256
_LOCAL_PART = r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*"
_LABEL = r"[^\W_](?:(?:[^\W_]|-){0,61}[^\W_])?"
_EMAIL = re.compile(rf"{_LOCAL_PART}@{_LABEL}(?:\.{_LABEL})+")


def normal_email(text: str) -> str:
    """The one spelling by which an address is known: NFKC, trimmed, case-folded. Raises ValueError when it is none."""
    email = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).strip().casefold())
    local_part = email.partition("@")[0]
    if (
        len(email.encode()) > EMAIL_BYTES_MAX
        or len(local_part.encode()) > LOCAL_PART_BYTES_MAX
        or _EMAIL.fullmatch(email) is None
    ):
        raise ValueError("this is not an e-mail address")
    return email


def normal_password(text: str) -> str:
    """NFKC, so that the same password typed on another system is the same password."""
    return unicodedata.normalize("NFKC", text)


def good_password(text: str) -> str:
    """A password that the policy accepts, in its normal form: 12 to 256 characters, and not a common one. Raises
    ValueError that says what is wrong, never the password."""
    password = normal_password(text)
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise ValueError(f"a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters")
    if password.casefold() in _common_passwords():
        raise ValueError("this password is too common")
    return password


@cache
def _common_passwords() -> frozenset[str]:
    return frozenset(Path(__file__).with_name("common_passwords.txt").read_text("utf-8").splitlines())
