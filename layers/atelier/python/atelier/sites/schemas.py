"""HTTP schemas of sites and pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from atelier import cursors
from atelier.lazy_model import LazyModel
from atelier.sites.manage_sites import NewSite
from atelier.sites.model import (
    Block,
    BlockKind,
    Page,
    PageContent,
    PageHead,
    Redirect,
    Seo,
    Site,
    SiteSettings,
)
from atelier.sites.ports import HeadPage, SitePage
from atelier.sites.rules import Removal
from atelier.sites.save_page import PageEdit, SavedPage

Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Text = Annotated[str, StringConstraints(max_length=2000)]
Code = Annotated[str, Field(max_length=100_000)]
BlockId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
AssetId = Annotated[str, Field(pattern=r"^ast_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
Slug = Annotated[str, Field(max_length=60)]
Domain = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, max_length=260)]
Theme = Annotated[dict[str, Annotated[str, Field(max_length=300)]], Field(max_length=100)]
Version = Annotated[int, Field(ge=1, le=10**9)]
STRICT = ConfigDict(extra="forbid")


class RedirectModel(LazyModel):
    """A path that moved: to a path of the site or to an https address."""

    model_config = STRICT

    path: Annotated[str, Field(max_length=200)]
    to: Annotated[str, Field(max_length=1000)]
    permanent: bool = True


class SiteSettingsModel(LazyModel):
    """`allowed_hosts`: hosts that pages may load images, media and fonts from, beside the library."""

    model_config = STRICT

    language: Annotated[str, Field(max_length=35)] = "en"
    description: Text = ""
    image_asset_id: AssetId | None = None
    favicon_asset_id: AssetId | None = None
    redirects: Annotated[list[RedirectModel], Field(max_length=300)] = []
    scripts: bool = False
    allowed_hosts: Annotated[list[Annotated[str, Field(max_length=260)]], Field(max_length=50)] = []

    def settings(self) -> SiteSettings:
        """The settings."""
        return SiteSettings(
            self.language,
            self.description,
            self.image_asset_id,
            self.favicon_asset_id,
            tuple(Redirect(each.path, each.to, each.permanent) for each in self.redirects),
            self.scripts,
            tuple(dict.fromkeys(host.lower() for host in self.allowed_hosts)),
        )


class NewSiteRequest(LazyModel):
    """A new site. `theme`: CSS values by the names of design tokens, such as `color-text`."""

    model_config = STRICT

    name: Name
    slug: Slug
    domain: Domain | None = None
    theme: Theme = {}
    settings: SiteSettingsModel = SiteSettingsModel.of_defaults()

    def new(self, workspace_id: str, user_id: str, idempotency_key: str | None) -> NewSite:
        """The site to store."""
        settings = self.settings.settings()
        return NewSite(workspace_id, user_id, self.name, self.slug, self.domain, self.theme, settings, idempotency_key)


class ChangeSiteRequest(LazyModel):
    """What changes of a site; what is left out stays, and a domain of null is given up. `base_version`: the version
    that you have read; then a change of somebody else since is not overwritten."""

    model_config = STRICT

    name: Name | None = None
    slug: Slug | None = None
    domain: Domain | None = None
    theme: Theme | None = None
    settings: SiteSettingsModel | None = None
    base_version: Version | None = None

    def change(self, before: Site) -> Site:
        """The site with this request's changes."""
        return replace(
            before,
            name=self.name or before.name,
            slug=self.slug or before.slug,
            domain=self.domain if "domain" in self.model_fields_set else before.domain,
            theme=before.theme if self.theme is None else self.theme,
            settings=before.settings if self.settings is None else self.settings.settings(),
        )


class SiteView(LazyModel):
    id: str
    name: str
    slug: str
    domain: str | None
    theme: dict[str, str]
    settings: SiteSettingsModel
    version: int
    user_id: str
    created_at: datetime
    updated_at: datetime


