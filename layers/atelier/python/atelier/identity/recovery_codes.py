"""Recovery codes: ten codes of 80 random bits, each good once in place of an authenticator. Only digests are stored."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from atelier.identity.second_factor import RecoveryCodes
from atelier.ids import CROCKFORD, new_id

CODES = 10
GROUPS, GROUP_CHARACTERS = 4, 4


def new_recovery_codes(now: datetime) -> tuple[RecoveryCodes, tuple[str, ...]]:
    """A new set, and the texts of its codes, which are shown to the user once."""
    texts = tuple("-".join(_group() for _ in range(GROUPS)) for _ in range(CODES))
    set_id = new_id("rcs", now)
    return RecoveryCodes(set_id, frozenset(recovery_digest(set_id, text) for text in texts), now), texts


def recovery_digest(set_id: str, text: str) -> str:
    """The digest of a code as a person types it: case, spaces and hyphens do not matter, nor do the letters that
    Crockford's alphabet leaves out. 80 random bits cannot be found by trying, so a slow hash is not needed."""
    plain = "".join(filter(str.isalnum, text.upper())).translate(str.maketrans("OIL", "011"))
    return hashlib.sha256(f"{set_id}\n{plain}".encode()).hexdigest()


def _group() -> str:
    return "".join(secrets.choice(CROCKFORD) for _ in range(GROUP_CHARACTERS))
