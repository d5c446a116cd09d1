"""The requests and views of updates, for administrators of the platform."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, model_validator

from atelier import cursors
from atelier.idempotency import fingerprint
from atelier.ids import is_id
from atelier.lazy_model import LazyModel
from atelier.mails.mail import LOCALES
from atelier.notifications.model import Action
from atelier.notifications.update_ports import UpdateStore
from atelier.notifications.updates import Content, Segment, Update, UpdateState, UpdateTopic

Persona = Literal["artist", "educator", "partner", "none"]
PlatformRoleName = Literal["user", "admin"]
TierName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


def _address(text: str) -> str:
    """A path of Studio or an https address. Raises ValueError for what a browser could read as another thing."""
    is_path = text.startswith("/") and not text.startswith("//")
    if not (is_path or text.startswith("https://")) or "\\" in text:
        raise ValueError("is neither a path, such as /plan, nor an https address")
    return text


def _user_id(text: str) -> str:
    if not is_id(text, "usr"):
        raise ValueError("is no id of a user")
    return text


def _locale(text: str) -> str:
    if text not in LOCALES:
        raise ValueError(f"is none of {', '.join(LOCALES)}")
    return text


OneLine = Annotated[str, Field(min_length=3, max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$"), AfterValidator(str.strip)]


class UpdateAction(LazyModel):
    """Where an update leads."""

    model_config = ConfigDict(extra="forbid")

    label: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")]
    url: Annotated[str, Field(max_length=500, pattern=r"^[!-~]+$"), AfterValidator(_address)] = Field(
        description="A path of Studio, or an https address.", examples=["/plan"]
    )


class UpdateAudience(LazyModel):
    """To whom an update goes: one user, or everybody who fits each field that is not empty."""

    model_config = ConfigDict(extra="forbid")

    user_id: Annotated[str, AfterValidator(_user_id)] | None = None
    tiers: list[TierName] = Field(default_factory=list[str], max_length=20, description="Of the personal workspace.")
    personas: list[Persona] = Field(default_factory=list[Persona], max_length=4)
    roles: list[PlatformRoleName] = Field(default_factory=list[PlatformRoleName], max_length=2)
    locales: list[Annotated[str, AfterValidator(_locale)]] = Field(default_factory=list[str], max_length=10)
    seen_after: AwareDatetime | None = Field(default=None, description="Signed in last at or after this time.")
    seen_before: AwareDatetime | None = Field(default=None, description="Signed in last before this time.")

    @model_validator(mode="after")
    def _is_one(self) -> UpdateAudience:
        if self.user_id and len(self.model_dump(exclude_defaults=True)) > 1:
            raise ValueError("one user, or a segment")
        return self


class UpdateRequest(LazyModel):
    """What an update says, and to whom."""

    model_config = ConfigDict(extra="forbid")

    title: OneLine
    body: Annotated[str, Field(min_length=3, max_length=2000, pattern=r"^[^\x00-\x09\x0b-\x1f\x7f]*$")]
    kind: UpdateTopic = UpdateTopic.NEWS
    audience: UpdateAudience = Field(default_factory=UpdateAudience)
    action: UpdateAction | None = None
    is_action_item: bool = Field(default=False, description="It stays in the list until the person acknowledges it.")
    shown_until: AwareDatetime | None = Field(default=None, description="From then on nobody gets or sees it.")

    @property
    def content(self) -> Content:
        """The request as a value."""
        audience = {name: _tuple(value) for name, value in self.audience}
        action = Action(self.action.label, self.action.url) if self.action else None
        segment = Segment(**audience)
        return Content(segment, self.kind, self.title, self.body, action, self.is_action_item, self.shown_until)

    def fingerprint(self) -> str:
        """By which a repeated request is known."""
        return fingerprint(self.model_dump(mode="json"))


class ScheduleRequest(LazyModel):
    """When an update is sent."""

    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime


class UpdateListQuery(LazyModel):
    """A page of updates."""

    model_config = ConfigDict(extra="ignore")

    limit: int = Field(default=25, ge=1, le=50)
    cursor: Annotated[str, Field(max_length=200)] | None = None


class UpdateCountsView(LazyModel):
    """How many people got an update, and how many of these have read and acknowledged it."""

    sent: int
    read: int
    acknowledged: int


class UpdateEntry(LazyModel):
    """One update."""

    id: str
    state: UpdateState
    title: str
    body: str
    kind: UpdateTopic
    audience: UpdateAudience
    action: UpdateAction | None
    is_action_item: bool
    shown_until: datetime | None
    send_at: datetime | None
    created_by: str
    created_at: datetime
    updated_at: datetime


class UpdateEnvelope(LazyModel):
    """One update."""

    update: UpdateEntry


class UpdateDetails(LazyModel):
    """One update with what became of it."""

    update: UpdateEntry
    counts: UpdateCountsView


class UpdateList(LazyModel):
    """A page of updates, newest first."""

    items: list[UpdateEntry]
    next_cursor: str | None


def update_entry(update: Update) -> UpdateEntry:
    """The view of an update."""
    content, segment = update.content, update.content.segment
    names = UpdateAudience.model_fields
    audience: dict[str, Any] = {name: _list(getattr(segment, name)) for name in names}
    action = {"label": content.action.label, "url": content.action.url} if content.action else None
    return UpdateEntry.model_validate(
        {
            "id": update.id,
            "state": update.state,
            "title": content.title,
            "body": content.body,
            "kind": content.topic,
            "audience": audience,
            "action": action,
            "is_action_item": content.is_action_item,
            "shown_until": content.shown_until,
            "send_at": update.send_at,
            "created_by": update.created_by,
            "created_at": update.created_at,
            "updated_at": update.updated_at,
        }
    )


def update_envelope(update: Update) -> UpdateEnvelope:
    """The response with one update."""
    return UpdateEnvelope(update=update_entry(update))


def update_details(update_id: str, *, store: UpdateStore) -> UpdateDetails:
    """The response with an update and its counts. Raises NotFound."""
    update, counts = store.get(update_id), store.counts(update_id)
    view = UpdateCountsView(sent=counts.sent, read=counts.read, acknowledged=counts.acknowledged)
    return UpdateDetails(update=update_entry(update), counts=view)


def update_list(query: UpdateListQuery, *, store: UpdateStore) -> UpdateList:
    """A page of updates. Raises ValidationFailed for a cursor of another list."""
    page = store.list(cursors.decode(query.cursor, "upd_"), query.limit)
    return UpdateList(items=list(map(update_entry, page.updates)), next_cursor=cursors.encode(page.next_id))


def request_key(key: str | None, request: UpdateRequest) -> tuple[str, str] | None:
    """The idempotency key of a request with its fingerprint."""
    return (key, request.fingerprint()) if key is not None else None


def _tuple(value: Any) -> Any:
    return tuple(cast("list[Any]", value)) if isinstance(value, list) else value


def _list(value: Any) -> Any:
    return list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else value
