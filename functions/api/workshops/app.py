"""Workshops over HTTP: what educators do with them, and what attendees do."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.wiring import auth, workshops
from atelier.workshops import attend, enrol, manage, present, show_works
from atelier.workshops.manage import Educator
from atelier.workshops.schemas import (
    AttendanceRequest,
    AttendeeEnvelope,
    AttendeeList,
    ChangeWorkshopRequest,
    CreatedWorkshops,
    CreateWorkshopRequest,
    MaterialList,
    PeopleQuery,
    PlaceRequest,
    ReviewEnvelope,
    ReviewList,
    ReviewRequest,
    ShownWorkEnvelope,
    ShownWorkList,
    WorkshopEnvelope,
    WorkshopList,
    WorkshopQuery,
    attendee_view,
    review_view,
)

api = Api("workshops", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
CALENDAR_TYPE = "text/calendar"
PATH, ONE = "/api/workshops", "/api/workshops/<workshop_id>"
read = partial(api.route, "GET", permission="workshops.read", errors=(403, 404))
manages = partial(api.route, permission="workshops.manage", errors=(403, 404, 409, 503))
attends = partial(
    api.route, "POST", permission="workshops.enrol", answer=WorkshopEnvelope, errors=(402, 403, 404, 409, 503)
)

shows = partial(api.route, permission="workshops.enrol", errors=(403, 404, 409, 503))


@read(PATH, query=WorkshopQuery, answer=WorkshopList)
def list_workshops(request: Request[Empty]) -> Response:
    """List workshops: of the workspace, public ones, or those in which you have enrolled."""
    return Response(present.list_workshops(workshops.deps(), request.caller, request.query, request.now))


@manages("POST", PATH, body=CreateWorkshopRequest, answer=CreatedWorkshops, statuses=(201,))
def create_workshop(request: Request[CreateWorkshopRequest]) -> Response:
    """Create a workshop as a draft, or a series of them."""
    body, key, deps = request.body, request.idempotency_key, workshops.deps()
    made, replayed = manage.create_workshops(
        _educator(request), body.fields, body.repetition, key, deps=deps, now=request.now
    )
    return created(f"{PATH}/{made[0].id}", present.created_workshops(made), replayed=replayed)


@read(ONE, answer=WorkshopEnvelope)
def get_workshop(request: Request[Empty]) -> Response:
    """Get one workshop, with your enrolment."""
    return Response(present.read_workshop(workshops.deps(), request.caller, _id(request)))


@manages("PUT", ONE, body=ChangeWorkshopRequest, answer=WorkshopEnvelope)
def change_workshop(request: Request[ChangeWorkshopRequest]) -> Response:
    """Change the fields that the body names, before the workshop starts."""
    change = request.body.change
    after = manage.change_workshop(_educator(request), _id(request), change, deps=workshops.deps(), now=request.now)
    return Response(present.envelope(after))


@manages("POST", f"{ONE}/schedule", answer=WorkshopEnvelope)
def schedule_workshop(request: Request[Empty]) -> Response:
    """Let people enrol."""
    after = manage.schedule_workshop(_educator(request), _id(request), deps=workshops.deps(), now=request.now)
    return Response(present.envelope(after))


@manages("POST", f"{ONE}/complete", answer=WorkshopEnvelope)
def complete_workshop(request: Request[Empty]) -> Response:
    """Say that the workshop has taken place."""
    after = manage.complete_workshop(_educator(request), _id(request), deps=workshops.deps(), now=request.now)
    return Response(present.envelope(after))


@manages("POST", f"{ONE}/cancel", answer=WorkshopEnvelope)
def cancel_workshop(request: Request[Empty]) -> Response:
    """Cancel the workshop before its start; every fee goes back in full."""
    after = manage.cancel_workshop(_educator(request), _id(request), deps=workshops.deps(), now=request.now)
    return Response(present.envelope(after))


@attends(f"{ONE}/enrol", body=PlaceRequest, statuses=(201,))
def enrol_in_workshop(request: Request[PlaceRequest]) -> Response:
    """Enrol: take a place, or one in the wait list. The workspace of the request pays the fee."""
    attendee = present.attendee_of(request.caller, request.idempotency_key, request.body.price_credits)
    done = enrol.enrol(_id(request), attendee, deps=workshops.deps(), now=request.now)
    return created(f"{PATH}/{done.workshop.id}", present.enrolled_envelope(done), replayed=done.replayed)


@attends(f"{ONE}/confirm", body=PlaceRequest)
def confirm_place(request: Request[PlaceRequest]) -> Response:
    """Take the place that is offered to you, within 24 hours."""
    attendee = present.attendee_of(request.caller, seen_price=request.body.price_credits)
    done = enrol.confirm(_id(request), attendee, deps=workshops.deps(), now=request.now)
    return Response(present.enrolled_envelope(done))


@attends(f"{ONE}/withdraw")
def withdraw_from_workshop(request: Request[Empty]) -> Response:
    """End your enrolment; `refund_rules` say what comes back of the fee."""
    attendee = present.attendee_of(request.caller)
    done = enrol.withdraw(_id(request), attendee, deps=workshops.deps(), now=request.now)
    return Response(present.enrolled_envelope(done))


@manages("GET", f"{ONE}/attendees", query=PeopleQuery, answer=AttendeeList)
def list_attendees(request: Request[Empty]) -> Response:
    """List those who have enrolled, for the educator's workspace."""
    return Response(present.list_attendees(workshops.deps(), _educator(request), _id(request), request.query))


