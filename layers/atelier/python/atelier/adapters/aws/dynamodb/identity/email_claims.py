"""The claim on an e-mail address, which belongs to one account, or is reserved for the one that has left it."""

from __future__ import annotations

from datetime import datetime

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition

from atelier.adapters.aws.dynamodb.identity.items import CredentialsItem, IdentityItem


class ReservedEmailItem(IdentityItem, discriminator="reserved-email"):
    """In the place of the credentials, so that nobody can sign up with the address while its user may return to it."""

    reserved_for = UnicodeAttribute()
    expires_at_seconds = NumberAttribute()


def email_pk(email: str) -> str:
    return f"email#{email}"


def is_available(now: datetime, user_id: str | None = None) -> Condition:
    """The condition for taking an address: nobody has it, or its reservation has ended, or is for this user."""
    free = CredentialsItem.pk.does_not_exist() | (ReservedEmailItem.expires_at_seconds < int(now.timestamp()))
    return free if user_id is None else free | (ReservedEmailItem.reserved_for == user_id)
