"""Pages and parts as JSON values: how they are stored, compared, and shown in a conflict. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from atelier.sites.model import Block, BlockKind, PageContent, PartParameter, Redirect, Seo, SiteSettings

Facts = dict[str, Any]


def block_facts(block: Block) -> Facts:
    """A block as JSON values, without what is empty."""
    facts = {
        "id": block.id,
        "kind": block.kind.value,
        "html": block.html,
        "css": block.css,
        "js": block.js,
        "component_id": block.component_id,
        "parameters": dict(block.parameters),
        "slots": dict(block.slots),
    }
    return {name: value for name, value in facts.items() if value}


def block_of(facts: Mapping[str, Any]) -> Block:
    """The block that `block_facts` described."""
    return Block(
        facts["id"],
        BlockKind(facts["kind"]),
        facts.get("html", ""),
        facts.get("css", ""),
        facts.get("js", ""),
        facts.get("component_id"),
        facts.get("parameters") or {},
        facts.get("slots") or {},
    )


def seo_facts(seo: Seo) -> Facts:
    """The SEO fields as JSON values."""
    return {
        "title": seo.title,
        "description": seo.description,
        "image_asset_id": seo.image_asset_id,
        "no_index": seo.no_index,
    }


def content_facts(content: PageContent) -> Facts:
    """What a page says, as JSON values."""
    return {
        "path": content.path,
        "title": content.title,
        "language": content.language,
        "seo": seo_facts(content.seo),
        "blocks": [block_facts(block) for block in content.blocks],
    }


def content_of(facts: Mapping[str, Any]) -> PageContent:
    """The content that `content_facts` described."""
    return PageContent(
        facts["path"],
        facts["title"],
        tuple(map(block_of, facts["blocks"])),
        Seo(**facts["seo"]),
        facts.get("language"),
    )


def content_bytes(content: PageContent) -> int:
    """How many bytes a content takes when it is stored."""
    return len(json.dumps(content_facts(content), ensure_ascii=False, separators=(",", ":")).encode(errors="replace"))


def parameters_facts(parameters: tuple[PartParameter, ...]) -> list[Facts]:
    """The parameters of a part as JSON values."""
    return [{"name": each.name, "default": each.default} for each in parameters]


def parameters_of(facts: list[Facts]) -> tuple[PartParameter, ...]:
    """The parameters that `parameters_facts` described."""
    return tuple(PartParameter(each["name"], each["default"]) for each in facts)


def settings_facts(settings: SiteSettings) -> Facts:
    """The settings of a site as JSON values."""
    return {
        "language": settings.language,
        "description": settings.description,
        "image_asset_id": settings.image_asset_id,
        "favicon_asset_id": settings.favicon_asset_id,
        "redirects": [{"path": each.path, "to": each.to, "permanent": each.permanent} for each in settings.redirects],
        "scripts": settings.scripts,
        "allowed_hosts": list(settings.allowed_hosts),
    }


def settings_of(facts: Mapping[str, Any]) -> SiteSettings:
    """The settings that `settings_facts` described."""
    redirects = tuple(Redirect(each["path"], each["to"], each["permanent"]) for each in facts["redirects"])
    values = {**facts, "redirects": redirects, "allowed_hosts": tuple(facts.get("allowed_hosts", ()))}
    return SiteSettings(**cast("dict[str, Any]", values))