@manages("PUT", f"{ONE}/attendees/<user_id>", body=AttendanceRequest, answer=AttendeeEnvelope)
def mark_attendance(request: Request[AttendanceRequest]) -> Response:
    """Note whether somebody has attended."""
    user_id, attended, deps = request.path_id("user_id", "usr"), request.body.attended, workshops.deps()
    marked = attend.mark_attendance(
        _educator(request), _id(request), user_id, attended=attended, deps=deps, now=request.now
    )
    name = deps.people.names([user_id]).get(user_id, "")
    return Response(AttendeeEnvelope(attendee=attendee_view(marked, name)))


@read(f"{ONE}/materials", answer=MaterialList)
def list_materials(request: Request[Empty]) -> Response:
    """List the materials, with signed URLs, for those who are enrolled."""
    find, url = workshops.find_assets, workshops.material_url
    deps, caller, now = workshops.deps(), request.caller, request.now
    return Response(present.list_materials(deps, caller, _id(request), now, find=find, url=url))


@read(f"{ONE}/calendar.ics", files=(CALENDAR_TYPE,))
def get_calendar_file(request: Request[Empty]) -> Response:
    """The workshop as a file for calendars; read again later, it changes or cancels the entry."""
    caller = request.caller
    file = attend.calendar_file(_id(request), caller.user_id, caller.workspace_id, workshops.deps())
    name = {"Content-Disposition": 'attachment; filename="workshop.ics"'}
    return Response(file, headers={"Content-Type": f"{CALENDAR_TYPE}; charset=utf-8", **name})


@read(f"{ONE}/reviews", query=PeopleQuery, answer=ReviewList)
def list_reviews(request: Request[Empty]) -> Response:
    """List what attendees say of the workshop."""
    return Response(present.list_reviews(workshops.deps(), request.caller, _id(request), request.query))


@read(f"{ONE}/works", query=PeopleQuery, answer=ShownWorkList)
def list_works(request: Request[Empty]) -> Response:
    """List the published works that participants show with the workshop."""
    return Response(present.list_works(workshops.deps(), request.caller, _id(request), request.query, request.now))


@shows("PUT", f"{ONE}/works/<listing_id>", answer=ShownWorkEnvelope)
def show_work(request: Request[Empty]) -> Response:
    """Show a published work of your own with a workshop that you attended."""
    deps, user_id, listing_id = workshops.deps(), request.caller.user_id, request.path_id("listing_id", "lst")
    work = show_works.show_work(_id(request), user_id, listing_id, deps=deps, now=request.now)
    return Response(present.work_envelope(work, deps))


@shows("DELETE", f"{ONE}/works/<listing_id>", statuses=(204,))
def take_off_work(request: Request[Empty]) -> Response:
    """Show a work of yours no more; the educator may take off anybody's."""
    deps, caller, listing_id = workshops.deps(), request.caller, request.path_id("listing_id", "lst")
    show_works.take_off_work(_id(request), caller, listing_id, deps=deps, now=request.now)
    return Response(status=204)


@api.route(
    "PUT",
    f"{ONE}/review",
    permission="workshops.enrol",
    body=ReviewRequest,
    answer=ReviewEnvelope,
    errors=(403, 404, 503),
)
def write_review(request: Request[ReviewRequest]) -> Response:
    """Say how you liked a workshop that you attended."""
    deps, user_id, body, check = workshops.deps(), request.caller.user_id, request.body, workshops.check_review
    review = attend.write_review(_id(request), user_id, body.stars, body.text, check=check, deps=deps, now=request.now)
    return Response(ReviewEnvelope(review=review_view(review, deps.people.names([user_id]).get(user_id, ""))))


def _educator(request: Request[Any]) -> Educator:
    return Educator(request.caller.workspace_id, request.caller.user_id, request.origin)


def _id(request: Request[Any]) -> str:
    return request.path_id("workshop_id", "wks")
