"""E-mail addresses and passwords of users: their normal form, and the password policy."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path

EMAIL_BYTES_MAX = 254
LOCAL_PART_BYTES_MAX = 64
PASSWORD_LENGTH_MIN = 12
PASSWORD_LENGTH_MAX = 256
# A password with fewer different visible characters is a repeated key or a row of spaces.
PASSWORD_DISTINCT_CHARACTERS_MIN = 5
# "abcdabcdabcd" is as weak as "abcd": a repeated part must be at least this long.
PASSWORD_PERIOD_MIN = 8
# A password is refused when fewer letters than this remain after the user's name and address are removed.
PASSWORD_REST_MIN = 6
IDENTITY_WORD_MIN = 3
_LOCAL_PART = r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*"
_LABEL = r"[^\W_](?:(?:[^\W_]|-){0,61}[^\W_])?"
_EMAIL = re.compile(rf"{_LOCAL_PART}@{_LABEL}(?:\.{_LABEL})+")


def normalize_email(text: str) -> str:
    """The normal form of an e-mail address: NFKC, trimmed, case-folded. Raises ValueError for text that is no
    address."""
    email = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).strip().casefold())
    local_part = email.partition("@")[0]
    if (
        len(email.encode()) > EMAIL_BYTES_MAX
        or len(local_part.encode()) > LOCAL_PART_BYTES_MAX
        or _EMAIL.fullmatch(email) is None
    ):
        raise ValueError("this is not an e-mail address")
    return email


def normalize_password(text: str) -> str:
    """The password in NFKC: systems encode the same typed characters differently."""
    return unicodedata.normalize("NFKC", text)


def validate_password(text: str) -> str:
    """The normal form of a password that the policy accepts: 12 to 256 characters, not a common password, and not a few
    characters repeated. Raises ValueError with the reason; its message never contains the password."""
    password = normalize_password(text)
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise ValueError(f"a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters")
    folded = password.casefold()
    if folded in _common_passwords():
        raise ValueError("this password is too common")
    if len({character for character in folded if _is_visible(character)}) < PASSWORD_DISTINCT_CHARACTERS_MIN:
        raise ValueError(
            f"a password has at least {PASSWORD_DISTINCT_CHARACTERS_MIN} different characters, spaces not counted"
        )
    if (folded + folded).find(folded, 1) < PASSWORD_PERIOD_MIN or _is_sequence(folded):
        raise ValueError("this password repeats or counts a few characters: use several words")
    return password


def require_unrelated(password: str, email: str, name: str) -> None:
    """Raises ValueError for a password that is little more than the user's own address or name, whatever its case,
    punctuation and accents, also written backwards. `password` and `email` are in their normal form."""
    rest = _letters_and_digits(password)
    for word in sorted(_identity_words(email, name), key=len, reverse=True):
        rest = rest.replace(word, "").replace(word[::-1], "")
    if len(rest) < PASSWORD_REST_MIN:
        raise ValueError("this password is too close to your own e-mail address or name")


def _identity_words(email: str, name: str) -> Iterable[str]:
    local_part, _, domain = email.partition("@")
    texts = [email, local_part, domain, name, *re.split(r"[\W_]+", f"{local_part} {domain} {name}")]
    return {word for word in map(_letters_and_digits, texts) if len(word) >= IDENTITY_WORD_MIN}


def _letters_and_digits(text: str) -> str:
    """The letters and digits of a text, case-folded, without accents."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", text.casefold())))


def _is_visible(character: str) -> bool:
    """Neither a space nor a control, format or unassigned character."""
    return unicodedata.category(character)[0] not in "ZC"


def _is_sequence(text: str) -> bool:
    """Whether the characters count up or down by one: "abcdefghijkl", "987654321098"."""
    steps = {
        (ord(after) - ord(before)) % 10 if (before + after).isdecimal() else ord(after) - ord(before)
        for before, after in pairwise(text)
    }
    return steps in ({1}, {-1}, {9})


@cache
def _common_passwords() -> frozenset[str]:
    return frozenset(Path(__file__).with_name("common_passwords.txt").read_text("utf-8").splitlines())
