"""Uploads over HTTP: a file is announced, sent to the bucket, and then checked."""

from __future__ import annotations

from functools import partial

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.library.present import present_asset
from atelier.library.schemas import AssetEnvelope
from atelier.library.upload_schemas import UploadEnvelope, UploadRequest
from atelier.wiring import auth, uploads
from atelier.wiring.media_urls import asset_urls

api = Api("uploads", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
create = partial(api.route, "POST", permission="assets.create")


@create("/api/assets/uploads", body=UploadRequest, answer=UploadEnvelope, statuses=(201,), errors=(503,))
def begin_upload(request: Request[UploadRequest]) -> Response:
    """Begin an upload: announce a file, and get the form to send it with."""
    begun, replayed = uploads.begin(request.caller, request.body, request.idempotency_key, request.now)
    return created(f"/api/assets/{begun.asset.id}", begun, replayed=replayed)


@create("/api/assets/<asset_id>/complete", answer=AssetEnvelope, errors=(404, 409, 503))
def complete_upload(request: Request[Empty]) -> Response:
    """Complete an upload after the file was sent: the file is checked and becomes an asset."""
    asset = uploads.complete(request.caller.workspace_id, request.path_id("asset_id", "ast"), request.now)
    return Response(AssetEnvelope(asset=present_asset(asset, request.now, urls=asset_urls)))
