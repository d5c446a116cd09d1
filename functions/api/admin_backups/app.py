"""Backups and drills for administrators of the platform."""

from __future__ import annotations

from functools import partial

from atelier import cursors
from atelier.backups.schemas import BackupList, DrillList, HistoryQuery, backup_list, drill_list
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.wiring import auth, backups, drills

api = Api("admin", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
read = partial(api.route, "GET", permission="platform.read", query=HistoryQuery)


@read("/api/admin/backups", answer=BackupList)
def list_backups(request: Request[Empty]) -> Response:
    """List backups, the newest first; running and failed ones too."""
    after = cursors.decode(request.query.cursor, "bak_")
    return Response(backup_list(backups.records().page(after, request.query.limit)))


@read("/api/admin/drills", answer=DrillList)
def list_drills(request: Request[Empty]) -> Response:
    """List drills with what they have found, the newest first."""
    after = cursors.decode(request.query.cursor, "drl_")
    return Response(drill_list(drills.records().page(after, request.query.limit)))
