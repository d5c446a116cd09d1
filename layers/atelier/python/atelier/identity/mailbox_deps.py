"""The dependencies of the use cases that go by links and codes in mails."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from atelier.dataclass import dataclass
from atelier.identity.access_tokens import AccessTokens
from atelier.identity.mail_limits import MailLimits
from atelier.identity.oauth.model import LinkedLogin
from atelier.identity.ports import AccountChanges, Accounts, Passwords, PendingLinks, Sessions
from atelier.mails.links import LinkKey


@dataclass(frozen=True, slots=True)
class MailboxDeps:
    """logins: the external logins of a user. sends_mail: whether this deployment sends mails."""

    accounts: Accounts
    sessions: Sessions
    links: PendingLinks
    changes: AccountChanges
    passwords: Passwords
    key: LinkKey
    limits: MailLimits
    access_tokens: AccessTokens
    logins: Callable[[str], Sequence[LinkedLogin]]
    sends_mail: bool = True