class SiteEnvelope(LazyModel):
    site: SiteView


class SiteList(LazyModel):
    items: list[SiteView]
    next_cursor: str | None


class SiteQuery(LazyModel):
    """A page of sites, pages of a site, or parts."""

    model_config = ConfigDict(extra="ignore")

    limit: int = Field(default=25, ge=1, le=100)
    cursor: Annotated[str, Field(max_length=200)] | None = None

    def after(self, prefix: str) -> str | None:
        """The id after which the page begins. Raises ValidationFailed."""
        return cursors.decode(self.cursor, prefix)

    @property
    def before_number(self) -> int | None:
        """The version before which the page of versions begins. Raises ValidationFailed."""
        number = cursors.decode(self.cursor, "v")
        return int(number[1:]) if number and number[1:].isdecimal() and len(number) < 12 else None


class SeoModel(LazyModel):
    """What search engines and link previews read."""

    model_config = STRICT

    title: Line = ""
    description: Text = ""
    image_asset_id: AssetId | None = None
    no_index: bool = False


class BlockModel(LazyModel):
    """A block. `id`: the same in all versions of the page; one without gets `b1`, `b2` … `parameters`, `slots`: of a
    block of the kind `component`, by the names that its part has."""

    model_config = STRICT

    id: BlockId | None = None
    kind: Literal["html", "component"] = "html"
    html: Code = ""
    css: Code = ""
    js: Code = ""
    component_id: Annotated[str, Field(max_length=40)] | None = None
    parameters: Annotated[dict[FieldName, Annotated[str, Field(max_length=5000)]], Field(max_length=40)] = {}
    slots: Annotated[dict[FieldName, Code], Field(max_length=20)] = {}

    def block(self, id: str) -> Block:
        """The block."""
        kind = BlockKind(self.kind)
        return Block(id, kind, self.html, self.css, self.js, self.component_id, self.parameters, self.slots)


class PageRequest(LazyModel):
    """A new page. `note`: what the version is about. `generation_id`: the generation that wrote it."""

    model_config = STRICT

    path: Annotated[str, Field(max_length=300)]
    title: Line
    blocks: Annotated[list[BlockModel], Field(max_length=300)] = []
    seo: SeoModel = SeoModel.of_defaults()
    language: Annotated[str, Field(max_length=35)] | None = None
    note: Line = ""

    def content(self) -> PageContent:
        """What the page says."""
        taken = {block.id for block in self.blocks}
        free = (f"b{number}" for number in range(1, 10**6) if f"b{number}" not in taken)
        blocks = tuple(block.block(block.id or next(free)) for block in self.blocks)
        return PageContent(self.path, self.title, blocks, Seo(**dict(self.seo)), self.language)

    def edit(self, workspace_id: str, site_id: str, user_id: str, idempotency_key: str | None) -> PageEdit:
        """The page to store."""
        return PageEdit(workspace_id, site_id, user_id, self.content(), self.note, idempotency_key=idempotency_key)


class ChangePageRequest(PageRequest):
    """A whole page as it shall be. `base_version`: the version that it was made from. `resolved_version`: after a
    conflict, the version that you have seen beside yours; what you both changed is then as you send it."""

    base_version: Version
    resolved_version: Version | None = None

    def changed(self, workspace_id: str, site_id: str, user_id: str) -> PageEdit:
        """The page to store."""
        made = self.edit(workspace_id, site_id, user_id, None)
        return replace(made, base_version=self.base_version, resolved_version=self.resolved_version)


class PublishPageRequest(LazyModel):
    """Which version to publish; without one the newest."""

    model_config = STRICT

    version: Version | None = None


class BlockView(LazyModel):
    id: str
    kind: Literal["html", "component"]
    html: str
    css: str
    js: str
    component_id: str | None
    parameters: dict[str, str]
    slots: dict[str, str]


class ContentView(LazyModel):
    path: str
    title: str
    language: str | None
    seo: SeoModel
    blocks: list[BlockView]


