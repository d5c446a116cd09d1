"""Continue a move until its end. The stream of the library's table starts this for each write of a move's record, so
whatever dies, the next delivery goes on from the stored step.

The order is such that nothing is lost and nothing is seen half: a file is copied before its asset moves and removed
after it; each item moves in one transaction; the project comes last and makes all of it visible at the target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial

from atelier.audit_log.model import Origin
from atelier.catalogue.quotas import Quota, QuotaName
from atelier.clock import Clock, TimeLeft
from atelier.dataclass import dataclass
from atelier.errors import QuotaExceeded
from atelier.library.delete_asset import delete_asset
from atelier.library.model import Asset
from atelier.library.ports import Assets
from atelier.moves.model import Move, Step, move_events
from atelier.moves.ports import MovableFiles, MoveStore, StaleMove
from atelier.moves.reserve import ReserveDeps, reserve
from atelier.retrying import retrying
from atelier.telemetry import logger

# Copying the files of one page takes less.
TIME_MARGIN_MILLISECONDS = 60_000
BUSY = "This project's files are changing quickly."
TRIES_MAX = 20


@dataclass(frozen=True, slots=True)
class MoveDeps:
    """The dependencies of continuing a move. quota_of(name, workspace_id, now): a quota of a workspace."""

    moves: MoveStore
    assets: Assets
    files: MovableFiles
    quota_of: Callable[[QuotaName, str, datetime], Quota]


def go_on_with_all(
    addresses: Iterable[tuple[str, str]], *, deps: Callable[[], MoveDeps], context: TimeLeft | None, clock: Clock
) -> None:
    """Continue the moves at these addresses (source, project), while there is time. What is left is continued by the
    next delivery: each page that was moved has written the record."""
    for source_id, project_id in addresses:
        go_on(source_id, project_id, deps=deps(), has_time=partial(_has_time, context), clock=clock)
        logger.info("move continued", extra={"workspace_id": source_id, "project_id": project_id})


def go_on(source_id: str, project_id: str, *, deps: MoveDeps, has_time: Callable[[], bool], clock: Clock) -> None:
    """Continue one move until its end, or until `has_time` says no. Safe to repeat, also in parallel."""

    def advance() -> bool:
        move = deps.moves.get(source_id, project_id)
        if move is None or move.is_done:
            return False
        _advance(move, deps, clock())
        return True

    while has_time():
        if not retrying(advance, on=StaleMove, busy=BUSY, tries_max=TRIES_MAX):
            return


def _advance(move: Move, deps: MoveDeps, now: datetime) -> None:
    """Do the next part of a move, and write the record in its transaction."""
    if move.step is Step.RESERVING:
        # Without room the move is taken back: the request was refused too, unless its process had died.
        with suppress(QuotaExceeded):
            reserve(move, Origin(move.user_id), deps=ReserveDeps(deps.moves, deps.quota_of), now=now)
    elif move.step is Step.ASSETS:
        _move_assets(move, deps, now)
    elif move.step is Step.GENERATIONS:
        if not deps.moves.move_generations(move, now):
            deps.moves.enter(move, move.at_step(Step.ALERTS))
    elif not deps.moves.move_alerts(move):
        _finish(move, deps, now)


def _move_assets(move: Move, deps: MoveDeps, now: datetime) -> None:
    if move.unsettled:
        _settle_files(move, deps, now)
        return
    page = deps.moves.next_assets(move)
    if not page:
        deps.moves.enter(move, move.at_step(Step.GENERATIONS))
        return
    for asset in page:
        if isinstance(asset, Asset):
            deps.files.copy(move.source_id, move.target_id, asset.sha256, asset.format)
    deps.moves.move_assets(move, page, now)


def _settle_files(move: Move, deps: MoveDeps, now: datetime) -> None:
    """Remove the files of moved assets from the source, unless another asset there has the same bytes."""
    for asset in deps.moves.find_moved(move):
        if isinstance(asset, Asset):
            # Once more: before the asset was at the target, the deletion of an equal file there may have removed this
            # one. From now on such a deletion finds the asset, and leaves its file.
            deps.files.copy(move.source_id, move.target_id, asset.sha256, asset.format)
    for asset_id in move.unsettled:
        delete_asset(move.source_id, asset_id, assets=deps.assets, files=deps.files, now=now)
    deps.moves.settle(move)


def _finish(move: Move, deps: MoveDeps, now: datetime) -> None:
    after = replace(move.at_step(Step.DONE), completed_at=now)
    deps.moves.finish(move, after, move_events(after, "project.moved", Origin(move.user_id), now))


def _has_time(context: TimeLeft | None) -> bool:
    return context is None or context.get_remaining_time_in_millis() > TIME_MARGIN_MILLISECONDS
