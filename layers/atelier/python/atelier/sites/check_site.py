"""Check what a site is called and what it is set to. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from atelier.catalogue.quotas import Quota
from atelier.errors import PaymentRequired, ValidationFailed
from atelier.sites.model import Redirect, Site, SiteSettings
from atelier.sites.sanitize_css import check_token

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,48}[a-z0-9])")
DOMAIN_CHARACTERS_MAX = 253
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
PATH = re.compile(r"/(?:[a-z0-9]+(?:[-_][a-z0-9]+)*(?:/[a-z0-9]+(?:[-_][a-z0-9]+)*)*)?")
PATH_CHARACTERS_MAX = 200
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}")
TOKENS_MAX, REDIRECTS_MAX, HOSTS_MAX = 60, 200, 20
# Names that a visitor would take for a part of the platform, or that hosts give a meaning.
RESERVED_SLUGS = frozenset(
    [
        "about",
        "account",
        "accounts",
        "admin",
        "administrator",
        "api",
        "app",
        "assets",
        "atelier",
        "auth",
        "autoconfig",
        "autodiscover",
        "billing",
        "blog",
        "cdn",
        "dashboard",
        "demo",
        "dev",
        "docs",
        "email",
        "ftp",
        "help",
        "host",
        "imap",
        "localhost",
        "login",
        "mail",
        "media",
        "mx",
        "ns1",
        "ns2",
        "pop",
        "postmaster",
        "preview",
        "root",
        "security",
        "smtp",
        "sso",
        "staging",
        "static",
        "status",
        "store",
        "studio",
        "support",
        "system",
        "test",
        "webmail",
        "www",
    ]
)
# The first segment of what a deployment adds to a site's pages.
RESERVED_SEGMENTS = frozenset({"assets"})
Field = dict[str, str]


def check_site(site: Site, quota: Quota) -> None:
    """Raises ValidationFailed for a site that must not be stored, and PaymentRequired for settings that the tier does
    not include."""
    fields = [*slug_errors(site.slug), *domain_errors(site.domain), *theme_errors(site.theme.items())]
    fields += settings_errors(site.settings)
    if fields:
        raise ValidationFailed(fields)
    for name, is_set in (("scripts", site.settings.scripts), ("allowed_hosts", bool(site.settings.allowed_hosts))):
        if is_set and not quota.tier.site_scripts:
            raise PaymentRequired(
                f"The tier {quota.tier.title} does not include the setting {name} of sites.",
                feature=f"site:{name}",
                tiers=quota.catalogue.tiers_with(lambda tier: tier.site_scripts),
            )


def slug_errors(slug: str) -> list[Field]:
    """What is wrong with a slug, which is a label of a host's name."""
    if not SLUG.fullmatch(slug) or "--" in slug:
        text = "has 3 to 50 lower-case letters, digits and single hyphens, and begins and ends with none of these"
        return [_field("slug", text)]
    return [_field("slug", "is a reserved name")] if slug in RESERVED_SLUGS else []


def domain_errors(domain: str | None) -> list[Field]:
    """What is wrong with a domain."""
    if domain is None:
        return []
    labels = domain.split(".")
    is_name = len(labels) > 1 and all(_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()
    if not is_name or len(domain) > DOMAIN_CHARACTERS_MAX:
        return [_field("domain", "is not a domain name such as www.example.org")]
    return []


def theme_errors(tokens: Iterable[tuple[str, str]]) -> list[Field]:
    """What is wrong with design tokens."""
    tokens = list(tokens)
    if len(tokens) > TOKENS_MAX:
        return [_field("theme", f"has more than {TOKENS_MAX} tokens")]
    found = ((name, check_token(name, value)) for name, value in tokens)
    return [_field(f"theme.{name[:40]}", refusal) for name, refusal in found if refusal]


def settings_errors(settings: SiteSettings) -> list[Field]:
    """What is wrong with settings."""
    fields = [] if LANGUAGE.fullmatch(settings.language) else [_field("settings.language", "is not a language")]
    if len(settings.redirects) > REDIRECTS_MAX:
        fields.append(_field("settings.redirects", f"has more than {REDIRECTS_MAX} redirects"))
    for number, redirect in enumerate(settings.redirects[:REDIRECTS_MAX]):
        fields += [
            _field(f"settings.redirects.{number}.{each['path']}", each["message"]) for each in _redirect(redirect)
        ]
    if len(settings.allowed_hosts) > HOSTS_MAX:
        fields.append(_field("settings.allowed_hosts", f"has more than {HOSTS_MAX} hosts"))
    for number, host in enumerate(settings.allowed_hosts[:HOSTS_MAX]):
        if domain_errors(host):
            fields.append(_field(f"settings.allowed_hosts.{number}", "is not a host name"))
    return fields


def path_errors(path: str) -> list[Field]:
    """What is wrong with the path of a page."""
    if not PATH.fullmatch(path) or len(path) > PATH_CHARACTERS_MAX:
        text = "begins with / and has segments of lower-case letters, digits, hyphens and underscores"
        return [_field("path", text)]
    return [_field("path", "begins with a reserved name")] if path.split("/")[1] in RESERVED_SEGMENTS else []


def _redirect(redirect: Redirect) -> list[Field]:
    fields = path_errors(redirect.path)
    is_https = redirect.to.startswith("https://") and not domain_errors(redirect.to[8:].split("/")[0])
    is_printable = all("!" <= character <= "~" for character in redirect.to)
    if path_errors(redirect.to) and not (is_https and is_printable):
        fields.append(_field("to", "is a path of the site, or an https address"))
    return fields


def _field(path: str, message: str) -> Field:
    return {"path": path, "message": message}
