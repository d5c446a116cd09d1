"""Create, change and remove parts, which pages use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from atelier.audit_log.model import Origin, audit_event
from atelier.dataclass import dataclass
from atelier.errors import Conflict, NotFound, ValidationFailed
from atelier.idempotency import fingerprint
from atelier.ids import new_id
from atelier.retrying import retrying
from atelier.sites.check_page import asset_errors, assets_in
from atelier.sites.deps import SiteDeps
from atelier.sites.encode import parameters_facts
from atelier.sites.merge import MergeConflict, merge_parts
from atelier.sites.model import NamedUse, Part, PartKind, PartParameter, PartUse, PartVersion
from atelier.sites.ports import PartExists, PartInUse, StalePart
from atelier.sites.rules import Removal, SanitizeRules
from atelier.sites.sanitize import clean_html
from atelier.sites.sanitize_css import clean_css

PART_BYTES_MAX = 200_000
PREFIX = {PartKind.COMPONENT: "cmp", PartKind.SECTION: "sec"}
BUSY, TRIES_MAX = "The part is changing quickly. Try again.", 20
USES_NAMED = 20
_SLOT = re.compile(r'<slot name="([a-z][a-z0-9_-]{0,39})">')


@dataclass(frozen=True, slots=True)
class PartEdit:
    """What a verified caller saves of a part. base_version: the version that it was made from; None = a new part."""

    workspace_id: str
    user_id: str
    kind: PartKind
    name: str
    html: str
    category: str = ""
    css: str = ""
    js: str = ""
    parameters: tuple[PartParameter, ...] = ()
    note: str = ""
    base_version: int | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class SavedPart:
    """The part as it is stored; the other fields as those of SavedPage."""

    part: Part
    removed: tuple[Removal, ...] = ()
    is_merged: bool = False
    replayed: bool = False


def create_part(edit: PartEdit, *, deps: SiteDeps, now: datetime) -> SavedPart:
    """Store a part with its first version. Raises ValidationFailed, IdempotencyMismatch."""
    part_id = new_id(PREFIX[edit.kind], now)
    part, removed = _clean(part_id, edit, deps=deps, now=now)
    if edit.idempotency_key is not None:
        key, facts = f"parts {edit.kind} {edit.idempotency_key}", fingerprint(_facts(edit))
        part = replace(part, id=deps.keys.reserve(edit.workspace_id, key, facts, part_id))
    try:
        deps.parts.create(part, edit.note)
    except PartExists:
        # The same request created it earlier, or in parallel.
        return SavedPart(deps.parts.get(edit.workspace_id, part.id), removed, replayed=True)
    return SavedPart(part, removed)


def save_part(part_id: str, edit: PartEdit, *, deps: SiteDeps, now: datetime) -> SavedPart:
    """Save a new version of a part; pages show it from their next deployment on. Changes of others since the base
    version are merged field by field. Raises NotFound, ValidationFailed, Conflict."""
    mine, removed = _clean(part_id, edit, deps=deps, now=now)

    def attempt() -> SavedPart:
        stored = deps.parts.get(edit.workspace_id, part_id)
        merged, is_merged = _merge(stored, mine, edit.base_version, deps=deps, now=now)
        after = replace(
            merged, version=stored.version + 1, created_at=stored.created_at, updated_at=now, user_id=edit.user_id
        )
        kept_until = now + timedelta(days=deps.quota_of(edit.workspace_id, now).tier.page_version_days)
        deps.parts.replace(stored, after, edit.note, kept_until)
        return SavedPart(after, removed, is_merged)

    return retrying(attempt, on=StalePart, busy=BUSY, tries_max=TRIES_MAX)


def read_part_version(workspace_id: str, part_id: str, number: int, *, deps: SiteDeps, now: datetime) -> PartVersion:
    """A version of a part. Raises NotFound."""
    deps.parts.get(workspace_id, part_id)
    version = deps.parts.version(workspace_id, part_id, number, now)
    if version is None:
        raise NotFound("There is no such version, or it is not kept any more.")
    return version


def compare_part_versions(
    workspace_id: str, part_id: str, before: int, after: int | None, *, deps: SiteDeps, now: datetime
) -> tuple[PartVersion, PartVersion]:
    """Two versions of a part; after: None = the newest. Raises NotFound."""
    newest = deps.parts.get(workspace_id, part_id).version
    first = read_part_version(workspace_id, part_id, before, deps=deps, now=now)
    return first, read_part_version(workspace_id, part_id, after or newest, deps=deps, now=now)


def restore_part_version(part_id: str, edit: PartEdit, *, deps: SiteDeps, now: datetime) -> SavedPart:
    """Save an earlier version, which is the edit, as the newest one; without a base version, of the newest one that
    there is. Raises NotFound, ValidationFailed, Conflict."""
    base_version = edit.base_version or deps.parts.get(edit.workspace_id, part_id).version
    return save_part(part_id, replace(edit, base_version=base_version), deps=deps, now=now)


def list_uses(workspace_id: str, part_id: str, *, deps: SiteDeps) -> list[NamedUse]:
    """The pages that use a part, by site and path. Raises NotFound."""
    deps.parts.get(workspace_id, part_id)
    return name_uses(workspace_id, deps.parts.uses(workspace_id, part_id), deps)


def name_uses(workspace_id: str, uses: Sequence[PartUse], deps: SiteDeps) -> list[NamedUse]:
    """Uses with the names of their pages, sorted by site and path. A page that is being removed has none."""
    sites = deps.sites.names(workspace_id, (use.site_id for use in uses))
    heads = deps.pages.heads_of(workspace_id, ((use.site_id, use.page_id) for use in uses))
    named = list[NamedUse]()
    for use in uses:
        head = heads.get(use.page_id)
        named.append(NamedUse(use, sites.get(use.site_id), head.title if head else None, head.path if head else None))
    return sorted(named, key=lambda each: (each.site_name or "", each.use.site_id, each.page_path or ""))


def remove_part(workspace_id: str, part_id: str, origin: Origin, *, deps: SiteDeps, now: datetime) -> None:
    """Remove a part that no page uses. Raises NotFound, and Conflict with the uses."""

    def attempt() -> None:
        part = deps.parts.get(workspace_id, part_id)
        facts: dict[str, Any] = {"name": part.name, "kind": part.kind.value}
        deps.parts.remove(part, [audit_event(workspace_id, "part.removed", origin, now, target=part_id, **facts)])

    try:
        retrying(attempt, on=StalePart, busy=BUSY, tries_max=TRIES_MAX)
    except PartInUse:
        uses = deps.parts.uses(workspace_id, part_id)[:USES_NAMED]
        named = [
            {
                "site_id": each.use.site_id,
                "page_id": each.use.page_id,
                "page_title": each.page_title,
                "page_path": each.page_path,
            }
            for each in name_uses(workspace_id, uses, deps)
        ]
        raise Conflict("Pages use this. Remove it there first.", uses=named) from None


def slots_in(html: str) -> tuple[str, ...]:
    """The names of the slots in a part's sanitised HTML."""
    return tuple(dict.fromkeys(_SLOT.findall(html)))


