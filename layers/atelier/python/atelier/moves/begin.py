"""Begin the move of a project: check who may, take the project out of the source, and reserve its place at the target.

What follows is done by `go_on.py`, which the record of the move starts.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from atelier.dataclass import dataclass
from atelier.errors import Conflict, Forbidden, NotFound
from atelier.identity.permissions import Role
from atelier.moves.model import Move, Step, move_events
from atelier.moves.ports import Members, MoveStore, NotOwner, StaleMove, Workspaces
from atelier.moves.reserve import ReserveDeps, reserve
from atelier.projects.manage import PROJECT_BUSY, TRIES_MAX, read_project
from atelier.projects.ports import ProjectsFull, ProjectStore
from atelier.retrying import retrying

if TYPE_CHECKING:
    from atelier.audit_log.model import Origin
    from atelier.caller import Caller
    from atelier.catalogue.quotas import Quota, QuotaName

NO_WORKSPACE = "There is no such workspace."
KINDS = "Only projects of a personal workspace can be moved, and only into an organisation."
NO_OWNER = "Only an owner of both workspaces may move a project."


@dataclass(frozen=True, slots=True)
class BeginDeps:
    """The dependencies of beginning a move. quota_of(name, workspace_id, now): a quota of a workspace."""

    moves: MoveStore
    projects: ProjectStore
    workspaces: Workspaces
    members: Members
    quota_of: Callable[[QuotaName, str, datetime], Quota]


def begin_move(
    caller: Caller, project_id: str, target_id: str, origin: Origin, *, deps: BeginDeps, now: datetime
) -> Move:
    """Begin the move of a project of the caller's personal workspace into an organisation that the caller owns, and
    return it. Repeated, it returns the move as it is now, and lets it go on.

    Raises NotFound for a project or a target that the caller does not have; Forbidden for somebody who is not an owner
    of the target; Conflict while generations of the project are under way, when the project goes or went somewhere
    else, and for workspaces of other kinds; QuotaExceeded when the target has no room; Unavailable."""
    _check_target(caller, target_id, deps)

    def attempt() -> Move:
        known = deps.moves.get(caller.workspace_id, project_id)
        if known is None:
            try:
                return _begin(caller, project_id, target_id, origin, deps, now)
            except NotFound:
                # A parallel request may have begun the move since the record was read.
                known = deps.moves.get(caller.workspace_id, project_id)
                if known is None:
                    raise
        return _known(known, target_id, origin, deps, now)

    return retrying(attempt, on=StaleMove, busy=PROJECT_BUSY, tries_max=TRIES_MAX)


def _check_target(caller: Caller, target_id: str, deps: BeginDeps) -> None:
    """Raises NotFound, Forbidden or Conflict unless the caller may move projects from here to the target."""
    if target_id == caller.workspace_id or deps.workspaces.profile(caller.workspace_id).kind != "personal":
        raise Conflict(KINDS)
    role = deps.members.role(caller.user_id, target_id)
    if role is None:
        raise NotFound(NO_WORKSPACE)
    target = deps.workspaces.profile(target_id)
    if target.deleted_at is not None:
        raise NotFound(NO_WORKSPACE)
    if role is not Role.OWNER:
        raise Forbidden(NO_OWNER, permission="projects.move")
    if target.settings.require_mfa and not caller.has_mfa:
        raise Forbidden("This organisation wants its members to sign in with a second factor.", reason="mfa_required")
    if target.kind != "organization":
        raise Conflict(KINDS)


def _known(move: Move, target_id: str, origin: Origin, deps: BeginDeps, now: datetime) -> Move:
    if move.target_id != target_id:
        state = "was moved" if move.is_done else "is being moved"
        raise Conflict(f"This project {state} to another workspace.", workspace_id=move.target_id)
    if move.step is Step.RESERVING:
        return reserve(move, origin, deps=ReserveDeps(deps.moves, deps.quota_of), now=now)
    if not move.is_done:
        deps.moves.touch(move)
    return move


def _begin(caller: Caller, project_id: str, target_id: str, origin: Origin, deps: BeginDeps, now: datetime) -> Move:
    # The budget is read before the generations: it counts those that were ever opened, and the write requires the
    # count, so none was opened meanwhile.
    project, budget = read_project(caller.workspace_id, project_id, projects=deps.projects)
    under_way = deps.moves.count_under_way(caller.workspace_id, project_id, now)
    if under_way:
        text = f"{under_way} generations of this project are under way. Wait for their end, or cancel them."
        raise Conflict(text, open_generations=under_way)
    move = Move(project_id, caller.workspace_id, target_id, caller.user_id, now)
    quota = deps.quota_of("projects", target_id, now)
    try:
        events = move_events(move, "project.move_started", origin, now)
        deps.moves.begin(move, project, budget, quota.limit, events)
    except ProjectsFull as full:
        raise quota.exceeded(full.used) from None
    except NotOwner:
        raise Forbidden(NO_OWNER, permission="projects.move") from None
    return reserve(move, origin, deps=ReserveDeps(deps.moves, deps.quota_of), now=now)
