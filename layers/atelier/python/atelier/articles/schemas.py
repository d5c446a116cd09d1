"""HTTP schemas of articles: requests, and what those who write see. What the public sees is in public_schemas.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, ValidationError, model_validator

from atelier.articles.model import (
    ASSETS_MAX,
    BODY_CHARACTERS_MAX,
    LOCALE,
    RELATED_MAX,
    SLUG,
    SLUG_CHARACTERS_MAX,
    TAGS_MAX,
    Article,
    ArticleContent,
    ArticleKind,
    ArticleStatus,
    ArticleVersion,
    EditorialSettings,
)
from atelier.articles.save_article import NewArticle, SavedArticle
from atelier.errors import ValidationFailed
from atelier.lazy_model import LazyModel

_LINE = r"^[^\x00-\x1f\x7f]*$"
Title = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
Slug = Annotated[str, Field(max_length=SLUG_CHARACTERS_MAX, pattern=SLUG, examples=["light-in-film"])]
Summary = Annotated[str, Field(max_length=500)]
Body = Annotated[str, Field(max_length=BODY_CHARACTERS_MAX, description="Markdown; images as `asset:ast_…`.")]
Tag = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[^\x00-\x20\x7f,#][^\x00-\x1f\x7f,#]*$")]
AssetId = Annotated[str, Field(pattern=r"^ast_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
ArticleId = Annotated[str, Field(pattern=r"^art_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
Locale = Annotated[str, Field(pattern=LOCALE, examples=["en", "de-CH"])]
Note = Annotated[str, Field(max_length=200, pattern=_LINE)]
Cursor = Annotated[str, Field(max_length=300)]
Number = Annotated[int, Field(ge=1, le=10**7)]


def _within_reach(at: datetime) -> datetime:
    if not 2000 <= at.year < 2200:
        raise ValueError("must be a time of this century or the next one")
    return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)


Instant = Annotated[AwareDatetime, AfterValidator(_within_reach)]


class ArticleFields(LazyModel):
    """What people write. slug: made of the title without one. author: the byline."""

    model_config = ConfigDict(extra="forbid")

    title: Title
    slug: Slug | None = None
    summary: Summary = ""
    body: Body = ""
    tags: list[Tag] = Field(default_factory=list[str], max_length=TAGS_MAX)
    author: Annotated[str, Field(max_length=100, pattern=_LINE)] = ""
    cover_id: AssetId | None = None
    asset_ids: list[AssetId] = Field(default_factory=list[str], max_length=ASSETS_MAX)
    related_ids: list[ArticleId] = Field(default_factory=list[str], max_length=RELATED_MAX)

    @property
    def content(self) -> ArticleContent:
        """The content; without a slug where none was given."""
        return ArticleContent(
            self.title.strip(),
            self.slug or "",
            self.summary,
            self.body,
            _distinct(self.tags),
            self.author,
            self.cover_id,
            _distinct(self.asset_ids),
            _distinct(self.related_ids),
        )


class _WithFile(LazyModel):
    """A request whose content is in fields, or in a Markdown file."""

    model_config = ConfigDict(extra="forbid")

    fields: ArticleFields | None = None
    file: str | None = Field(
        default=None,
        max_length=BODY_CHARACTERS_MAX + 12_000,
        description="A Markdown file with front matter, in place of `fields`: YAML with the same names.",
    )
    note: Note = Field(default="", description="Why this version was made.")

    @model_validator(mode="after")
    def _has_one(self) -> _WithFile:
        if (self.fields is None) == (self.file is None):
            raise ValueError("give either `fields` or `file`")
        return self

    @property
    def content(self) -> ArticleContent:
        """The content. Raises ValidationFailed for a file that is none."""
        if self.fields is not None:
            return self.fields.content
        from atelier.articles.front_matter import read_front_matter

        try:
            return ArticleFields.model_validate(read_front_matter(self.file or "")).content
        except ValidationError as error:
            raise ValidationFailed.of_model(error) from error


class CreateArticleRequest(_WithFile):
    """A new article, as a draft."""

    kind: ArticleKind = ArticleKind.ARTICLE
    locale: Locale | None = Field(default=None, description="Without one: the deployment's.")
    translation_of: ArticleId | None = None

    @property
    def new(self) -> NewArticle:
        """What is created."""
        return NewArticle(self.kind, self.locale, self.content, self.translation_of, self.note)


class SaveArticleRequest(_WithFile):
    """The next version. base_version: the version that it was made from."""

    base_version: Number


class VersionRequest(LazyModel):
    """Which version; without one, the newest."""

    model_config = ConfigDict(extra="forbid")

    version: Number | None = None


class ApproveRequest(LazyModel):
    """The version that was read."""

    model_config = ConfigDict(extra="forbid")

    version: Number


class SchedulePublicationRequest(VersionRequest):
    """When a version is published."""

    at: Instant


class RestoreArticleRequest(LazyModel):
    """base_version: the version that is newest now, as far as the caller knows."""

    model_config = ConfigDict(extra="forbid")

    base_version: Number | None = None


class EditorialArticleQuery(LazyModel):
    model_config = ConfigDict(extra="ignore")

    status: ArticleStatus | None = None
    limit: int = Field(default=25, ge=1, le=50)
    cursor: Cursor | None = None


class VersionQuery(LazyModel):
    model_config = ConfigDict(extra="ignore")

    below: Number | None = None
    limit: int = Field(default=25, ge=1, le=50)


class ArticleDiffQuery(LazyModel):
    """to: without one, the newest."""

    model_config = ConfigDict(extra="ignore")

    from_: Number = Field(alias="from")
    to: Number | None = None


class EditorialRequest(LazyModel):
    """What the deployment does with articles. All fields are replaced."""

    model_config = ConfigDict(extra="forbid")

    workspace_id: Annotated[str, Field(pattern=r"^wsp_[0-7][0-9A-HJKMNP-TV-Z]{25}$")] | None = None
    needs_review: bool = False
    locale: Locale = "en"
    title: Annotated[str, Field(min_length=1, max_length=100, pattern=_LINE)] = "Atelier"
    integration_id: Annotated[str, Field(pattern=r"^int_[0-7][0-9A-HJKMNP-TV-Z]{25}$")] | None = Field(
        default=None, description="An access to an editorial system elsewhere: its articles are read in place of ours."
    )

    @property
    def settings(self) -> EditorialSettings:
        """The settings that are wanted."""
        return EditorialSettings(
            self.workspace_id,
            needs_review=self.needs_review,
            locale=self.locale,
            title=self.title,
            integration_id=self.integration_id,
        )


class EditorialEnvelope(LazyModel):
    """What the deployment does with articles."""

    workspace_id: str | None
    source: str
    needs_review: bool
    locale: str
    title: str
    integration_id: str | None
    sync_due_at: datetime | None = Field(description="When the system elsewhere is read next.")


class EditorialWebhook(LazyModel):
    """What is entered at the editorial system, so that its changes are seen within a minute."""

    url: str
    secret: str


class ArticleHeadView(LazyModel):
    """An article for those who write. version: the newest one; published_version: the one that the public sees."""

    id: str
    kind: ArticleKind
    locale: str
    group_id: str
    status: ArticleStatus
    title: str
    slug: str
    version: int
    published_version: int | None
    published_at: datetime | None
    scheduled_version: int | None
    scheduled_at: datetime | None
    review_of: int | None
    approved_by: str | None
    user_id: str
    created_at: datetime
    updated_at: datetime


class DraftView(ArticleHeadView):
    """An article with its newest version."""

    summary: str
    body: str
    tags: list[str]
    author: str
    cover_id: str | None
    asset_ids: list[str]
    related_ids: list[str]
    note: str


class RemovedView(LazyModel):
    """Something of the body that is not shown, such as an image of another host."""

    what: str


class DraftEnvelope(LazyModel):
    article: DraftView
    removed: list[RemovedView] = Field(default_factory=list[RemovedView])


class ArticleHeadEnvelope(LazyModel):
    article: ArticleHeadView


class DraftList(LazyModel):
    """is_editorial: whether articles are written in this workspace. needs_review: what is published has to be approved
    by another person."""

    is_editorial: bool
    needs_review: bool
    items: list[ArticleHeadView]
    next_cursor: str | None


class VersionView(LazyModel):
    """A version, without its body."""

    number: int
    title: str
    user_id: str
    created_at: datetime
    note: str


class VersionList(LazyModel):
    """next_below: the next page, as `below`; null on the last one."""

    items: list[VersionView]
    next_below: int | None


class ArticleDiff(LazyModel):
    """What differs between two versions. fields: names with both values; lines: a unified diff of the body."""

    from_version: int
    to_version: int
    fields: list[dict[str, Any]]
    lines: list[str]


class ArticlePreviewEnvelope(LazyModel):
    """A signed address that shows a version to whoever has it."""

    url: str
    token: str
    version: int
    expires_at: datetime


def head_view(article: Article) -> ArticleHeadView:
    """An article for those who write."""
    return ArticleHeadView(**_head_facts(article))


def draft_envelope(saved: SavedArticle) -> DraftEnvelope:
    """An article with its newest version for those who write."""
    facts: dict[str, Any] = {**_head_facts(saved.article), **_content_facts(saved.version)}
    removed = [RemovedView(what=each.what) for each in saved.removed]
    return DraftEnvelope(article=DraftView(**facts), removed=removed)


def version_view(version: ArticleVersion) -> VersionView:
    """A version for those who write."""
    return VersionView(
        number=version.number,
        title=version.content.title,
        user_id=version.user_id,
        created_at=version.created_at,
        note=version.note,
    )


def settings_view(settings: EditorialSettings) -> EditorialEnvelope:
    """The settings for administrators."""
    return EditorialEnvelope(**{name: getattr(settings, name) for name in EditorialEnvelope.model_fields})


def _head_facts(article: Article) -> dict[str, Any]:
    return {name: getattr(article, name) for name in ArticleHeadView.model_fields}


def _content_facts(version: ArticleVersion) -> dict[str, Any]:
    content = version.content
    lists = {name: list(getattr(content, name)) for name in ("tags", "asset_ids", "related_ids")}
    texts = {name: getattr(content, name) for name in ("summary", "body", "author", "cover_id")}
    return {**texts, **lists, "note": version.note}


def _distinct(values: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
