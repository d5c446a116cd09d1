"""The library over HTTP: assets, listed and read."""

from __future__ import annotations

from atelier import cursors
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.library.schemas import AssetEnvelope, AssetList, AssetQuery
from atelier.wiring import auth, library

api = Api("library", gate=auth.gate, limiter=auth.limiter)
handler = api.handler


@api.route("GET", "/api/assets", permission="assets.read", query=AssetQuery, answer=AssetList)
def list_assets(request: Request[Empty]) -> Response:
    """List the workspace's assets, newest first."""
    query: AssetQuery = request.query
    after = cursors.decode(query.cursor, "ast_")
    page = library.assets().list(
        request.caller.workspace_id, query.type, after, query.limit, project_id=query.project_id
    )
    items = [library.view(asset, request.now) for asset in page.assets]
    return Response(AssetList(items=items, next_cursor=cursors.encode(page.next_id)))


@api.route("GET", "/api/assets/<asset_id>", permission="assets.read", answer=AssetEnvelope, errors=(404,))
def get_asset(request: Request[Empty]) -> Response:
    """Get one asset with its signed URLs."""
    asset = library.assets().get(request.caller.workspace_id, request.path_id("asset_id", "ast"))
    return Response(AssetEnvelope(asset=library.view(asset, request.now)))
