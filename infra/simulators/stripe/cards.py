"""Stripe's test cards and bank accounts, with their documented numbers: what happens when they are charged."""

from __future__ import annotations

from dataclasses import dataclass

# Decline code → Stripe's error code and message.
DECLINES = {
    "generic_decline": ("card_declined", "Your card was declined."),
    "insufficient_funds": ("card_declined", "Your card has insufficient funds."),
    "lost_card": ("card_declined", "Your card was declined."),
    "stolen_card": ("card_declined", "Your card was declined."),
    "fraudulent": ("card_declined", "Your card was declined."),
    "expired_card": ("expired_card", "Your card has expired."),
    "incorrect_cvc": ("incorrect_cvc", "Your card's security code is incorrect."),
    "processing_error": (
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
    ),
    "authentication_required": (
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
    ),
}


@dataclass(frozen=True)
class TestCard:
    """A card or bank account. `decline`: why a charge is refused. `attachable`: whether a customer can have it.
    `authenticate`: `always`, or `setup` (until it has been set up for use without the customer). `after`: what happens
    after a successful charge: `dispute`, `inquiry`, `not_received`, `warning`. `refund`: how its refunds end:
    `succeeded`, `pending` (then succeeded), `failed` (after they seemed to succeed). `seconds`: how long a direct
    debit is processed."""

    __test__ = False

    number: str
    brand: str = "visa"
    country: str = "US"
    decline: str | None = None
    attachable: bool = True
    authenticate: str | None = None
    after: str | None = None
    refund: str = "succeeded"
    seconds: int = 0
    type: str = "card"

    @property
    def last4(self) -> str:
        return self.number[-4:]


def _declined(number: str, code: str) -> TestCard:
    return TestCard(number, decline=code, attachable=False)


# By the name that follows `pm_card_` and `tok_`.
CARDS = {
    "visa": TestCard("4242424242424242"),
    "visa_debit": TestCard("4000056655665556"),
    "mastercard": TestCard("5555555555554444", "mastercard"),
    "amex": TestCard("378282246310005", "amex"),
    "de": TestCard("4000002760000016", country="DE"),
    "jp": TestCard("4000003920000003", country="JP"),
    "chargeDeclined": _declined("4000000000000002", "generic_decline"),
    "visa_chargeDeclined": _declined("4000000000000002", "generic_decline"),
    "chargeDeclinedInsufficientFunds": _declined("4000000000009995", "insufficient_funds"),
    "visa_chargeDeclinedInsufficientFunds": _declined("4000000000009995", "insufficient_funds"),
    "visa_chargeDeclinedLostCard": _declined("4000000000009987", "lost_card"),
    "visa_chargeDeclinedStolenCard": _declined("4000000000009979", "stolen_card"),
    "chargeDeclinedFraudulent": _declined("4100000000000019", "fraudulent"),
    "chargeDeclinedExpiredCard": _declined("4000000000000069", "expired_card"),
    "chargeDeclinedIncorrectCvc": _declined("4000000000000127", "incorrect_cvc"),
    "chargeDeclinedProcessingError": _declined("4000000000000119", "processing_error"),
    "chargeCustomerFail": TestCard("4000000000000341", decline="generic_decline"),
    "authenticationRequired": TestCard("4000002760003184", country="DE", authenticate="always"),
    "threeDSecure2Required": TestCard("4000000000003220", authenticate="always"),
    "threeDSecureRequired": TestCard("4000000000003063", authenticate="always"),
    "authenticationRequiredOnSetup": TestCard("4000002500003155", country="FR", authenticate="setup"),
    "authenticationRequiredSetupForOffSession": TestCard("4000003800000446", country="GB"),
    "authenticationRequiredChargeDeclinedInsufficientFunds": TestCard(
        "4000008260003178", country="GB", decline="insufficient_funds", authenticate="always"
    ),
    "createDispute": TestCard("4000000000000259", after="dispute"),
    "createDisputeProductNotReceived": TestCard("4000000000002685", after="not_received"),
    "createDisputeInquiry": TestCard("4000000000001976", after="inquiry"),
    "createIssuerFraudWarning": TestCard("4000000000005423", after="warning"),
    "pendingRefund": TestCard("4000000000007726", refund="pending"),
    "refundFail": TestCard("4000000000005126", refund="failed"),
    "bypassPending": TestCard("4000000000000077"),
    "bypassPendingInternational": TestCard("4000003720000278"),
}
BY_NUMBER = {card.number: card for card in CARDS.values()}


def _debit(iban: str, *, decline: str | None = None, seconds: int = 0) -> TestCard:
    return TestCard(iban, "sepa", iban[:2], decline=decline, seconds=seconds, type="sepa_debit")


# Bank accounts for SEPA direct debits, by their IBAN: what they say comes at once, or after three minutes.
BANK_ACCOUNTS = {
    account.number: account
    for account in (
        _debit("AT611904300234573201"),
        _debit("DE89370400440532013000"),
        _debit("AT321904300235473204", seconds=180),
        _debit("AT861904300235473202", decline="generic_decline"),
        # The account of the CLI's `checkout.session.async_payment_failed`.
        _debit("IT60X0542811101000000123456", decline="generic_decline"),
        _debit("AT051904300235473205", decline="generic_decline", seconds=180),
    )
}


def passes_luhn(number: str) -> bool:
    """Whether the check digit of a card's number is right."""
    digits = [int(digit) for digit in number[::-1]]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