def _clean(part_id: str, edit: PartEdit, *, deps: SiteDeps, now: datetime) -> tuple[Part, tuple[Removal, ...]]:
    tier = deps.quota_of(edit.workspace_id, now).tier
    fields = list[dict[str, str]]()
    if edit.js and not tier.site_scripts:
        fields.append({"path": "js", "message": "is not allowed: scripts need a tier that includes them"})
    names = [parameter.name for parameter in edit.parameters]
    if len(set(names)) < len(names):
        fields.append({"path": "parameters", "message": "have the same name twice"})
    if len(edit.html.encode(errors="replace")) + len(edit.css) + len(edit.js) > PART_BYTES_MAX:
        fields.append({"path": "html", "message": f"takes more than {PART_BYTES_MAX} bytes, with css and js"})
    if fields:
        raise ValidationFailed(fields)

    rules = SanitizeRules(slots=True, scripts=tier.site_scripts)
    html, removed = clean_html(edit.html, rules)
    css, more = clean_css(edit.css, rules)
    defaults = [parameter.default for parameter in edit.parameters]
    wanted = dict.fromkeys(assets_in([html, css, *defaults]), "html")
    if missing := asset_errors(edit.workspace_id, wanted, deps):
        raise ValidationFailed(missing)
    part = Part(
        part_id,
        edit.workspace_id,
        edit.kind,
        edit.name,
        html,
        1,
        now,
        now,
        edit.user_id,
        edit.category,
        css,
        edit.js,
        edit.parameters,
        slots_in(html),
    )
    return part, removed + more


def _merge(stored: Part, mine: Part, base_version: int | None, *, deps: SiteDeps, now: datetime) -> tuple[Part, bool]:
    if base_version == stored.version:
        return mine, False
    if base_version is None or not 1 <= base_version <= stored.version:
        raise ValidationFailed([{"path": "base_version", "message": "is no version of this"}])
    base = deps.parts.version(stored.workspace_id, stored.id, base_version, now)
    found = MergeConflict(fields=("html",)) if base is None else merge_parts(base.part, stored, mine)
    if isinstance(found, Part):
        return replace(found, slots=slots_in(found.html)), True
    raise Conflict(
        "Somebody else changed the same fields. Take over what you want of both versions, and save again.",
        base_version=base_version,
        current_version=stored.version,
        fields=list(found.fields),
        theirs=part_facts(stored),
        mine=part_facts(mine),
    )


def part_facts(part: Part) -> dict[str, object]:
    """What people write of a part, as JSON values."""
    return {
        "name": part.name,
        "category": part.category,
        "html": part.html,
        "css": part.css,
        "js": part.js,
        "parameters": parameters_facts(part.parameters),
        "slots": list(part.slots),
    }


def _facts(edit: PartEdit) -> list[object]:
    return [edit.name, edit.category, edit.html, edit.css, edit.js, parameters_facts(edit.parameters)]
