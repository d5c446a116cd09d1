"""Have connections closed whose session, API token or membership has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from atelier.realtime.model import Closing
from atelier.realtime.ports import ConnectionStore
from atelier.telemetry import logger


def request_closings(
    found: Iterable[tuple[str, Closing]], *, connections: Callable[[], ConnectionStore], now: datetime
) -> None:
    """Request each closing under the key that comes with it; repeating one is harmless. connections: makes the store;
    most batches of the table's stream end nothing."""
    for key, closing in found:
        connections().request_closing(closing, key, now)
        logger.info("closing requested", extra={"owner_id": closing.owner_id})
