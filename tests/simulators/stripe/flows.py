"""What the tests of the Stripe simulator do again and again: things to sell, and a browser that fills its pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import httpx
import stripe

# The 31st of a month: the day that short months lack.
NOW = int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp())
DAY = 24 * 3600


def at(year: int, month: int, day: int, hour: int = 12) -> int:
    """A time in UTC as Unix seconds."""
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp())


def new_price(client: stripe.StripeClient, amount: int = 2000, name: str = "Pack", **fields: Any) -> stripe.Price:
    """A price of a new product."""
    product = client.v1.products.create({"name": name})
    return client.v1.prices.create({"currency": "usd", "unit_amount": amount, "product": product.id, **fields})


def new_checkout(client: stripe.StripeClient, price: str, mode: str = "payment", **fields: Any) -> Any:
    """A checkout session for one of a price."""
    given: Any = {
        "mode": mode,
        "line_items": [{"price": price, "quantity": 1}],
        "success_url": "http://shop.example/done?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://shop.example/back",
        **fields,
    }
    return client.v1.checkout.sessions.create(given)


class _Page(HTMLParser):
    """The forms, links and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.buttons: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.words: list[str] = []
        self._open: dict[str, str | None] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self._open = {"tag": tag, **found}
        if tag == "form":
            self.action = found["action"] or ""
        elif tag in ("input", "select"):
            self.fields[found["name"] or ""] = found.get("value") or ""

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._open.get("tag") == "button":
            self.buttons[data] = self._open["value"] or ""
        elif self._open.get("tag") == "a":
            self.links[data] = self._open["href"] or ""
        self._open = {}


@dataclass
class Browser:
    """A customer's browser: it reads a page, fills its form and presses a button; it goes where it is sent, within the
    simulator. `url`: where it is; `page`: what it shows (None outside of the simulator)."""

    url: str
    page: _Page | None = None

    def __post_init__(self) -> None:
        self._home = re.match(r"http://[^/]+", self.url)
        self._client = httpx.Client()
        self._arrive(self._client.get(self.url))

    def _arrive(self, response: httpx.Response) -> None:
        while response.is_redirect:
            self.url = response.headers["location"]
            if not self.url.startswith(self._home[0] if self._home else ""):
                self.page = None
                return
            response = self._client.get(self.url)
        assert response.headers["content-type"].startswith("text/html"), response.text
        self.page = _Page(response.text)

    @property
    def text(self) -> str:
        assert self.page is not None, self.url
        return " ".join(self.page.words)

    def press(self, button: str, **fields: str) -> Browser:
        """Fill fields that the page has, and press one of its buttons."""
        assert self.page is not None, self.url
        assert fields.keys() <= self.page.fields.keys(), (fields, self.page.fields)
        filled = {**self.page.fields, **fields, "action": self.page.buttons[button]}
        home = self._home[0] if self._home else ""
        self.url = home + self.page.action
        self._arrive(self._client.post(self.url, data=filled))
        return self


def card(number: str = "4242424242424242") -> dict[str, str]:
    """The fields of a card on a page."""
    return {"cardNumber": number, "cardExpiry": "12 / 34", "cardCvc": "123"}
