"""What workspaces have secrets for, over HTTP: their own provider keys, with provider settings and the catalogue, and
webhook endpoints. No response contains a key; the secret of an endpoint is shown once."""

from __future__ import annotations

from functools import partial

from atelier.catalogue.schemas import ModelList, ModelQuery
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.provider_keys.schemas import (
    AddKeyRequest,
    KeyEnvelope,
    KeyList,
    PreferencesRequest,
    ProvidersView,
    SwitchKeyRequest,
    TestEnvelope,
    key_view,
    providers_view,
    test_view,
)
from atelier.routing.schemas import HealthList
from atelier.webhook_endpoints import manage as endpoint_changes
from atelier.webhook_endpoints import read_endpoints, resend, workspace_secret
from atelier.webhook_endpoints.model import GENERATION_URLS
from atelier.webhook_endpoints.schemas import (
    ChangeEndpointRequest,
    DeliveryEnvelope,
    DeliveryList,
    DeliveryQuery,
    EndpointEnvelope,
    EndpointList,
    EndpointSecretEnvelope,
    NewEndpointRequest,
    ReplayAccepted,
    ReplayRequest,
    WorkspaceSecretView,
    delivery_envelope,
    endpoint_secret,
    workspace_secret_view,
)
from atelier.wiring import auth, models, provider_key_store, provider_keys, routing, webhook_endpoints

