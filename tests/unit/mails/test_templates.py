"""Every kind of mail in every language: complete, escaped, without control characters."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atelier.identity.pending_link import KINDS
from atelier.mails import render
from atelier.mails.links import Link, LinkKey
from atelier.mails.mail import (
    LOCALES,
    Fact,
    InvalidMessage,
    MailKind,
    MailMessage,
    MailRequest,
    mail_request,
    supported_locale,
)
from atelier.mails.render import PAGES, Templates
from atelier.notifications import send_mails
from atelier.workspaces import invitations

NOW = datetime(2026, 11, 29, 2, tzinfo=UTC)
URL = "https://media.example.com"
USER = "usr_01M7XCN60QCB8JGMC722TFVM7C"
FOLDER = Path(render.__file__).with_name("templates")
# What a mail of a kind shows, with markup in each text that a person may choose.
MARKUP = "<b>Ada & Bob</b>"
WHERE: dict[str, Fact] = {
    "at": "2026-11-29 02:00 UTC",
    "device": "Firefox on Windows",
    "network": "203.0.113.0/24",
}
CHANGED: dict[str, Fact] = {"device": MARKUP, "at": "2026-11-29 02:00 UTC"}
FACTS: dict[MailKind, dict[str, Fact]] = {
    MailKind.WELCOME: {"name": MARKUP},
    MailKind.VERIFY_EMAIL: {},
    MailKind.RESET_PASSWORD: {},
    MailKind.PASSWORD_CHANGED: CHANGED | {"logins": f"Google ({MARKUP})"},
    MailKind.EMAIL_CHANGE_CONFIRM: {},
    MailKind.EMAIL_CHANGE_NOTICE: CHANGED | {"new_email": "new@example.com"},
    MailKind.EMAIL_CHANGED: {"old_email": "old@example.com"},
    MailKind.LINK_LOGIN: {"provider": "Google", "login": MARKUP},
    MailKind.EMAIL_CHANGE_UNDONE: {"other_email": "new@example.com"},
    MailKind.RECEIPT: {
        "number": "in_1",
        "total": "22.61 USD",
        "tax": "3.61 USD",
        "credits": 3000,
        "day": "2026-11-29",
    },
    MailKind.INVITATION: {
        "workspace": MARKUP,
        "inviter": MARKUP,
        "inviter_email": "bob@example.com",
        "role": "editor",
    },
    MailKind.NEW_DEVICE: WHERE,
    MailKind.FACTOR_ADDED: WHERE | {"factor": "passkey", "name": MARKUP},
    MailKind.FACTOR_REMOVED: WHERE | {"factor": "passkey", "name": MARKUP},
    MailKind.NOTIFICATIONS: {
        "items": [
            {"title": MARKUP, "body": MARKUP, "label": MARKUP, "url": f"{URL}/plan"},
            {"title": MARKUP, "body": MARKUP, "label": "", "url": ""},
        ],
        "more": 3,
    },
    MailKind.ARCHIVE_NOTICE: {"count": 3, "megabytes": 120, "due_at": "2026-12-13", "archived_until": "2026-06-16"},
    MailKind.ACCOUNT_DELETION: WHERE | {"due_at": "2026-12-13 02:00 UTC"},
}
PURPOSES: dict[MailKind, str] = {kind: purpose for purpose, kind in KINDS.items()} | {
    MailKind.INVITATION: invitations.PURPOSE,
    MailKind.NOTIFICATIONS: send_mails.PURPOSE,
}
EACH = [pytest.param(kind, locale, id=f"{kind}-{locale}") for kind in MailKind for locale in LOCALES]


def request_of(kind: MailKind, locale: str, **changes: str) -> MailRequest:
    link = Link(PURPOSES[kind], USER, "lnk_01M7XCN60QCB8JGMC722TFVM7C") if kind in PURPOSES else None
    return mail_request(kind, USER, "ada@example.com", locale, NOW, link=link, **FACTS[kind] | changes)


def written(mail: MailRequest) -> MailMessage:
    return Templates(URL, LinkKey(b"k")).render(mail)


@pytest.mark.parametrize(("kind", "locale"), EACH)
def test_a_mail_has_a_subject_a_text_and_html_with_the_same_links(kind: MailKind, locale: str) -> None:
    message = written(request_of(kind, locale))
    assert 5 < len(message.subject) <= 78
    assert f'<html lang="{locale}">' in message.html
    shown = {link.rstrip(".,") for link in re.findall(r"https://[^\s,]+", message.text)}
    linked = set(re.findall(r'href="([^"]+)"', message.html))
    assert linked == shown | {URL}
    assert all(link.startswith(URL) for link in linked)
    assert "<" not in re.sub(re.escape(MARKUP), "", message.text)


@pytest.mark.parametrize(("kind", "locale"), EACH)
def test_a_persons_text_is_escaped_in_html(kind: MailKind, locale: str) -> None:
    assert MARKUP not in written(request_of(kind, locale)).html


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("kind", PURPOSES)
def test_a_mail_with_a_link_contains_link_and_code_in_both_forms(kind: MailKind, locale: str) -> None:
    mail = request_of(kind, locale)
    assert mail.link is not None
    message, key = written(mail), LinkKey(b"k")
    for body in (message.text, message.html):
        assert f"{URL}{PAGES[mail.link.purpose]}?token={key.token(mail.link)}" in body
    assert (key.code(mail.link) in message.text) == (key.code(mail.link) in message.html)


def test_the_templates_are_those_of_the_kinds() -> None:
    expected = {
        f"{locale}/{kind}.{part}" for locale in LOCALES for kind in MailKind for part in ("subject", "txt", "html")
    }
    footers = {f"{locale}/footer.{part}" for locale in LOCALES for part in ("txt", "html")}
    found = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
    assert found == expected | footers | {"layout.html", "parts.html"}


def test_a_mail_without_a_fact_of_its_template_is_an_error() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        written(mail_request(MailKind.WELCOME, USER, "ada@example.com", "en", NOW))


@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\x7f", "\x85", "\u2028"])
def test_control_characters_in_subject_or_address_are_refused(character: str) -> None:
    for message in (
        MailMessage("ada@example.com", f"Hi{character}Bcc: eve", "", ""),
        MailMessage(f"a{character}", "Hi", "", ""),
    ):
        with pytest.raises(InvalidMessage):
            message.require_valid()


@pytest.mark.parametrize(
    ("tag", "locale"),
    [("de", "de"), ("de-CH", "de"), ("DE", "de"), ("en-GB", "en"), ("fr", "en"), ("", "en"), (None, "en")],
)
def test_a_language_that_there_is_no_mail_in_becomes_english(tag: str | None, locale: str) -> None:
    assert supported_locale(tag) == locale
