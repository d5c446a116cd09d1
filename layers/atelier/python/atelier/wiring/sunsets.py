"""Shutdown dates of providers' models, composed: refreshed once a day, and used in routing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from atelier.catalogue.catalogue import Catalogue
from atelier.catalogue.sunset_cache import SunsetCache
from atelier.settings import ProvidersTable
from atelier.wiring.prices import prices

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.sunsets import DynamoSunsets
    from atelier.catalogue.ports import Sunsets
    from atelier.catalogue.sunsets import SunsetReport


def refresh(now: datetime) -> SunsetReport:
    """Read the shutdown dates that providers publish, and store them."""
    from atelier.catalogue.sunsets import refresh_sunsets
    from atelier.wiring import provider_adapters

    return refresh_sunsets(prices(), provider_adapters.platform_adapters(), _store(), now.date())


def routing_catalogue(now: datetime) -> Catalogue:
    """The catalogue for routing: with the shutdown dates that providers have published since it was written."""
    return _cache().apply(prices(), now)


@cache
def _cache() -> SunsetCache:
    return SunsetCache(_read_sunsets)


def _read_sunsets() -> Mapping[str, Sunsets]:
    return _store().read()


@cache
def _store() -> DynamoSunsets:
    # Imported here, because a deployment with only the embedded provider has no dates to read.
    from atelier.adapters.aws.dynamodb.sunsets import DynamoSunsets

    sunsets = DynamoSunsets()
    sunsets.bind(ProvidersTable.read().name)
    return sunsets
