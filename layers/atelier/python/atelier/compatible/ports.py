"""What the front door needs from outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Known:
    """The name (idempotency key) of a request's order, and whether its result has been answered."""

    name: str
    answered: bool = False


class Tries(Protocol):
    """Which order a request's content stands for at present; the entries expire."""

    def claim(
        self, workspace_id: str, fingerprint: str, name: str, now: datetime, *, instead_of: str | None = None
    ) -> Known:
        """Set the name of the request with this fingerprint if it has none, or if it is still `instead_of`; return the
        name that holds afterwards. Of several calls at once one sets it, and all get the same."""
        ...

    def answered(self, workspace_id: str, fingerprint: str, name: str) -> None:
        """Note that the result of the order `name` has been answered; no effect once the request has another name."""
        ...
