"""Send a receipt by mail for a paid invoice or a paid pack of credits, once for each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from atelier.clock import parse_rfc3339
from atelier.events.catalogue import InvoicePaid, PackPaid
from atelier.identity.model import User
from atelier.mails.amounts import amount_text
from atelier.mails.mail import MailKind, mail_request, supported_locale
from atelier.mails.ports import Mails
from atelier.telemetry import logger


def send_receipt(
    paid: InvoicePaid | PackPaid, *, owner_of: Callable[[str], User | None], mails: Mails, now: datetime
) -> None:
    """owner_of: the owner of a workspace. Nothing is sent for an invoice of nothing, such as that of a trial, nor when
    there is no owner any more. The event may come again: the mail's id is that of the invoice or the payment."""
    number, total, tax = _amounts(paid)
    owner = owner_of(paid.workspace_id) if total else None
    if owner is not None:
        locale = supported_locale(owner.locale)
        mails.request(
            mail_request(
                MailKind.RECEIPT,
                paid.workspace_id,
                owner.email,
                locale,
                now,
                id=f"receipt#{number}",
                number=number,
                total=amount_text(total, paid.currency, locale),
                tax=amount_text(tax, paid.currency, locale) if tax else None,
                credits=paid.credits,
                day=f"{parse_rfc3339(paid.paid_at):%Y-%m-%d}",
            )
        )
    logger.info("receipt", workspace_id=paid.workspace_id, number=number, is_sent=owner is not None)


def _amounts(paid: InvoicePaid | PackPaid) -> tuple[str, int, int]:
    """The number of a receipt, its total, and the tax in it, where it is known."""
    if isinstance(paid, InvoicePaid):
        return paid.invoice_id, paid.total, paid.tax
    return paid.payment_id, paid.amount, 0
