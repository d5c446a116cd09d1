"""How numbers, times and sizes are written on a page. Times are shown in UTC; the script adds the viewer's own time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

from studio.money import shares

SYMBOLS = {"eur": "€", "gbp": "£", "jpy": "¥", "usd": "$"}
# Currencies whose smallest unit is the whole one (https://docs.stripe.com/currencies#zero-decimal).
ZERO_DECIMAL = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf")
)


def number(value: int) -> str:
    """1234567 → 1 234 567 (narrow no-break spaces, which every language reads)."""
    return f"{value:,}".replace(",", "\u202f")


def signed_number(value: int) -> str:
    """+12, −3, 0."""
    return "0" if value == 0 else f"{'+' if value > 0 else '−'}{number(abs(value))}"


def dollars(microusd: int) -> str:
    """Micro-USD as dollars, exact: 1234500 → $1.2345; two decimals at least."""
    whole, rest = divmod(abs(microusd), 1_000_000)
    decimals = f"{rest:06}".rstrip("0").ljust(2, "0")
    return f"{'−' if microusd < 0 else ''}${number(whole)}.{decimals}"


def money(minor: int, currency: str) -> str:
    """An amount in a currency's minor unit, as people write it: 2900 usd → $29.00, 1200 jpy → ¥1 200."""
    decimals = 0 if currency in ZERO_DECIMAL else 2
    whole, rest = divmod(abs(minor), 10**decimals)
    text = number(whole) + (f".{rest:0{decimals}}" if decimals else "")
    symbol = SYMBOLS.get(currency, f"{currency.upper()}\u202f")
    return f"{'−' if minor < 0 else ''}{symbol}{text}"


def size(count: int) -> str:
    """A number of bytes: 1.4 MB."""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f}\u202f{unit}" if amount >= 10 or unit == "B" else f"{amount:.1f}\u202f{unit}"


def time(moment: str | None) -> Markup:
    """An RFC 3339 time as an element `time`: to the minute, in UTC."""
    if not moment:
        return Markup("–")
    at = datetime.fromisoformat(moment).astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(moment, at.strftime("%Y-%m-%d %H:%M"))


def seconds(milliseconds: int | None) -> str:
    """A duration in milliseconds, as seconds or minutes: 3.4 s, 2 min 5 s, 1 min."""
    if milliseconds is None:
        return "–"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f}\u202fs"
    minutes, rest = divmod(round(milliseconds / 1000), 60)
    return f"{minutes}\u202fmin" + (f" {rest}\u202fs" if rest else "")


def lines(text: str) -> Markup:
    """A text with its line breaks."""
    return Markup("<br>").join(escape(line) for line in text.splitlines())


FILTERS: Mapping[str, Callable[..., Any]] = {
    "number": number,
    "signed_number": signed_number,
    "dollars": dollars,
    "money": money,
    "size": size,
    "time": time,
    "seconds": seconds,
    "lines": lines,
    "shares": shares,
}
