"""Seal the secrets of authenticators again, which older master keys sealed: the same keys seal them as provider keys.

A run can stop anywhere and start again, as that for provider keys (see `rewrap.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from typing import Protocol

from atelier.dataclass import dataclass
from atelier.identity.ports import SecretSealer
from atelier.provider_keys.model import UnreadableKey


@dataclass(frozen=True, slots=True)
class SealedTotp:
    """A user's authenticator. record: its sealed secret. sealed_by: the id of the key that sealed it, in hex."""

    user_id: str
    factor_id: str
    record: str = field(repr=False)
    sealed_by: str | None


class SealedFactors(Protocol):
    """The authenticators by the keys that sealed them."""

    def list_sealed_by(self, kid: str) -> Iterator[str]:
        """The users whose authenticator a key sealed; lately changed ones may be listed too."""
        ...

    def totp(self, user_id: str) -> SealedTotp | None:
        """A user's authenticator by a consistent read, confirmed or not."""
        ...

    def replace_record(self, before: SealedTotp, record: str) -> bool:
        """Store another record of the same secret. False, and no change, when the authenticator was changed."""
        ...


@dataclass(frozen=True, slots=True)
class ResealReport:
    """Counts of authenticators, and whose could not be read."""

    resealed: int = 0
    skipped: int = 0
    unreadable: tuple[str, ...] = ()
    is_complete: bool = True


def reseal_factors(
    kids: Sequence[str], *, factors: SealedFactors, sealer: SecretSealer, has_time: Callable[[], bool]
) -> ResealReport:
    """Seal again what these outdated keys sealed, until `has_time` returns False."""
    resealed, skipped, unreadable = 0, 0, list[str]()
    for kid in kids:
        for user_id in factors.list_sealed_by(kid):
            if not has_time():
                return ResealReport(resealed, skipped, tuple(unreadable), is_complete=False)
            before = factors.totp(user_id)
            if before is None or before.sealed_by != kid:
                # It was removed, set up anew, or sealed again by another run, since it was listed.
                skipped += 1
                continue
            try:
                secret = sealer.open(before.record, user_id, before.factor_id)
            except UnreadableKey:
                unreadable.append(user_id)
                continue
            if factors.replace_record(before, sealer.seal(secret, user_id, before.factor_id)):
                resealed += 1
            else:
                skipped += 1
    return ResealReport(resealed, skipped, tuple(unreadable), is_complete=not skipped)
