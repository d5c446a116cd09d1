"""What the tests of the Stripe simulator do again and again: things to sell, and a browser that fills its pages."""

from __future__ import annotations

from dataclasses import dataclass, field
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


@dataclass
class _Form:
    """A form of a page: where it is posted to, its fields with their values, its buttons by their texts."""

    action: str
    fields: dict[str, str] = field(default_factory=dict[str, str])
    buttons: dict[str, str] = field(default_factory=dict[str, str])


class _Page(HTMLParser):
    """The forms, links and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self.links: dict[str, str] = {}
        self.words: list[str] = []
        self._open: dict[str, str | None] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self._open = {"tag": tag, **found}
        if tag == "form":
            self.forms.append(_Form(found["action"] or ""))
        elif tag in ("input", "select"):
            self.forms[-1].fields[found["name"] or ""] = found.get("value") or ""

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._open.get("tag") == "button":
            self.forms[-1].buttons[data] = self._open["value"] or ""
        elif self._open.get("tag") == "a":
            self.links[data] = self._open["href"] or ""
        self._open = {}


@dataclass
class Browser:
    """A customer's browser: it reads a page, fills a form and presses its button; it goes where it is sent, within the
    simulator. `url`: where it is; `page`: what it shows (None outside of the simulator). At the local edge, the
    simulator is what lies below /local/stripe."""

    url: str
    page: _Page | None = None

    def __post_init__(self) -> None:
        self._home = "/".join(self.url.split("/")[:3])
        self._simulator = self._home + ("/local/stripe" if "/local/stripe/" in self.url else "")
        self._client = httpx.Client()
        self._arrive(self._client.get(self.url))

    def _arrive(self, response: httpx.Response) -> None:
        while response.is_redirect:
            self.url = response.headers["location"]
            if not self.url.startswith(self._simulator):
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
        """Fill fields of the form that has this button, and press it."""
        assert self.page is not None, self.url
        form = next(form for form in self.page.forms if button in form.buttons)
        assert fields.keys() <= form.fields.keys(), (fields, form.fields)
        self.url = self._home + form.action
        self._arrive(self._client.post(self.url, data={**form.fields, **fields, "action": form.buttons[button]}))
        return self


def card(number: str = "4242424242424242") -> dict[str, str]:
    """The fields of a card on a page."""
    return {"cardNumber": number, "cardExpiry": "12 / 34", "cardCvc": "123"}


def new_clock(client: stripe.StripeClient, frozen_time: int = NOW) -> str:
    """A test clock that stands at this time."""
    return client.v1.test_helpers.test_clocks.create({"frozen_time": frozen_time}).id


def advance(client: stripe.StripeClient, clock: str, moment: int) -> None:
    """Move a clock, month by month where it is far: a clock moves by two intervals at most."""
    while True:
        now = client.v1.test_helpers.test_clocks.retrieve(clock).frozen_time
        if now >= moment:
            return
        client.v1.test_helpers.test_clocks.advance(clock, {"frozen_time": min(now + 28 * DAY, moment)})
        assert client.v1.test_helpers.test_clocks.retrieve(clock).status == "ready"


def new_customer(
    client: stripe.StripeClient, clock: str | None = None, card: str = "pm_card_visa", **fields: Any
) -> str:
    """A customer with a card that its invoices are charged to."""
    given: Any = {"payment_method": card, "invoice_settings": {"default_payment_method": card}, **fields}
    if clock:
        given["test_clock"] = clock
    customer = client.v1.customers.create({name: value for name, value in given.items() if name != "invoice_settings"})
    method = client.v1.customers.payment_methods.list(customer.id).data[0].id
    client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method}})
    return customer.id


def monthly(client: stripe.StripeClient, amount: int = 2000, name: str = "Starter", **fields: Any) -> stripe.Price:
    """A price for a month."""
    return new_price(client, amount, name, recurring={"interval": "month"}, **fields)


def yearly(client: stripe.StripeClient, amount: int = 20000, name: str = "Starter", **fields: Any) -> stripe.Price:
    """A price for a year."""
    return new_price(client, amount, name, recurring={"interval": "year"}, **fields)


def subscribe(client: stripe.StripeClient, customer: str, price: str, **fields: Any) -> stripe.Subscription:
    """A subscription to one of a price."""
    return client.v1.subscriptions.create({"customer": customer, "items": [{"price": price}], **fields})


def period(subscription: stripe.Subscription) -> tuple[int, int]:
    """Start and end of a subscription's current period."""
    item = subscription["items"]["data"][0]
    return item.current_period_start, item.current_period_end


def events(client: stripe.StripeClient, *types: str) -> list[stripe.Event]:
    """The events of these types, oldest first."""
    return list(client.v1.events.list({"types": list(types), "limit": 100}).auto_paging_iter())[::-1]