api = Api("providers", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
manage = partial(api.route, permission="api-keys.manage")
read_webhooks = partial(api.route, "GET", permission="webhooks.read", tag="webhooks")
manage_webhooks = partial(api.route, permission="webhooks.manage", tag="webhooks")
ENDPOINTS = "/api/webhook-endpoints"
ENDPOINT, WORKSPACE_SECRET = f"{ENDPOINTS}/<endpoint_id>", f"{ENDPOINTS}/workspace-secret"
DELIVERY = "/api/webhook-deliveries/<delivery_id>"


@api.route("GET", "/api/api-keys", permission="api-keys.read", answer=KeyList)
def list_keys(request: Request[Empty]) -> Response:
    """List the workspace's own provider keys, without their secret values."""
    own = provider_key_store.keys().read_workspace(request.caller.workspace_id)
    return Response(KeyList(items=[key_view(key) for key in own.keys]))


@manage("POST", "/api/api-keys", body=AddKeyRequest, answer=KeyEnvelope, statuses=(201,), errors=(409,))
def add_key(request: Request[AddKeyRequest]) -> Response:
    """Add a key of your own for a provider."""
    caller = request.caller
    new = request.body.new_key(caller.workspace_id, caller.user_id, request.idempotency_key)
    added = provider_keys.add(new, request.origin, request.now)
    return created(f"/api/api-keys/{added.key.id}", KeyEnvelope(key=key_view(added.key)), replayed=added.replayed)


@manage("PUT", "/api/api-keys/<key_id>", body=SwitchKeyRequest, answer=KeyEnvelope, errors=(404,))
def switch_key(request: Request[SwitchKeyRequest]) -> Response:
    """Switch a key off, or on again."""
    workspace_id, key_id = request.caller.workspace_id, request.path_id("key_id", "key")
    key = provider_keys.switch(workspace_id, key_id, request.origin, request.now, is_active=request.body.is_active)
    return Response(KeyEnvelope(key=key_view(key)))


@manage("DELETE", "/api/api-keys/<key_id>", statuses=(204,), errors=(404,))
def remove_key(request: Request[Empty]) -> Response:
    """Remove a key for good."""
    workspace_id, key_id = request.caller.workspace_id, request.path_id("key_id", "key")
    provider_keys.remove(workspace_id, key_id, request.origin, request.now)
    return Response(status=204)


@manage("POST", "/api/api-keys/<key_id>/test", answer=TestEnvelope, errors=(404, 502))
def test_key(request: Request[Empty]) -> Response:
    """Test with the provider whether it accepts a key; free of charge."""
    checked = provider_keys.check(request.caller, request.path_id("key_id", "key"), request.now)
    return Response(TestEnvelope(test=test_view(checked)))


@api.route("GET", "/api/settings/providers", permission="providers.read", answer=ProvidersView)
def get_providers(request: Request[Empty]) -> Response:
    """List every provider with its status for the workspace, the most preferred first."""
    return Response(providers_view(routing.provider_settings(request.caller.workspace_id, request.now)))


@api.route(
    "PUT",
    "/api/settings/providers",
    permission="providers.manage",
    body=PreferencesRequest,
    answer=ProvidersView,
    errors=(409,),
)
def put_providers(request: Request[PreferencesRequest]) -> Response:
    """Set which providers are used, in which order, and with whose key."""
    workspace_id, body = request.caller.workspace_id, request.body
    provider_keys.change_preferences(workspace_id, (each.preference() for each in body.providers), body.version)
    return Response(providers_view(routing.provider_settings(workspace_id, request.now)))


@api.route("GET", "/api/providers/health", permission="providers.read", answer=HealthList)
def list_health(request: Request[Empty]) -> Response:
    """The health of the platform's providers and of the workspace's own keys."""
    return Response(routing.list_health(request.caller.workspace_id, request.now))


@api.route("GET", "/api/models", permission="models.read", query=ModelQuery, answer=ModelList)
def list_models(request: Request[Empty]) -> Response:
    """The catalogue: what each model makes and takes, what it costs, and until when it is offered."""
    query: ModelQuery = request.query
    return Response(models.list_models(request.caller.workspace_id, query.kind, request.now))


@read_webhooks(ENDPOINTS, answer=EndpointList)
def list_endpoints(request: Request[Empty]) -> Response:
    """List the workspace's webhook endpoints, and the types of events."""
    deps = webhook_endpoints.queue_deps()
    return Response(read_endpoints.list_endpoints(request.caller.workspace_id, deps=deps, now=request.now))


@manage_webhooks(
    "POST", ENDPOINTS, body=NewEndpointRequest, answer=EndpointSecretEnvelope, statuses=(201,), errors=(409,)
)
def create_endpoint(request: Request[NewEndpointRequest]) -> Response:
    """Add a webhook endpoint. Its signing secret is shown this once."""
    caller, now = request.caller, request.now
    new = request.body.new(caller.workspace_id, caller.user_id, request.idempotency_key)
    made = endpoint_changes.create_endpoint(new, request.origin, deps=webhook_endpoints.manage_deps(), now=now)
    return created(f"{ENDPOINTS}/{made.endpoint.id}", endpoint_secret(made, now), replayed=made.replayed)


@read_webhooks(ENDPOINT, answer=EndpointEnvelope, errors=(404,))
def get_endpoint(request: Request[Empty]) -> Response:
    """Get a webhook endpoint, and how it answered lately."""
    endpoint_id, deps = request.path_id("endpoint_id", "whe"), webhook_endpoints.queue_deps()
    endpoint = deps.endpoints.get(request.caller.workspace_id, endpoint_id)
    return Response(read_endpoints.show_endpoint(endpoint, deps=deps, now=request.now))


@manage_webhooks("PUT", ENDPOINT, body=ChangeEndpointRequest, answer=EndpointEnvelope, errors=(404, 409))
def change_endpoint(request: Request[ChangeEndpointRequest]) -> Response:
    """Change the fields that the body names: address, events, description, whether it is enabled."""
    endpoint_id, change, deps = (
        request.path_id("endpoint_id", "whe"),
        request.body.change(),
        webhook_endpoints.manage_deps(),
    )
    endpoint = endpoint_changes.change_endpoint(
        request.caller.workspace_id, endpoint_id, change, request.origin, deps=deps, now=request.now
    )
    return Response(read_endpoints.show_endpoint(endpoint, deps=deps.queue_deps, now=request.now))


@manage_webhooks("DELETE", ENDPOINT, statuses=(204,), errors=(404, 409))
def remove_endpoint(request: Request[Empty]) -> Response:
    """Remove a webhook endpoint. Deliveries that wait are not sent any more."""
    workspace_id, endpoint_id = request.caller.workspace_id, request.path_id("endpoint_id", "whe")
    deps = webhook_endpoints.manage_deps()
    endpoint_changes.remove_endpoint(workspace_id, endpoint_id, request.origin, deps=deps, now=request.now)
    return Response(status=204)


@manage_webhooks("POST", f"{ENDPOINT}/rotate-secret", answer=EndpointSecretEnvelope, errors=(404, 409))
def rotate_secret(request: Request[Empty]) -> Response:
    """Give a webhook endpoint a new secret, shown this once; the old one signs too for 24 hours."""
    workspace_id, endpoint_id = request.caller.workspace_id, request.path_id("endpoint_id", "whe")
    deps = webhook_endpoints.manage_deps()
    made = endpoint_changes.rotate_secret(workspace_id, endpoint_id, request.origin, deps=deps, now=request.now)
    return Response(endpoint_secret(made, request.now))


@manage_webhooks("POST", f"{ENDPOINT}/test", answer=DeliveryEnvelope, statuses=(202,), errors=(404, 409))
def send_test_event(request: Request[Empty]) -> Response:
    """Send a test event to a webhook endpoint; the delivery shows what it answers."""
    workspace_id, endpoint_id = request.caller.workspace_id, request.path_id("endpoint_id", "whe")
    delivery = endpoint_changes.send_test(
        workspace_id, endpoint_id, deps=webhook_endpoints.manage_deps(), now=request.now
    )
    return Response(delivery_envelope(delivery), status=202)


@read_webhooks(f"{ENDPOINT}/deliveries", query=DeliveryQuery, answer=DeliveryList, errors=(404,))
def list_deliveries(request: Request[Empty]) -> Response:
    """List the deliveries to a webhook endpoint, the newest event first."""
    workspace_id, endpoint_id = request.caller.workspace_id, request.path_id("endpoint_id", "whe")
    deps = webhook_endpoints.queue_deps()
    return Response(read_endpoints.list_deliveries(workspace_id, endpoint_id, request.query, deps=deps))


@manage_webhooks(
    "POST", f"{ENDPOINT}/replay", body=ReplayRequest, answer=ReplayAccepted, statuses=(202,), errors=(404, 409)
)
def replay(request: Request[ReplayRequest]) -> Response:
    """Send the events of a range of time again, in the background: those that were not delivered, or all."""
    workspace_id, endpoint_id = request.caller.workspace_id, request.path_id("endpoint_id", "whe")
    resend.begin_replay(workspace_id, endpoint_id, request.body.replay(), deps=webhook_endpoints.queue_deps())
    return Response(ReplayAccepted(accepted=True), status=202)


@read_webhooks(DELIVERY, answer=DeliveryEnvelope, errors=(404,))
def get_delivery(request: Request[Empty]) -> Response:
    """Get a delivery with what was sent, and every attempt."""
    delivery_id, deps = request.path_id("delivery_id", "whd"), webhook_endpoints.queue_deps()
    return Response(delivery_envelope(resend.find_delivery(request.caller.workspace_id, delivery_id, deps=deps)))


@manage_webhooks("POST", f"{DELIVERY}/resend", answer=DeliveryEnvelope, statuses=(202,), errors=(404, 409))
def resend_delivery(request: Request[Empty]) -> Response:
    """Send a delivery again, also one that was delivered, with the same id."""
    delivery_id, deps = request.path_id("delivery_id", "whd"), webhook_endpoints.queue_deps()
    delivery = resend.resend(request.caller.workspace_id, delivery_id, deps=deps, now=request.now)
    return Response(delivery_envelope(delivery), status=202)


@manage_webhooks("GET", WORKSPACE_SECRET, answer=WorkspaceSecretView)
def get_workspace_secret(request: Request[Empty]) -> Response:
    """Get the secret that signs what is sent to the `webhook_url` of generations."""
    deps = webhook_endpoints.manage_deps()
    shown = workspace_secret.show_secret(request.caller.workspace_id, deps=deps, now=request.now)
    return Response(workspace_secret_view(shown))


@manage_webhooks("POST", f"{WORKSPACE_SECRET}/rotate", answer=WorkspaceSecretView, errors=(409,))
def rotate_workspace_secret(request: Request[Empty]) -> Response:
    """Replace the secret for the `webhook_url` of generations; the old one signs too for 24 hours."""
    workspace_id, deps = request.caller.workspace_id, webhook_endpoints.manage_deps()
    shown = workspace_secret.rotate_workspace_secret(workspace_id, request.origin, deps=deps, now=request.now)
    return Response(workspace_secret_view(shown))


@read_webhooks(f"{WORKSPACE_SECRET}/deliveries", query=DeliveryQuery, answer=DeliveryList)
def list_generation_deliveries(request: Request[Empty]) -> Response:
    """List what was sent to the `webhook_url` of generations, the newest event first."""
    workspace_id, deps = request.caller.workspace_id, webhook_endpoints.queue_deps()
    return Response(read_endpoints.list_deliveries(workspace_id, GENERATION_URLS, request.query, deps=deps))
