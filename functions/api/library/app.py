"""The library over HTTP: assets, characters and templates."""

from __future__ import annotations

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.resources import ResourceSchemas, declare_resource
from atelier.http.response import Response
from atelier.library.change_asset import ChangeAssetRequest
from atelier.library.change_asset import change_asset as change_asset_of
from atelier.library.character_schemas import (
    ChangeCharacterRequest,
    CharacterEnvelope,
    CharacterList,
    CreateCharacterRequest,
    character_view,
)
from atelier.library.delete_asset import delete_asset as delete_asset_of
from atelier.library.lineage import read_lineage
from atelier.library.present import list_assets as list_assets_of
from atelier.library.present import present_asset
from atelier.library.schemas import AssetEnvelope, AssetList, AssetQuery, LineageQuery, LineageView
from atelier.library.template_schemas import (
    ChangeTemplateRequest,
    CreateTemplateRequest,
    TemplateEnvelope,
    TemplateList,
    template_view,
)
from atelier.wiring import auth, library
from atelier.wiring.media_urls import asset_urls

api = Api("library", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
declare_resource(
    api,
    "character",
    "chr",
    ResourceSchemas(CreateCharacterRequest, ChangeCharacterRequest, CharacterEnvelope, CharacterList, character_view),
    library.character_deps,
)
declare_resource(
    api,
    "template",
    "tpl",
    ResourceSchemas(
        CreateTemplateRequest,
        ChangeTemplateRequest,
        TemplateEnvelope,
        TemplateList,
        template_view,
        long_parts=lambda template: [template.prompt, template.parameters],
    ),
    library.template_deps,
)


@api.route("GET", "/api/assets", permission="assets.read", query=AssetQuery, answer=AssetList)
def list_assets(request: Request[Empty]) -> Response:
    """List the workspace's assets, newest first."""
    workspace_id, assets = request.caller.workspace_id, library.assets()
    return Response(list_assets_of(workspace_id, request.query, request.now, assets=assets, urls=asset_urls))


@api.route("GET", "/api/assets/<asset_id>", permission="assets.read", answer=AssetEnvelope, errors=(404,))
def get_asset(request: Request[Empty]) -> Response:
    """Get one asset with its signed URLs."""
    asset = library.assets().get(request.caller.workspace_id, request.path_id("asset_id", "ast"))
    return Response(AssetEnvelope(asset=present_asset(asset, request.now, urls=asset_urls)))


@api.route(
    "PUT",
    "/api/assets/<asset_id>",
    permission="assets.manage",
    body=ChangeAssetRequest,
    answer=AssetEnvelope,
    errors=(404,),
)
def change_asset(request: Request[ChangeAssetRequest]) -> Response:
    """Change the fields that the body names: name, description, tags, project, favourite or not, archived or not."""
    workspace_id, asset_id = request.caller.workspace_id, request.path_id("asset_id", "ast")
    asset = change_asset_of(
        workspace_id,
        asset_id,
        request.body.changes(request.now),
        assets=library.assets(),
        projects=library.target_projects,
    )
    return Response(AssetEnvelope(asset=present_asset(asset, request.now, urls=asset_urls)))


@api.route(
    "GET",
    "/api/assets/<asset_id>/lineage",
    permission="assets.read",
    query=LineageQuery,
    answer=LineageView,
    errors=(404,),
)
def get_lineage(request: Request[Empty]) -> Response:
    """Get what an asset was made of, by whom and for how many credits, and list what was made from it, newest first."""
    workspace_id, asset_id = request.caller.workspace_id, request.path_id("asset_id", "ast")
    query, now, facts = request.query, request.now, library.step_facts()
    lineage = read_lineage(workspace_id, asset_id, query, now, assets=library.assets(), urls=asset_urls, facts=facts)
    return Response(lineage)


@api.route("DELETE", "/api/assets/<asset_id>", permission="assets.manage", statuses=(204,), errors=(404,))
def delete_asset(request: Request[Empty]) -> Response:
    """Delete an asset for good: its file is no longer served. What was made from it stays, and says that it was
    deleted. Asking again changes nothing."""
    workspace_id, asset_id = request.caller.workspace_id, request.path_id("asset_id", "ast")
    delete_asset_of(workspace_id, asset_id, assets=library.assets(), files=library.stored_files(), now=request.now)
    return Response(status=204)
