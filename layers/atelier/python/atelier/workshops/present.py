"""Answer the requests about workshops: each function calls a use case and builds its view."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from atelier import cursors
from atelier.caller import Caller
from atelier.errors import ValidationFailed
from atelier.ids import is_id
from atelier.library.model import Asset
from atelier.workshops.attend import admitted_to
from atelier.workshops.deps import PublishedWork, WorkshopDeps
from atelier.workshops.enrol import Attendee, Enrolled, visible_workshop
from atelier.workshops.manage import Educator, own_workshop
from atelier.workshops.model import Enrolment, Workshop
from atelier.workshops.schemas import (
    AttendeeList,
    CreatedWorkshops,
    MaterialList,
    MaterialView,
    PeopleQuery,
    ReviewList,
    ShownWorkEnvelope,
    ShownWorkList,
    ShownWorkView,
    WorkshopEnvelope,
    WorkshopList,
    WorkshopQuery,
    attendee_view,
    review_view,
    workshop_view,
)
from atelier.workshops.show_works import published_of

# How somebody who spends credits is known: by the permission for it.
SPENDS = "generations.create"
MaterialUrl = Callable[[Asset, datetime], str]
FindAssets = Callable[[str, Iterable[str]], Iterable[Asset]]


def attendee_of(caller: Caller, request_key: str | None = None, seen_price: int | None = None) -> Attendee:
    """The caller as somebody who enrols."""
    return Attendee(caller.user_id, caller.workspace_id, caller.has_permission(SPENDS), request_key, seen_price)


def envelope(workshop: Workshop, mine: Enrolment | None = None) -> WorkshopEnvelope:
    """The response with one workshop."""
    return WorkshopEnvelope(workshop=workshop_view(workshop, mine))


def enrolled_envelope(done: Enrolled) -> WorkshopEnvelope:
    """The response to an enrolment, its confirmation or its end."""
    return envelope(done.workshop, done.enrolment)


def created_workshops(made: list[Workshop]) -> CreatedWorkshops:
    """The response to the creation of a workshop or a series."""
    views = list(map(workshop_view, made))
    return CreatedWorkshops(workshop=views[0], series=views if len(views) > 1 else [])


def list_workshops(deps: WorkshopDeps, caller: Caller, query: WorkshopQuery, now: datetime) -> WorkshopList:
    """A page of the workshops that the query asks for."""
    if query.scope == "enrolled":
        after = cursors.decode(query.cursor, "enrolled#")
        found, next_key = deps.store.enrolled_page(caller.user_id, after, query.limit)
        items = [workshop_view(workshop, enrolment) for workshop, enrolment in found]
        return WorkshopList(items=items, next_cursor=cursors.encode(next_key))
    if query.scope == "public":
        page = deps.store.public_page(now, _public_key(query.cursor), query.limit)
    else:
        page = deps.store.page(caller.workspace_id, cursors.decode(query.cursor, "workshop#"), query.limit)
    return WorkshopList(items=list(map(workshop_view, page.workshops)), next_cursor=cursors.encode(page.next_key))


def _public_key(cursor: str | None) -> str | None:
    """The key in a cursor of the public list. Raises ValidationFailed for one that this list never gave."""
    key = cursors.decode(cursor, "public#")
    parts = (key or "").split("#")
    if key is not None and not (len(parts) == 4 and is_id(parts[2], "wsp") and is_id(parts[3], "wks")):
        raise ValidationFailed([{"path": "query.cursor", "message": "is not a cursor of this list"}])
    return key


def read_workshop(deps: WorkshopDeps, caller: Caller, workshop_id: str) -> WorkshopEnvelope:
    """One workshop, with the caller's enrolment: of the workspace, public, or one in which the caller has enrolled.
    Raises NotFound."""
    workshop = visible_workshop(workshop_id, caller.workspace_id, deps)
    can_manage = workshop.workspace_id == caller.workspace_id and caller.has_permission("workshops.manage")
    mine = deps.store.enrolment(workshop, caller.user_id)
    is_yours = workshop.educator_id == caller.user_id
    return WorkshopEnvelope(workshop=workshop_view(workshop, mine, can_manage=can_manage, is_yours=is_yours))


def list_attendees(deps: WorkshopDeps, educator: Educator, workshop_id: str, query: PeopleQuery) -> AttendeeList:
    """A page of those who have enrolled, for the educator's workspace. Raises NotFound."""
    workshop = own_workshop(educator, workshop_id, deps)
    page = deps.store.enrolments(workshop, cursors.decode(query.cursor, "usr_"), query.limit)
    names = deps.people.names([each.user_id for each in page.enrolments])
    items = [attendee_view(each, names.get(each.user_id, "")) for each in page.enrolments]
    return AttendeeList(items=items, next_cursor=cursors.encode(page.next_key))


def list_materials(
    deps: WorkshopDeps, caller: Caller, workshop_id: str, now: datetime, *, find: FindAssets, url: MaterialUrl
) -> MaterialList:
    """The materials of a workshop, for those who are enrolled, once they are open. Raises NotFound, Forbidden."""
    workshop, opens_at = admitted_to(workshop_id, caller.user_id, caller.workspace_id, deps)
    if opens_at is not None and now < opens_at:
        return MaterialList(items=[], opens_at=opens_at)
    assets = {asset.id: asset for asset in find(workshop.workspace_id, workshop.material_ids)}
    items = [
        MaterialView(
            asset_id=asset.id, name=asset.name, type=asset.type, size_bytes=asset.size_bytes, url=url(asset, now)
        )
        for asset in (assets[id] for id in workshop.material_ids if id in assets)
    ]
    return MaterialList(items=items, opens_at=opens_at)


def list_works(
    deps: WorkshopDeps, caller: Caller, workshop_id: str, query: PeopleQuery, now: datetime
) -> ShownWorkList:
    """A page of what participants show, of a workshop that the caller may see; `limit` counts people. Raises
    NotFound."""
    workshop = visible_workshop(workshop_id, caller.workspace_id, deps)
    shown = tuple(deps.store.shown_works(workshop, cursors.decode(query.cursor, "usr_"), query.limit))
    works = published_of(shown, deps, now)
    names = deps.people.names(list({work.user_id for work in works}))
    last = shown[-1].user_id if len(shown) == query.limit else None
    items = [_work_view(work, names.get(work.user_id, "")) for work in works]
    return ShownWorkList(items=items, next_cursor=cursors.encode(last))


def work_envelope(work: PublishedWork, deps: WorkshopDeps) -> ShownWorkEnvelope:
    """The response with one shown work."""
    return ShownWorkEnvelope(work=_work_view(work, deps.people.names([work.user_id]).get(work.user_id, "")))


def _work_view(work: PublishedWork, name: str) -> ShownWorkView:
    return ShownWorkView(
        listing_id=work.listing_id,
        user_id=work.user_id,
        name=name,
        title=work.title,
        thumbnail_url=work.thumbnail_url,
    )


def list_reviews(deps: WorkshopDeps, caller: Caller, workshop_id: str, query: PeopleQuery) -> ReviewList:
    """A page of the reviews of a workshop that the caller may see. Raises NotFound."""
    workshop = visible_workshop(workshop_id, caller.workspace_id, deps)
    found = deps.store.reviews(workshop, cursors.decode(query.cursor, "usr_"), query.limit)
    names = deps.people.names([each.user_id for each in found])
    items = [review_view(each, names.get(each.user_id, "")) for each in found]
    last = found[-1].user_id if len(found) == query.limit else None
    return ReviewList(items=items, next_cursor=cursors.encode(last))
