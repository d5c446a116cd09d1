"""What the front door needs from outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Known:
    """What a request goes by, and whether somebody was answered with what came of it."""

    name: str
    answered: bool = False


class Tries(Protocol):
    """The name that a request goes by, for a while: by it a repeat is known as one."""

    def claim(
        self, workspace_id: str, fingerprint: str, name: str, now: datetime, *, instead_of: str | None = None
    ) -> Known:
        """The request with this fingerprint goes by `name`, if it has none or still that of `instead_of`; the one that
        it goes by then. Of several at once one gets its name, and all of them the same."""
        ...

    def answered(self, workspace_id: str, fingerprint: str, name: str) -> None:
        """Somebody was answered with what came of the request; nothing happens if it goes by another name by now."""
        ...
