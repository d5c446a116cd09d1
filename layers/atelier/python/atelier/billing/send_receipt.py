"""Send a receipt by mail for a paid invoice, once for each invoice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from atelier.clock import parse_rfc3339
from atelier.events.catalogue import InvoicePaid
from atelier.identity.model import User
from atelier.mails.amounts import amount_text
from atelier.mails.mail import MailKind, mail_request, supported_locale
from atelier.mails.ports import Mails
from atelier.telemetry import logger


def send_receipt(paid: InvoicePaid, *, owner_of: Callable[[str], User | None], mails: Mails, now: datetime) -> None:
    """owner_of: the owner of a workspace. Nothing is sent for an invoice of nothing, such as that of a trial, nor when
    there is no owner any more. The event may come again: the mail's id is the invoice's."""
    owner = owner_of(paid.workspace_id) if paid.total else None
    if owner is not None:
        locale = supported_locale(owner.locale)
        mails.request(
            mail_request(
                MailKind.RECEIPT,
                paid.workspace_id,
                owner.email,
                locale,
                now,
                id=f"receipt#{paid.invoice_id}",
                invoice=paid.invoice_id,
                total=amount_text(paid.total, paid.currency, locale),
                tax=amount_text(paid.tax, paid.currency, locale) if paid.tax else None,
                credits=paid.credits,
                day=f"{parse_rfc3339(paid.paid_at):%Y-%m-%d}",
            )
        )
    logger.info("receipt", workspace_id=paid.workspace_id, invoice_id=paid.invoice_id, is_sent=owner is not None)
