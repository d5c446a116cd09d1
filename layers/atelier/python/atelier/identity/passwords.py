"""Password hashes: argon2id with the minimum of OWASP's password storage cheat sheet: 19 MiB, 2 passes, 1 lane; a salt
of 16 bytes and a tag of 32 bytes.

The library is imported on first use, since only sign-up and log-in need it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

# The hash of a random, discarded string. It is verified when an e-mail has no account, so that the response takes as
# long as with one.
DUMMY_HASH = "$argon2id$v=19$m=19456,t=2,p=1$+22eYXh2/NVB12Vylv/96w$Wh9jGyoRzOEMzqNuLZ1EcVIcde2RefC9OB4nMh6R2mA"


class Argon2:
    """The port `Passwords`, by argon2-cffi."""

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher, Type

        return PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def verify(self, password_hash: str | None, password: str) -> bool:
        from argon2.exceptions import VerifyMismatchError

        try:
            return self._hasher.verify(password_hash or DUMMY_HASH, password) and password_hash is not None
        except VerifyMismatchError:
            return False

    def needs_rehash(self, password_hash: str) -> bool:
        return self._hasher.check_needs_rehash(password_hash)
