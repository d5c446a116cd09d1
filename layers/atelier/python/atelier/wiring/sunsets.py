"""Shutdown dates of providers' models, composed: refreshed once a day, and used in routing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from atelier.catalogue.catalogue import Catalogue
from atelier.settings import ProvidersTable
from atelier.telemetry import logger
from atelier.wiring.prices import prices

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.sunsets import DynamoSunsets
    from atelier.catalogue.sunsets import SunsetReport

# How long a process caches the dates. They are published weeks ahead, and reading them again this often costs little.
CACHED_FOR = timedelta(minutes=15)


def refresh(now: datetime) -> SunsetReport:
    """Read the shutdown dates that providers publish, and store them."""
    from atelier.catalogue.sunsets import refresh_sunsets
    from atelier.wiring import provider_adapters

    return refresh_sunsets(prices(), provider_adapters.platform_adapters(), _store(), now.date())


def routing_catalogue(now: datetime) -> Catalogue:
    """The catalogue for routing: with the shutdown dates that providers have published since it was written."""
    catalogue = prices()
    # With the embedded provider alone there are no published dates to read.
    return catalogue.with_sunsets(_published_dates(now)) if catalogue.enabled - {"local"} else catalogue


@dataclass(slots=True)
class _CachedDates:
    """The dates that this process has read, and when."""

    read_at: datetime | None = None
    dates: Mapping[str, date] = field(default_factory=dict[str, date])


@cache
def _cached_dates() -> _CachedDates:
    return _CachedDates()


@cache
def _store() -> DynamoSunsets:
    from atelier.adapters.aws.dynamodb.sunsets import DynamoSunsets

    sunsets = DynamoSunsets()
    sunsets.bind(ProvidersTable.read().name)
    return sunsets


def _published_dates(now: datetime) -> Mapping[str, date]:
    cached = _cached_dates()
    if cached.read_at is None or now - cached.read_at >= CACHED_FOR:
        cached.read_at = now
        try:
            cached.dates = {model: day for each in _store().read().values() for model, day in each.dates.items()}
        except Exception:
            # Until the next read, the catalogue's own dates and the dates read before are used.
            logger.exception("observed sunsets cannot be read")
    return cached.dates
