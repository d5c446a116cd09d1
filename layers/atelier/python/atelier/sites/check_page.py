"""Check and sanitise what a page or part says, before it is stored."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from atelier.errors import ValidationFailed
from atelier.ids import is_id
from atelier.sites.check_site import LANGUAGE, path_errors
from atelier.sites.deps import SiteDeps
from atelier.sites.encode import content_bytes
from atelier.sites.model import Block, BlockKind, PageContent, Part, Site
from atelier.sites.rules import Removal, SanitizeRules
from atelier.sites.sanitize import clean_content

CONTENT_BYTES_MAX = 300_000
BLOCKS_MAX, PARTS_OF_PAGE_MAX = 200, 30
# An asset in HTML or CSS.
_ASSET = re.compile(r"asset:(ast_[0-7][0-9A-HJKMNP-TV-Z]{25})")
Field = dict[str, str]


def rules_of(site: Site, tier_scripts: bool) -> SanitizeRules:
    """What the pages of a site may load and contain; a tier that does not include it takes it away at the next save."""
    settings = site.settings
    hosts = frozenset(settings.allowed_hosts) if tier_scripts else frozenset[str]()
    return SanitizeRules(hosts, settings.scripts and tier_scripts)


def clean_page(
    site: Site, content: PageContent, *, deps: SiteDeps, now: datetime
) -> tuple[PageContent, tuple[Removal, ...]]:
    """The page as it may be stored, and what was taken out of it. Raises ValidationFailed."""
    rules = rules_of(site, deps.quota_of(site.workspace_id, now).tier.site_scripts)
    fields = page_errors(content, rules)
    if fields:
        raise ValidationFailed(fields)
    return clean_content(content, rules)


def check_references(workspace_id: str, content: PageContent, *, deps: SiteDeps) -> None:
    """Raises ValidationFailed for parts and assets that the workspace does not have, and for content that is too large;
    the check of a merged page."""
    fields = _reference_errors(workspace_id, content, deps)
    if content_bytes(content) > CONTENT_BYTES_MAX:
        fields.append(_field("blocks", f"take more than {CONTENT_BYTES_MAX} bytes together"))
    if len(content.blocks) > BLOCKS_MAX:
        fields.append(_field("blocks", f"are more than {BLOCKS_MAX}"))
    if len(parts_in(content)) > PARTS_OF_PAGE_MAX:
        fields.append(_field("blocks", f"use more than {PARTS_OF_PAGE_MAX} parts"))
    if fields:
        raise ValidationFailed(fields)


def page_errors(content: PageContent, rules: SanitizeRules) -> list[Field]:
    """What is wrong with a page, as far as it can be seen in the page alone."""
    fields = path_errors(content.path)
    if content.language is not None and not LANGUAGE.fullmatch(content.language):
        fields.append(_field("language", "is not a language"))
    counts = Counter(block.id for block in content.blocks)
    for number, block in enumerate(content.blocks):
        place = f"blocks.{number}"
        if counts[block.id] > 1:
            fields.append(_field(f"{place}.id", "is the id of two blocks"))
        if block.js and not rules.scripts:
            text = "is not allowed: scripts need the site's setting `scripts`, and a tier that includes it"
            fields.append(_field(f"{place}.js", text))
        fields += _kind_errors(block, place)
    return fields


def parts_in(content: PageContent) -> tuple[str, ...]:
    """The ids of the parts that a page uses, each once."""
    return tuple(dict.fromkeys(block.component_id for block in content.blocks if block.component_id))


def assets_in(texts: Iterable[str]) -> dict[str, None]:
    """The ids of the assets that HTML and CSS name, each once."""
    return dict.fromkeys(id for text in texts for id in _ASSET.findall(text))


def block_texts(block: Block) -> list[str]:
    """The texts of a block that may name assets."""
    return [block.html, block.css, *block.slots.values(), *block.parameters.values()]


def asset_errors(workspace_id: str, wanted: Mapping[str, str], deps: SiteDeps) -> list[Field]:
    """wanted: paths of fields by the ids of the assets that they name. What names no asset of the workspace."""
    kept = deps.assets.kept(workspace_id, wanted)
    return [_field(path, f"names no asset of the library: {id}") for id, path in wanted.items() if id not in kept]


def _reference_errors(workspace_id: str, content: PageContent, deps: SiteDeps) -> list[Field]:
    wanted = dict[str, str]()
    for number, block in enumerate(content.blocks):
        for id in assets_in(block_texts(block)):
            wanted.setdefault(id, f"blocks.{number}")
    if content.seo.image_asset_id:
        wanted.setdefault(content.seo.image_asset_id, "seo.image_asset_id")
    fields = asset_errors(workspace_id, wanted, deps)
    ids = parts_in(content)
    parts = deps.parts.find(workspace_id, ids)
    for number, block in enumerate(content.blocks):
        if block.component_id:
            fields += _use_errors(block, parts.get(block.component_id), f"blocks.{number}")
    return fields


def _use_errors(block: Block, part: Part | None, place: str) -> list[Field]:
    """What is wrong with the use of a part. Values of parameters and slots that the part has lost are no errors: they
    may be of its earlier version."""
    return [_field(f"{place}.component_id", "is no component or section of the workspace")] if part is None else []


def _kind_errors(block: Block, place: str) -> Sequence[Field]:
    id = block.component_id or ""
    if block.kind is BlockKind.COMPONENT:
        is_part = is_id(id, "cmp") or is_id(id, "sec")
        return [] if is_part else [_field(f"{place}.component_id", "is the id of a component or section")]
    if block.component_id or block.parameters or block.slots:
        return [_field(f"{place}.kind", "is component for a block that uses one")]
    return []


def _field(path: str, message: str) -> Field:
    return {"path": path, "message": message}
