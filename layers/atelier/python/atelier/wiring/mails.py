"""Mails, composed: the outbox, and who sends it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from atelier.adapters.aws.dynamodb.identity.mails import DynamoMails, mail_addresses
from atelier.adapters.aws.secrets import Secret
from atelier.clock import system_clock
from atelier.mails.links import LinkKey
from atelier.mails.pace import SharedPace
from atelier.mails.render import Templates
from atelier.mails.send import MailAddress, SendDeps
from atelier.settings import Deployment, IdentityTable, LinkSigning, MailSending, RequestsTable


@cache
def mails() -> DynamoMails:
    """The outbox of mails."""
    DynamoMails.bind(IdentityTable.read().name)
    return DynamoMails()


@cache
def link_key() -> LinkKey:
    """The key from which links and codes in mails are made."""
    return LinkKey(bytes.fromhex(Secret(LinkSigning.read().secret).value()["key"]))


def addresses(records: Sequence[dict[str, Any]]) -> Iterator[MailAddress]:
    """The mails that were written in a batch of the identity table's stream."""
    return mail_addresses(records)


@cache
def send_deps() -> SendDeps:
    """The dependencies of sending mails."""
    from atelier.adapters.aws.dynamodb.request_rates import DynamoRequestRates
    from atelier.adapters.aws.ses import mailer_of

    DynamoRequestRates.bind(RequestsTable.read().name)
    sending = MailSending.read()
    return SendDeps(
        mails(),
        mailer_of(sending.sender, sending.configuration_set),
        Templates(Deployment.read().public_url, link_key()),
        SharedPace(DynamoRequestRates(), sending.per_second, system_clock, time.sleep),
        system_clock,
    )
