"""The mailbox behind an e-mail address, for what is given once to a mailbox. People sign in with what they typed.

Written so that two addresses of one mailbox come to one form; where a provider's rule is not known, a plus tag is the
only thing left out. Two people whose addresses come to one form lose no account, only the second free credits.
"""

from __future__ import annotations

import hashlib

# Domains of one provider under which a local part is the same mailbox.
SAME_DOMAIN = {
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
# Characters of a local part that make no difference there.
IGNORED = {"gmail.com": ".", "proton.me": "._-", "yandex.ru": ".-"}
# Providers whose disposable addresses are tagged with a hyphen; names of accounts have none there.
HYPHEN_TAGS = ("yahoo.", "ymail.com", "rocketmail.com")
# Where `anything@name.fastmail.com` is `name@fastmail.com`.
SUBDOMAIN_MAILBOXES = (".fastmail.com", ".fastmail.fm")


def mailbox(email: str) -> str:
    """The one form of all addresses of a mailbox. `email` is in its normal form (see credentials.py)."""
    local_part, _, domain = email.rpartition("@")
    domain = _ascii(domain.rstrip("."))
    for suffix in SUBDOMAIN_MAILBOXES:
        name, found, _ = domain.rpartition(suffix)
        if found and name:
            local_part, domain = name.rpartition(".")[2], suffix[1:]
    domain = SAME_DOMAIN.get(domain, domain)
    local_part = _without_tag(local_part, "+")
    if domain.startswith(HYPHEN_TAGS):
        local_part = _without_tag(local_part, "-")
    kept = local_part.translate({ord(character): None for character in IGNORED.get(domain, "")})
    return f"{kept or local_part}@{domain}"


def mailbox_digest(email: str) -> str:
    """What is kept of a mailbox, also after its account is gone: no address in the clear."""
    return hashlib.sha256(mailbox(email).encode()).hexdigest()


def _without_tag(local_part: str, mark: str) -> str:
    return local_part.partition(mark)[0] or local_part


def _ascii(domain: str) -> str:
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        # A name that this codec cannot write is compared as it is.
        return domain
