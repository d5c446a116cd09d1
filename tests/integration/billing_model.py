"""What a customer is entitled to, from what Stripe's account holds: a plain model without any code of the product.

It reads Stripe's objects as JSON and our price list as numbers. Credits follow money here: the line of a change in the
middle of a period gives the share of the plan's credits that its amount is of the plan's price."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
DAY = 24 * 3600
LIVE = ("trialing", "active", "past_due", "unpaid", "paused")
MONTHS = {"month": 1, "year": 12}


@dataclass(frozen=True)
class Plan:
    """The numbers of a tier: credits for a month and for the trial, and the days of grace."""

    monthly_credits: int
    trial_credits: int
    grace_days: int


@dataclass(frozen=True)
class Range:
    """Credits between two bounds: what is in proportion to time and to money is rounded at different places."""

    least: int
    most: int

    def __contains__(self, credits: object) -> bool:
        return isinstance(credits, int) and self.least <= credits <= self.most


class BillingModel:
    """Stripe's account, seen by one customer. `packs`: what each of our checkouts promised, by its id. `refused`: the
    second subscriptions."""

    def __init__(self, objects: Iterable[Json], customer: str | None, plans: dict[str, Plan]) -> None:
        by_kind: dict[str, dict[str, Json]] = {}
        for each in objects:
            if each["object"] in ("price", "refund", "dispute", "invoice_payment") or each.get("customer") == customer:
                by_kind.setdefault(each["object"], {})[each["id"]] = each
        self._objects, self._plans = by_kind, plans

    def all(self, kind: str) -> list[Json]:
        return list(self._objects.get(kind, {}).values())

    def live(self) -> list[Json]:
        """The subscriptions that run."""
        return [each for each in self.all("subscription") if each["status"] in LIVE]

    def tier(self, now: float) -> str:
        """The tier whose rules count."""
        live = self.live()
        if not live:
            return "free"
        (one,) = live
        item = one["items"]["data"][0]
        tier = self._price(item["price"]["id"])["metadata"]["atelier_tier"]
        latest = self._objects["invoice"][one["latest_invoice"]] if one["latest_invoice"] else None
        ends_at = float("inf")
        if one["status"] in ("past_due", "unpaid"):
            assert latest is not None
            due = [each["status_transitions"]["finalized_at"] for each in self._open_invoices(one["id"]) or [latest]]
            ends_at = min(due) + self._plans[tier].grace_days * DAY
        elif one["status"] == "paused":
            ends_at = 0.0
        elif one["status"] == "active":
            is_given_up = latest is not None and latest["status"] in ("void", "uncollectible")
            paid = self._paid_until(one)
            if one["pause_collection"] or (is_given_up and paid <= item["current_period_start"]):
                ends_at = paid
        return tier if now < ends_at else "free"

    def _paid_until(self, subscription: Json) -> float:
        """The end of the last period that was paid: that of the newest paid invoice."""
        paid = [each for each in self._invoices_of(subscription["id"]) if each["status"] == "paid"]
        newest = paid[-1] if paid else None
        lines = newest["lines"]["data"] if newest else []
        return max((line["period"]["end"] for line in lines if line["amount"] >= 0), default=0.0)

    def _invoices_of(self, subscription: str) -> list[Json]:
        """The oldest first."""
        parents = ((each, (each["parent"] or {}).get("subscription_details") or {}) for each in self.all("invoice"))
        return [each for each, of in parents if of.get("subscription") == subscription]

    def _open_invoices(self, subscription: str) -> list[Json]:
        return [each for each in self._invoices_of(subscription) if each["status"] == "open"]

    def invoice_grants(self, refused: set[str]) -> dict[str, Range]:
        """The credits of each paid invoice that gives some."""
        found: dict[str, Range] = {}
        for invoice in self.all("invoice"):
            parent: Json = invoice["parent"] or {}
            details: Json = parent.get("subscription_details") or {}
            subscription: str | None = details.get("subscription")
            if invoice["status"] == "paid" and subscription and subscription not in refused:
                found[invoice["id"]] = self._invoice_credits(invoice)
        return found

    def _invoice_credits(self, invoice: Json) -> Range:
        credits, slack = 0.0, 0.0
        for line in invoice["lines"]["data"]:
            price = self._price(line["pricing"]["price_details"]["price"])
            plan = self._plans[price["metadata"]["atelier_tier"]]
            whole = plan.monthly_credits * MONTHS[price["recurring"]["interval"]]
            details = line["parent"]["subscription_item_details"] or line["parent"]["invoice_item_details"]
            if details["proration"]:
                credits += whole * line["amount"] / price["unit_amount"]
                # Half a cent of the amount, and a credit.
                slack += whole / price["unit_amount"] + 1
            else:
                credits += whole if line["amount"] else plan.trial_credits
        return Range(max(0, int(credits - slack)), max(0, int(credits + slack)))

    def _price(self, id: str) -> Json:
        return self._objects["price"][id]

    def pack_payments(self) -> dict[str, str]:
        """The payments that bought packs, and the checkouts that they name."""
        return {
            each["id"]: each["metadata"]["checkout_id"]
            for each in self.all("payment_intent")
            if each["status"] == "succeeded" and "checkout_id" in each["metadata"]
        }

    def payment_of_invoice(self, invoice_id: str) -> str | None:
        """The payment that paid an invoice, if it cost anything."""
        for each in self.all("invoice_payment"):
            if each["invoice"] == invoice_id and each["status"] == "paid":
                return each["payment"].get("payment_intent")
        return None

    def payments(self) -> list[str]:
        """The payments that succeeded, the oldest first."""
        return [each["id"] for each in self.all("payment_intent") if each["status"] == "succeeded"]

    def open_disputes(self) -> list[str]:
        payments = self.payments()
        return [
            each["id"]
            for each in self.all("dispute")
            if each["payment_intent"] in payments and each["status"] in ("needs_response", "under_review")
        ]

    def total(self, cause_id: str) -> int:
        """What an invoice cost; 0 for what is no invoice."""
        found = self._objects.get("invoice", {}).get(cause_id)
        return int(found["total"]) if found else 0

    def paid(self, payment_id: str) -> int:
        return int(self._objects["payment_intent"][payment_id]["amount"])

    def money_back(self, payment_id: str) -> list[int]:
        """The amounts that refunds and disputes of a payment have taken, or hold."""
        refunds = [
            each["amount"]
            for each in self.all("refund")
            if each["payment_intent"] == payment_id and each["status"] not in ("failed", "canceled")
        ]
        disputes = [
            each["amount"]
            for each in self.all("dispute")
            if each["payment_intent"] == payment_id and each["status"] in ("needs_response", "under_review", "lost")
        ]
        return refunds + disputes


def revoked(grant: int, price: int, taken: Iterable[int]) -> int:
    """How many credits of a grant are gone: for each amount that was taken back, its share of the price."""
    return min(grant, sum(grant * amount // price for amount in taken)) if price else 0
