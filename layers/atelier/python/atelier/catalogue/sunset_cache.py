"""A process-local cache of the shutdown dates that providers have published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from atelier.catalogue.catalogue import Catalogue
from atelier.telemetry import logger

if TYPE_CHECKING:
    from atelier.catalogue.ports import Sunsets

# How long the dates are cached. They are published weeks ahead, and reading them again this often costs little.
CACHED_FOR = timedelta(minutes=15)


class SunsetCache:
    """The published dates as this process knows them. read_sunsets: reads those of all providers from the store."""

    def __init__(self, read_sunsets: Callable[[], Mapping[str, Sunsets]]) -> None:
        self._read_sunsets = read_sunsets
        self._read_at: datetime | None = None
        self._dates: Mapping[str, date] = {}

    def apply(self, catalogue: Catalogue, now: datetime) -> Catalogue:
        """The catalogue with the dates that were published since it was written, at most CACHED_FOR old."""
        # With the embedded provider alone there are no published dates to read.
        return catalogue.with_sunsets(self._published_dates(now)) if catalogue.enabled - {"local"} else catalogue

    def _published_dates(self, now: datetime) -> Mapping[str, date]:
        if self._read_at is None or now - self._read_at >= CACHED_FOR:
            self._read_at = now
            try:
                providers = self._read_sunsets().values()
                self._dates = {model: day for each in providers for model, day in each.dates.items()}
            except Exception:
                # Until the next read, the catalogue's own dates and the dates read before are used.
                logger.exception("observed sunsets cannot be read")
        return self._dates
