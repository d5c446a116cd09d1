"""Sites to deploy, for tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from atelier.deployments.render.files import ImageVariant, SiteAsset, digest
from atelier.sites.model import (
    Block,
    BlockKind,
    PageContent,
    Part,
    PartKind,
    PartParameter,
    PublishedPage,
    PublishedSite,
    Seo,
    Site,
    SiteSettings,
)

BEGIN = datetime(2026, 11, 30, 12, tzinfo=UTC)
WORKSPACE, SITE, USER = (
    "wsp_01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "sit_01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV",
)
IMAGE = "ast_01ARZ3NDEKTSV4RRFFQ69G5FAV"
NO_SEO = Seo()
CARD = "cmp_01ARZ3NDEKTSV4RRFFQ69G5FAV"


def site(**changes: Any) -> Site:
    """A site with a theme and settings."""
    settings = SiteSettings(description="Chairs and tables made of oak.")
    theme = {"color-text": "#222", "color-background": "#fff"}
    made = Site(SITE, WORKSPACE, USER, "Oak & Sons", "oak", 1, BEGIN, BEGIN, theme=theme, settings=settings)
    return replace(made, **changes)


def block(html: str, css: str = "", js: str = "", id: str = "b") -> Block:
    """A block of HTML."""
    return Block(id, BlockKind.HTML, html, css, js)


def use(parameters: dict[str, str] | None = None, slots: dict[str, str] | None = None, id: str = "u") -> Block:
    """The use of the part `card`."""
    return Block(id, BlockKind.COMPONENT, component_id=CARD, parameters=parameters or {}, slots=slots or {})


def card(html: str, css: str = "", parameters: tuple[PartParameter, ...] = ()) -> Part:
    """The part `card`."""
    return Part(
        CARD, WORKSPACE, PartKind.COMPONENT, "card", html, 1, BEGIN, BEGIN, USER, css=css, parameters=parameters
    )


def page(path: str, *blocks: Block, title: str = "A page", days: int = 0, seo: Seo = NO_SEO) -> PublishedPage:
    """A published page; days: how long after BEGIN it was published."""
    content = PageContent(path, title, blocks or (block(f"<h1>{title}</h1><p>Text of {path}.</p>"),), seo)
    return PublishedPage("pag_01ARZ3NDEKTSV4RRFFQ69G5FAV", 1, content, BEGIN + timedelta(days=days))


def published(*pages: PublishedPage, parts: tuple[Part, ...] = (), **changes: Any) -> PublishedSite:
    """A published set."""
    return PublishedSite(site(**changes), tuple(pages), {part.id: part for part in parts})


def image(*widths: int) -> SiteAsset:
    """An image of the library with variants of these widths, half as high as wide."""
    made = [ImageVariant(width, width // 2, digest(b"image %d" % width), "image/webp") for width in widths]
    return SiteAsset(IMAGE, tuple(made))
