"""What SES reports, composed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from atelier.adapters.aws.dynamodb.identity.mails import DynamoMails
from atelier.mails.feedback import parse_ses_event, suppress_all
from atelier.settings import IdentityTable


def act_on(detail: Mapping[str, Any], now: datetime) -> None:
    """Act on an event of SES."""
    DynamoMails.bind(IdentityTable.read().name)
    suppress_all(parse_ses_event(detail), suppressions=DynamoMails(), now=now)
