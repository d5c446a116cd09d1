"""Amounts of money in mails, by currency and language."""

from __future__ import annotations

import pytest

from atelier.mails.amounts import amount_text


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "text"),
    [
        (123450, "usd", "en", "1,234.50 USD"),
        (123450, "usd", "de", "1.234,50 USD"),
        (1980, "jpy", "en", "1,980 JPY"),
        (1980, "jpy", "de", "1.980 JPY"),
        (5, "eur", "en", "0.05 EUR"),
        (0, "eur", "en", "0.00 EUR"),
        (-361, "usd", "en", "-3.61 USD"),
        (12345, "kwd", "en", "12.345 KWD"),
    ],
)
def test_an_amount_is_written_in_the_digits_of_its_currency(minor: int, currency: str, locale: str, text: str) -> None:
    assert amount_text(minor, currency, locale) == text
