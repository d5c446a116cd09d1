"""Catalogue and tiers, composed."""

from __future__ import annotations

from atelier.catalogue.catalogue import Catalogue, catalogue
from atelier.settings import Providers


def enabled_providers() -> frozenset[str]:
    """The ids of the providers that are enabled in this deployment."""
    return Providers.read().ids


def prices() -> Catalogue:
    """The catalogue with the enabled providers."""
    return catalogue(enabled_providers())
