"""Workspaces' own provider keys, provider settings and the catalogue over HTTP. No response contains a key."""

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
from atelier.wiring import auth, models, provider_key_store, provider_keys, routing

api = Api("providers", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
manage = partial(api.route, permission="api-keys.manage")


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
