"""Audit logs over HTTP: a workspace's history, one's own security log, and the log of the platform's administrators."""

from __future__ import annotations

from functools import partial

from atelier.audit_log.model import PLATFORM_LOG
from atelier.audit_log.read_log import CSV_TYPE, NDJSON_TYPE, read_log
from atelier.audit_log.schemas import AuditEventList, AuditQuery
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.wiring import audit_log, auth

api = Api("audit", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
read = partial(api.route, "GET", query=AuditQuery, answer=AuditEventList, files=(NDJSON_TYPE, CSV_TYPE))


@read("/api/workspaces/<workspace_id>/audit", permission="audit.read", errors=(404,))
def list_audit_events(request: Request[Empty]) -> Response:
    """List what was done in the workspace, newest first; or export it."""
    found = read_log(request.caller.workspace_id, request.query, deps=audit_log.read_deps())
    return Response(found.data, headers=found.headers)


@read("/api/users/me/security-log", permission="account.read")
def list_security_events(request: Request[Empty]) -> Response:
    """List what concerns the access to your account, newest first; or export it."""
    found = read_log(request.caller.user_id, request.query, deps=audit_log.read_deps())
    return Response(found.data, headers=found.headers)


@read("/api/admin/audit", permission="platform.read", tag="admin")
def list_platform_events(request: Request[Empty]) -> Response:
    """List what administrators of the platform did, newest first; or export it."""
    found = read_log(PLATFORM_LOG, request.query, deps=audit_log.read_deps())
    return Response(found.data, headers=found.headers)
