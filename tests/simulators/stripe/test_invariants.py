"""Whatever a customer does, and however time goes, the simulator's money adds up: a state machine over its model."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from infra.simulators.stripe.account import Account
from infra.simulators.stripe.api import operations
from infra.simulators.stripe.errors import StripeError
from tests.simulators.stripe.flows import DAY, NOW

RUN = {(operation.method, operation.path): operation.run for _, operation in operations()}
AMOUNTS = (1999, 5000, 900, 0)
PLACES = st.sampled_from(range(2 * len(AMOUNTS)))
CARDS = ("visa", "chargeCustomerFail", "authenticationRequired")


class Customer(RuleBasedStateMachine):
    """A customer with a test clock, who subscribes, changes, cancels and pays; refused requests change nothing."""

    subscriptions = Bundle("subscriptions")

    @initialize(currency=st.sampled_from(["usd", "jpy"]), country=st.sampled_from(["US", "DE"]))
    def begin(self, currency: str, country: str) -> None:
        self.account = Account("http://stripe.example", NOW)
        self.currency = currency
        self.clock = self.call("POST", "/v1/test_helpers/test_clocks", {"frozen_time": NOW})["id"]
        given = {"test_clock": self.clock, "payment_method": "pm_card_visa", "address": {"country": country}}
        self.customer = self.call("POST", "/v1/customers", given)["id"]
        self.card("visa")
        self.prices = [self.price(amount, interval) for amount in AMOUNTS for interval in ("month", "year")]
        coupon = {"percent_off": 15.5, "duration": "repeating", "duration_in_months": 2}
        self.coupon = self.call("POST", "/v1/coupons", coupon)["id"]

    def call(self, method: str, path: str, params: Any = None, *ids: str) -> Any:
        return RUN[method, path](self.account, params or {}, *ids)

    def attempt(self, method: str, path: str, params: Any = None, *ids: str) -> Any:
        """Call an operation that may be refused."""
        try:
            return self.call(method, path, params, *ids)
        except StripeError:
            return None

    def price(self, amount: int, interval: str) -> str:
        product = self.call("POST", "/v1/products", {"name": f"{amount} a {interval}"})["id"]
        recurring = {"interval": interval}
        given = {"currency": self.currency, "unit_amount": amount, "product": product, "recurring": recurring}
        return self.call("POST", "/v1/prices", given)["id"]

    @rule(name=st.sampled_from(CARDS))
    def card(self, name: str) -> None:
        method = self.call("POST", "/v1/payment_methods/{id}/attach", {"customer": self.customer}, f"pm_card_{name}")
        given = {"invoice_settings": {"default_payment_method": method["id"]}}
        self.call("POST", "/v1/customers/{id}", given, self.customer)

    @rule(target=subscriptions, place=PLACES, quantity=st.sampled_from([1, 3, 0]), data=st.data())
    def subscribe(self, place: int, quantity: int, data: st.DataObject) -> str:
        given: Any = {"customer": self.customer, "items": [{"price": self.prices[place], "quantity": quantity}]}
        given["automatic_tax"] = {"enabled": data.draw(st.booleans())}
        given["trial_period_days"] = data.draw(st.sampled_from([None, None, None, 5]))
        if data.draw(st.booleans()):
            given["discounts"] = [{"coupon": self.coupon}]
        made = self.attempt("POST", "/v1/subscriptions", given)
        return made["id"] if made else "sub_none"

    @rule(
        id=subscriptions,
        place=PLACES,
        quantity=st.sampled_from([1, 3, 0]),
        proration=st.sampled_from(["always_invoice", "create_prorations", "none"]),
        behavior=st.sampled_from(["allow_incomplete", "error_if_incomplete", "pending_if_incomplete"]),
    )
    def change(self, id: str, place: int, quantity: int, proration: str, behavior: str) -> None:
        subscription = self.account.objects.get(id)
        if subscription is None:
            return
        item = {"id": subscription["items"]["data"][0]["id"], "price": self.prices[place], "quantity": quantity}
        given = {"items": [item], "proration_behavior": proration}
        preview = None
        if subscription["status"] == "active" and proration == "always_invoice":
            wanted = {"subscription": id, "subscription_details": dict(given)}
            preview = self.attempt("POST", "/v1/invoices/create_preview", wanted)
        before = len(self.account.ids.get("invoice", {}))
        changed = self.attempt("POST", "/v1/subscriptions/{id}", {**given, "payment_behavior": behavior}, id)
        made = list(self.account.ids.get("invoice", {}))[before:]
        if preview and changed and made:
            assert preview["total"] == self.account.objects[made[0]]["total"]

    @rule(id=subscriptions, wanted=st.booleans())
    def cancel_later(self, id: str, wanted: bool) -> None:
        self.attempt("POST", "/v1/subscriptions/{id}", {"cancel_at_period_end": wanted}, id)

    @rule(id=consumes(subscriptions), prorate=st.booleans(), invoice_now=st.booleans())
    def cancel(self, id: str, prorate: bool, invoice_now: bool) -> None:
        self.attempt("DELETE", "/v1/subscriptions/{id}", {"prorate": prorate, "invoice_now": invoice_now}, id)

    @rule(days=st.sampled_from([29, 7, 1, 0.01]))
    def wait(self, days: float) -> None:
        now = self.account.now(self.clock)
        target = {"frozen_time": now + int(days * DAY)}
        self.call("POST", "/v1/test_helpers/test_clocks/{id}/advance", target, self.clock)

    @rule(data=st.data())
    def pay(self, data: st.DataObject) -> None:
        waiting = [invoice["id"] for invoice in self.account.all("invoice", status="open")]
        if waiting:
            id = data.draw(st.sampled_from(waiting))
            self.attempt("POST", "/v1/invoices/{id}/pay", {"payment_method": "pm_card_visa"}, id)

    @rule(data=st.data(), amount=st.sampled_from([None, 1, 700]))
    def refund(self, data: st.DataObject, amount: int | None) -> None:
        charges = [charge["id"] for charge in self.account.all("charge", status="succeeded")]
        if charges:
            id = data.draw(st.sampled_from(charges))
            self.attempt("POST", "/v1/refunds", {"charge": id, "amount": amount})

    @invariant()
    def every_invoice_adds_up(self) -> None:
        for invoice in self.account.all("invoice"):
            lines = invoice["lines"]["data"]
            assert invoice["subtotal"] == sum(line["amount"] for line in lines)
            discounts = sum(each["amount"] for each in invoice["total_discount_amounts"])
            taxes = sum(each["amount"] for each in invoice["total_taxes"])
            of_lines = [each["amount"] for line in lines for each in line["discount_amounts"]]
            assert discounts == sum(of_lines)
            assert taxes == sum(each["amount"] for line in lines for each in line["taxes"])
            assert invoice["total"] == invoice["subtotal"] - discounts + taxes
            assert (
                invoice["amount_due"] == invoice["amount_paid"] + invoice["amount_remaining"]
                or invoice["status"] == "void"
            )
            if invoice["status"] != "draft":
                used = invoice["starting_balance"] - invoice["ending_balance"]
                assert invoice["amount_due"] == invoice["total"] + used

    @invariant()
    def a_paid_invoice_was_charged_once(self) -> None:
        for payment in self.account.all("invoice_payment"):
            charges = list(self.account.all("charge", payment_intent=payment["payment"]["payment_intent"], paid=True))
            assert len(charges) == (payment["status"] == "paid")
            if charges:
                assert (
                    charges[0]["amount"]
                    == payment["amount_paid"]
                    == self.account.objects[payment["invoice"]]["amount_paid"]
                )

    @invariant()
    def the_balances_are_the_sums_of_their_entries(self) -> None:
        customer = self.account.objects[self.customer]
        entries = list(self.account.all("customer_balance_transaction", customer=self.customer))
        assert customer["balance"] == sum(entry["amount"] for entry in entries)
        for invoice in self.account.all("invoice"):
            if invoice["status"] in ("open", "paid"):
                used = [entry["amount"] for entry in entries if entry["invoice"] == invoice["id"]]
                assert invoice["ending_balance"] == invoice["starting_balance"] + sum(used)
        taken = sum(charge["amount_captured"] - charge["amount_refunded"] for charge in self.account.all("charge"))
        assert taken == sum(entry["amount"] for entry in self.account.all("balance_transaction"))

    @invariant()
    def a_period_is_renewed_once(self) -> None:
        billed = [
            (line["parent"]["subscription_item_details"]["subscription_item"], line["period"]["start"])
            for invoice in self.account.all("invoice", billing_reason="subscription_cycle")
            for line in invoice["lines"]["data"]
            if (line["parent"]["subscription_item_details"] or {"proration": True})["proration"] is False
        ]
        assert len(billed) == len(set(billed))


TestCustomer = Customer.TestCase
TestCustomer.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