class PageView(ContentView):
    """A page in its newest version."""

    id: str
    site_id: str
    status: Literal["draft", "published"]
    version: int
    published_version: int | None
    user_id: str
    created_at: datetime
    updated_at: datetime


class RemovalView(LazyModel):
    """What was taken out of what was sent, because pages must not contain it. `where`: html or css."""

    block_id: str | None
    what: str
    where: str


class PageEnvelope(LazyModel):
    """`merged`: the page has changes of others since the base version, too."""

    page: PageView
    removed: list[RemovalView] = []
    merged: bool = False


class PageHeadView(LazyModel):
    """A page without its blocks."""

    id: str
    site_id: str
    path: str
    title: str
    status: Literal["draft", "published"]
    version: int
    published_version: int | None
    published_path: str | None
    user_id: str
    created_at: datetime
    updated_at: datetime


class PageHeadEnvelope(LazyModel):
    page: PageHeadView


class PageHeadList(LazyModel):
    items: list[PageHeadView]
    next_cursor: str | None


def site_view(site: Site) -> SiteView:
    settings = site.settings
    redirects = [RedirectModel(path=each.path, to=each.to, permanent=each.permanent) for each in settings.redirects]
    return SiteView(
        id=site.id,
        name=site.name,
        slug=site.slug,
        domain=site.domain,
        theme=dict(site.theme),
        settings=SiteSettingsModel(
            language=settings.language,
            description=settings.description,
            image_asset_id=settings.image_asset_id,
            favicon_asset_id=settings.favicon_asset_id,
            redirects=redirects,
            scripts=settings.scripts,
            allowed_hosts=list(settings.allowed_hosts),
        ),
        version=site.version,
        user_id=site.user_id,
        created_at=site.created_at,
        updated_at=site.updated_at,
    )


def site_list(page: SitePage) -> SiteList:
    return SiteList(items=list(map(site_view, page.items)), next_cursor=cursors.encode(page.next_id))


def content_fields(content: PageContent) -> dict[str, Any]:
    """The fields of a ContentView."""
    seo = content.seo
    return {
        "path": content.path,
        "title": content.title,
        "language": content.language,
        "seo": SeoModel(
            title=seo.title, description=seo.description, image_asset_id=seo.image_asset_id, no_index=seo.no_index
        ),
        "blocks": [
            BlockView(
                id=block.id,
                kind=block.kind.value,
                html=block.html,
                css=block.css,
                js=block.js,
                component_id=block.component_id,
                parameters=dict(block.parameters),
                slots=dict(block.slots),
            )
            for block in content.blocks
        ],
    }


def page_view(page: Page) -> PageView:
    return PageView(
        **content_fields(page.content),
        id=page.id,
        site_id=page.site_id,
        status=page.status.value,
        version=page.version,
        published_version=page.published_version,
        user_id=page.user_id,
        created_at=page.created_at,
        updated_at=page.updated_at,
    )


def removal_views(removed: tuple[Removal, ...]) -> list[RemovalView]:
    return [RemovalView(block_id=each.block_id, what=each.what, where=each.where) for each in removed]


def page_envelope(saved: SavedPage) -> PageEnvelope:
    return PageEnvelope(page=page_view(saved.page), removed=removal_views(saved.removed), merged=saved.is_merged)


def head_view(head: PageHead) -> PageHeadView:
    return PageHeadView(
        id=head.id,
        site_id=head.site_id,
        path=head.path,
        title=head.title,
        status=head.status.value,
        version=head.version,
        published_version=head.published_version,
        published_path=head.published_path,
        user_id=head.user_id,
        created_at=head.created_at,
        updated_at=head.updated_at,
    )


def head_list(page: HeadPage) -> PageHeadList:
    return PageHeadList(items=list(map(head_view, page.items)), next_cursor=cursors.encode(page.next_id))
