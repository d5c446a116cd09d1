"""Addresses as parameters and as objects show them."""

from __future__ import annotations

from typing import Any

from infra.simulators.stripe.account import Object

ADDRESS = {"city": str, "country": str, "line1": str, "line2": str, "postal_code": str, "state": str}
SHIPPING = {"address": ADDRESS, "name": str, "phone": str}


def full_address(given: Object | None) -> dict[str, Any] | None:
    """An address with all its fields; those that were not given are null."""
    return {**dict.fromkeys(ADDRESS), **given} if given else None
