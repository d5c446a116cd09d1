"""Catalogue and tiers, composed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from atelier.catalogue.catalogue import Catalogue, catalogue
from atelier.clock import system_clock
from atelier.provider_settings import Providers
from atelier.settings import LedgerTable

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.ledger.price_list import DynamoPriceList
    from atelier.catalogue.price_list import PublishedVersion


def enabled_providers() -> frozenset[str]:
    """The ids of the providers that are enabled in this deployment."""
    return Providers.read().ids


def prices() -> Catalogue:
    """The catalogue with the enabled providers, and with the prices that administrators have published."""
    return _live(enabled_providers())


@cache
def published() -> DynamoPriceList:
    """The prices that administrators have published. Imported here, because many requests ask for no tier."""
    from atelier.adapters.aws.dynamodb.ledger.price_list import DynamoPriceList

    DynamoPriceList.bind(LedgerTable.read().name)
    return DynamoPriceList()


@cache
def _live(enabled: frozenset[str]) -> Catalogue:
    return catalogue(enabled).with_live_prices(_read_published, system_clock)


def _read_published(consistent: bool) -> Sequence[PublishedVersion]:
    return published().read(consistent=consistent).versions
