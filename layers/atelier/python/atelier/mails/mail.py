"""Values of mails: the request for a mail, which is stored, and the message that is sent."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from atelier.dataclass import dataclass
from atelier.ids import new_id
from atelier.mails.links import Link

LOCALES = ("en", "de")
DEFAULT_LOCALE = LOCALES[0]
# A list is shown entry by entry.
Fact = str | int | None | list[dict[str, str]]


class MailKind(StrEnum):
    """The kinds of mails. Each has its templates `templates/<locale>/<kind>.{subject,txt,html}`."""

    WELCOME = "welcome"
    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # nosec B105 - the name of a kind
    PASSWORD_CHANGED = "password_changed"  # nosec B105 - the same
    EMAIL_CHANGE_CONFIRM = "email_change_confirm"
    EMAIL_CHANGE_NOTICE = "email_change_notice"
    EMAIL_CHANGED = "email_changed"
    EMAIL_CHANGE_UNDONE = "email_change_undone"
    LINK_LOGIN = "link_login"
    INVITATION = "invitation"
    NEW_DEVICE = "new_device"
    FACTOR_ADDED = "factor_added"
    FACTOR_REMOVED = "factor_removed"
    ACCOUNT_DELETION = "account_deletion"
    RECEIPT = "receipt"
    NOTIFICATIONS = "notifications"
    ARCHIVE_NOTICE = "archive_notice"


class InvalidMessage(ValueError):
    """A message that no mail server would take as it is meant."""


@dataclass(frozen=True, slots=True)
class MailRequest:
    """A mail that is to be sent. It contains no link and no code: `link` says which of them the mail gets.

    id: `mai_…`, or the natural key of a mail that must exist only once. owner_id: the user or workspace whose mail it
    is. to: the address. locale: one of LOCALES. facts: what the templates of this kind show."""

    id: str
    kind: MailKind
    owner_id: str
    to: str
    locale: str
    facts: Mapping[str, Fact]
    requested_at: datetime
    link: Link | None = None


@dataclass(frozen=True, slots=True)
class MailMessage:
    """A mail as it is sent. headers: more of them, by name."""

    to: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def require_valid(self) -> None:
        """Raises InvalidMessage for control characters in the address or the subject: a line break there could begin
        another header."""
        for name, value in (("address", self.to), ("subject", self.subject), *self.headers.items()):
            if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in value):
                raise InvalidMessage(f"a control character in the {name}")


def mail_request(
    kind: MailKind,
    owner_id: str,
    to: str,
    locale: str | None,
    now: datetime,
    *,
    link: Link | None = None,
    id: str | None = None,
    **facts: Fact,
) -> MailRequest:
    """A request for one mail. locale: of the reader; another one than LOCALES becomes DEFAULT_LOCALE. id: see
    MailRequest; by default a new one."""
    return MailRequest(id or new_id("mai", now), kind, owner_id, to, supported_locale(locale), facts, now, link)


def supported_locale(locale: str | None) -> str:
    """The language of LOCALES that a language tag such as `de-CH` names, or DEFAULT_LOCALE."""
    language = (locale or "").partition("-")[0].strip().lower()
    return language if language in LOCALES else DEFAULT_LOCALE
