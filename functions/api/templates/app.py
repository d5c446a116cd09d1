"""Templates over HTTP."""

from __future__ import annotations

from functools import partial

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.library.template_schemas import (
    ChangeTemplateRequest,
    CreateTemplateRequest,
    TemplateEnvelope,
    TemplateList,
    TemplateQuery,
)
from atelier.wiring import auth, templates

api = Api("templates", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
read = partial(api.route, "GET", permission="templates.read")
manage = partial(api.route, permission="templates.manage", errors=(404, 503))


@read("/api/templates", query=TemplateQuery, answer=TemplateList)
def list_templates(request: Request[Empty]) -> Response:
    """List the workspace's templates, newest first."""
    return Response(templates.list_templates(request.caller.workspace_id, request.query))


@manage("POST", "/api/templates", body=CreateTemplateRequest, answer=TemplateEnvelope, statuses=(201,))
def create_template(request: Request[CreateTemplateRequest]) -> Response:
    """Create a template."""
    template, replayed = templates.create(request.caller, request.body, request.idempotency_key, request.now)
    headers = {"Location": f"/api/templates/{template.id}"} | ({"Idempotent-Replayed": "true"} if replayed else {})
    return Response(TemplateEnvelope(template=template), status=201, headers=headers)


@read("/api/templates/<template_id>", answer=TemplateEnvelope, errors=(404,))
def get_template(request: Request[Empty]) -> Response:
    """Get one template."""
    template = templates.read(request.caller.workspace_id, request.path_id("template_id", "tpl"))
    return Response(TemplateEnvelope(template=template))


@manage("PUT", "/api/templates/<template_id>", body=ChangeTemplateRequest, answer=TemplateEnvelope)
def change_template(request: Request[ChangeTemplateRequest]) -> Response:
    """Change the fields that the body names."""
    template_id = request.path_id("template_id", "tpl")
    template = templates.change(request.caller.workspace_id, template_id, request.body, request.now)
    return Response(TemplateEnvelope(template=template))


@manage("DELETE", "/api/templates/<template_id>", statuses=(204,))
def remove_template(request: Request[Empty]) -> Response:
    """Remove a template; results made with it stay."""
    templates.remove(request.caller.workspace_id, request.path_id("template_id", "tpl"))
    return Response(status=204)
