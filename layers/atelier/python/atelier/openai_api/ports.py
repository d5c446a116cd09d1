"""The ports of `/v1`: the store that recognises repeated requests, and images of requests."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from atelier.dataclass import dataclass
from atelier.library.model import Asset


@dataclass(frozen=True, slots=True)
class OrderEntry:
    """The stored entry of a request: its order's name (idempotency key), and whether a response with the order's result
    has been sent."""

    name: str
    answered: bool = False


class SdkRetries(Protocol):
    """Maps the fingerprint of a request's content to its present order; entries expire. See `sdk_retries.py`."""

    def claim(
        self, workspace_id: str, fingerprint: str, name: str, now: datetime, *, instead_of: str | None = None
    ) -> OrderEntry:
        """Set the name for a fingerprint if it has none, or if its name is still `instead_of`; return the entry that
        holds afterwards. Of parallel calls one sets the name, and all return it."""
        ...

    def mark_answered(self, workspace_id: str, fingerprint: str, name: str) -> None:
        """Store that the result of the order `name` has been sent. No effect once the fingerprint has another name."""
        ...


class ImageAssets(Protocol):
    """Stores images of requests as assets."""

    def __call__(self, workspace_id: str, user_id: str, data: bytes, name: str, now: datetime) -> Asset:
        """The asset of these bytes; the same bytes are stored once. Raises ValidationFailed, PromptRefused."""
        ...


class ImageSource(Protocol):
    """Fetches images that a request gives by URL."""

    def fetch_from_its_host(self, url: str, *, bytes_max: int, seconds_max: float) -> bytes | None:
        """The bytes at a URL; None = they cannot be fetched."""
        ...
