"""Operations for administrators of the platform: dead letters, jobs, and providers."""

from __future__ import annotations

from functools import partial

from atelier.dead_letters import handle
from atelier.dead_letters.schemas import (
    DeadLetterList,
    DeadLetterQueueList,
    DropRequest,
    LettersQuery,
    MovedView,
    RedriveRequest,
    letter_list,
    moved_view,
    queue_list,
    queue_named,
)
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.jobs.run_job import JobList, StartedView, run_job
from atelier.jobs.run_job import list_jobs as list_all_jobs
from atelier.routing.switch_provider import switch_off, switch_on
from atelier.routing.switch_schemas import (
    AdminHealthEnvelope,
    AdminHealthList,
    SwitchOffRequest,
    SwitchOnRequest,
    admin_health,
    admin_health_list,
)
from atelier.wiring import auth, dead_letters, jobs, switches

api = Api("admin", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
read = partial(api.route, "GET", permission="platform.read")
act = partial(api.route, "POST", permission="platform.act", step_up=True)
QUEUE, PROVIDER = "/api/admin/dead-letters/<queue>", "/api/admin/providers/<provider>"


@read("/api/admin/dead-letters", answer=DeadLetterQueueList)
def list_dead_letter_queues(request: Request[Empty]) -> Response:
    """Count the dead letters of each queue."""
    return Response(queue_list(handle.count_letters(deps=dead_letters.deps())))


@read(QUEUE, query=LettersQuery, answer=DeadLetterList, errors=(404,))
def list_dead_letters(request: Request[Empty]) -> Response:
    """Read dead letters of a queue; they stay there."""
    queue = queue_named(request.path["queue"])
    return Response(letter_list(handle.read_letters(queue, request.query.limit, deps=dead_letters.deps())))


@act(f"{QUEUE}/redrive", body=RedriveRequest, answer=MovedView, errors=(404, 409))
def redrive_dead_letters(request: Request[RedriveRequest]) -> Response:
    """Send dead letters again to where they failed, some or all."""
    queue, ids = queue_named(request.path["queue"]), request.body.ids
    moved = handle.redrive(queue, ids, request.origin, deps=dead_letters.deps(), now=request.now)
    return Response(moved_view(moved))


@act(f"{QUEUE}/drop", body=DropRequest, answer=MovedView, errors=(404,))
def drop_dead_letters(request: Request[DropRequest]) -> Response:
    """Drop dead letters that have no use any more, with a reason."""
    queue, body = queue_named(request.path["queue"]), request.body
    moved = handle.drop(queue, body.ids, body.reason, request.origin, deps=dead_letters.deps(), now=request.now)
    return Response(moved_view(moved))


@read("/api/admin/providers", answer=AdminHealthList)
def list_provider_health(request: Request[Empty]) -> Response:
    """List the health of the platform's providers, and of their models that failed or were switched off."""
    return Response(admin_health_list(switches.providers(), switches.store().read(None), request.now))


@act(f"{PROVIDER}/switch-off", body=SwitchOffRequest, answer=AdminHealthEnvelope, errors=(404, 409, 503))
def switch_provider_off(request: Request[SwitchOffRequest]) -> Response:
    """Use a provider or one of its models no more for some hours; what has begun goes on. Own keys stay usable."""
    wanted = request.body.wanted(request.path["provider"])
    health = switch_off(wanted, request.origin, deps=switches.deps(), now=request.now)
    return Response(admin_health(health, request.now))


@act(f"{PROVIDER}/switch-on", body=SwitchOnRequest, answer=AdminHealthEnvelope, errors=(404, 409, 503))
def switch_provider_on(request: Request[SwitchOnRequest]) -> Response:
    """Use a provider or one of its models again at once: its circuit closes."""
    provider, model = request.path["provider"], request.body.model
    health = switch_on(provider, model, request.origin, deps=switches.deps(), now=request.now)
    return Response(admin_health(health, request.now))


@read("/api/admin/jobs", answer=JobList)
def list_jobs(request: Request[Empty]) -> Response:
    """List the jobs that schedules run, with the last and the next run of each."""
    return Response(list_all_jobs(deps=jobs.deps(), now=request.now))


@act("/api/admin/jobs/<job>/run", answer=StartedView, statuses=(202,), errors=(404,))
def start_job(request: Request[Empty]) -> Response:
    """Run a job now, beside its schedule."""
    started = run_job(request.path["job"], request.origin, deps=jobs.deps(), now=request.now)
    return Response(started, status=202)
