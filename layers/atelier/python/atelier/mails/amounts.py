"""Amounts of money in mails."""

from __future__ import annotations

# Digits after the decimal mark of currencies that do not have two (ISO 4217).
DIGITS = {
    **dict.fromkeys(
        (
            "bif",
            "clp",
            "djf",
            "gnf",
            "isk",
            "jpy",
            "kmf",
            "krw",
            "pyg",
            "rwf",
            "ugx",
            "vnd",
            "vuv",
            "xaf",
            "xof",
            "xpf",
        ),
        0,
    ),
    **dict.fromkeys(("bhd", "jod", "kwd", "omr", "tnd"), 3),
}


def amount_text(minor: int, currency: str, locale: str) -> str:
    """An amount in the minor unit of its currency, as text: `1,234.50 USD`, `1.234,50 USD` in German, `1,980 JPY`."""
    digits = DIGITS.get(currency.lower(), 2)
    whole, rest = divmod(abs(minor), 10**digits)
    text = f"{whole:,}" + (f".{rest:0{digits}}" if digits else "")
    if locale == "de":
        text = text.translate(str.maketrans(",.", ".,"))
    return f"{'-' if minor < 0 else ''}{text} {currency.upper()}"
