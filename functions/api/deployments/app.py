"""Deployments of sites over HTTP, and the accounts at other hosts that they use."""

from __future__ import annotations

from functools import partial

from atelier.deployments.check_domain import check_domain
from atelier.deployments.domain_schemas import DomainCheckRequest, DomainCheckView, domain_check_view
from atelier.deployments.integrate import add_integration, check_integration, remove_integration
from atelier.deployments.integration_schemas import (
    IntegrationEnvelope,
    IntegrationList,
    IntegrationRequest,
    IntegrationTestView,
    check_view,
    integration_view,
)
from atelier.deployments.present import list_deployments as list_visible
from atelier.deployments.present import read_deployment, read_log, show
from atelier.deployments.request import cancel_deployment, request_deployment, roll_back
from atelier.deployments.schemas import (
    DeploymentEnvelope,
    DeploymentList,
    DeploymentLog,
    DeploymentQuery,
    DeploymentRequest,
)
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.wiring import auth, deployments

api = Api("deployments", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
read = partial(api.route, "GET", permission="sites.read")
act = partial(api.route, "POST", permission="sites.deploy", answer=DeploymentEnvelope)
manage = partial(api.route, permission="integrations.manage")
PATH, ACCOUNTS = "/api/deployments", "/api/integrations"


@act(PATH, body=DeploymentRequest, statuses=(202,), errors=(404, 409, 503))
def deploy_site(request: Request[DeploymentRequest]) -> Response:
    """Deploy what a site has published."""
    caller, deps = request.caller, deployments.request_deps()
    new = request.body.new(caller.workspace_id, caller.user_id, request.idempotency_key)
    deployment, replayed = request_deployment(new, request.origin, deps=deps, now=request.now)
    return created(f"{PATH}/{deployment.id}", show(deployment, deps.store), replayed=replayed, status=202)


@read(PATH, query=DeploymentQuery, answer=DeploymentList)
def list_deployments(request: Request[Empty]) -> Response:
    """List deployments, newest first."""
    return Response(list_visible(request.caller.workspace_id, request.query, deployments.store()))


@read(f"{PATH}/<deployment_id>", answer=DeploymentEnvelope, errors=(404,))
def get_deployment(request: Request[Empty]) -> Response:
    """Get a deployment."""
    deployment_id = request.path_id("deployment_id", "dep")
    return Response(read_deployment(request.caller.workspace_id, deployment_id, deployments.store()))


@read(f"{PATH}/<deployment_id>/log", answer=DeploymentLog, errors=(404,))
def get_deployment_log(request: Request[Empty]) -> Response:
    """Get what a deployment has done."""
    deployment_id = request.path_id("deployment_id", "dep")
    return Response(read_log(request.caller.workspace_id, deployment_id, deployments.store()))


@act(f"{PATH}/<deployment_id>/cancel", errors=(404, 409))
def cancel(request: Request[Empty]) -> Response:
    """Cancel a deployment: one that runs ends after its present step."""
    deployment_id, deps = request.path_id("deployment_id", "dep"), deployments.request_deps()
    workspace_id = request.caller.workspace_id
    cancelled = cancel_deployment(workspace_id, deployment_id, request.origin, deps=deps, now=request.now)
    return Response(show(cancelled, deps.store))


@act(f"{PATH}/<deployment_id>/rollback", statuses=(202,), errors=(404, 409, 503))
def roll_back_to(request: Request[Empty]) -> Response:
    """Show again what an earlier deployment showed, without rendering: a new deployment of its files."""
    deployment_id, deps, key = (
        request.path_id("deployment_id", "dep"),
        deployments.request_deps(),
        request.idempotency_key,
    )
    caller = request.caller
    deployment, replayed = roll_back(
        caller.workspace_id, deployment_id, caller.user_id, key, request.origin, deps=deps, now=request.now
    )
    return created(f"{PATH}/{deployment.id}", show(deployment, deps.store), replayed=replayed, status=202)


@api.route(
    "POST",
    "/api/sites/<site_id>/domain-check",
    permission="sites.deploy",
    body=DomainCheckRequest,
    answer=DomainCheckView,
    errors=(404, 409),
)
def ask_domain(request: Request[DomainCheckRequest]) -> Response:
    """Ask DNS for a site's own domain: whether it leads to a target, and which records to set."""
    site_id, deps = request.path_id("site_id", "sit"), deployments.domain_deps()
    return Response(
        domain_check_view(check_domain(request.caller.workspace_id, site_id, request.body.target, deps=deps))
    )


@manage("POST", ACCOUNTS, body=IntegrationRequest, answer=IntegrationEnvelope, statuses=(201,), errors=(409, 503))
def add(request: Request[IntegrationRequest]) -> Response:
    """Add an integration: a token of an account at Netlify, Vercel or GitHub, which is encrypted and never shown."""
    caller, deps = request.caller, deployments.integrate_deps()
    new = request.body.new(caller.workspace_id, caller.user_id, request.idempotency_key)
    integration, replayed = add_integration(new, request.origin, deps=deps, now=request.now)
    answer = IntegrationEnvelope(integration=integration_view(integration))
    return created(ACCOUNTS, answer, replayed=replayed)


@manage("GET", ACCOUNTS, answer=IntegrationList)
def list_integrations(request: Request[Empty]) -> Response:
    """List integrations."""
    found = deployments.integrations().list(request.caller.workspace_id)
    return Response(IntegrationList(items=[integration_view(each) for each in found]))


@manage("DELETE", f"{ACCOUNTS}/<integration_id>", statuses=(204,), errors=(404,))
def remove(request: Request[Empty]) -> Response:
    """Remove an integration with its credentials."""
    id, deps = request.path_id("integration_id", "int"), deployments.integrate_deps()
    remove_integration(request.caller.workspace_id, id, request.origin, deps=deps, now=request.now)
    return Response(status=204)


@manage("POST", f"{ACCOUNTS}/<integration_id>/test", answer=IntegrationTestView, errors=(404, 502))
def test(request: Request[Empty]) -> Response:
    """Call the host with an integration's credentials."""
    id, deps = request.path_id("integration_id", "int"), deployments.integrate_deps()
    return Response(check_view(check_integration(request.caller.workspace_id, id, deps=deps, now=request.now)))
