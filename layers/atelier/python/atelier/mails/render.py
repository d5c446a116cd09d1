"""Write mails from their templates, by Jinja2. The HTML escapes every fact; a fact that a template names and the
request lacks is an error."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atelier.mails.links import LinkKey
from atelier.mails.mail import MailMessage, MailRequest

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")
# The page of Studio behind the link of each purpose.
PAGES = {
    "verify_email": "/verify",
    "reset_password": "/reset-password",  # nosec B105 - a path
    "change_email": "/confirm-email",
    "undo_email_change": "/undo-email-change",
    "link_login": "/oauth/confirm",
    "invitation": "/invitation",
    "unsubscribe": "/unsubscribe",
}
# Where a mail program ends the mails of a purpose by a single request, without showing a page (RFC 8058).
ONE_CLICK = {"unsubscribe": "/api/notifications/unsubscribe"}


class Templates:
    """The port `Renderer`. public_url: where the links lead. key: makes links and codes."""

    def __init__(self, public_url: str, key: LinkKey) -> None:
        self._public_url = public_url
        self._key = key

    @cached_property
    def _environment(self) -> Environment:
        # Imported here, because importing it takes 45 ms and most functions that know of mails send none.
        from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

        return Environment(
            autoescape=select_autoescape(["html"], default=False),
            loader=FileSystemLoader(TEMPLATES),
            lstrip_blocks=True,
            trim_blocks=True,
            undefined=StrictUndefined,
        )

    def render(self, mail: MailRequest) -> MailMessage:
        shown: dict[str, Any] = {**mail.facts, "to": mail.to, "public_url": self._public_url, "locale": mail.locale}
        if mail.link is not None:
            token, page = self._key.token(mail.link), PAGES[mail.link.purpose]
            shown |= {"link": f"{self._public_url}{page}?token={token}", "code": self._key.code(mail.link)}
        subject, text, html = (
            self._environment.get_template(f"{mail.locale}/{mail.kind}.{part}").render(shown)
            for part in ("subject", "txt", "html")
        )
        message = MailMessage(mail.to, subject.strip(), text, html, self._headers(mail))
        message.require_valid()
        return message

    def _headers(self, mail: MailRequest) -> dict[str, str]:
        path = ONE_CLICK.get(mail.link.purpose) if mail.link else None
        if mail.link is None or path is None:
            return {}
        address = f"{self._public_url}{path}?token={self._key.token(mail.link)}"
        return {"List-Unsubscribe": f"<{address}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
