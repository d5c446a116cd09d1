"""Amounts of money and shares of them, as people write them and as bars show them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

MICROUSD = 1_000_000


def microusd(text: str) -> int | None:
    """Dollars as somebody writes them, in micro-USD: `12.50`, `12,50`, `$12`, `1 000`; None for an empty text. Raises
    ValueError for other texts, and for parts of a micro-dollar."""
    plain = re.sub(r"[\s$\u202f]", "", text)
    if not plain:
        return None
    # A comma before three digits is a thousand for some readers and a decimal for others.
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6}|,[0-9]{1,2})?", plain):
        raise ValueError(text)
    return int(Decimal(plain.replace(",", ".")) * MICROUSD)


def written(amount: int | None) -> str:
    """An amount in micro-USD as a form shows it: `12.50`; empty for None."""
    if amount is None:
        return ""
    whole, rest = divmod(amount, MICROUSD)
    return f"{whole}.{f'{rest:06}'.rstrip('0').ljust(2, '0')}"


def shares(budget: Mapping[str, Any]) -> Mapping[str, float]:
    """What part of a budget was spent and is reserved, in percent, together 100 at most. All is spent of a limit of
    zero; nothing of a budget without a limit."""
    limit = budget["budget_microusd"]
    if limit is None:
        return {"spent": 0.0, "reserved": 0.0}
    if limit == 0:
        return {"spent": 100.0, "reserved": 0.0}
    spent = min(100.0, 100 * budget["spent_microusd"] / limit)
    return {
        "spent": round(spent, 2),
        "reserved": round(min(100.0 - spent, 100 * budget["reserved_microusd"] / limit), 2),
    }
