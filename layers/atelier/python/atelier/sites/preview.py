"""Previews: a signed address that shows one version of a page for a while, on no origin of ours.

    wsp_… . sit_… . pag_… . <version> . <expiry, seconds since 1970> . <HMAC-SHA256 in hex>

Nothing is stored. Whoever has the address sees the page, until it expires or the page is removed."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from html import escape

from atelier.dataclass import dataclass
from atelier.errors import NotFound
from atelier.ids import is_id
from atelier.sites.check_page import parts_in
from atelier.sites.deps import SiteDeps
from atelier.sites.model import PageVersion, Part, Site
from atelier.sites.save_page import read_version

PREVIEW_LIFETIME = timedelta(hours=1)
MAC_CHARACTERS = 40
# The document of a page as a deployment shows it: of the site, in a version, with the parts that it uses. Assets have
# addresses of the scheme `asset:` in it.
Render = Callable[[Site, PageVersion, Mapping[str, Part]], str]
_ASSET = re.compile(r"asset:(ast_[0-7][0-9A-HJKMNP-TV-Z]{25})")


@dataclass(frozen=True, slots=True)
class PreviewDeps:
    """key: signs addresses. asset_urls(workspace_id, asset_ids, now): signed addresses of those that exist. base_url:
    of the deployment, without a slash at its end."""

    sites: SiteDeps
    key: Callable[[], bytes]
    render: Render
    asset_urls: Callable[[str, Iterable[str], datetime], Mapping[str, str]]
    base_url: str


@dataclass(frozen=True, slots=True)
class Preview:
    """A signed address of a version."""

    url: str
    version: int
    expires_at: datetime


def create_preview(
    workspace_id: str, site_id: str, page_id: str, number: int | None, *, deps: PreviewDeps, now: datetime
) -> Preview:
    """Sign an address for a version of a page; None = the newest. Raises NotFound."""
    head = deps.sites.pages.head(workspace_id, site_id, page_id)
    version = read_version(workspace_id, site_id, page_id, number or head.version, deps=deps.sites, now=now)
    expires_at = (now + PREVIEW_LIFETIME).replace(microsecond=0)
    path = f"{workspace_id}.{site_id}.{page_id}.{version.number}.{int(expires_at.timestamp())}"
    return Preview(f"{deps.base_url}/api/previews/{path}.{_mac(path, deps.key())}", version.number, expires_at)


def show_preview(token: str, *, deps: PreviewDeps, now: datetime) -> tuple[str, dict[str, str]]:
    """The document of a signed address, and the headers that it needs. Raises NotFound for one that we did not sign, or
    that has expired."""
    path, _, mac = token.rpartition(".")
    parts = path.split(".")
    is_form = len(parts) == 5 and all(map(is_id, parts[:3], ("wsp", "sit", "pag"))) and path.isascii()
    if not is_form or not hmac.compare_digest(mac.encode(), _mac(path, deps.key()).encode()):
        raise NotFound("There is no such preview.")
    workspace_id, site_id, page_id = parts[:3]
    number, expiry = map(int, parts[3:])
    if expiry <= now.timestamp():
        raise NotFound("This preview has expired. Make a new one.")
    site = deps.sites.sites.get(workspace_id, site_id)
    version = read_version(workspace_id, site_id, page_id, number, deps=deps.sites, now=now)
    used = deps.sites.parts.find(workspace_id, parts_in(version.content))
    document = deps.render(site, version, used)
    urls = deps.asset_urls(workspace_id, dict.fromkeys(_ASSET.findall(document)), now)
    shown = _ASSET.sub(lambda found: escape(urls.get(found[1], "about:blank")), document)
    return shown, preview_headers(site, deps.base_url)


def preview_key(attempts_key: bytes) -> bytes:
    """The key that signs previews, derived from the key that signs attempts. Because the keys differ, a signature of
    one kind is never valid for the other."""
    return hmac.new(attempts_key, b"previews", hashlib.sha256).digest()


def preview_headers(site: Site, base_url: str) -> dict[str, str]:
    """The headers of a preview: a page on no origin, which has no cookies and reads nothing, which loads from the
    library and the site's own hosts alone, and of which nobody keeps a copy."""
    sources = " ".join([base_url, *(f"https://{host}" for host in site.settings.allowed_hosts)])
    script, allowed = ("script-src 'unsafe-inline'; ", " allow-scripts") if site.settings.scripts else ("", "")
    policy = (
        f"default-src 'none'; {script}style-src 'unsafe-inline'; img-src data: {sources}; media-src {sources}; "
        f"font-src {sources}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox{allowed}"
    )
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex, nofollow",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "private, no-store",
    }


def _mac(path: str, key: bytes) -> str:
    return hmac.new(key, path.encode(), hashlib.sha256).hexdigest()[:MAC_CHARACTERS]
