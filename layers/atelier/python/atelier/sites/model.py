"""Sites, pages and parts: their values. Immutable, no side effects.

A *part* is a component or a section: blocks that many pages of an organisation use. A *block* is one piece of a page:
HTML with its CSS and JavaScript, or the use of a part. A save makes a new *version* of a page; publishing a page names
the version that the next deployment shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from atelier.dataclass import dataclass


class BlockKind(StrEnum):
    HTML = "html"
    # The use of a part, with the values of its parameters and the HTML of its slots.
    COMPONENT = "component"


class PartKind(StrEnum):
    COMPONENT = "component"
    SECTION = "section"


class PageStatus(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a page. id: the same in all versions of the page. html, css, js: sanitised. component_id,
    parameters, slots: of the kind `component` only; slots holds sanitised HTML by the slot's name."""

    id: str
    kind: BlockKind
    html: str = ""
    css: str = ""
    js: str = ""
    component_id: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    slots: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Seo:
    """What search engines and link previews read. image_asset_id: an image of the library. no_index: search engines are
    asked to leave the page out."""

    title: str = ""
    description: str = ""
    image_asset_id: str | None = None
    no_index: bool = False


@dataclass(frozen=True, slots=True)
class PageContent:
    """What one version of a page says. path: begins with `/`, unique in the site. language: a BCP 47 tag; None = the
    site's."""

    path: str
    title: str
    blocks: tuple[Block, ...] = ()
    seo: Seo = Seo()
    language: str | None = None


@dataclass(frozen=True, slots=True)
class PageHead:
    """What lists and rules need of a page, without its blocks. version: the newest one, which title and path are of.
    revision: counts all changes, publications too. published_version, published_path: None = the next deployment does
    not show the page. parts, published_parts: the ids of the parts that the newest and the published version use.
    was_published: the newest version was published at some time."""

    id: str
    workspace_id: str
    site_id: str
    path: str
    title: str
    version: int
    revision: int
    created_at: datetime
    updated_at: datetime
    user_id: str
    parts: tuple[str, ...] = ()
    published_version: int | None = None
    published_path: str | None = None
    published_parts: tuple[str, ...] = ()
    was_published: bool = False

    @property
    def status(self) -> PageStatus:
        """Whether the next deployment shows the page."""
        return PageStatus.DRAFT if self.published_version is None else PageStatus.PUBLISHED

    @property
    def paths(self) -> frozenset[str]:
        """The paths that no other page of the site may have."""
        return frozenset({self.path} if self.published_path is None else {self.path, self.published_path})

    @property
    def used_parts(self) -> frozenset[str]:
        """The parts that cannot be removed because of this page."""
        return frozenset(self.parts) | frozenset(self.published_parts)


@dataclass(frozen=True, slots=True)
class Page:
    """A page in its newest version. published_version: None = it is not shown by the next deployment."""

    id: str
    workspace_id: str
    site_id: str
    content: PageContent
    version: int
    created_at: datetime
    updated_at: datetime
    user_id: str
    published_version: int | None = None

    @property
    def status(self) -> PageStatus:
        """Whether the next deployment shows the page."""
        return PageStatus.DRAFT if self.published_version is None else PageStatus.PUBLISHED


@dataclass(frozen=True, slots=True)
class PageVersion:
    """A saved version of a page. generation_id: the generation that wrote it; None = a person did."""

    page_id: str
    number: int
    content: PageContent
    user_id: str
    created_at: datetime
    note: str = ""
    generation_id: str | None = None
    was_published: bool = False


@dataclass(frozen=True, slots=True)
class PartParameter:
    """A value that each use of a part may set. In the part's HTML and CSS it is `{{ name }}`, escaped."""

    name: str
    default: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A component or a section of a workspace, usable in all its sites. In its HTML, `<slot name="…">` marks where a
    use puts its own HTML; what the slot contains is shown when a use has none."""

    id: str
    workspace_id: str
    kind: PartKind
    name: str
    html: str
    version: int
    created_at: datetime
    updated_at: datetime
    user_id: str
    category: str = ""
    css: str = ""
    js: str = ""
    parameters: tuple[PartParameter, ...] = ()
    slots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PartVersion:
    """A saved version of a part."""

    part: Part
    note: str = ""


@dataclass(frozen=True, slots=True)
class PartUse:
    """A page that uses a part, in its newest version (in_draft), in its published one, or in both."""

    part_id: str
    page_id: str
    site_id: str
    in_draft: bool
    is_published: bool


@dataclass(frozen=True, slots=True)
class NamedUse:
    """A use with the names that people know; None = the site or the page is not there any more."""

    use: PartUse
    site_name: str | None
    page_title: str | None
    page_path: str | None


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody says about a page. block_id: the block that it is about; None = the page. page_version: what the
    author saw. reply_to: the first comment of the thread; None = it is the first one, which alone can be resolved.
    mentions: the members who are told."""

    id: str
    workspace_id: str
    site_id: str
    page_id: str
    user_id: str
    body: str
    page_version: int
    created_at: datetime
    updated_at: datetime
    block_id: str | None = None
    reply_to: str | None = None
    mentions: tuple[str, ...] = ()
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Redirect:
    """A path that moved. to: a path of the site, or an https URL."""

    path: str
    to: str
    permanent: bool = True


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """description, image_asset_id: defaults for pages without their own. scripts: pages may have scripts of their own,
    where the tier includes it. allowed_hosts: the hosts that pages may load images, media and fonts from, beside the
    workspace's own library."""

    language: str = "en"
    description: str = ""
    image_asset_id: str | None = None
    favicon_asset_id: str | None = None
    redirects: tuple[Redirect, ...] = ()
    scripts: bool = False
    allowed_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """A site of a workspace. slug: unique in the deployment. domain: the owner's own, such as `www.example.org`. theme:
    design tokens by name, such as `color-text: #222`; each is a CSS variable `--name` in all pages."""

    id: str
    workspace_id: str
    user_id: str
    name: str
    slug: str
    version: int
    created_at: datetime
    updated_at: datetime
    domain: str | None = None
    theme: Mapping[str, str] = field(default_factory=dict[str, str])
    settings: SiteSettings = SiteSettings()


@dataclass(frozen=True, slots=True)
class PublishedPage:
    """A page in its published version."""

    id: str
    version: int
    content: PageContent
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class PublishedSite:
    """Everything that a deployment renders, read once and never changed: the site, its published pages sorted by path,
    and the parts that they use, by id."""

    site: Site
    pages: tuple[PublishedPage, ...]
    parts: Mapping[str, Part]
