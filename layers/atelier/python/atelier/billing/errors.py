"""Errors of billing."""

from __future__ import annotations

from atelier.errors import AtelierError, Conflict


class StripeObjectMissing(Exception):
    """Stripe has no object with this id, in this account and mode."""


class PaymentRefused(AtelierError):
    """The payment was declined. The message is for the buyer."""

    code, status = "PAYMENT_REFUSED", 402


class AlreadySubscribed(Conflict):
    """The workspace has a subscription: its plan is changed, not bought again."""


class NotSubscribed(Conflict):
    """The workspace has no subscription that could be changed."""
