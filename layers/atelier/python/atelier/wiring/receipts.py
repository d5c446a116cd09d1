"""Receipts, composed."""

from __future__ import annotations

from datetime import datetime

from atelier.adapters.aws.dynamodb.identity.mails import DynamoMails
from atelier.billing.send_receipt import send_receipt
from atelier.events.catalogue import InvoicePaid, PackPaid
from atelier.wiring import identity


def send(paid: InvoicePaid | PackPaid, now: datetime) -> None:
    """Send the receipt of a paid invoice or pack."""
    send_receipt(paid, owner_of=identity.accounts().owner_of, mails=DynamoMails(), now=now)
