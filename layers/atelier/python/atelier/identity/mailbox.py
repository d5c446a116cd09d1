"""The mailbox behind an e-mail address: daily credits are given once for each mailbox. Users still sign in with the
address that they typed.

Two addresses of one mailbox get the same form. Where a mail provider's rules are not known, only a plus tag is removed.
Two people whose addresses get the same form by mistake both have their accounts; only the second gets no free credits.
"""

from __future__ import annotations

import hashlib

# Domains of one mail provider: the same local part is the same mailbox under each.
DOMAIN_ALIASES = {
    "googlemail.com": "gmail.com",
    "me.com": "icloud.com",
    "mac.com": "icloud.com",
    "protonmail.com": "proton.me",
    "protonmail.ch": "proton.me",
    "pm.me": "proton.me",
    "ya.ru": "yandex.ru",
    "yandex.com": "yandex.ru",
    "yandex.by": "yandex.ru",
    "yandex.kz": "yandex.ru",
    "yandex.ua": "yandex.ru",
}
# Characters that the mail provider ignores in a local part.
IGNORED_CHARACTERS = {"gmail.com": ".", "proton.me": "._-", "yandex.ru": ".-"}
# Mail providers that mark a disposable address by a hyphen; account names contain no hyphen there.
HYPHEN_TAG_DOMAINS = ("yahoo.", "ymail.com", "rocketmail.com")
# Mail providers where `anything@name.fastmail.com` is the mailbox `name@fastmail.com`.
SUBDOMAIN_MAILBOX_DOMAINS = (".fastmail.com", ".fastmail.fm")


def mailbox_of(email: str) -> str:
    """The form that all addresses of a mailbox share. `email` is in its normal form (see credentials.py)."""
    local_part, _, domain = email.rpartition("@")
    domain = _ascii_domain(domain.rstrip("."))
    for suffix in SUBDOMAIN_MAILBOX_DOMAINS:
        name, found, _ = domain.rpartition(suffix)
        if found and name:
            local_part, domain = name.rpartition(".")[2], suffix[1:]
    domain = DOMAIN_ALIASES.get(domain, domain)
    local_part = _without_tag(local_part, "+")
    if domain.startswith(HYPHEN_TAG_DOMAINS):
        local_part = _without_tag(local_part, "-")
    kept = local_part.translate({ord(character): None for character in IGNORED_CHARACTERS.get(domain, "")})
    return f"{kept or local_part}@{domain}"


def mailbox_digest(email: str) -> str:
    """The SHA-256 of a mailbox in hex. It is stored, also after the account is deleted; the address itself is not."""
    return hashlib.sha256(mailbox_of(email).encode()).hexdigest()


def _without_tag(local_part: str, mark: str) -> str:
    return local_part.partition(mark)[0] or local_part


def _ascii_domain(domain: str) -> str:
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        # A domain that the codec cannot encode is compared unchanged.
        return domain
