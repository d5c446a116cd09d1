"""What the front door needs from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Tries(Protocol):
    """What a request was last sent as, for a while: by it a second try is known as one."""

    def remember(self, workspace_id: str, fingerprint: str, name: str, now: datetime) -> None:
        """A request with this fingerprint goes by this name from now on."""
        ...

    def recall(self, workspace_id: str, fingerprint: str, now: datetime) -> str | None:
        """The name that the last one with this fingerprint goes by, None when that was long ago."""
        ...
